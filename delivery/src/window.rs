//! The window: the latest events of all rooms, in memory once, as the bytes that came. It is plain data: it knows no
//! log, no socket and no lock. It promises that a room's events are handed out in order from any position on, that a
//! reader whose place is no longer held is told so, that it stays within its bounds whatever the number of rooms and
//! readers, and that a text once deleted is not handed out again, nor anything of a message whose author was erased.
//!
//! An event of every room has a copy in each partition. Here each copy is held once, for all rooms of its partition, and
//! finds its place among a room's own events when they are read.
//!
//! A line shares the memory of the batch that it came in. Lines leave in the order in which they came, so that at most
//! one partly evicted batch of each partition is held beyond what is counted.

use std::collections::{HashMap, VecDeque};
use std::mem::size_of;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nats::{Position, PresenterIdx, UserIdx};
use tokio::sync::Notify;

mod kept;
#[cfg(test)]
mod tests;

use kept::Kind;
#[cfg(test)]
pub(crate) use kept::deleted;
pub(crate) use kept::{Deleted, Incoming, Kept, Removes, Shown};

/// The latest events of all rooms.
#[derive(Debug)]
pub(crate) struct Window {
    rooms: HashMap<PresenterIdx, Room>,
    /// By partition.
    everywhere: HashMap<u32, Everywhere>,
    /// One element an event, in the order in which they came, which is the order in which they go.
    arrivals: VecDeque<Arrival>,
    /// By partition.
    extents: HashMap<u32, Extent>,
    /// Above so many rooms those are forgotten of which nothing is held.
    forget_above: usize,
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
    partition: u32,
    events: VecDeque<Kept>,
    /// The last event that was evicted since the room was known, and that a client misses. It is remembered for long: a
    /// presenter who comes back to a quiet room has missed nothing, however old its position is.
    evicted: Option<Position>,
}

/// What the rooms of a partition have in common.
#[derive(Debug, Default)]
struct Everywhere {
    /// The events of every room.
    events: VecDeque<Kept>,
    /// Who was erased, by those of the events that say so. Whose a message is is asked when it is read, and only while
    /// there are any: marking a full window would hold up everybody.
    erasures: VecDeque<Erasure>,
    /// Who is woken, by room; rooms without a reader are not among them.
    readers: HashMap<PresenterIdx, Vec<Arc<Notify>>>,
}

/// Nothing that the user wrote before the position is handed out.
#[derive(Debug, Clone, Copy)]
struct Erasure {
    position: Position,
    user: UserIdx,
}

/// How far back a partition is known.
#[derive(Debug, Clone, Copy)]
struct Extent {
    /// Every event after it has come here, and no event of every room after it was evicted.
    whole_after: Position,
    /// Nothing after it was evicted of a room that is not known any more.
    forgotten: Position,
    /// The end of the last batch that came.
    last: Position,
}

#[derive(Debug, Clone, Copy)]
struct Arrival {
    of: Whose,
    at: Instant,
}

/// Where an event is held.
#[derive(Debug, Clone, Copy)]
enum Whose {
    Room(PresenterIdx),
    /// Every room of that partition.
    Every(u32),
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

/// What a reader asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Whatever there is.
    Anything,
    /// What follows that position of this log.
    After(Position),
    /// What follows a position after which the log lost its end: what the reader has not seen of that is missing.
    Lost(Position),
    /// What follows something that is no position of any log.
    Unknown,
}

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Beginning {
    /// What follows comes after it. There is none only for a room of a log that was not heard of yet.
    pub(crate) cursor: Option<Position>,
    /// Whether everything after what was asked for follows. Of who asks for anything: whether nothing of the room is
    /// known to have gone unseen.
    pub(crate) whole: bool,
}

/// Rooms of which nothing is held take some 150 bytes each.
const KNOWN_ROOMS: usize = 50_000;

/// What an event costs beside its line.
const INDEX_BYTES: usize = size_of::<Kept>() + size_of::<Arrival>();

impl Window {
    pub(crate) fn new(bounds: Bounds) -> Window {
        Window {
            rooms: HashMap::new(),
            everywhere: HashMap::new(),
            arrivals: VecDeque::new(),
            extents: HashMap::new(),
            forget_above: KNOWN_ROOMS,
            bytes: 0,
            bounds,
        }
    }

    /// Takes note that no event of that partition after the position is missing. Where it lies behind what came before,
    /// something is missing in between, and what came before is not handed out any more.
    pub(crate) fn set_whole_after(&mut self, partition: u32, position: Position) {
        let extent = self.extents.entry(partition).or_insert(Extent {
            whole_after: position,
            forgotten: position,
            last: position,
        });
        extent.whole_after = position.max(extent.whole_after);
    }

