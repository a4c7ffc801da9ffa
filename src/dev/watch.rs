//! `chatting-server dev watch`: prints a room's messages and moderation decisions. It reads the log, as delivery does,
//! not a presenter's socket: a room has one session, and it belongs to the presenter.

#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context as _;
use chat::{Body, Event, EventId, PresenterIdx, User};
use nats::{Entry, Log, Start};

use super::folder;
use crate::cli::WatchArguments;
use crate::config::Config;
use crate::terminal::printable;

/// The pause between two attempts to reach the log.
const PAUSE: Duration = Duration::from_millis(500);

/// 10 minutes of earlier events are shown, as a connecting presenter would receive.
const BEFORE: Duration = Duration::from_secs(600);

/// The room, and the events already shown.
struct Watched {
    room: PresenterIdx,
    ids: HashSet<EventId>,
}

/// Prints events until the process is stopped, each once, also across reconnects.
pub async fn watch(arguments: &WatchArguments) -> anyhow::Result<()> {
    let file = folder::configuration(&arguments.data);
    anyhow::ensure!(file.exists(), "there is no {}: start `chatting-server dev` first", file.display());
    let config = Config::load(Some(&file))?;
    let room = PresenterIdx::try_from(arguments.room).context("--room must be a presenterIdx, 1 or more")?;
    let mut watched = Watched { room, ids: HashSet::new() };
    eprintln!("watching room {room}; Ctrl-C ends it");
    loop {
        if let Err(error) = follow(&config.nats, &mut watched).await {
            eprintln!("{error:#}; trying again");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Prints events until the log fails.
async fn follow(config: &nats::Config, watched: &mut Watched) -> anyhow::Result<()> {
    let log = Log::connect(config, "chatting-server dev watch").await?;
    let mut tail = log.tail(Start::Since(log.now() - BEFORE));
    let status = tail.status();
    let mut before = Vec::new();
    loop {
        // A dropped branch loses nothing: `next` hands events only to a branch that completes.
        tokio::select! {
            entries = tail.next() => before.extend(watched.events(&log, entries?)),
            () = status.caught_up() => break,
        }
    }
    watched.show_past(&before);
    loop {
        for event in watched.events(&log, tail.next().await?) {
            watched.show(&event);
        }
    }
}

impl Watched {
    /// Events of the room, and events of every room.
    fn events(&self, log: &Log, entries: Vec<Entry>) -> Vec<Event> {
        let is_here =
            |entry: &Entry| entry.presenter.is_none_or(|presenter| presenter == self.room) && log.counts(entry);
        // Events of a later version are unreadable, and skipped.
        let here = entries.iter().filter(|entry| is_here(entry));
        here.filter_map(|entry| entry.event().ok()).map(as_posted).collect()
    }

    /// Leaves out messages that were deleted since.
    fn show_past(&mut self, events: &[Event]) {
        for (place, event) in events.iter().enumerate() {
            if is_left(event, &events[place..]) {
                self.show(event);
            }
        }
    }

    fn show(&mut self, event: &Event) {
        if self.ids.insert(event.id) {
            let time = event.at.to_zoned_datetime(jiff::tz::TimeZone::system()).strftime("%H:%M:%S");
            println!("{time} {}", printable(&line(event)));
        }
    }
}

/// A released message as any other.
fn as_posted(event: Event) -> Event {
    match event.body {
        Body::MessageReleased(released) => Event { body: Body::MessagePosted(released.posted), ..event },
        _ => event,
    }
}

/// Whether the later events leave a message's text.
fn is_left(event: &Event, later: &[Event]) -> bool {
    let Body::MessagePosted(posted) = &event.body else { return true };
    let mut is_left = true;
    for later in later {
        match &later.body {
            Body::MessageDeleted(deleted) if deleted.target == event.id => is_left = false,
            Body::RoomCleared(_) => is_left = false,
            Body::UserBanned(banned) if banned.user == posted.user.idx => {
                let purge = banned.purge_seconds.filter(|_| later.presenter.is_some());
                let since = |seconds: u32| later.at - std::time::Duration::from_secs(seconds.into());
                is_left &= purge.is_none_or(|seconds| event.at < since(seconds));
            }
            Body::MessageRestored(restored) if restored.target == event.id => is_left = true,
            Body::UserErased(erased) if erased.user == posted.user.idx => return false,
            _ => {}
        }
    }
    is_left
}

/// The event as a line of text.
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
        Body::MessageRestored(restored) => {
            decided(format!("message {} is restored", restored.target), &restored.by, &restored.reason)
        }
        Body::RoomCleared(cleared) => decided("everything before is cleared".to_owned(), &cleared.by, &cleared.reason),
        Body::UserBanned(banned) => {
            let until = banned.until.map_or("for good".to_owned(), |until| format!("until {until:.0}"));
            let purged = banned
                .purge_seconds
                .map_or(String::new(), |seconds| format!(", and what they wrote in the last {seconds} s is deleted"));
            decided(format!("user {} is banned from {place} {until}{purged}", banned.user), &banned.by, &banned.reason)
        }
        Body::UserUnbanned(unbanned) => {
            decided(format!("user {} may write in {place} again", unbanned.user), &unbanned.by, &unbanned.reason)
        }
        Body::ModeratorAdded(added) => {
            decided(format!("user {} is a moderator of this room", added.user), &added.by, &added.reason)
        }
        Body::ModeratorRemoved(removed) => {
            let what = format!("user {} is no longer a moderator of this room", removed.user);
            decided(what, &removed.by, &removed.reason)
        }
        Body::RoomUpdated(updated) => {
            let settings = serde_json::Value::from(updated.settings.clone());
            decided(format!("the room's settings are {settings}"), &updated.by, &updated.reason)
        }
        Body::UserErased(erased) => {
            decided(format!("user {} is erased: what they wrote is not shown any more", erased.user), &erased.by, &None)
        }
        _ => event.body.kind().to_string(),
    }
}
