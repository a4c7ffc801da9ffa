//! The window: the latest events of all rooms, in memory once, as the bytes that came. It is plain data without a log,
//! a socket or a lock. It guarantees:
//!
//! - A reader gets its room's events in order, from any position.
//! - A reader learns of a gap if events after its position were evicted.
//! - The window stays within its bounds, whatever the number of rooms and readers.
//! - A room within its share keeps its events, however much other rooms say.
//! - A deleted text is not handed out again unless its message is restored, or the sweep undone, and no part of a
//!   message whose author was erased is.
//!
//! **Shares.** An event is evicted when it is too old. When the window is full, the oldest event of the largest room is
//! evicted first. A room's share is the bytes of the window divided by the number of rooms in it. A room within its
//! share loses nothing early, and rooms may use what quiet rooms leave.
//!
//! An event of every room has a copy in each partition. The window holds each copy once, for all rooms of its
//! partition, and merges it with a room's own events on read. An eighth of the window is reserved for these events:
//! evicting one is a gap in every room of its partition.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chat::{Position, PresenterIdx};
use foldhash::fast::RandomState;

use crate::wake::Wake;

mod erasure;
mod extent;
pub(crate) mod feed;
mod incoming;
mod kept;
mod page;
mod queue;
mod restoration;
mod sweeps;
#[cfg(test)]
mod tests;
mod usage;
mod wakes;

use erasure::{Erasure, about_target};
use extent::{Extent, end_of_batch, just_before};
#[cfg(any(test, feature = "fuzz"))]
pub(crate) use incoming::deleted;
pub(crate) use incoming::{Effect, Incoming};
use kept::Kind;
pub(crate) use kept::{Deleted, Kept, Shown, Withheld};
pub(crate) use page::{Ask, Limit, Page, StartPoint};
use queue::{INDEX_BYTES, Queue, shrink};
use sweeps::{Spans, Sweep};
pub(crate) use usage::Usage;
use wakes::Wakes;

/// The latest events of all rooms.
#[derive(Debug)]
pub(crate) struct Window {
    rooms: HashMap<PresenterIdx, RoomWindow, RandomState>,
    /// By partition.
    everywhere: HashMap<u32, Everywhere, RandomState>,
    /// The holders of events, by the arrival of their oldest event.
    by_age: BTreeSet<(Instant, Holder)>,
    /// The rooms that hold events, by their bytes.
    by_bytes: BTreeSet<(usize, PresenterIdx)>,
    /// By partition.
    extents: HashMap<u32, Extent, RandomState>,
    /// Above this many rooms, empty ones are forgotten.
    forget_above: usize,
    events: usize,
    bytes: usize,
    /// The part of `bytes` in events of every room.
    bytes_everywhere: usize,
    /// How many times [`Window::push`] was called.
    pushes: u64,
    spans: Spans,
    bounds: Bounds,
}

/// The bounds of the window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// How long an event is kept after its arrival here. The event's own time does not count, so that a backlog is kept
    /// as long as everything else, and no other machine's clock matters.
    pub(crate) age: Duration,
    /// Bytes of lines and of their index.
    pub(crate) bytes: usize,
}

#[derive(Debug, Default)]
struct RoomWindow {
    partition: u32,
    events: Queue,
    /// The sweeps among them that count, and earlier ones about later posts. The names in their lines, and what they
    /// hide of the room, take more than these, and count as bytes.
    sweeps: Vec<Sweep>,
    /// The last evicted event that a client would have seen, since the room is known. Kept for long: a presenter who
    /// returns to a quiet room has missed nothing, however old the position.
    evicted: Option<Position>,
}

/// What the rooms of a partition share.
#[derive(Debug, Default)]
struct Everywhere {
    /// The events of every room.
    events: Queue,
    /// The erased users, one per erasure among the events.
    erasures: VecDeque<Erasure>,
    wakes: Wakes,
}

/// The holder of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    Room(PresenterIdx),
    /// Every room of the partition.
    Every(u32),
}

/// 50,000 empty rooms, of about 150 bytes each.
const KNOWN_ROOMS: usize = 50_000;

/// The events of every room may fill one of this many parts of the window before the oldest is evicted.
const PART_EVERYWHERE: usize = 8;

impl Window {
    pub(crate) fn new(bounds: Bounds) -> Window {
        Window {
            rooms: HashMap::default(),
            everywhere: HashMap::default(),
            by_age: BTreeSet::new(),
            by_bytes: BTreeSet::new(),
            extents: HashMap::default(),
            forget_above: KNOWN_ROOMS,
            events: 0,
            bytes: 0,
            bytes_everywhere: 0,
            pushes: 0,
            spans: Spans::default(),
            bounds,
        }
    }

    /// Records that no event of the partition after the position is missing. If earlier events precede it, some are
    /// missing in between, and the earlier ones are not handed out any more.
    pub(crate) fn set_whole_after(&mut self, partition: u32, position: Position) {
        let extent = self.extents.entry(partition).or_insert(Extent {
            whole_after: position,
            forgotten: position,
            last: position,
        });
        extent.whole_after = position.max(extent.whole_after);
    }

