//! The binary: one command, one part of the system.

use std::process::ExitCode;

use chatting_server::cli::{Cli, Command};
use chatting_server::roles::{self, Role};
use clap::Parser as _;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Ingest(arguments) => roles::run(Role::Ingest, arguments.config.as_deref()),
        Command::Delivery(arguments) => roles::run(Role::Delivery, arguments.config.as_deref()),
        Command::Archiver(arguments) => roles::run(Role::Archiver, arguments.config.as_deref()),
    }
}
