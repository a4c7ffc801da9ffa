//! The window: the latest events of all rooms, in memory once, as the bytes that came. It is plain data: it knows no
//! log, no socket and no lock. It promises that a room's events are handed out in order from any position on, that a
//! reader whose place is no longer held is told so, that it stays within its bounds whatever the number of rooms and
//! readers, that no room takes from another what that needs, and that a text once deleted is not handed out again, nor
//! anything of a message whose author was erased.
//!
//! **Shares.** An event leaves when it is too old. Where all of them are too much, the oldest of the room that holds
//! most goes first. So a room loses nothing before its time while it holds no more than its share, the bytes of the
//! window by the number of rooms in it, however much others say; and what quiet rooms leave of theirs is everybody's.
//!
//! An event of every room has a copy in each partition. Here each copy is held once, for all rooms of its partition, and
//! finds its place among a room's own events when they are read. These have an eighth of the window to themselves: to
//! evict one is a gap in every room of its partition.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::mem::size_of;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chat::{Position, PresenterIdx, UserIdx};
use tokio::sync::Notify;

pub(crate) mod feed;
mod kept;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use kept::deleted;
use kept::{About, Kind};
pub(crate) use kept::{Deleted, Incoming, Kept, Removes, Shown, Withheld};

/// The latest events of all rooms.
#[derive(Debug)]
pub(crate) struct Window {
    rooms: HashMap<PresenterIdx, Room>,
    /// By partition.
    everywhere: HashMap<u32, Everywhere>,
    /// Whatever holds events, by when the oldest of them came.
    by_age: BTreeSet<(Instant, Whose)>,
    /// The rooms that hold events, by their bytes.
    by_bytes: BTreeSet<(usize, PresenterIdx)>,
    /// By partition.
    extents: HashMap<u32, Extent>,
    /// Above so many rooms those are forgotten of which nothing is held.
    forget_above: usize,
    events: usize,
    bytes: usize,
    /// Those of the events of every room among them.
    bytes_everywhere: usize,
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
    events: Queue,
    /// The last event that was evicted since the room was known, and that a client misses. It is remembered for long: a
    /// presenter who comes back to a quiet room has missed nothing, however old its position is.
    evicted: Option<Position>,
}

/// What the rooms of a partition have in common.
#[derive(Debug, Default)]
struct Everywhere {
    /// The events of every room.
    events: Queue,
    /// Who was erased, by those of the events that say so. Whose a message is is asked when it is read, and only while
    /// there are any: marking a full window would hold up everybody.
    erasures: VecDeque<Erasure>,
    /// Who is woken, by room; rooms without a reader are not among them.
    readers: HashMap<PresenterIdx, Vec<Arc<Notify>>>,
}

