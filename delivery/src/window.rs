//! The window: the latest events of all rooms, in memory once, as the bytes that came. It is plain data: it knows no
//! log, no socket and no lock. It promises that a room's events are handed out in order from any position on, that a
//! reader whose place is no longer held is told so, that it stays within its bounds whatever the number of rooms and
//! readers, and that a text once deleted is not handed out again.
//!
//! A line shares the memory of the batch that it came in. Lines leave in the order in which they came, so that at most
//! one partly evicted batch of each partition is held beyond what is counted.

use std::collections::{HashMap, VecDeque};
use std::mem::size_of;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nats::{Body, Entry, EventId, Position, PresenterIdx};
use tokio::sync::Notify;

#[cfg(test)]
mod tests;

/// The latest events of all rooms.
#[derive(Debug)]
pub(crate) struct Window {
    rooms: HashMap<PresenterIdx, Room>,
    /// One element an event, in the order in which they came, which is the order in which they go.
    arrivals: VecDeque<Arrival>,
    /// By epoch, which tells partitions apart: of what came after that position nothing was evicted. It answers for
    /// rooms of which nothing is held.
    complete_after: HashMap<u64, Position>,
    bytes: usize,
    bounds: Bounds,
}

/// What the window may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// How long after its arrival here an event goes. It is not the event's own time, so that a backlog is kept for as
    /// long as everything else and no clock of another machine counts.
    pub(crate) age: Duration,
    /// Bytes of lines and of the index over them.
    pub(crate) bytes: usize,
}

#[derive(Debug, Default)]
struct Room {
    events: VecDeque<Kept>,
    /// The last event that was evicted since the room was known.
    evicted: Option<Position>,
    /// Who is woken. A room with readers is known even while it is empty, so that they are told exactly what they
    /// missed.
    readers: Vec<Arc<Notify>>,
}

#[derive(Debug, Clone, Copy)]
struct Arrival {
    presenter: PresenterIdx,
    at: Instant,
}

/// An event of the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Where it stands in the log.
    pub(crate) position: Position,
    /// The JSON as it was appended; empty for a deleted message.
    pub(crate) line: Bytes,
    pub(crate) kind: Kind,
    id: EventId,
}

/// What a reader does with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A message, to be shown.
    Message,
    /// A message that was deleted: it has only its position left.
    Deleted,
    /// Anything else.
    Other,
}

/// An event on its way into the window, with what it does to the events before it.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) presenter: PresenterIdx,
    pub(crate) kept: Kept,
    pub(crate) removes: Removes,
}

/// Which earlier texts of the room an event takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removes {
    Nothing,
    One(EventId),
    All,
}

/// How much a reader takes at once. The first event comes in any case, so that every reader gets on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) events: usize,
    /// Bytes of lines.
    pub(crate) bytes: usize,
}

/// What follows a reader's position.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) events: Vec<Kept>,
    /// Whether events between the reader's position and the first of these are no longer held.
    pub(crate) gap: bool,
}

/// What an event costs beside its line.
const INDEX_BYTES: usize = size_of::<Kept>() + size_of::<Arrival>();

impl Window {
    pub(crate) fn new(bounds: Bounds) -> Window {
        Window { rooms: HashMap::new(), arrivals: VecDeque::new(), complete_after: HashMap::new(), bytes: 0, bounds }
    }

    /// Takes in events, in the order of the log, evicts what no longer fits, and says whom to wake.
    pub(crate) fn push(&mut self, incoming: Vec<Incoming>, now: Instant) -> Vec<Arc<Notify>> {
        let mut woken = Vec::new();
        for Incoming { presenter, kept, removes } in incoming {
            let position = kept.position;
            self.complete_after.entry(position.epoch).or_insert_with(|| just_before(position));
            let room = self.rooms.entry(presenter).or_default();
            self.bytes -= match removes {
                Removes::Nothing => 0,
                Removes::One(target) => room.events.iter_mut().rev().find(|k| k.id == target).map_or(0, Kept::delete),
                Removes::All => room.events.iter_mut().map(Kept::delete).sum(),
            };
            self.bytes += kept.line.len() + INDEX_BYTES;
            room.events.push_back(kept);
            woken.extend(room.readers.iter().cloned());
            self.arrivals.push_back(Arrival { presenter, at: now });
        }
        self.evict(now);
        woken
    }

