//! The life of a role. What a role does is its own crate's concern.
//!
//! 1. [`run`] reads the configuration and installs the logs. If a setting is wrong, it lists all problems and exits
//!    with 64.
//! 2. `live` binds both listeners. The one for operators serves until the end. The service manager is told from here on
//!    whether the role is ready.
//! 3. `serve` connects to the log and retries every 2 s. Until then the main listener answers health checks (alive, not
//!    ready), and 503 on every other path.
//! 4. `work` runs the role, and beside it refreshes the issuer's keys.
//! 5. A signal cancels `stop`: the role is not ready, takes no new work, finishes work in progress, and returns within
//!    its grace period. A second signal ends the process at once, with 130.
//! 6. The log is closed, then the listener for operators. The exit code is 0 after a stop, and 70 if the role, the log
//!    or a background task failed, or if the stop took 5 s longer than the grace period.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::http::StatusCode;
use clap::ValueEnum;
use conf::Problem;
use runtime::Tasks;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use web::Admin;

use crate::config::{Config, Invalid};
use crate::descriptors;
use crate::logging;
use crate::service_manager;
use crate::signals::Signals;

/// A role: a part of the system with a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// HTTP to the log.
    Ingest,
    /// The log to WebSockets.
    Delivery,
    /// The log to MongoDB.
    Archiver,
}

/// `EX_USAGE` of sysexits: the configuration is invalid, and a restart does not help.
pub(crate) const USAGE: u8 = 64;

/// `EX_SOFTWARE` of sysexits: the role ended without a stop.
const SOFTWARE: u8 = 70;

/// The time after its grace period at which a stopping role counts as stuck.
const OVERTIME: Duration = Duration::from_secs(5);

/// Why a role is not ready before it reaches the log.
const WAITING: &str = "waiting for the log";

/// The pause between two attempts to reach the log.
const RETRY: Duration = Duration::from_secs(2);

/// Runs a role until a signal. The exit code is 0 after a stop, 64 if the configuration is invalid, 70 if the role
/// failed.
pub fn run(role: Role, file: Option<&Path>) -> ExitCode {
    let config = Config::checked(file, std::env::vars_os(), |config| Role::problems_of(&[role], config));
    let config = config.and_then(|config| logging::install(&config.log).map(|()| config));
    let config = match config {
        Ok(config) => config,
        Err(invalid) => {
            // Logs are not installed yet, or their own configuration is invalid.
            eprintln!("chatting-server {}: {invalid}", role.name());
            return ExitCode::from(USAGE);
        }
    };
    config.log_warnings();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the runtime: {error}");
            return ExitCode::from(SOFTWARE);
        }
    };
    exit_code(role, runtime.block_on(live(role, config)))
}

/// Logs how the role ended.
fn exit_code(role: Role, ended: anyhow::Result<()>) -> ExitCode {
    match ended {
        Ok(()) => {
            tracing::info!(role = role.name(), "{} has stopped", role.name());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let usage = is_about_configuration(&error);
            let error = format!("{error:#}");
            tracing::error!(role = role.name(), error, "{} has failed: {error}", role.name());
            ExitCode::from(if usage { USAGE } else { SOFTWARE })
        }
    }
}

async fn live(role: Role, config: Config) -> anyhow::Result<()> {
    let stop = Signals::listen()?.stop();
    let auth = Arc::new(web::auth::Verifier::new(&config.auth).map_err(Invalid::from)?);
    let listen = match role {
        Role::Ingest => config.ingest.listen,
        Role::Delivery => config.delivery.listen,
        Role::Archiver => config.archiver.listen,
    };
    descriptors::check(role, &config);
    let listener = bind(role, "listen", listen)?;
    tracing::info!(role = role.name(), %listen, "{} listens on {listen}", role.name());
    let admin = Admin::new(WAITING, stop.clone());
    metrics::declare_process(
        admin.metrics(),
        role.name(),
        env!("CARGO_PKG_VERSION"),
        &tokio::runtime::Handle::current(),
    );
    auth.report_to(&admin);
    // They serve until the log is closed.
    let tasks = Tasks::new();
    let informed = service_manager::inform(admin.clone(), stop.clone(), tasks.stop().clone());
    tasks.spawn("service manager", informed);
    if let Some(listen) = role.admin(&config) {
        let listener = bind(role, "admin.listen", listen)?;
        tracing::info!(role = role.name(), %listen, "{} answers health checks on {listen}", role.name());
        tasks.spawn("admin listener", admin.clone().serve(listener, tasks.stop().clone()));
    }
    let ended = serve(role, config, auth, listener, &admin, &stop, &tasks).await;
    tasks.finish().await;
    ended.and(tasks.panicked().map_or(Ok(()), |panicked| Err(panicked.into())))
}