/// Events in order, with when they came.
#[derive(Debug, Default)]
struct Queue {
    kept: VecDeque<Kept>,
    came: VecDeque<Instant>,
    bytes: usize,
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

/// Where an event is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

/// What an event costs beside its line: its place in the index, and what the allocator and the line's counter of readers
/// take.
const INDEX_BYTES: usize = size_of::<Kept>() + size_of::<Instant>() + 48;

/// The events of every room may have so many parts of the window before the oldest of them goes.
const PART_EVERYWHERE: usize = 8;

impl Window {
    pub(crate) fn new(bounds: Bounds) -> Window {
        Window {
            rooms: HashMap::new(),
            everywhere: HashMap::new(),
            by_age: BTreeSet::new(),
            by_bytes: BTreeSet::new(),
            extents: HashMap::new(),
            forget_above: KNOWN_ROOMS,
            events: 0,
            bytes: 0,
            bytes_everywhere: 0,
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
        for Incoming { partition, presenter, mut kept, removes } in incoming {
            let bytes = kept.bytes() + INDEX_BYTES;
            self.events += 1;
            self.bytes += bytes;
            if let Some(extent) = self.extents.get_mut(&partition) {
                extent.last = end_of_batch(kept.position);
            }
            let everywhere = self.everywhere.entry(partition).or_default();
            let (whose, events) = match presenter {
                Some(presenter) => {
                    let room = self.rooms.entry(presenter).or_insert_with(|| Room { partition, ..Room::default() });
                    let events = &mut room.events;
                    match removes {
                        // Nobody is erased in one room alone.
                        Removes::Nothing | Removes::Of(_) => {}
                        Removes::One(target) => {
                            let target = events.kept.iter_mut().rev().find(|kept| kept.id == target);
                            about_target(&mut kept, target.as_deref(), &everywhere.erasures);
                            target.into_iter().for_each(Kept::delete);
                        }
                        Removes::All => events.kept.iter_mut().for_each(Kept::delete),
                    }
                    woken.extend(everywhere.readers.get(&presenter).into_iter().flatten().cloned());
                    self.by_bytes.remove(&(events.bytes, presenter));
                    self.by_bytes.insert((events.bytes + bytes, presenter));
                    (Whose::Room(presenter), events)
                }
                None => {
                    if let Removes::Of(user) = removes {
                        everywhere.erasures.push_back(Erasure { position: kept.position, user });
                    }
                    woken.extend(everywhere.readers.values().flatten().cloned());
                    self.bytes_everywhere += bytes;
                    (Whose::Every(partition), &mut everywhere.events)
                }
            };
            if events.kept.is_empty() {
                self.by_age.insert((now, whose));
            }
            events.push(kept, now);
        }
        self.evict(now);
        woken
    }

    /// Evicts what is too old, and as much as is too much.
    pub(crate) fn evict(&mut self, now: Instant) {
        while let Some(&(came, whose)) = self.by_age.first()
            && now.duration_since(came) > self.bounds.age
        {
            self.evict_from(whose);
        }
        while self.bytes > self.bounds.bytes
            && let Some(whose) = self.largest()
        {
            self.evict_from(whose);
        }
        if self.rooms.len() > self.forget_above {
            self.forget_idle_rooms();
        }
    }

    /// Who holds most beyond its share, if anybody holds anything.
    fn largest(&self) -> Option<Whose> {
        let room = self.by_bytes.last().map(|(_, presenter)| Whose::Room(*presenter));
        let everywhere = || {
            let largest =
                self.everywhere.iter().max_by_key(|(partition, everywhere)| (everywhere.events.bytes, **partition));
            largest.filter(|(_, every)| every.events.bytes > 0).map(|(partition, _)| Whose::Every(*partition))
        };
        match room {
            Some(room) if self.bytes_everywhere <= self.bounds.bytes / PART_EVERYWHERE => Some(room),
            _ => everywhere().or(room),
        }
    }

    /// Evicts the oldest event that is held there.
    fn evict_from(&mut self, whose: Whose) {
        let events = match whose {
            Whose::Room(presenter) => &mut self.rooms.get_mut(&presenter).expect("it holds events").events,
            Whose::Every(partition) => &mut self.everywhere.get_mut(&partition).expect("it holds events").events,
        };
        let before = events.bytes;
        let (kept, came) = events.pop();
        let (after, next) = (events.bytes, events.came.front().copied());
        self.by_age.remove(&(came, whose));
        self.by_age.extend(next.map(|next| (next, whose)));
        self.events -= 1;
        self.bytes -= before - after;
        match whose {
            Whose::Room(presenter) => {
                self.by_bytes.remove(&(before, presenter));
                if after > 0 {
                    self.by_bytes.insert((after, presenter));
                }
                if kept.kind != Kind::Hidden {
                    self.rooms.get_mut(&presenter).expect("it held events").evicted = Some(kept.position);
                }
            }
            Whose::Every(partition) => {
                self.bytes_everywhere -= before - after;
                let everywhere = self.everywhere.get_mut(&partition).expect("it held events");
                everywhere.erasures.pop_front_if(|erasure| erasure.position == kept.position);
                shrink(&mut everywhere.erasures);
                // Nothing of that partition from before it is handed out any more, to no room: neither what it is about
                // nor what would be without it.
                self.set_whole_after(partition, kept.position);
            }
        }
    }

    /// Where a reader begins that asks for that, in a room of that partition.
    pub(crate) fn begin(&self, presenter: PresenterIdx, partition: u32, ask: Ask) -> Beginning {
        let whole_after = self.whole_after(presenter, partition);
        let held = |kept: &&Kept| whole_after.is_none_or(|whole_after| kept.position > whole_after);
        let own = self.rooms.get(&presenter).and_then(|room| room.events.kept.iter().find(held));
        let every = self.everywhere.get(&partition).and_then(|everywhere| everywhere.events.kept.iter().find(held));
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
        let own = room.map(|room| room.events.kept.range(following(&room.events.kept)..));
        let erasures = self.everywhere.get(&partition).map(|every| &every.erasures);
        let every = self.everywhere.get(&partition).map(|every| &every.events.kept);
        let every = every.map(|events| events.range(following(events)..));
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
            if let Some(erasures) = erasures {
                forget_erased(&mut kept, erasures);
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
        self.events
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
                _ if !room.events.kept.is_empty() => return true,
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

/// Takes away what the event says of users who were erased after it.
fn forget_erased(kept: &mut Kept, erasures: &VecDeque<Erasure>) {
    let later = erasures.partition_point(|erasure| erasure.position <= kept.position);
    if later < erasures.len() {
        kept.forget(|user| erasures.range(later..).any(|erasure| erasure.user == user));
    }
}

/// Whom a deletion is about. Its reason goes with the message, also if that went before it was deleted.
fn about_target(deletion: &mut Kept, target: Option<&Kept>, erasures: &VecDeque<Erasure>) {
    let author = target.and_then(Kept::author);
    deletion.about = author.map_or(About::Unknown, About::User);
    deletion.withheld.reason |= match (target, author) {
        (Some(target), Some(author)) => {
            let later = erasures.partition_point(|erasure| erasure.position <= target.position);
            erasures.range(later..).any(|erasure| erasure.user == author)
        }
        _ => !erasures.is_empty(),
    };
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

impl Queue {
    fn push(&mut self, kept: Kept, now: Instant) {
        self.bytes += kept.bytes() + INDEX_BYTES;
        self.kept.push_back(kept);
        self.came.push_back(now);
    }

    /// Takes out the oldest event. There is one.
    fn pop(&mut self) -> (Kept, Instant) {
        let kept = self.kept.pop_front().expect("who evicts knows that there are events");
        let came = self.came.pop_front().expect("every event came at some time");
        self.bytes -= kept.bytes() + INDEX_BYTES;
        shrink(&mut self.kept);
        shrink(&mut self.came);
        (kept, came)
    }
}

/// Gives memory back after a burst: each time three quarters are free, so that the cost per event stays constant.
fn shrink<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() {
        queue.shrink_to_fit();
    } else if queue.capacity() > 64 && queue.len() < queue.capacity() / 4 {
        queue.shrink_to(queue.capacity() / 2);
    }
}
