//! `chatting-server config`: shows the effective configuration, describes all settings, and writes a file to begin
//! with.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use super::reference::Reference;
use super::{Config, Invalid, show};
use crate::cli::ConfigCommand;
use crate::logging;
use crate::roles::USAGE;

/// The file that `init` writes.
const PRODUCTION: &str = include_str!("../production.toml");

/// Runs the command, and prints its answer. The exit code is 0 if it is done, 1 if not, 64 if the configuration is
/// invalid.
#[allow(clippy::print_stdout, reason = "the answer to the command")]
pub fn run(command: &ConfigCommand) -> ExitCode {
    logging::install_for_people();
    let answer = match command {
        ConfigCommand::Show { config } => effective(config.as_deref()),
        ConfigCommand::Docs => Ok(Reference::embedded().markdown()),
        ConfigCommand::Init { file: None } => Ok(PRODUCTION.to_owned()),
        ConfigCommand::Init { file: Some(file) } => write(file),
    };
    match answer {
        Ok(answer) => {
            print!("{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("chatting-server: {error:#}");
            if error.is::<Invalid>() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

fn effective(file: Option<&Path>) -> anyhow::Result<String> {
    let read = Config::read(file, std::env::vars_os(), |_| Vec::new())?;
    read.config.log_warnings();
    Ok(show::show(&read.settings, &read.places))
}

/// Writes the file, and overwrites none.
fn write(file: &Path) -> anyhow::Result<String> {
    let name = file.display();
    let created = OpenOptions::new().write(true).create_new(true).open(file);
    let written = created.and_then(|mut created| created.write_all(PRODUCTION.as_bytes()));
    written.with_context(|| format!("cannot write {name}"))?;
    Ok(format!("{name}: written. Decide each setting, then run chatting-server check --config {name}\n"))
}
