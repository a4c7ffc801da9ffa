//! `chatting-server log tail` and `dev watch`: print events as they stand in the log. They read the log, as delivery
//! does, not a presenter's socket: a room has one session, and it belongs to the presenter.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::time::Duration;

use chat::{Body, Event, EventId, MessagePosted, Position, PresenterIdx, SweepMatcher, User, UserIdx};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use nats::{Entry, Log, Start};
use serde_json::Value;

use crate::cli::TailFormat;
use crate::operator::is_broken_pipe;
use crate::roles::is_about_configuration;
use crate::terminal::printable;

/// The pause between two attempts to reach the log.
const PAUSE: Duration = Duration::from_millis(500);

/// What to print.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// `None`: every room.
    pub(crate) room: Option<PresenterIdx>,
    /// Events by this user or about this user. `None`: everybody's.
    pub(crate) user: Option<UserIdx>,
    /// How far back to begin.
    pub(crate) since: Duration,
    /// Whether to wait for new events.
    pub(crate) follows: bool,
    pub(crate) style: Style,
}

/// How an event is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// The time of day and the text, for somebody who watches one room.
    Brief,
    /// With the date, the position and the room.
    Full,
    /// One JSON object: `position`, `stored` (the time of the append), and `event` as the log has it.
    Json,
}

impl From<TailFormat> for Style {
    fn from(format: TailFormat) -> Style {
        match format {
            TailFormat::Text => Style::Full,
            TailFormat::Json => Style::Json,
        }
    }
}

/// What was printed so far.
#[derive(Debug)]
struct Printer {
    wanted: Wanted,
    /// For each partition the last position that was handled. After a new connection earlier ones are skipped.
    handled: HashMap<u32, Position>,
}

/// An event of the log that is wanted.
struct Found {
    entry: Entry,
    event: Event,
    /// Of a sweep: its rule.
    sweep: Option<SweepMatcher>,
}

