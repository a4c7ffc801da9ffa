//! `chatting-server setup`: creates missing streams and buckets of the log, and updates the existing ones. No role
//! does, so only this command needs the permission. After the log was restored from a backup, it also begins a new
//! epoch.

use std::fmt::Write as _;
use std::process::ExitCode;

use nats::{Change, Log};

use crate::cli::SetupArguments;
use crate::config::{Config, Invalid};
use crate::logging;
use crate::roles::USAGE;

/// The connection's name in NATS' monitoring.
const NAME: &str = "chatting-server setup";

/// Sets up the log, and prints the changes. The exit code is 0 if it is done, 1 if not, 64 if the configuration is
/// invalid.
#[allow(clippy::print_stdout, reason = "the answer to the command")]
pub fn run(arguments: &SetupArguments) -> ExitCode {
    logging::install_for_people();
    match set_up(arguments) {
        Ok(answer) => {
            print!("{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("chatting-server: {error:#}");
            let is_usage = error.is::<Invalid>()
                || matches!(error.downcast_ref(), Some(nats::Error::Config { .. } | nats::Error::Partitions { .. }));
            if is_usage { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

fn set_up(arguments: &SetupArguments) -> anyhow::Result<String> {
    let config = Config::load(arguments.config.as_deref())?;
    config.log_warnings();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        if arguments.dry_run {
            let report = report(&nats::plan(&config.nats, NAME).await?, "would be created", "would change");
            return Ok(if report.is_empty() { "nothing would change\n".to_owned() } else { report });
        }
        let mut answer = report(&nats::set_up(&config.nats, NAME).await?, "created", "changed");
        let log = Log::connect(&config.nats, NAME).await?;
        if arguments.new_epoch {
            for (partition, (last, epoch)) in log.begin_epoch().await?.into_iter().enumerate() {
                writeln!(answer, "CHAT_{partition}: epoch {epoch:x} from sequence {} on", last + 1)?;
            }
        } else {
            for (partition, epoch) in log.timelines().epochs().enumerate() {
                writeln!(answer, "CHAT_{partition}: epoch {epoch:x}")?;
            }
        }
        log.close().await;
        Ok(answer)
    })
}

/// A line for each created stream, and for each changed setting.
fn report(changes: &[Change], created: &str, changed: &str) -> String {
    let mut report = String::new();
    for change in changes {
        let lines = match change {
            Change::Create { stream } => vec![format!("{stream}: {created}")],
            Change::Update { stream, differences } => differences
                .iter()
                .map(|difference| {
                    let (member, present, wanted) = (difference.member, &difference.present, &difference.wanted);
                    format!("{stream}: {member} {changed} from {present} to {wanted}")
                })
                .collect(),
        };
        lines.iter().for_each(|line| report.extend([line, "\n"]));
    }
    report
}
