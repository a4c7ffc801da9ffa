//! `chatting-server quarantine`: manages lines of the log that could not be archived. Lines are escaped before they are
//! printed to a terminal.

use std::fmt::Write as _;
use std::process::ExitCode;

use archiver::{Quarantine, QuarantinedLine, Retried, Which};

use crate::cli::{QuarantineArguments, QuarantineCommand, WhichLines};
use crate::config::Config;
use crate::operator;
use crate::terminal::printable;

/// Characters of a line that a list shows: enough for the type and the room.
const BEGINNING: usize = 160;

/// Runs the command. The exit code is 0 if everything requested was done, 1 if not, 64 if the configuration is invalid.
pub fn run(arguments: &QuarantineArguments) -> ExitCode {
    operator::run(arguments.config.as_deref(), async |config| {
        let CommandOutcome { answer, is_done } = outcome(&config, &arguments.command).await?;
        operator::print(answer)?;
        Ok(is_done)
    })
}

/// The result of a command.
#[derive(Debug)]
struct CommandOutcome {
    /// The text for standard output.
    answer: String,
    /// Whether everything requested was done.
    is_done: bool,
}

async fn outcome(config: &Config, command: &QuarantineCommand) -> anyhow::Result<CommandOutcome> {
    let quarantine = Quarantine::connect(&config.archiver).await?;
    match command {
        QuarantineCommand::List { cause, first, lines } => {
            let which = cause.map_or(Which::All, Which::Cause);
            let total = quarantine.count(&which).await?;
            let listed = quarantine.list(*cause, *first).await?;
            let mut answer: String = listed.iter().map(|line| item(line, *lines)).collect();
            writeln!(answer, "{} of {total} lines in quarantine", listed.len())?;
            Ok(CommandOutcome { answer, is_done: true })
        }
        QuarantineCommand::Show { position } => Ok(match quarantine.get(*position).await? {
            Some(line) => CommandOutcome { answer: whole(&line), is_done: true },
            None => CommandOutcome { answer: format!("{position}: not in quarantine\n"), is_done: false },
        }),
        QuarantineCommand::Retry(lines) => Ok(retried(&quarantine.retry(&which(lines)).await?)),
        QuarantineCommand::Discard(lines) => {
            let discarded = quarantine.discard(&which(lines)).await?;
            let is_done = lines.positions.is_empty() || discarded == lines.positions.len() as u64;
            Ok(CommandOutcome { answer: format!("discarded {discarded}\n"), is_done })
        }
    }
}

fn which(lines: &WhichLines) -> Which {
    match lines.cause {
        Some(cause) => Which::Cause(cause),
        None if lines.all => Which::All,
        None => {
            let mut positions = lines.positions.clone();
            positions.sort_unstable();
            positions.dedup();
            Which::At(positions)
        }
    }
}

fn item(QuarantinedLine { position, cause, reason, at, line }: &QuarantinedLine, with_line: bool) -> String {
    let (cause, bytes, reason) = (cause.as_str(), line.len(), printable(reason));
    let mut item = format!("{position}\t{cause}\t{at:.3}\t{bytes} bytes\t{reason}\n");
    if with_line {
        let text = String::from_utf8_lossy(line);
        let beginning: String = text.chars().take(BEGINNING).collect();
        let more = if beginning.len() < text.len() { " …" } else { "" };
        item.extend(["\t", &printable(&beginning), more, "\n"]);
    }
    item
}

fn whole(QuarantinedLine { position, cause, reason, at, line }: &QuarantinedLine) -> String {
    let (cause, bytes, reason) = (cause.as_str(), line.len(), printable(reason));
    let line = printable(&String::from_utf8_lossy(line));
    format!("position: {position}\ncause: {cause}\nreason: {reason}\nat: {at:.3}\nbytes: {bytes}\nline: {line}\n")
}

fn retried(Retried { archived, kept, missing }: &Retried) -> CommandOutcome {
    let mut answer = format!("archived {archived}, kept {}\n", kept.len());
    for position in kept {
        answer.extend([&position.to_string(), ": kept, see quarantine show\n"]);
    }
    for position in missing {
        answer.extend([&position.to_string(), ": not in quarantine\n"]);
    }
    CommandOutcome { answer, is_done: kept.is_empty() && missing.is_empty() }
}
