//! The messages that wait for a moderator, by room, and the latest decisions about them. They are replayed from the log
//! in its order, so every node has the same queue. A hold ends with the first of: its release, its denial, a deletion
//! of the message, a clear of the room, a ban that purges its author, an erasure of its author, and its time.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;

use chat::{Body, Event, EventId, MessageHeld, Position, PresenterIdx, UserIdx};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

/// 10,000 holds of all rooms: about 5 MB, or 80 MB if every text is as long as allowed.
const MOST: usize = 10_000;

/// 1,000 decisions: a second moderator follows the first within seconds. Each request looks through all of them.
const MOST_DECIDED: usize = 1_000;

/// The queues of all rooms.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In the order of the queues: by room, then by position.
    waiting: BTreeMap<(PresenterIdx, Position), Waiting>,
    places: HashMap<EventId, (PresenterIdx, Position)>,
    /// The oldest first.
    decided: VecDeque<(PresenterIdx, EventId, Outcome)>,
}

/// A message that waits.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    /// The position of its `message.held`.
    pub(crate) position: Position,
    /// When it was held.
    pub(crate) at: Timestamp,
    pub(crate) held: MessageHeld,
}

/// The decision about a held message, with its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Released(Position),
    Denied(Position),
}

impl Holds {
    /// Applies an event of the room, in the log's order. `now` is the log's time.
    pub(crate) fn apply(&self, room: PresenterIdx, position: Position, event: &Event, now: Timestamp) {
        let mut state = self.state.lock();
        match &event.body {
            Body::MessageHeld(held) if held.until > now => state.hold(room, position, event.at, held),
            Body::MessageReleased(_) => state.decide(room, event.id, Outcome::Released(position)),
            Body::MessageDenied(_) => state.decide(room, event.id, Outcome::Denied(position)),
            Body::MessageDeleted(deleted) => state.end(room, |waiting| waiting.held.target == deleted.target),
            Body::RoomCleared(_) => state.end(room, |_| true),
            Body::UserBanned(banned) => {
                if let Some(seconds) = banned.purge_seconds {
                    let since = event.at.checked_sub(SignedDuration::from_secs(seconds.into()));
                    let since = since.unwrap_or(Timestamp::MIN);
                    state.end(room, |waiting| waiting.held.posted.user.idx == banned.user && waiting.at >= since);
                }
            }
            _ => {}
        }
    }

    /// Notes that the message came into the room. Two tries of a post can be judged differently by two nodes: one is
    /// held, and the other is not.
    pub(crate) fn posted(&self, room: PresenterIdx, message: EventId, position: Position) {
        let mut state = self.state.lock();
        if state.places.contains_key(&message) {
            state.decide(room, message, Outcome::Released(position));
        }
    }

    /// Ends the holds of the user in the rooms of which that is true.
    pub(crate) fn erase(&self, user: UserIdx, is_of: impl Fn(PresenterIdx) -> bool) {
        self.state.lock().retain(|room, waiting| waiting.held.posted.user.idx != user || !is_of(room));
    }

    /// Forgets the holds whose time is over.
    pub(crate) fn tidy(&self, now: Timestamp) {
        self.state.lock().retain(|_, waiting| waiting.held.until > now);
    }

    /// Whether no further message of the room can be held, where so many may wait. Each node that holds one at the same
    /// moment may exceed the bound by one.
    pub(crate) fn is_full(&self, room: PresenterIdx, most_in_room: usize, now: Timestamp) -> bool {
        let state = self.state.lock();
        let is_current = |(_, waiting): &(&(PresenterIdx, Position), &Waiting)| waiting.held.until > now;
        state.waiting.len() >= MOST || state.of_room(room, None).filter(is_current).count() >= most_in_room
    }

    /// The message, if it waits in the room.
    pub(crate) fn find(&self, room: PresenterIdx, message: EventId, now: Timestamp) -> Option<Waiting> {
        let state = self.state.lock();
        let place = state.places.get(&message).filter(|(of, _)| *of == room)?;
        state.waiting.get(place).filter(|waiting| waiting.held.until > now).cloned()
    }

    /// What was decided about the message of the room recently.
    pub(crate) fn outcome(&self, room: PresenterIdx, message: EventId) -> Option<Outcome> {
        self.state.lock().outcome(room, message)
    }

    /// The queue of the room: up to `first` messages, the oldest first, after that position.
    pub(crate) fn queue(
        &self,
        room: PresenterIdx,
        after: Option<Position>,
        first: usize,
        now: Timestamp,
    ) -> Vec<Waiting> {
        let state = self.state.lock();
        let of_room = state.of_room(room, after).map(|(_, waiting)| waiting);
        of_room.filter(|waiting| waiting.held.until > now).take(first).cloned().collect()
    }

    /// The positions of all holds: a node that starts must replay the log from before them.
    pub(crate) fn positions(&self) -> Vec<Position> {
        self.state.lock().waiting.keys().map(|(_, position)| *position).collect()
    }
}

impl State {
    fn hold(&mut self, room: PresenterIdx, position: Position, at: Timestamp, held: &MessageHeld) {
        // A second copy, or the other try of the post came first.
        if self.places.contains_key(&held.target) || self.outcome(room, held.target).is_some() {
            return;
        }
        self.places.insert(held.target, (room, position));
        self.waiting.insert((room, position), Waiting { position, at, held: held.clone() });
    }

    /// The first decision counts.
    fn decide(&mut self, room: PresenterIdx, message: EventId, outcome: Outcome) {
        if self.outcome(room, message).is_some() {
            return;
        }
        self.end(room, |waiting| waiting.held.target == message);
        if self.decided.len() == MOST_DECIDED {
            self.decided.pop_front();
        }
        self.decided.push_back((room, message, outcome));
    }

    fn end(&mut self, room: PresenterIdx, ends: impl Fn(&Waiting) -> bool) {
        let ended: Vec<(PresenterIdx, Position)> =
            self.of_room(room, None).filter(|(_, waiting)| ends(waiting)).map(|(place, _)| *place).collect();
        for place in ended {
            if let Some(waiting) = self.waiting.remove(&place) {
                self.places.remove(&waiting.held.target);
            }
        }
    }

    fn retain(&mut self, stays: impl Fn(PresenterIdx, &Waiting) -> bool) {
        let State { waiting, places, .. } = self;
        waiting.retain(|(room, _), waiting| {
            let stays = stays(*room, waiting);
            if !stays {
                places.remove(&waiting.held.target);
            }
            stays
        });
    }

    fn of_room(
        &self,
        room: PresenterIdx,
        after: Option<Position>,
    ) -> impl Iterator<Item = (&(PresenterIdx, Position), &Waiting)> {
        let start = after.unwrap_or(Position { epoch: 0, sequence: 0, index: 0 });
        let start = Bound::Excluded((room, start));
        self.waiting.range((start, Bound::Unbounded)).take_while(move |((of, _), _)| *of == room)
    }

    fn outcome(&self, room: PresenterIdx, message: EventId) -> Option<Outcome> {
        let decided = self.decided.iter().find(|(of, decided, _)| (*of, *decided) == (room, message));
        decided.map(|(_, _, outcome)| *outcome)
    }
}

#[cfg(test)]
mod tests;
