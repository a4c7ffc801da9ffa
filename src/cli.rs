//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The chat backbone of live broadcasts: every accepted message delivered and archived, once, in order.
#[derive(Debug, Parser)]
#[command(name = "chatting-server", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run ingest: takes messages over HTTP and appends them to the log
    Ingest(RoleArguments),
    /// Run delivery: pushes each room's messages to its presenter's socket
    Delivery(RoleArguments),
    /// Run the archiver: writes the log into MongoDB
    Archiver(RoleArguments),
}

/// What every role takes.
#[derive(Debug, Args)]
pub struct RoleArguments {
    /// A TOML file with the settings that differ from the defaults; CHATTING_<SECTION>__<KEY> in the environment
    /// overrides it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
