//! The command line of `chatting-server quarantine`.

use std::path::PathBuf;

use archiver::Cause;
use chat::Position;
use clap::{Args, Subcommand};

/// Arguments of `quarantine`.
#[derive(Debug, Args)]
pub struct QuarantineArguments {
    /// The configuration file of the archiver
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The command.
    #[command(subcommand)]
    pub command: QuarantineCommand,
}

/// Commands for quarantined lines.
#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// Print one row per line, oldest first: position in the log, cause, time of quarantine, size, reason
    List {
        /// Only lines with this cause: malformed, unknown_type, unmappable or refused
        #[arg(long, value_parser = cause)]
        cause: Option<Cause>,
        /// The maximum number of rows
        #[arg(long, value_name = "N", default_value_t = 100)]
        first: u32,
        /// Also print the beginning of each line. It may contain the text of a message
        #[arg(long)]
        lines: bool,
    },
    /// Print a whole line. It may contain the text of a message
    Show {
        /// The line's position in the log
        position: Position,
    },
    /// Try to archive lines again. Lines that succeed leave the quarantine; the others stay with the new reason. Safe
    /// to repeat, and safe while archivers run
    Retry(WhichLines),
    /// Remove lines permanently
    Discard(WhichLines),
}

/// A selection of quarantined lines.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct WhichLines {
    /// Positions in the log
    #[arg(value_name = "POSITION")]
    pub positions: Vec<Position>,
    /// All lines in quarantine
    #[arg(long)]
    pub all: bool,
    /// All lines with this cause: malformed, unknown_type, unmappable or refused
    #[arg(long, value_parser = cause)]
    pub cause: Option<Cause>,
}

fn cause(text: &str) -> Result<Cause, String> {
    let found = Cause::ALL.into_iter().find(|cause| cause.as_str() == text);
    found.ok_or_else(|| format!("one of {}", Cause::ALL.map(Cause::as_str).join(", ")))
}
