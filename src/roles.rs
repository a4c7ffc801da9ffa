//! The life of a role. What a role does is its crate's business.
//!
//! 1. [`run`] reads the configuration and installs the logs. If a setting is wrong, it lists all problems and exits with 64.
//! 2. `live` binds both listeners. The one for operators serves until the end.
//! 3. `serve` connects to the log and retries every 2 s. Until then the main listener answers health checks (alive, not
//!    ready), and 503 on every other path.
//! 4. `work` runs the role, and beside it refreshes the issuer's keys.
//! 5. A signal cancels `stop`: the role is not ready, takes no new work, finishes work in hand, and returns within its
//!    grace period. A second signal ends the process at once, with 130.
//! 6. The log is closed, then the listener for operators. The exit code is 0 after a stop, and 70 if the role or the log
//!    failed, or if the stop took 5 s longer than the grace period.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::http::StatusCode;
use conf::Problem;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use web::Admin;

use crate::config::{Config, Invalid};
use crate::descriptors;
use crate::logging;
use crate::signals::Signals;

/// A part of the system that runs as a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// HTTP to the log.
    Ingest,
    /// The log to WebSockets.
    Delivery,
    /// The log to MongoDB.
    Archiver,
}

/// `EX_USAGE` of sysexits: the configuration is wrong, and a restart does not help.
pub(crate) const USAGE: u8 = 64;

/// `EX_SOFTWARE` of sysexits: the role ended without a stop.
const SOFTWARE: u8 = 70;

/// The time beyond its grace period after which a stopping role counts as stuck.
const OVERTIME: Duration = Duration::from_secs(5);

/// Why a role is not ready before it reaches the log.
const WAITING: &str = "waiting for the log";

/// The time between two attempts to reach the log.
const RETRY: Duration = Duration::from_secs(2);

/// Runs a role until a signal. The exit code is 0 after a stop, 64 if the configuration is wrong, 70 if the role failed.
pub fn run(role: Role, file: Option<&Path>) -> ExitCode {
    let config = Config::checked(file, std::env::vars_os(), |config| role.problems(config));
    let config = config.and_then(|config| logging::install(&config.log).map(|()| config));
    let config = match config {
        Ok(config) => config,
        Err(invalid) => {
            // The logs are not installed yet, or their own configuration is wrong.
            eprintln!("chatting-server {}: {invalid}", role.name());
            return ExitCode::from(USAGE);
        }
    };
    config.warn_of_old_keys();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the runtime: {error}");
            return ExitCode::from(SOFTWARE);
        }
    };
    match runtime.block_on(live(role, config)) {
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
    let (listen, admin_listen, http) = match role {
        Role::Ingest => (config.ingest.listen, config.ingest.admin.listen, config.ingest.http.clone()),
        Role::Delivery => (config.delivery.listen, config.delivery.admin.listen, config.delivery.http.clone()),
        Role::Archiver => (config.archiver.listen, config.archiver.admin.listen, config.archiver.http.clone()),
    };
    descriptors::check(role, &config);
    let listener = bind(role, "listen", listen).await?;
    tracing::info!(role = role.name(), %listen, "{} listens on {listen}", role.name());
    let admin = Admin::new(WAITING, stop.clone());
    metrics::declare_process(
        admin.metrics(),
        role.name(),
        env!("CARGO_PKG_VERSION"),
        &tokio::runtime::Handle::current(),
    );
    auth.report_to(&admin);
    let administered = match admin_listen {
        None => None,
        Some(listen) => {
            let listener = bind(role, "admin.listen", listen).await?;
            tracing::info!(role = role.name(), %listen, "{} answers health checks on {listen}", role.name());
            Some(listener)
        }
    };
    // Cancelled at the end of this function, however it ends.
    let over = CancellationToken::new();
    let administered = administered.map(|listener| tokio::spawn(admin.clone().serve(listener, over.clone())));
    let ended = serve(role, config, auth, listener, &http, &admin, &stop).await;
    over.cancel();
    if let Some(administered) = administered {
        administered.await.context("the listener for operators failed")?;
    }
    ended
}

