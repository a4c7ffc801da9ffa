//! `chatting-server check`: compares the configuration, NATS, the log, MongoDB, the other services and the clocks with
//! what the roles need. It changes nothing. All parts run at once, and each has a deadline.

mod clocks;
mod finding;
mod handshakes;
mod log;
mod mongodb;
mod monitoring;
mod services;
mod storage;
mod versions;

use std::process::ExitCode;
use std::time::Duration;

use futures_util::future::join_all;

use crate::cli::{CheckArguments, CheckFormat};
use crate::config::{Config, Invalid};
use crate::logging;
use crate::roles::{Role, USAGE};
use clocks::Clock;
use finding::{CheckReport, Finding};
use monitoring::Monitored;

/// The connection's name in NATS' monitoring.
const NAME: &str = "chatting-server check";

/// The deadline of each part. The parts run at once, so a check takes little longer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Checks, and prints the findings. The exit code is 0 without problems, 1 with problems, 64 if the configuration is
/// invalid.
#[allow(clippy::print_stdout, reason = "the answer to the command")]
pub fn run(arguments: &CheckArguments) -> ExitCode {
    logging::install_for_people();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("chatting-server: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (report, is_usage) = runtime.block_on(check(arguments));
    match arguments.format {
        CheckFormat::Text => print!("{report}"),
        CheckFormat::Json => println!("{}", report.json()),
    }
    // A driver may still wait for a server that does not answer.
    runtime.shutdown_background();
    match (is_usage, report.has_problems()) {
        (true, _) => ExitCode::from(USAGE),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    }
}

/// The report, and whether the configuration is invalid.
async fn check(arguments: &CheckArguments) -> (CheckReport, bool) {
    let monitored = join_all(arguments.monitoring.iter().map(|url| monitoring::ask(url)));
    // Monitoring URLs alone are the question about these servers alone.
    if arguments.config.is_none() && arguments.roles.is_empty() && !arguments.monitoring.is_empty() {
        return (CheckReport::of(monitoring::findings(&monitored.await)), false);
    }
    let roles = if arguments.roles.is_empty() { Role::ALL.to_vec() } else { arguments.roles.clone() };
    match Config::checked(arguments.config.as_deref(), std::env::vars_os(), |config| Role::problems_of(&roles, config))
    {
        Ok(config) => {
            let (findings, is_usage) = check_with(&config, &roles, monitored).await;
            (CheckReport::of(findings), is_usage)
        }
        Err(invalid) => {
            let mut findings = configuration(&invalid);
            findings.extend(monitoring::findings(&monitored.await));
            (CheckReport::of(findings), true)
        }
    }
}

/// A problem for each wrong key.
fn configuration(invalid: &Invalid) -> Vec<Finding> {
    let wrong = |problem: String| Finding::problem("configuration", problem, "correct it: no role starts with it");
    invalid.sentences().map(wrong).collect()
}

/// The findings, and whether NATS or MongoDB show that the configuration is invalid.
async fn check_with(
    config: &Config,
    roles: &[Role],
    monitored: impl Future<Output = Vec<Monitored>>,
) -> (Vec<Finding>, bool) {
    let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
    let mut findings = vec![Finding::ok("configuration", format!("the settings for {} are valid", names.join(", ")))];
    let warn = |warning| Finding::warning("configuration", warning, "change it: it still works");
    findings.extend(config.warnings().map(warn));
    findings.extend(handshakes::certificates(config, roles));
    let needs = |role: Role| roles.contains(&role);
    let mongodb =
        async { if needs(Role::Archiver) { Some(within(archiver::probe(&config.archiver)).await) } else { None } };
    let room_server = async { if needs(Role::Ingest) { services::room_server(config).await } else { Vec::new() } };
    let (monitored, servers, state, mongodb, room_server, keys, collector) = tokio::join!(
        monitored,
        within(nats::servers(&config.nats, NAME)),
        within(nats::inspect(&config.nats, NAME, archiver::READER)),
        mongodb,
        room_server,
        services::issuer_keys(config),
        services::collector(config),
    );
    let mut clocks: Vec<Clock> = monitored.iter().filter_map(Monitored::clock).collect();
    findings.extend(log::servers(&servers));
    findings.extend(monitoring::findings(&monitored));
    if monitored.is_empty() {
        findings.push(Finding::warning(
            "fsync",
            "whether NATS fsyncs an append before it acknowledges was not checked",
            "name the monitoring URL of each server: chatting-server check … http://HOST:8222",
        ));
    }
    findings.extend(log::state(&state));
    findings.extend(storage::findings(&monitored, state.as_ref().ok()));
    for reading in state.iter().flat_map(|state| &state.clocks) {
        match reading {
            Ok(reading) => clocks.push(Clock::of_nats(reading.clone())),
            Err(error) => findings.push(clocks::unread("NATS", &web::with_sources(error))),
        }
    }
    if let Some(mongodb) = &mongodb {
        findings.extend(mongodb::findings(mongodb));
        clocks.extend(mongodb.iter().map(|mongodb| Clock::of_mongodb(mongodb.clock.clone())));
    }
    findings.extend(room_server);
    findings.extend(keys);
    findings.extend(collector);
    findings.extend(clocks::findings(&clocks));
    let failed = [servers.err(), state.err(), mongodb.and_then(Result::err)];
    (findings, failed.into_iter().flatten().any(|failed| failed.is_about_configuration))
}

/// Why a part has no answer.
#[derive(Debug)]
struct Failed {
    reason: String,
    /// A role would exit with 64.
    is_about_configuration: bool,
}

impl Failed {
    fn new(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Failed {
        let is_about_configuration =
            matches!(error.downcast_ref(), Some(nats::Error::Config { .. } | nats::Error::Partitions { .. }))
                || matches!(error.downcast_ref(), Some(archiver::Error::Config { .. }));
        Failed { reason: web::with_sources(error), is_about_configuration }
    }
}

/// The answer, or why there is none within [`DEADLINE`].
async fn within<T, E>(asking: impl Future<Output = Result<T, E>>) -> Result<T, Failed>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match tokio::time::timeout(DEADLINE, asking).await {
        Ok(answer) => answer.map_err(|error| Failed::new(error.into().as_ref())),
        Err(_) => {
            let reason = format!("no answer within {} s", DEADLINE.as_secs());
            Err(Failed { reason, is_about_configuration: false })
        }
    }
}