/// Runs from the bound listeners to the closed log.
async fn serve(
    role: Role,
    config: Config,
    auth: Arc<web::auth::Verifier>,
    listener: TcpListener,
    admin: &Arc<Admin>,
    stop: &CancellationToken,
    tasks: &Tasks,
) -> anyhow::Result<()> {
    // Without the log the process is alive but not ready. The main listener says so until the role takes over.
    let connected = stop.child_token();
    tasks.spawn("health before the log", {
        let (listener, http, connected) = (duplicate(&listener)?, role.http(&config).clone(), connected.clone());
        let app = not_ready_yet(stop.clone());
        async move { web::serve(listener, app, &http, connected).await }
    });
    // A dropped attempt to connect has changed nothing.
    let log = tokio::select! {
        log = connect(role, &config.nats, stop) => log,
        panicked = tasks.failed() => Err(panicked.into()),
    };
    connected.cancel();
    let Some(log) = log? else { return Ok(()) };
    log.declare_metrics(admin.metrics());
    admin.depends_on("log", {
        let log = log.clone();
        move || if log.is_connected() { Ok(()) } else { Err("not connected to NATS".to_owned()) }
    });

    let grace = role.http(&config).grace.get() + OVERTIME;
    let work = work(role, config, auth, listener, log.clone(), admin.clone(), stop.clone());
    #[allow(clippy::disallowed_methods, reason = "the role itself, not in the background: its result is awaited here")]
    let mut role = tokio::spawn(work);
    // A dropped branch only waits.
    let failure = tokio::select! {
        ended = &mut role => {
            log.close().await;
            return ended?;
        }
        () = stop.cancelled() => Ok(()),
        error = log.failed() => Err(anyhow::anyhow!("{error}")),
        panicked = tasks.failed() => Err(panicked.into()),
    };
    stop.cancel();
    let ended = tokio::time::timeout(grace, role).await.context("it did not stop within its grace period")?;
    log.close().await;
    failure.and(ended?)
}

async fn work(
    role: Role,
    config: Config,
    auth: Arc<web::auth::Verifier>,
    listener: TcpListener,
    log: nats::Log,
    admin: Arc<Admin>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let ended = CancellationToken::new();
    let work = async {
        let _ended = ended.clone().drop_guard();
        let auth = auth.clone();
        match role {
            Role::Ingest => ingest::run(config.ingest, auth, listener, log, &admin, stop).await?,
            Role::Delivery => {
                let readers = config.ingest.room.readers;
                delivery::run(config.delivery, readers, auth, listener, log, &admin, stop).await?
            }
            Role::Archiver => archiver::run(config.archiver, auth, listener, log, &admin, stop).await?,
        }
        anyhow::Ok(())
    };
    // Until the role ends: requests in progress need keys.
    tokio::join!(work, auth.follow_keys(&ended)).0
}

fn bind(role: Role, member: &str, listen: SocketAddr) -> anyhow::Result<TcpListener> {
    web::listen(listen)
        .with_context(|| format!("cannot listen on {listen} ({}.{member}): set another address there", role.name()))
}

/// Health checks, and 503 for every other path: a client would treat a 404 as final.
fn not_ready_yet(stop: CancellationToken) -> Router {
    let later = async || {
        let problem =
            web::Problem::new(StatusCode::SERVICE_UNAVAILABLE, "log_unavailable", "The log cannot be reached yet.");
        problem.with("outcome", "not_stored").retry_after(RETRY)
    };
    web::health(Arc::new(|| Err(WAITING.to_owned())), stop).fallback(later)
}

/// Another handle on the same socket.
fn duplicate(listener: &TcpListener) -> anyhow::Result<TcpListener> {
    use std::os::fd::AsFd as _;
    let listener = std::net::TcpListener::from(listener.as_fd().try_clone_to_owned()?);
    Ok(TcpListener::from_std(listener)?)
}

