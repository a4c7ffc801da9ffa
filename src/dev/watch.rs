//! `chatting-server dev watch`: a room as its presenter sees it, in a terminal: messages, and what moderators decide.

#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::{SinkExt as _, StreamExt as _};
use nats::{Body, Event, EventId, User};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use super::{folder, token};
use crate::cli::{TokenArguments, WatchArguments};
use crate::config::Config;

/// Between two connections.
const PAUSE: Duration = Duration::from_millis(500);

/// Close codes below say that coming back is of no use.
const RECONNECT: u16 = 4100;

/// A node says something at least every 20 s unless configured otherwise, and means to be heard within twice that.
const SILENCE: Duration = Duration::from_secs(60);

/// What of the server's frames is shown or kept.
#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    events: Vec<Box<RawValue>>,
    #[serde(default)]
    position: Option<String>,
}

/// What was seen, and up to where.
#[derive(Default)]
struct Watched {
    ids: HashSet<EventId>,
    position: Option<String>,
}

/// Prints what arrives, until the server says that it is of no use to come back: each event once, also across
/// reconnects.
pub async fn watch(arguments: &WatchArguments) -> anyhow::Result<()> {
    let file = folder::configuration(&arguments.data);
    anyhow::ensure!(file.exists(), "there is no {}: start `chatting-server dev` first", file.display());
    let config = Config::load(Some(&file))?;
    let url = format!("ws://{}/v1/presenter", config.delivery.listen);
    let token = token::token(&TokenArguments {
        user: arguments.room,
        nickname: format!("presenter{}", arguments.room),
        scopes: Vec::new(),
        hours: 24,
        data: arguments.data.clone(),
        config: None,
    })?;
    let mut watched = Watched::default();
    loop {
        eprintln!("watching room {} at {url}; Ctrl-C ends it", arguments.room);
        match follow(&url, &token, &mut watched).await {
            Ok(Some(code @ 4000..RECONNECT)) => anyhow::bail!("the server closed the socket for good (code {code})"),
            Ok(code) => eprintln!("the server closed the socket (code {}); connecting again", code.unwrap_or(1005)),
            Err(error) => eprintln!("{error:#}; connecting again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Connects once, and prints until the socket ends. Ok: the server closed it, with this code.
async fn follow(url: &str, token: &str, watched: &mut Watched) -> anyhow::Result<Option<u16>> {
    let mut request = url.into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("chat.v1"));
    let (mut socket, _) = connect_async(request).await.with_context(|| format!("cannot connect to {url}"))?;
    let mut start = json!({ "type": "start", "token": token });
    if let Some(position) = &watched.position {
        start["position"] = position.as_str().into();
    }
    socket.send(Frame::text(start.to_string())).await?;
    loop {
        let frame = tokio::time::timeout(SILENCE, socket.next()).await.context("the socket is silent")?;
        match frame.context("the connection was lost")?? {
            Frame::Close(frame) => return Ok(frame.map(|frame| frame.code.into())),
            Frame::Text(text) => {
                let Ok(told) = serde_json::from_str::<Told>(&text) else { continue };
                watched.show(&told.events);
                if let Some(position) = told.position {
                    socket.send(Frame::text(json!({ "type": "ack", "position": position }).to_string())).await?;
                    watched.position = Some(position);
                }
            }
            _ => continue,
        }
    }
}

impl Watched {
    fn show(&mut self, events: &[Box<RawValue>]) {
        for event in events {
            // What was deleted before it came has no text, and what is of a later version is not understood.
            let Ok(event) = Event::from_line(event.get().as_bytes()) else { continue };
            if self.ids.insert(event.id) {
                let time = event.at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S");
                println!("{time} {}", printable(&line(&event)));
            }
        }
    }
}

/// An event in one line.
fn line(event: &Event) -> String {
    let decided = |what: String, by: &User, reason: &Option<String>| match reason {
        Some(reason) => format!("-- {what}, by {} ({reason})", by.nickname),
        None => format!("-- {what}, by {}", by.nickname),
    };
    let place = if event.presenter.is_some() { "this room" } else { "every room" };
    match &event.body {
        Body::MessagePosted(posted) if posted.flags.is_empty() => format!("{}: {}", posted.user.nickname, posted.text),
        Body::MessagePosted(posted) => {
            format!("{}: {} [{}]", posted.user.nickname, posted.text, posted.flags.join(", "))
        }
        Body::MessageDeleted(deleted) => {
            decided(format!("message {} is deleted", deleted.target), &deleted.by, &deleted.reason)
        }
        Body::RoomCleared(cleared) => decided("everything before is cleared".to_owned(), &cleared.by, &cleared.reason),
        Body::UserBanned(banned) => {
            let until = banned.until.map_or("for good".to_owned(), |until| format!("until {until:.0}"));
            decided(format!("user {} is banned from {place} {until}", banned.user), &banned.by, &banned.reason)
        }
        Body::UserUnbanned(unbanned) => {
            decided(format!("user {} may write in {place} again", unbanned.user), &unbanned.by, &unbanned.reason)
        }
        Body::RoomUpdated(updated) => {
            let settings = serde_json::Value::from(updated.settings.clone());
            decided(format!("the room's settings are {settings}"), &updated.by, &updated.reason)
        }
        Body::UserErased(erased) => {
            decided(format!("user {} is erased: what they wrote is not shown any more", erased.user), &erased.by, &None)
        }
        _ => event.body.kind().to_owned(),
    }
}

/// Nobody's message moves somebody else's cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
