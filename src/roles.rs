//! The life of a role. What a role does is its own crate's concern.
//!
//! 1. [`run`] reads the configuration and installs the logs. If a setting is wrong, it lists all problems and exits
//!    with 64.
//! 2. `live` binds both listeners. The one for operators serves until the end. The service manager is told from here on
//!    whether the role is ready.
//! 3. `serve` connects to the log and retries every 2 s. Until then the main listener answers health checks (alive, not
//!    ready), and 503 on every other path.
//! 4. `work` runs the role, and beside it refreshes the issuer's keys. SIGHUP changes what can be changed (`reload`).
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
use nats::NodeName;
use otlp::Exporter;
use runtime::Tasks;
use tls::ServerTls;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use web::{Admin, Listener};

use crate::certificates::Certificates;
use crate::config::{Config, Invalid, Loaded};
use crate::descriptors;
use crate::logging;
use crate::reload::Reload;
use crate::service_manager;
use crate::signals::{self, Signals};

#[cfg(test)]
mod tests;

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
    let loaded = Loaded::checked(file, std::env::vars_os(), |config| Role::problems_of(&[role], config));
    let loaded = loaded.and_then(|loaded| logging::install(&loaded.config.log).map(|filter| (loaded, filter)));
    let (loaded, filter) = match loaded {
        Ok(loaded) => loaded,
        Err(invalid) => {
            // Logs are not installed yet, or their own configuration is invalid.
            eprintln!("chatting-server {}: {invalid}", role.name());
            return ExitCode::from(USAGE);
        }
    };
    loaded.config.log_warnings();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the runtime: {error}");
            return ExitCode::from(SOFTWARE);
        }
    };
    exit_code(role, runtime.block_on(live(role, file, loaded, filter)))
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

async fn live(role: Role, file: Option<&Path>, mut loaded: Loaded, filter: logging::Filter) -> anyhow::Result<()> {
    let stop = Signals::listen()?.stop();
    let hangups = signals::hangups()?;
    loaded.config.nats.login = login_source(file);
    let config = loaded.config.clone();
    let auth = Arc::new(web::auth::Verifier::new(&config.auth).map_err(Invalid::from)?);
    let listen = match role {
        Role::Ingest => config.ingest.listen,
        Role::Delivery => config.delivery.listen,
        Role::Archiver => config.archiver.listen,
    };
    descriptors::check(role, &config);
    let [(section, tls), (admin_section, admin_tls)] = role.tls(&config);
    let load = |section: &str, tls| ServerTls::load(section, tls).map_err(Invalid::from);
    let (tls, admin_tls) = (load(&section, tls)?, load(&admin_section, admin_tls)?);
    let node = config.node.name();
    let name = node.as_ref().map_or("", NodeName::as_str);
    let listener = bind(role, "listen", listen, tls.clone())?;
    tracing::info!(role = role.name(), node = name, "this is the node {name:?}");
    tracing::info!(role = role.name(), %listen, "{} listens on {listen}{}", role.name(), about(tls.as_ref()));
    let traced = metrics::Registry::new();
    let (tracer, exporter) = Exporter::new(&config.otlp, role.name(), &traced).map_err(Invalid::from)?;
    let admin = Admin::new(name, WAITING, tracer, stop.clone());
    admin.metrics().include(&traced);
    metrics::declare_process(
        admin.metrics(),
        name,
        role.name(),
        env!("CARGO_PKG_VERSION"),
        &tokio::runtime::Handle::current(),
    );
    auth.report_to(&admin);
    // They serve until the log is closed.
    let tasks = Tasks::new();
    let informed = service_manager::inform(admin.clone(), stop.clone(), tasks.stop().clone());
    tasks.spawn("service manager", informed);
    let export_headers = exporter.as_ref().map(Exporter::headers);
    if let Some(exporter) = exporter {
        tasks.spawn("span exporter", exporter.run(tasks.stop().clone()));
    }
    if let Some(listen) = role.admin(&config) {
        let listener = bind(role, "admin.listen", listen, admin_tls.clone())?;
        let (name, with_tls) = (role.name(), about(admin_tls.as_ref()));
        tracing::info!(role = name, %listen, "{name} answers health checks on {listen}{with_tls}");
        tasks.spawn("admin listener", admin.clone().serve(listener, tasks.stop().clone()));
    }
    let certificates = Arc::new(Certificates::of(role, &config, [tls, admin_tls].into_iter().flatten()));
    certificates.declare(admin.metrics());
    let (changes, changed) = watch::channel(config.clone());
    let reload = Reload {
        role,
        file: file.map(Path::to_owned),
        started: loaded,
        filter,
        auth: auth.clone(),
        export_headers,
        certificates,
        changes,
    };
    tasks.spawn("reload", reload.follow(hangups, tasks.stop().clone()));
    let ended = serve(role, changed, auth, listener, &admin, &stop, &tasks).await;
    tasks.finish().await;
    ended.and(tasks.panicked().map_or(Ok(()), |panicked| Err(panicked.into())))
}