/// Connects, and retries until a stop. None: the stop came first.
async fn connect(role: Role, config: &nats::Config, stop: &CancellationToken) -> anyhow::Result<Option<nats::Log>> {
    let name = format!("chatting-server {}", role.name());
    let attempts = async {
        loop {
            match nats::Log::connect(config, &name).await {
                Ok(log) => return Ok(log),
                Err(error @ (nats::Error::Config { .. } | nats::Error::Partitions { .. })) => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "{error}; trying again in {} s", RETRY.as_secs());
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    };
    // A dropped attempt has changed nothing.
    tokio::select! {
        () = stop.cancelled() => Ok(None),
        log = attempts => Ok(Some(log?)),
    }
}

fn is_about_configuration(error: &anyhow::Error) -> bool {
    error.is::<Invalid>()
        || matches!(error.downcast_ref(), Some(nats::Error::Config { .. } | nats::Error::Partitions { .. }))
        || matches!(error.downcast_ref(), Some(ingest::Error::Config(_)))
        || matches!(error.downcast_ref(), Some(delivery::Error::Config { .. }))
        || matches!(error.downcast_ref(), Some(archiver::Error::Config { .. }))
}

impl Role {
    /// All of them.
    pub(crate) const ALL: [Role; 3] = [Role::Ingest, Role::Delivery, Role::Archiver];

    /// The name in the command line, the configuration and the logs.
    pub fn name(self) -> &'static str {
        match self {
            Role::Ingest => "ingest",
            Role::Delivery => "delivery",
            Role::Archiver => "archiver",
        }
    }

    /// The address of the role's listener for operators. None: it has none.
    pub(crate) fn admin(self, config: &Config) -> Option<SocketAddr> {
        match self {
            Role::Ingest => config.ingest.admin.listen,
            Role::Delivery => config.delivery.admin.listen,
            Role::Archiver => config.archiver.admin.listen,
        }
    }

    /// The settings of the role's main listener.
    fn http(self, config: &Config) -> &web::ServeConfig {
        match self {
            Role::Ingest => &config.ingest.http,
            Role::Delivery => &config.delivery.http,
            Role::Archiver => &config.archiver.http,
        }
    }

    /// The problems of these roles' settings that show before they connect.
    pub(crate) fn problems_of(roles: &[Role], config: &Config) -> Vec<Problem> {
        let mut problems = config.nats.problems();
        problems.extend(config.log.filter().err());
        problems.extend(config.auth.problems());
        for role in roles {
            problems.extend(match role {
                Role::Ingest => config.ingest.problems(config.nats.max_age.get()),
                Role::Delivery => config.delivery.problems(),
                Role::Archiver => config.archiver.problems(config.nats.max_age.get()),
            });
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use runtime::{Panicked, Tasks};

    use super::*;

    /// As the owner of the task gets it.
    async fn panicked(task: &'static str) -> Panicked {
        let tasks = Tasks::new();
        tasks.spawn(task, async { panic!("as planned") });
        tasks.failed().await
    }

    #[tokio::test]
    async fn a_panic_in_a_background_task_ends_its_role_with_70_and_a_line_that_names_the_task() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lines = tracing_subscriber::fmt().json().with_writer(Arc::new(file.reopen().unwrap())).finish();
        let _installed = tracing::subscriber::set_default(lines);
        let ends: [(Role, &str, anyhow::Error); 4] = [
            (Role::Ingest, "replay", ingest::Error::Panicked(panicked("replay").await).into()),
            (Role::Delivery, "saver", delivery::Error::Failed(panicked("saver").await.to_string()).into()),
            (Role::Archiver, "sweep", archiver::Error::from(panicked("sweep").await).into()),
            (Role::Archiver, "tail", nats::Error::from(panicked("tail").await).into()),
        ];

        for (role, task, error) in ends {
            assert_eq!(exit_code(role, Err(error)), ExitCode::from(SOFTWARE), "{task}");

            let log = std::fs::read_to_string(file.path()).unwrap();
            let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
            assert_eq!((&last["level"], &last["fields"]["role"]), (&"ERROR".into(), &role.name().into()), "{last}");
            let error = last["fields"]["error"].as_str().unwrap();
            assert!(error.contains(&format!("the background task {task:?} panicked")), "{last}");
        }
        assert_eq!(exit_code(Role::Ingest, Ok(())), ExitCode::SUCCESS);
    }
}