    /// Adds whole batches of events in log order, and evicts what no longer fits. Returns the readers to wake, each
    /// once.
    pub(crate) fn push(&mut self, incoming: Vec<Incoming>, now: Instant) -> Vec<Arc<Wake>> {
        let mut woken = Vec::new();
        self.pushes += 1;
        for Incoming { partition, presenter, mut kept, effect } in incoming {
            if let Some(extent) = self.extents.get_mut(&partition) {
                extent.last = end_of_batch(kept.position);
            }
            let everywhere = self.everywhere.entry(partition).or_default();
            let (holder, events) = match presenter {
                Some(presenter) => {
                    let room = self
                        .rooms
                        .entry(presenter)
                        .or_insert_with(|| RoomWindow { partition, ..RoomWindow::default() });
                    let events = &mut room.events;
                    match effect {
                        Effect::Nothing => sweeps::refuse(&mut room.sweeps, &mut kept),
                        // An erasure is always of every room.
                        Effect::Holds(_) | Effect::Erases(_) => {}
                        Effect::EndsHold(message) => restoration::end_hold(&mut events.kept, message),
                        Effect::Deletes(target) => {
                            let message = restoration::delete(&mut events.kept, target);
                            about_target(&mut kept, message, &everywhere.erasures);
                        }
                        Effect::Restores(target) => {
                            // The author of a message before that may be erased: the erasure was evicted.
                            let whole_after = self.extents.get(&partition).map(|extent| extent.whole_after);
                            let message = restoration::restore(&mut events.kept, target)
                                .filter(|message| whole_after.is_none_or(|whole_after| message.position > whole_after));
                            about_target(&mut kept, message, &everywhere.erasures);
                            restoration::attach(&mut kept, message);
                            sweeps::forget(&mut room.sweeps, target);
                        }
                        Effect::Clears => events.kept.iter_mut().for_each(Kept::delete),
                        Effect::Purges(user, since) => restoration::purge(&mut events.kept, user, since),
                        Effect::Sweeps(rule) => {
                            self.spans.begin(presenter, &rule);
                            sweeps::sweep(&mut events.kept, &mut room.sweeps, &mut kept, rule);
                        }
                        Effect::Unsweeps(sweep) => {
                            sweeps::undo(&mut events.kept, &mut room.sweeps, &mut kept, sweep);
                        }
                    }
                    everywhere.wakes.wake(presenter, self.pushes, &mut woken);
                    self.by_bytes.remove(&(events.bytes, presenter));
                    self.by_bytes.insert((events.bytes + kept.bytes() + INDEX_BYTES, presenter));
                    (Holder::Room(presenter), events)
                }
                None => {
                    if let Effect::Erases(user) = effect {
                        everywhere.erasures.push_back(Erasure { position: kept.position, user });
                    }
                    everywhere.wakes.wake_all(self.pushes, &mut woken);
                    self.bytes_everywhere += kept.bytes() + INDEX_BYTES;
                    (Holder::Every(partition), &mut everywhere.events)
                }
            };
            self.spans.reach(kept.stored);
            self.events += 1;
            self.bytes += kept.bytes() + INDEX_BYTES;
            if events.kept.is_empty() {
                self.by_age.insert((now, holder));
            }
            events.push(kept, now);
        }
        self.evict(now);
        woken
    }

    /// Evicts expired events, and then as many as exceed the bounds.
    pub(crate) fn evict(&mut self, now: Instant) {
        while let Some(&(came, holder)) = self.by_age.first()
            && now.duration_since(came) > self.bounds.age
        {
            self.evict_from(holder);
        }
        while self.bytes > self.bounds.bytes
            && let Some(holder) = self.largest()
        {
            self.evict_from(holder);
        }
        self.end_spans();
        if self.rooms.len() > self.forget_above {
            self.forget_idle_rooms();
        }
    }

    /// The holder to evict from, if there is one.
    fn largest(&self) -> Option<Holder> {
        let room = self.by_bytes.last().map(|(_, presenter)| Holder::Room(*presenter));
        let everywhere = || {
            let largest =
                self.everywhere.iter().max_by_key(|(partition, everywhere)| (everywhere.events.bytes, **partition));
            largest.filter(|(_, every)| every.events.bytes > 0).map(|(partition, _)| Holder::Every(*partition))
        };
        match room {
            Some(room) if self.bytes_everywhere <= self.bounds.bytes / PART_EVERYWHERE => Some(room),
            _ => everywhere().or(room),
        }
    }

