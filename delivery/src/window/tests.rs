//! Tests of the window by subject, and their fixtures.

mod beginnings;
mod eviction;
mod holds;
mod model;
mod reading;
mod restoration;
mod spans;
mod sweeps;
mod visibility;

use chat::{Body, ErasureMode, Event, EventId, MessagePosted, User, UserErased, UserIdx};
use nats::Entry;

use super::kept::About;
use super::*;

const ALL: Limit = Limit { events: usize::MAX, bytes: usize::MAX };
const ROOMY: Bounds = Bounds { age: Duration::from_secs(600), bytes: usize::MAX };

fn room(presenter: i64) -> PresenterIdx {
    PresenterIdx::try_from(presenter).unwrap()
}

fn at(sequence: u64, index: u32) -> Position {
    Position { epoch: 7, sequence, index }
}

/// In these tests a partition has the number of its epoch.
fn partition_of(position: Position) -> u32 {
    position.epoch as u32
}

fn kept(position: Position, text: &str, kind: Kind) -> Kept {
    let (about, withheld) = (About::Nobody, Withheld::default());
    Kept { position, stored: jiff::Timestamp::UNIX_EPOCH, line: text.into(), kind, id: EventId::new(), about, withheld }
}

fn message(presenter: i64, position: Position, text: &str) -> Incoming {
    let kept = kept(position, text, Kind::Message);
    Incoming { partition: partition_of(position), presenter: Some(room(presenter)), kept, effect: Effect::Nothing }
}

fn of_every_room(position: Position, text: &str) -> Incoming {
    let kept = kept(position, text, Kind::Everywhere);
    Incoming { partition: partition_of(position), presenter: None, kept, effect: Effect::Nothing }
}

fn removal(presenter: i64, position: Position, effect: Effect) -> Incoming {
    let mut incoming = message(presenter, position, "{}");
    (incoming.kept.kind, incoming.effect) = (Kind::Other, effect);
    if matches!(incoming.effect, Effect::Deletes(_)) {
        // These lines name no author.
        incoming.kept.about = About::Unknown;
    }
    incoming
}

/// The texts that a reader sees, `-` for a deleted one.
fn texts(window: &Window, presenter: i64, cursor: Option<Position>) -> Vec<String> {
    let text = |kept: Kept| match kept.kind {
        Kind::Deleted | Kind::Swept => "-".to_owned(),
        Kind::Hidden => "hidden".to_owned(),
        _ => kept.line.to_string(),
    };
    window.after(room(presenter), 7, cursor, ALL).events.into_iter().map(text).collect()
}

/// An event as in the log.
fn incoming(presenter: Option<i64>, position: Position, body: Body) -> Incoming {
    let event = match presenter {
        Some(presenter) => Event::now(room(presenter), body),
        None => Event::of_every_room(body),
    };
    Incoming::new(partition_of(position), Entry::read(position, event.to_line()).unwrap())
}

fn user(idx: i64) -> User {
    User { idx: UserIdx::try_from(idx).unwrap(), nickname: "별명".to_owned(), role: chat::Role::Viewer }
}

fn by(idx: i64, presenter: i64, position: Position) -> Incoming {
    let posted = MessagePosted::new(user(idx), idx.to_string());
    incoming(Some(presenter), position, Body::MessagePosted(posted))
}

fn erasure(idx: i64, position: Position) -> Incoming {
    let erased = UserErased { user: user(idx).idx, mode: ErasureMode::Remove, by: user(3) };
    incoming(None, position, Body::UserErased(erased))
}

/// A decision in room 1.
fn decision(position: Position, body: Body) -> Incoming {
    incoming(Some(1), position, body)
}

fn deletion(target: EventId, by: i64, position: Position) -> Incoming {
    let reason = Some("doxxed".to_owned());
    decision(position, Body::MessageDeleted(chat::MessageDeleted { target, by: user(by), reason }))
}

/// Where a reader of the room begins, and whether nothing is missing.
fn begin(window: &Window, presenter: i64, ask: Ask) -> (Option<Position>, bool) {
    let beginning = window.begin(room(presenter), 7, ask);
    (beginning.cursor, beginning.whole)
}

/// Rooms 1 and 2 of a log known from its beginning. Batches 1 to 3 are evicted.
fn evicted() -> Window {
    let mut window = Window::new(Bounds { age: Duration::from_secs(10), bytes: usize::MAX });
    let start = Instant::now();
    window.set_whole_after(7, at(0, u32::MAX));
    window.push(vec![message(1, at(1, 0), "a"), message(1, at(2, 0), "b"), message(2, at(3, 0), "c")], start);
    window.push(vec![message(1, at(4, 0), "d")], start + Duration::from_secs(11));
    assert_eq!(window.len(), 1);
    window
}