    /// Evicts what is too old, and as much of the oldest as is too much.
    pub(crate) fn evict(&mut self, now: Instant) {
        while let Some(&Arrival { presenter, at }) = self.arrivals.front() {
            if self.bytes <= self.bounds.bytes && now.duration_since(at) <= self.bounds.age {
                break;
            }
            self.arrivals.pop_front();
            let room = self.rooms.get_mut(&presenter).expect("a room is known while it has events");
            let kept = room.events.pop_front().expect("a room has as many events as arrivals");
            self.bytes -= kept.line.len() + INDEX_BYTES;
            room.evicted = Some(kept.position);
            self.complete_after.insert(kept.position.epoch, kept.position);
            shrink(&mut room.events);
            shrink(&mut self.arrivals);
            self.forget_if_idle(presenter);
        }
    }

    /// What follows `cursor` in the room; from the oldest event on without one, or with one of another log.
    pub(crate) fn after(&self, presenter: PresenterIdx, cursor: Option<Position>, limit: Limit) -> Page {
        let Some(room) = self.rooms.get(&presenter) else { return Page::default() };
        let gap = cursor.is_some_and(|cursor| room.evicted.is_some_and(|evicted| !reaches(cursor, evicted)));
        let first = match cursor {
            Some(cursor) if room.events.front().is_some_and(|oldest| oldest.position.epoch == cursor.epoch) => {
                room.events.partition_point(|kept| kept.position <= cursor)
            }
            _ => 0,
        };
        let mut bytes = 0;
        let fits = |kept: &&Kept| {
            let first = bytes == 0;
            bytes += kept.line.len().max(1);
            first || bytes <= limit.bytes
        };
        let events = room.events.range(first..).take(limit.events).take_while(fits).cloned().collect();
        Page { events, gap }
    }

    /// Whether a reader that comes with this cursor may have missed something. For a room of which nothing was evicted
    /// while it was known, this says yes as soon as anything of any room was evicted after the cursor.
    pub(crate) fn may_have_missed(&self, presenter: PresenterIdx, cursor: Position) -> bool {
        let evicted = self.rooms.get(&presenter).and_then(|room| room.evicted);
        let complete_after = evicted.as_ref().or_else(|| self.complete_after.get(&cursor.epoch));
        complete_after.is_none_or(|complete_after| !reaches(cursor, *complete_after))
    }

    /// From now on `reader` is woken by every event of the room.
    pub(crate) fn attach(&mut self, presenter: PresenterIdx, reader: Arc<Notify>) {
        self.rooms.entry(presenter).or_default().readers.push(reader);
    }

    /// Undoes [`Window::attach`].
    pub(crate) fn detach(&mut self, presenter: PresenterIdx, reader: &Arc<Notify>) {
        if let Some(room) = self.rooms.get_mut(&presenter) {
            room.readers.retain(|other| !Arc::ptr_eq(other, reader));
            self.forget_if_idle(presenter);
        }
    }

    /// How many events are held.
    pub(crate) fn len(&self) -> usize {
        self.arrivals.len()
    }

    fn forget_if_idle(&mut self, presenter: PresenterIdx) {
        if self.rooms.get(&presenter).is_some_and(|room| room.events.is_empty() && room.readers.is_empty()) {
            self.rooms.remove(&presenter);
        }
    }
}

impl Kept {
    /// Takes the text away and says how many bytes that were. Other events stay.
    fn delete(&mut self) -> usize {
        if self.kind != Kind::Message {
            return 0;
        }
        self.kind = Kind::Deleted;
        std::mem::take(&mut self.line).len()
    }
}

impl From<Entry> for Incoming {
    fn from(entry: Entry) -> Incoming {
        let kind = if entry.kind == "message.posted" { Kind::Message } else { Kind::Other };
        let removes = match entry.kind.as_str() {
            "room.cleared" => Removes::All,
            "message.deleted" => match entry.event() {
                Ok(nats::Event { body: Body::MessageDeleted(deleted), .. }) => Removes::One(deleted.target),
                Ok(_) => Removes::Nothing,
                Err(error) => {
                    tracing::warn!(event = %entry.id, %error, "a deletion names no message and deletes nothing");
                    Removes::Nothing
                }
            },
            _ => Removes::Nothing,
        };
        let Entry { position, id, presenter, line, .. } = entry;
        Incoming { presenter, kept: Kept { position, line, kind, id }, removes }
    }
}

/// Whether nothing up to `position` is still to come for a reader at `cursor`.
fn reaches(cursor: Position, position: Position) -> bool {
    cursor.epoch == position.epoch && cursor >= position
}

fn just_before(position: Position) -> Position {
    match position.index.checked_sub(1) {
        Some(index) => Position { index, ..position },
        None => Position { sequence: position.sequence.saturating_sub(1), index: u32::MAX, ..position },
    }
}

/// Gives memory back after a burst: each time three quarters are free, so that the cost per event stays constant.
fn shrink<T>(queue: &mut VecDeque<T>) {
    if queue.capacity() > 64 && queue.len() < queue.capacity() / 4 {
        queue.shrink_to(queue.capacity() / 2);
    }
}