    /// Takes in events, whole batches in the order of the log, evicts what no longer fits, and says whom to wake.
    pub(crate) fn push(&mut self, incoming: Vec<Incoming>, now: Instant) -> Vec<Arc<Notify>> {
        let mut woken = Vec::new();
        for Incoming { partition, presenter, kept, removes } in incoming {
            self.bytes += kept.bytes() + INDEX_BYTES;
            if let Some(extent) = self.extents.get_mut(&partition) {
                extent.last = end_of_batch(kept.position);
            }
            let everywhere = self.everywhere.entry(partition).or_default();
            let of = match presenter {
                Some(presenter) => {
                    let room = self.rooms.entry(presenter).or_insert_with(|| Room { partition, ..Room::default() });
                    let events = &mut room.events;
                    match removes {
                        // Nobody is erased in one room alone.
                        Removes::Nothing | Removes::Of(_) => {}
                        Removes::One(target) => {
                            events.iter_mut().rev().find(|k| k.id == target).into_iter().for_each(Kept::delete)
                        }
                        Removes::All => events.iter_mut().for_each(Kept::delete),
                    }
                    events.push_back(kept);
                    woken.extend(everywhere.readers.get(&presenter).into_iter().flatten().cloned());
                    Whose::Room(presenter)
                }
                None => {
                    if let Removes::Of(user) = removes {
                        everywhere.erasures.push_back(Erasure { position: kept.position, user });
                    }
                    everywhere.events.push_back(kept);
                    woken.extend(everywhere.readers.values().flatten().cloned());
                    Whose::Every(partition)
                }
            };
            self.arrivals.push_back(Arrival { of, at: now });
        }
        self.evict(now);
        woken
    }

    /// Evicts what is too old, and as much of the oldest as is too much.
    pub(crate) fn evict(&mut self, now: Instant) {
        while let Some(&Arrival { of, at }) = self.arrivals.front() {
            if self.bytes <= self.bounds.bytes && now.duration_since(at) <= self.bounds.age {
                break;
            }
            self.arrivals.pop_front();
            shrink(&mut self.arrivals);
            let kept = match of {
                Whose::Room(presenter) => {
                    let room = self.rooms.get_mut(&presenter).expect("a room is known while it has events");
                    let kept = pop(&mut room.events);
                    if kept.kind != Kind::Hidden {
                        room.evicted = Some(kept.position);
                    }
                    kept
                }
                Whose::Every(partition) => {
                    let everywhere = self.everywhere.get_mut(&partition).expect("it is known while it has events");
                    let kept = pop(&mut everywhere.events);
                    // What it is about was evicted before it.
                    let is_of_this = |erasure: &mut Erasure| erasure.position == kept.position;
                    everywhere.erasures.pop_front_if(is_of_this);
                    shrink(&mut everywhere.erasures);
                    // Whatever of that log came before it is evicted too, so that this is true of every room.
                    self.set_whole_after(partition, kept.position);
                    kept
                }
            };
            self.bytes -= kept.bytes() + INDEX_BYTES;
        }
        if self.rooms.len() > self.forget_above {
            self.forget_idle_rooms();
        }
    }

    /// Where a reader begins that asks for that, in a room of that partition.
    pub(crate) fn begin(&self, presenter: PresenterIdx, partition: u32, ask: Ask) -> Beginning {
        let whole_after = self.whole_after(presenter, partition);
        let held = |kept: &&Kept| whole_after.is_none_or(|whole_after| kept.position > whole_after);
        let own = self.rooms.get(&presenter).and_then(|room| room.events.iter().find(held));
        let every = self.everywhere.get(&partition).and_then(|everywhere| everywhere.events.iter().find(held));
        let oldest = own.into_iter().chain(every).map(|kept| kept.position).min().map(just_before);
        let is_held = |cursor: Position| whole_after.is_some_and(|whole_after| cursor >= whole_after);
        match ask {
            Ask::Anything => {
                // Of a room of which nothing is held a reader has reached the end of the log.
                let end = || self.extents.get(&partition).map(|extent| extent.last.max(extent.whole_after));
                let evicted = self.rooms.get(&presenter).and_then(|room| room.evicted);
                Beginning { cursor: oldest.or_else(end), whole: evicted.is_none() }
            }
            Ask::After(cursor) if is_held(cursor) => Beginning { cursor: Some(cursor), whole: true },
            Ask::Lost(cursor) if is_held(cursor) => Beginning { cursor: Some(cursor), whole: false },
            Ask::After(_) | Ask::Lost(_) | Ask::Unknown => Beginning { cursor: oldest.or(whole_after), whole: false },
        }
    }

