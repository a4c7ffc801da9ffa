//! `chatting-server setup`: creates the streams and buckets of the log that are missing and brings the others up to date, as
//! every role does at its start. After the log was restored from a backup it also begins a new epoch.

use std::fmt::Write as _;
use std::process::ExitCode;

use nats::Log;

use crate::cli::SetupArguments;
use crate::config::{Config, Invalid};
use crate::logging;
use crate::roles::USAGE;

/// Does it and prints what the log looks like now: 0 if it is done, 1 if not, 64 where the configuration is wrong.
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
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let log = Log::connect(&config.nats, "chatting-server setup").await?;
        let mut answer = String::new();
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
