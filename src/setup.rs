//! `chatting-server setup`: creates missing streams and buckets of the log, and updates the existing ones. No role
//! does, so only this command needs the permission. After the log was restored from a backup, it also begins a new
//! epoch.

use std::fmt::Write as _;
use std::process::ExitCode;

use nats::{Change, Log};

use crate::cli::SetupArguments;
use crate::config::Config;
use crate::operator;

/// The connection's name in NATS' monitoring.
const NAME: &str = "chatting-server setup";

/// Sets up the log, and prints the changes. The exit code is 0 if it is done, 1 if not, 64 if the configuration is
/// invalid.
pub fn run(arguments: &SetupArguments) -> ExitCode {
    operator::run(arguments.config.as_deref(), async |config| {
        operator::print(set_up(&config, arguments).await?)?;
        Ok(true)
    })
}

async fn set_up(config: &Config, arguments: &SetupArguments) -> anyhow::Result<String> {
    if arguments.dry_run {
        let report = report(&nats::plan(&config.nats, NAME).await?, "would be created", "would change");
        return Ok(if report.is_empty() { "nothing would change\n".to_owned() } else { report });
    }
    let mut answer = report(&nats::set_up(&config.nats, NAME).await?, "created", "changed");
    let log = Log::connect_to_change(&config.nats, NAME).await?;
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