    /// What follows `cursor`, a position of this log, in a room of that partition; everything that is held without one.
    pub(crate) fn after(
        &self,
        presenter: PresenterIdx,
        partition: u32,
        cursor: Option<Position>,
        limit: Limit,
    ) -> Page {
        let room = self.rooms.get(&presenter);
        let gap = cursor.is_some_and(|cursor| {
            let missed = |position: Position| cursor < position;
            room.and_then(|room| room.evicted).is_some_and(missed)
                || self.extents.get(&partition).is_some_and(|extent| missed(extent.whole_after))
        });
        let following =
            |events: &VecDeque<Kept>| cursor.map_or(0, |cursor| events.partition_point(|kept| kept.position <= cursor));
        let own = room.map(|room| room.events.range(following(&room.events)..));
        let erasures = self.everywhere.get(&partition).map(|every| &every.erasures);
        let every = self.everywhere.get(&partition).map(|every| every.events.range(following(&every.events)..));
        let (mut own, mut every) = (own.into_iter().flatten().peekable(), every.into_iter().flatten().peekable());
        let mut bytes = 0;
        let mut events = Vec::new();
        while events.len() < limit.events {
            let of_every = match (own.peek(), every.peek()) {
                (Some(own), Some(every)) => every.position < own.position,
                (own, _) => own.is_none(),
            };
            let Some(kept) = (if of_every { every.next() } else { own.next() }) else { break };
            bytes += kept.bytes().max(1);
            if !events.is_empty() && bytes > limit.bytes {
                break;
            }
            let mut kept = kept.clone();
            if erasures.is_some_and(|erasures| is_erased(&kept, erasures)) {
                kept.hide();
            }
            events.push(kept);
        }
        Page { events, gap }
    }

    /// How far a reader at `cursor` has come: further than the last event of its room, if nothing follows that but what
    /// is of other rooms.
    pub(crate) fn reached(&self, presenter: PresenterIdx, partition: u32, cursor: Position) -> Position {
        let Page { events, gap } = self.after(presenter, partition, Some(cursor), Limit { events: 1, bytes: 0 });
        match self.extents.get(&partition) {
            Some(extent) if !gap && events.is_empty() => cursor.max(extent.last),
            _ => cursor,
        }
    }

    /// Whether the partition has come so far here.
    pub(crate) fn has_come(&self, partition: u32, position: Position) -> bool {
        self.extents.get(&partition).is_some_and(|extent| position <= extent.last)
    }

    /// From now on `reader` is woken by every event of the room, which is of that partition.
    pub(crate) fn attach(&mut self, presenter: PresenterIdx, partition: u32, reader: Arc<Notify>) {
        self.everywhere.entry(partition).or_default().readers.entry(presenter).or_default().push(reader);
    }

    /// Undoes [`Window::attach`].
    pub(crate) fn detach(&mut self, presenter: PresenterIdx, partition: u32, reader: &Arc<Notify>) {
        if let Some(everywhere) = self.everywhere.get_mut(&partition)
            && let Some(readers) = everywhere.readers.get_mut(&presenter)
        {
            readers.retain(|other| !Arc::ptr_eq(other, reader));
            if readers.is_empty() {
                everywhere.readers.remove(&presenter);
            }
        }
    }

    /// How many events are held.
    pub(crate) fn len(&self) -> usize {
        self.arrivals.len()
    }

    /// The position after which every event of the room is held. Of a room that was forgotten this is the last that
    /// was evicted of any such room: it may be said in vain that something is missing, but never the contrary.
    fn whole_after(&self, presenter: PresenterIdx, partition: u32) -> Option<Position> {
        let extent = self.extents.get(&partition)?;
        let evicted = self.rooms.get(&presenter).and_then(|room| room.evicted);
        Some(evicted.unwrap_or(extent.forgotten).max(extent.whole_after))
    }

    fn forget_idle_rooms(&mut self) {
        let Window { rooms, everywhere, extents, .. } = self;
        rooms.retain(|presenter, room| {
            let evicted = match room.evicted {
                _ if !room.events.is_empty() => return true,
                Some(evicted) => evicted,
                None => return false,
            };
            let has_readers = |everywhere: &Everywhere| everywhere.readers.contains_key(presenter);
            if everywhere.get(&room.partition).is_some_and(has_readers) {
                return true;
            }
            if let Some(extent) = extents.get_mut(&room.partition) {
                extent.forgotten = evicted.max(extent.forgotten);
            }
            false
        });
        // Twice what is left, so that the cost per room stays constant.
        self.forget_above = KNOWN_ROOMS.max(2 * self.rooms.len());
    }
}

/// Whether the author of the message was erased after it.
fn is_erased(kept: &Kept, erasures: &VecDeque<Erasure>) -> bool {
    let later = erasures.partition_point(|erasure| erasure.position <= kept.position);
    let mut later = erasures.range(later..).peekable();
    later.peek().is_some() && kept.author().is_some_and(|author| later.any(|erasure| erasure.user == author))
}

fn just_before(position: Position) -> Position {
    match position.index.checked_sub(1) {
        Some(index) => Position { index, ..position },
        None => Position { sequence: position.sequence.saturating_sub(1), index: u32::MAX, ..position },
    }
}

/// Every event of the position's batch stands at or before this.
fn end_of_batch(position: Position) -> Position {
    Position { index: u32::MAX, ..position }
}

/// Takes out the oldest event of a place that an arrival named.
fn pop(events: &mut VecDeque<Kept>) -> Kept {
    let kept = events.pop_front().expect("there are as many events as arrivals");
    shrink(events);
    kept
}

/// Gives memory back after a burst: each time three quarters are free, so that the cost per event stays constant.
fn shrink<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() {
        queue.shrink_to_fit();
    } else if queue.capacity() > 64 && queue.len() < queue.capacity() / 4 {
        queue.shrink_to(queue.capacity() / 2);
    }
}