/// Everything between binding the listeners and closing them.
async fn serve(
    role: Role,
    config: Config,
    auth: Arc<web::auth::Verifier>,
    listener: TcpListener,
    http: &web::ServeConfig,
    admin: &Arc<Admin>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    // Without the log the process is alive and not ready. The main port says so until the role takes it over.
    let connected = stop.child_token();
    let waiting = tokio::spawn({
        let (listener, http, connected) = (duplicate(&listener)?, http.clone(), connected.clone());
        let app = not_ready_yet(stop.clone());
        async move { web::serve(listener, app, &http, connected).await }
    });
    let log = connect(role, &config.nats, stop).await;
    connected.cancel();
    let Some(log) = log? else {
        return waiting.await.context("the health endpoint failed");
    };
    log.declare_metrics(admin.metrics());
    admin.depends_on("log", {
        let log = log.clone();
        move || if log.is_connected() { Ok(()) } else { Err("not connected to NATS".to_owned()) }
    });

    let grace = http.grace.get() + OVERTIME;
    let mut role = tokio::spawn(work(role, config, auth, listener, log.clone(), admin.clone(), stop.clone()));
    // Each branch only waits: nothing is lost with the others.
    let failure = tokio::select! {
        ended = &mut role => return close(log, ended?, waiting).await,
        () = stop.cancelled() => Ok(()),
        error = log.failed() => Err(anyhow::anyhow!("{error}")),
    };
    stop.cancel();
    let ended = tokio::time::timeout(grace, role).await.context("it did not stop within its grace period")?;
    close(log, failure.and(ended?), waiting).await
}

/// Closes the log, after the role has ended.
async fn close(log: nats::Log, ended: anyhow::Result<()>, waiting: JoinHandle<()>) -> anyhow::Result<()> {
    log.close().await;
    waiting.await.context("the health endpoint failed")?;
    ended
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
            Role::Delivery => delivery::run(config.delivery, auth, listener, log, &admin, stop).await?,
            Role::Archiver => archiver::run(config.archiver, auth, listener, log, &admin, stop).await?,
        }
        anyhow::Ok(())
    };
    // As long as the role runs: work in hand needs keys to the end.
    tokio::join!(work, auth.follow_keys(&ended)).0
}

async fn bind(role: Role, member: &str, listen: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(listen).await;
    bound.with_context(|| format!("cannot listen on {listen} ({}.{member}): set another address there", role.name()))
}

/// Health, and 503 for every other path: a client would take a 404 as final.
fn not_ready_yet(stop: CancellationToken) -> Router {
    let later = async || {
        let problem =
            web::Problem::new(StatusCode::SERVICE_UNAVAILABLE, "log_unavailable", "The log cannot be reached yet.");
        problem.with("outcome", "not_stored").retry_after(RETRY)
    };
    web::health(Arc::new(|| Err(WAITING.to_owned())), stop).fallback(later)
}

/// A second handle on the same socket.
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
    // An attempt that a stop drops has changed nothing.
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
    /// The name of the command, of the section of the configuration, and in the logs.
    pub fn name(self) -> &'static str {
        match self {
            Role::Ingest => "ingest",
            Role::Delivery => "delivery",
            Role::Archiver => "archiver",
        }
    }

    /// Every setting of the role that cannot work, as far as it shows before anything is connected.
    fn problems(self, config: &Config) -> Vec<Problem> {
        let mut problems = config.nats.problems();
        problems.extend(config.log.filter().err());
        problems.extend(config.auth.problems());
        problems.extend(match self {
            Role::Ingest => config.ingest.problems(),
            Role::Delivery => config.delivery.problems(),
            Role::Archiver => config.archiver.problems(config.nats.max_age.get()),
        });
        problems
    }
}
