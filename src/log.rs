//! `chatting-server log`: what an operator asks of the log. It changes nothing, and takes no room from its presenter.

mod status;
pub(crate) mod tail;

use std::process::ExitCode;

use chat::{PresenterIdx, UserIdx};

use crate::cli::{LogArguments, LogCommand, TailArguments};
use crate::config::Config;
use crate::operator;
use tail::Wanted;

/// Runs the command. The exit code is 0 if it is done, 1 if not, 64 if the configuration is invalid.
pub fn run(arguments: &LogArguments) -> ExitCode {
    operator::run(arguments.config.as_deref(), async |config| {
        match &arguments.command {
            LogCommand::Status { format } => status::print_status(&config.nats, *format).await?,
            LogCommand::Tail(arguments) => follow(&config, arguments).await?,
        }
        Ok(true)
    })
}

async fn follow(config: &Config, arguments: &TailArguments) -> anyhow::Result<()> {
    let wanted = Wanted {
        room: arguments.room.map(PresenterIdx::try_from).transpose()?,
        user: arguments.user.map(UserIdx::try_from).transpose()?,
        since: arguments.since.get(),
        follows: !arguments.no_follow,
        style: arguments.format.into(),
    };
    tail::tail(&config.nats, "chatting-server log tail", wanted).await
}
