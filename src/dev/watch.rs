//! `chatting-server dev watch`: prints a room of the development system.

use std::time::Duration;

use anyhow::Context as _;
use chat::PresenterIdx;

use super::folder;
use crate::cli::WatchArguments;
use crate::config::Config;
use crate::log::tail::{Style, Wanted, tail};

/// 10 minutes of earlier events are shown, as a connecting presenter would receive.
const BEFORE: Duration = Duration::from_secs(600);

/// Prints events until the process is stopped.
pub async fn watch(arguments: &WatchArguments) -> anyhow::Result<()> {
    let file = folder::configuration(&arguments.data);
    anyhow::ensure!(file.exists(), "there is no {}: start `chatting-server dev` first", file.display());
    let config = Config::load(Some(&file))?;
    let room = PresenterIdx::try_from(arguments.room).context("--room must be a presenterIdx, 1 or more")?;
    eprintln!("watching room {room}; Ctrl-C ends it");
    let wanted = Wanted { room: Some(room), user: None, since: BEFORE, follows: true, style: Style::Brief };
    tail(&config.nats, "chatting-server dev watch", wanted).await
}