/// Prints events until the process is stopped, each once, also across reconnects. Without following it ends after the
/// last event.
pub(crate) async fn tail(config: &nats::Config, name: &str, wanted: Wanted) -> anyhow::Result<()> {
    let follows = wanted.follows;
    let mut printer = Printer { wanted, handled: HashMap::new() };
    loop {
        match follow(config, name, &mut printer).await {
            Ok(()) => return Ok(()),
            Err(error) if !follows || is_about_configuration(&error) || is_broken_pipe(&error) => return Err(error),
            Err(error) => eprintln!("{error:#}; trying again"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Prints events until the log fails, or until the last one without following.
async fn follow(config: &nats::Config, name: &str, printer: &mut Printer) -> anyhow::Result<()> {
    let log = Log::connect(config, name).await?;
    let mut tail = log.tail(Start::Since(log.now() - printer.wanted.since));
    let status = tail.status();
    let mut before = Vec::new();
    loop {
        // A dropped branch loses nothing: `next` hands events only to a branch that completes.
        tokio::select! {
            entries = tail.next() => before.extend(printer.found(&log, entries?)),
            () = status.caught_up() => break,
        }
    }
    printer.print_past(&before)?;
    if !printer.wanted.follows {
        log.close().await;
        return Ok(());
    }
    loop {
        for found in printer.found(&log, tail.next().await?) {
            printer.print(&found)?;
        }
    }
}

impl Printer {
    /// The wanted ones that were not handled yet. Events of every room are in every room.
    fn found(&mut self, log: &Log, entries: Vec<Entry>) -> Vec<Found> {
        let mut found = Vec::new();
        for entry in entries {
            let Some(partition) = log.timelines().partition(entry.position) else { continue };
            let is_new = self.handled.get(&partition).is_none_or(|handled| entry.position > *handled);
            if !is_new {
                continue;
            }
            self.handled.insert(partition, entry.position);
            let is_here = self.wanted.room.is_none_or(|room| entry.presenter.is_none_or(|presenter| presenter == room));
            if !is_here || !log.counts(&entry) || !self.wanted.user.is_none_or(|user| names(&entry, user)) {
                continue;
            }
            // Events of a later version are unreadable, and skipped.
            if let Ok(event) = entry.event() {
                let sweep = match &event.body {
                    Body::RoomSwept(swept) => Some(SweepMatcher::new(&swept.rule)),
                    _ => None,
                };
                found.push(Found { entry, event, sweep });
            }
        }
        found
    }

    /// Leaves out messages that were deleted since, but from JSON.
    fn print_past(&self, past: &[Found]) -> std::io::Result<()> {
        let undone: HashSet<EventId> = past.iter().filter_map(|found| undone(&found.event)).collect();
        for (place, found) in past.iter().enumerate() {
            if self.wanted.style == Style::Json || is_left(&found.event, &past[place..], &undone) {
                self.print(found)?;
            }
        }
        Ok(())
    }

    fn print(&self, Found { entry, event, .. }: &Found) -> std::io::Result<()> {
        let line = match self.wanted.style {
            Style::Brief => {
                format!("{} {}", local(event.at).strftime("%H:%M:%S"), printable(&line(event)))
            }
            Style::Full => {
                let room = event.presenter.map_or("every room".to_owned(), |presenter| format!("room {presenter}"));
                let time = local(entry.stored).strftime("%Y-%m-%d %H:%M:%S%.3f");
                format!("{time} {} {room} {}", entry.position, printable(&line(event)))
            }
            Style::Json => {
                let (stored, event) = (entry.stored, String::from_utf8_lossy(&entry.line));
                format!(r#"{{"position":"{}","stored":"{stored:.3}","event":{event}}}"#, entry.position)
            }
        };
        writeln!(std::io::stdout().lock(), "{line}")
    }
}

fn local(at: Timestamp) -> ZonedDateTime {
    at.to_zoned_datetime(TimeZone::system())
}

/// Whether the event is by the user or about the user, whatever its kind.
fn names(entry: &Entry, user: UserIdx) -> bool {
    let Ok(line) = serde_json::from_slice::<Value>(&entry.line) else { return false };
    let is = |value: &Value| value.as_i64() == Some(user.get());
    let (user, by, released_by) = (&line["user"], &line["by"], &line["held"]["by"]);
    [user, by, released_by].into_iter().any(|person| is(person) || is(&person["idx"]))
}

/// The sweep that the event undoes.
fn undone(event: &Event) -> Option<EventId> {
    match &event.body {
        Body::SweepUndone(undone) => Some(undone.target),
        _ => None,
    }
}

/// Whether the later events leave a message's text. `undone`: the sweeps that are undone.
fn is_left(event: &Event, later: &[Found], undone: &HashSet<EventId>) -> bool {
    let posted = match &event.body {
        Body::MessagePosted(posted) => posted,
        Body::MessageReleased(released) => &released.posted,
        _ => return true,
    };
    let mut is_left = true;
    for Found { event: later, sweep, .. } in later {
        match &later.body {
            Body::MessageDeleted(deleted) if deleted.target == event.id => is_left = false,
            Body::RoomCleared(_) => is_left = false,
            Body::UserBanned(banned) if banned.user == posted.user.idx => {
                let purge = banned.purge_seconds.filter(|_| later.presenter.is_some());
                let since = |seconds: u32| later.at - std::time::Duration::from_secs(seconds.into());
                is_left &= purge.is_none_or(|seconds| event.at < since(seconds));
            }
            Body::RoomSwept(swept) if later.presenter == event.presenter && !undone.contains(&later.id) => {
                let MessagePosted { user, text, flags, .. } = posted;
                let is_swept = sweep.as_ref().is_some_and(|rule| rule.matches(user, text, flags));
                is_left &= !is_swept || event.at < swept.since(later.at);
            }
            Body::MessageRestored(restored) if restored.target == event.id => is_left = true,
            Body::UserErased(erased) if erased.user == posted.user.idx => return false,
            _ => {}
        }
    }
    is_left
}

/// A message as a line of text.
fn said(MessagePosted { user, text, flags, .. }: &MessagePosted) -> String {
    match flags.is_empty() {
        true => format!("{}: {text}", user.nickname),
        false => format!("{}: {text} [{}]", user.nickname, flags.join(", ")),
    }
}

/// The event as a line of text.
fn line(event: &Event) -> String {
    let decided = |what: String, by: &User, reason: &Option<String>| match reason {
        Some(reason) => format!("-- {what}, by {} ({reason})", by.nickname),
        None => format!("-- {what}, by {}", by.nickname),
    };
    let place = if event.presenter.is_some() { "this room" } else { "every room" };
    match &event.body {
        Body::MessagePosted(posted) => said(posted),
        Body::MessageReleased(released) => said(&released.posted),
        Body::MessageHeld(held) => {
            format!("-- message {} waits until {:.0}: {}", held.target, held.until, said(&held.posted))
        }
        Body::MessageDenied(denied) => {
            decided(format!("message {} is denied", denied.target), &denied.by, &denied.reason)
        }
        Body::MessageDeleted(deleted) => {
            decided(format!("message {} is deleted", deleted.target), &deleted.by, &deleted.reason)
        }
        Body::MessageRestored(restored) => {
            decided(format!("message {} is restored", restored.target), &restored.by, &restored.reason)
        }
        Body::MessageReported(reported) => decided(
            format!("message {} is reported as {}", reported.target, reported.category),
            &reported.by,
            &reported.reason,
        ),
        Body::ReportClosed(closed) => {
            decided(format!("the reports of message {} are closed", closed.target), &closed.by, &closed.reason)
        }
        Body::NoticePosted(notice) => format!("-- notice by {}: {}", notice.user.nickname, notice.text),
        Body::MessagePinned(pinned) => decided(format!("message {} is pinned", pinned.target), &pinned.by, &None),
        Body::MessageUnpinned(unpinned) => {
            decided(format!("message {} is unpinned", unpinned.target), &unpinned.by, &None)
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
        Body::UserWarned(warned) => decided(format!("user {} is warned", warned.user), &warned.by, &warned.reason),
        Body::WarningWithdrawn(withdrawn) => {
            decided(format!("the warning of user {} is withdrawn", withdrawn.user), &withdrawn.by, &withdrawn.reason)
        }
        Body::WarningSent(sent) => format!("-- the warning of user {} was sent", sent.user),
        Body::NoteAdded(added) => decided(format!("a note on user {}", added.user), &added.by, &added.text),
        Body::NoteDeleted(deleted) => decided(
            format!("note {} on user {} is deleted", deleted.target, deleted.user),
            &deleted.by,
            &deleted.reason,
        ),
        Body::RoomUpdated(updated) => {
            let settings = serde_json::Value::from(updated.settings.clone());
            decided(format!("the room's settings are {settings}"), &updated.by, &updated.reason)
        }
        Body::RoomSwept(swept) => {
            let what = format!("sweep {}: a rule deletes messages of the last {} s", event.id, swept.seconds_back);
            decided(what, &swept.by, &swept.reason)
        }
        Body::SweepUndone(undone) => decided(format!("sweep {} is undone", undone.target), &undone.by, &undone.reason),
        Body::UserErased(erased) => {
            decided(format!("user {} is erased: what they wrote is not shown any more", erased.user), &erased.by, &None)
        }
        _ => event.body.kind().to_string(),
    }
}
