//! The command lines of `chatting-server log` and `chatting-server sessions`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use conf::Span;

use super::idx;

/// Arguments of `log`.
#[derive(Debug, Args)]
pub struct LogArguments {
    /// The configuration file of the roles
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The command.
    #[command(subcommand)]
    pub command: LogCommand,
}

/// Commands that read the log.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Print a row for each stream: its batches and bytes, how full it is, its epoch, and what the archivers have not
    /// read yet
    Status {
        /// How to print it
        #[arg(long, value_enum, default_value_t = TableFormat::Text)]
        format: TableFormat,
    },
    /// Print the events of a room, or of a user in every room, and new ones as they arrive. Ctrl-C ends it. It may
    /// print texts of messages
    Tail(TailArguments),
}

/// Arguments of `log tail`.
#[derive(Debug, Args)]
pub struct TailArguments {
    /// Only events of this room, and of every room together
    #[arg(long, value_name = "PRESENTER_IDX", value_parser = idx())]
    pub room: Option<i64>,
    /// Only events by this user or about this user
    #[arg(long, value_name = "USER_IDX", value_parser = idx())]
    pub user: Option<i64>,
    /// How far back to begin, such as 90s, 15m or 24h
    #[arg(long, value_name = "TIME", default_value = "10m")]
    pub since: Span,
    /// End when everything that the log has is printed
    #[arg(long)]
    pub no_follow: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t = TailFormat::Text)]
    pub format: TailFormat,
}

/// The format of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// A row for each
    Text,
    /// One JSON array
    Json,
}

/// The format of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TailFormat {
    /// A line for each event, for people. A message that was deleted before the command began is left out
    Text,
    /// A JSON object for each event, with its position and the time of its append. Nothing is left out
    Json,
}

/// Arguments of `sessions`.
#[derive(Debug, Args)]
pub struct SessionsArguments {
    /// The configuration file of the roles
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Only the session of this room
    #[arg(long, value_name = "PRESENTER_IDX", value_parser = idx())]
    pub room: Option<i64>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = TableFormat::Text)]
    pub format: TableFormat,
}
