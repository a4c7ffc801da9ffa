//! The binary: matches the command line to a command.

use std::process::ExitCode;

use anyhow::Context as _;
use chatting_server::cli::{Cli, Command, DevArguments, DevCommand, HealthcheckArguments, ManArguments};
use chatting_server::roles::{self, Role};
use chatting_server::{dev, logging};
use clap::{CommandFactory as _, Parser as _};

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Ingest(arguments) => return roles::run(Role::Ingest, arguments.config.as_deref()),
        Command::Delivery(arguments) => return roles::run(Role::Delivery, arguments.config.as_deref()),
        Command::Archiver(arguments) => return roles::run(Role::Archiver, arguments.config.as_deref()),
        Command::Dev { arguments, command } => develop(&arguments, command),
        Command::Token(arguments) => dev::token(&arguments).map(print),
        Command::Config(command) => return chatting_server::config::command::run(&command),
        Command::Check(arguments) => return chatting_server::check::run(&arguments),
        Command::Setup(arguments) => return chatting_server::setup::run(&arguments),
        Command::Log(arguments) => return chatting_server::log::run(&arguments),
        Command::Sessions(arguments) => return chatting_server::sessions::run(&arguments),
        Command::Quarantine(arguments) => return chatting_server::quarantine::run(&arguments),
        Command::Openapi(arguments) => {
            print(arguments.role.document().trim_end());
            Ok(())
        }
        Command::Healthcheck(arguments) => healthcheck(&arguments),
        Command::Completions(arguments) => {
            clap_complete::generate(arguments.shell, &mut Cli::command(), "chatting-server", &mut std::io::stdout());
            Ok(())
        }
        Command::Man(arguments) => write_man_pages(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chatting-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn develop(arguments: &DevArguments, command: Option<DevCommand>) -> anyhow::Result<()> {
    logging::install_for_people();
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        match command {
            None => dev::dev(arguments).await,
            Some(DevCommand::Watch(arguments)) => dev::watch(&arguments).await,
            Some(DevCommand::Play(arguments)) => {
                let report = dev::play(&arguments).await?;
                let is_sound = report.is_sound();
                print(report);
                anyhow::ensure!(is_sound, "the play found problems");
                Ok(())
            }
        }
    })
}

fn healthcheck(arguments: &HealthcheckArguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let health = runtime.block_on(chatting_server::healthcheck::healthcheck(arguments))?;
    anyhow::ensure!(health.is_ready(), "not ready: {health}");
    print(health);
    Ok(())
}

fn write_man_pages(ManArguments { folder }: &ManArguments) -> anyhow::Result<()> {
    clap_mangen::generate_to(Cli::command(), folder).with_context(|| format!("cannot write into {}", folder.display()))
}

#[allow(clippy::print_stdout, reason = "the answer to the command")]
fn print(answer: impl std::fmt::Display) {
    println!("{answer}");
}
