//! `chatting-server dev watch`: a room as its presenter sees it, in a terminal.

#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::collections::HashSet;
use std::time::Duration;

use super::{folder, token};
use crate::cli::{TokenArguments, WatchArguments};
use crate::config::Config;
use crate::play::follow;

/// Between two connections.
const PAUSE: Duration = Duration::from_millis(500);

/// Close codes below say that coming back is of no use.
const RECONNECT: u16 = 4100;

/// Prints what arrives, until the server says that it is of no use to come back: each message once, also across
/// reconnects.
pub async fn watch(arguments: &WatchArguments) -> anyhow::Result<()> {
    let file = folder::configuration(&arguments.data);
    anyhow::ensure!(file.exists(), "there is no {}: start `chatting-server dev` first", file.display());
    let config = Config::load(Some(&file))?;
    let url = format!("ws://{}/chatting", config.delivery.listen);
    let token = token::token(&TokenArguments {
        user: arguments.room,
        nickname: format!("presenter{}", arguments.room),
        scopes: Vec::new(),
        hours: 24,
        data: arguments.data.clone(),
        config: None,
    })?;
    let mut seen = HashSet::new();
    loop {
        eprintln!("watching room {} at {url}; Ctrl-C ends it", arguments.room);
        let ended = follow(&url, &token, |shown| {
            if seen.insert(shown.message_id) {
                println!("{} {}: {}", shown.time, printable(&shown.nickname), printable(&shown.message));
            }
        });
        match ended.await {
            Ok(Some(code @ 4000..RECONNECT)) => anyhow::bail!("the server closed the socket for good (code {code})"),
            Ok(code) => eprintln!("the server closed the socket (code {}); connecting again", code.unwrap_or(1005)),
            Err(error) => eprintln!("{error:#}; connecting again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Nobody's message moves somebody else's cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