/// Runs from the bound listeners to the closed log.
async fn serve(
    role: Role,
    changed: watch::Receiver<Config>,
    auth: Arc<web::auth::Verifier>,
    listener: Listener,
    admin: &Arc<Admin>,
    stop: &CancellationToken,
    tasks: &Tasks,
) -> anyhow::Result<()> {
    let config = changed.borrow().clone();
    // Without the log the process is alive but not ready. The main listener says so until the role takes over.
    let connected = stop.child_token();
    tasks.spawn("health before the log", {
        let (listener, http, connected) = (listener.duplicate()?, role.http(&config).clone(), connected.clone());
        let app = not_ready_yet(stop.clone());
        async move { web::serve(listener, app, &http, connected).await }
    });
    let nats = nats::Config { node: config.node.name(), ..config.nats.clone() };
    // A dropped attempt to connect has changed nothing.
    let log = tokio::select! {
        log = connect(role, &nats, stop) => log,
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
    let work = work(role, changed, auth, listener, log.clone(), admin.clone(), stop.clone());
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
    mut changed: watch::Receiver<Config>,
    auth: Arc<web::auth::Verifier>,
    listener: Listener,
    log: nats::Log,
    admin: Arc<Admin>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let ended = CancellationToken::new();
    // A reload before this is part of what the role begins with.
    let config = changed.borrow_and_update().clone();
    let (of_ingest, ingest) = watch::channel(config.ingest.clone());
    let (of_archiver, archiver) = watch::channel(config.archiver.clone());
    let (of_readers, readers) = watch::channel(config.ingest.room.readers);
    let follow_changes = async {
        while changed.changed().await.is_ok() {
            let config = changed.borrow_and_update().clone();
            of_readers.send_replace(config.ingest.room.readers);
            of_ingest.send_replace(config.ingest);
            of_archiver.send_replace(config.archiver);
        }
    };
    let work = async {
        let _ended = ended.clone().drop_guard();
        let auth = auth.clone();
        match role {
            Role::Ingest => ingest::run(ingest, auth, listener, log, &admin, stop).await?,
            Role::Delivery => delivery::run(config.delivery, readers, auth, listener, log, &admin, stop).await?,
            Role::Archiver => archiver::run(archiver, auth, listener, log, &admin, stop).await?,
        }
        anyhow::Ok(())
    };
    // Until the role ends: requests in progress need keys. A dropped wait for changes has changed nothing.
    tokio::join!(work, auth.follow_keys(&ended), ended.run_until_cancelled(follow_changes)).0
}

fn bind(role: Role, member: &str, listen: SocketAddr, tls: Option<Arc<ServerTls>>) -> anyhow::Result<Listener> {
    Listener::bind(listen, tls)
        .with_context(|| format!("cannot listen on {listen} ({}.{member}): set another address there", role.name()))
}

/// Reads the configuration, and the files of its secrets, for each connection to NATS.
fn login_source(file: Option<&Path>) -> nats::LoginSource {
    let file = file.map(Path::to_owned);
    nats::LoginSource::new(move || {
        let read = Config::load(file.as_deref());
        read.map(|config| config.nats).map_err(|invalid| invalid.to_string())
    })
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

/// The end of the sentence about a listener.
fn about(tls: Option<&Arc<ServerTls>>) -> String {
    tls.map_or_else(String::new, |tls| format!(" with TLS; its certificate is valid until {}", tls.expires()))
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

/// Whether the configuration is invalid: another attempt does not help.
pub(crate) fn is_about_configuration(error: &anyhow::Error) -> bool {
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

    /// The sections with the certificates of the main listener and of that for operators.
    pub(crate) fn tls(self, config: &Config) -> [(String, &tls::ServerConfig); 2] {
        let (main, admin) = match self {
            Role::Ingest => (&config.ingest.tls, &config.ingest.admin.tls),
            Role::Delivery => (&config.delivery.tls, &config.delivery.admin.tls),
            Role::Archiver => (&config.archiver.tls, &config.archiver.admin.tls),
        };
        [(format!("{}.tls", self.name()), main), (format!("{}.admin.tls", self.name()), admin)]
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
        let mut problems = config.node.problems();
        problems.extend(config.nats.problems());
        problems.extend(config.log.filter().err());
        problems.extend(config.otlp.problems());
        problems.extend(config.auth.problems());
        for role in roles {
            problems.extend(role.tls(config).into_iter().flat_map(|(section, tls)| tls.problems(&section)));
            problems.extend(match role {
                Role::Ingest => config.ingest.problems(config.nats.max_age.get()),
                Role::Delivery => config.delivery.problems(),
                Role::Archiver => config.archiver.problems(config.nats.max_age.get()),
            });
        }
        problems
    }
}