    /// Evicts the oldest event of the holder.
    fn evict_from(&mut self, holder: Holder) {
        let events = match holder {
            Holder::Room(presenter) => &mut self.rooms.get_mut(&presenter).expect("it holds events").events,
            Holder::Every(partition) => &mut self.everywhere.get_mut(&partition).expect("it holds events").events,
        };
        let before = events.bytes;
        let (kept, came) = events.pop();
        let (after, next) = (events.bytes, events.came.front().copied());
        self.by_age.remove(&(came, holder));
        self.by_age.extend(next.map(|next| (next, holder)));
        self.events -= 1;
        self.bytes -= before - after;
        match holder {
            Holder::Room(presenter) => {
                self.by_bytes.remove(&(before, presenter));
                if after > 0 {
                    self.by_bytes.insert((after, presenter));
                }
                let room = self.rooms.get_mut(&presenter).expect("it held events");
                // All that they hide was evicted.
                room.sweeps.retain(|sweep| sweep.last > kept.position || self.spans.is_open(sweep));
                if kept.kind != Kind::Hidden {
                    room.evicted = Some(kept.position);
                }
            }
            Holder::Every(partition) => {
                self.bytes_everywhere -= before - after;
                let everywhere = self.everywhere.get_mut(&partition).expect("it held events");
                everywhere.erasures.pop_front_if(|erasure| erasure.position == kept.position);
                shrink(&mut everywhere.erasures);
                // From now on nothing that precedes it is handed out to any room of the partition: the event could
                // concern it.
                self.set_whole_after(partition, kept.position);
            }
        }
    }

    /// Where a reader begins in a room of the partition.
    pub(crate) fn begin(&self, presenter: PresenterIdx, partition: u32, ask: Ask) -> StartPoint {
        let whole_after = self.whole_after(presenter, partition);
        let held = |kept: &&Kept| whole_after.is_none_or(|whole_after| kept.position > whole_after);
        let own = self.rooms.get(&presenter).and_then(|room| room.events.kept.iter().find(held));
        let every = self.everywhere.get(&partition).and_then(|everywhere| everywhere.events.kept.iter().find(held));
        let oldest = own.into_iter().chain(every).map(|kept| kept.position).min().map(just_before);
        let is_held = |cursor: Position| whole_after.is_some_and(|whole_after| cursor >= whole_after);
        match ask {
            Ask::Anything => {
                // A reader of an empty room has reached the end of the log.
                let end = || self.end(partition);
                let evicted = self.rooms.get(&presenter).and_then(|room| room.evicted);
                StartPoint { cursor: oldest.or_else(end), whole: evicted.is_none() }
            }
            Ask::After(cursor) if is_held(cursor) => StartPoint { cursor: Some(cursor), whole: true },
            Ask::Lost(cursor) if is_held(cursor) => StartPoint { cursor: Some(cursor), whole: false },
            Ask::After(_) | Ask::Lost(_) | Ask::Unknown => StartPoint { cursor: oldest.or(whole_after), whole: false },
        }
    }

    /// The end of what has arrived of the partition. None while nothing has.
    pub(crate) fn end(&self, partition: u32) -> Option<Position> {
        self.extents.get(&partition).map(|extent| extent.last.max(extent.whole_after))
    }

    /// Whether the window has received the partition up to the position.
    pub(crate) fn has_come(&self, partition: u32, position: Position) -> bool {
        self.extents.get(&partition).is_some_and(|extent| position <= extent.last)
    }

    /// From now on every event of the room wakes `reader`.
    pub(crate) fn attach(&mut self, presenter: PresenterIdx, partition: u32, reader: Arc<Wake>) {
        self.everywhere.entry(partition).or_default().wakes.attach(presenter, reader);
    }

    /// Undoes [`Window::attach`].
    pub(crate) fn detach(&mut self, presenter: PresenterIdx, partition: u32, reader: &Arc<Wake>) {
        if let Some(everywhere) = self.everywhere.get_mut(&partition) {
            everywhere.wakes.detach(presenter, reader);
        }
    }

    /// The number of events.
    pub(crate) fn len(&self) -> usize {
        self.events
    }

    /// The position after which every event of the room is held. For a forgotten room: the last eviction from any
    /// forgotten room. A reader may be told of a gap that is none, but never misses one.
    fn whole_after(&self, presenter: PresenterIdx, partition: u32) -> Option<Position> {
        let extent = self.extents.get(&partition)?;
        let evicted = self.rooms.get(&presenter).and_then(|room| room.evicted);
        Some(evicted.unwrap_or(extent.forgotten).max(extent.whole_after))
    }

    fn forget_idle_rooms(&mut self) {
        let Window { rooms, everywhere, extents, .. } = self;
        rooms.retain(|presenter, room| {
            let evicted = match room.evicted {
                _ if !room.events.kept.is_empty() || !room.sweeps.is_empty() => return true,
                Some(evicted) => evicted,
                None => return false,
            };
            let has_readers = |everywhere: &Everywhere| everywhere.wakes.has_any(*presenter);
            if everywhere.get(&room.partition).is_some_and(has_readers) {
                return true;
            }
            if let Some(extent) = extents.get_mut(&room.partition) {
                extent.forgotten = evicted.max(extent.forgotten);
            }
            false
        });
        // Twice the rest, so that the cost per room stays constant.
        self.forget_above = KNOWN_ROOMS.max(2 * self.rooms.len());
    }
}
