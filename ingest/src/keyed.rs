//! What was accepted under idempotency keys: for a while, the position that each has in the log and what was asked for.
//! It is folded from the log, so a retry through whichever node gets the same answer. Bounded in time and number.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use nats::{EventId, Position, RequestDigest};

/// What was accepted under keys.
#[derive(Debug)]
pub(crate) struct Keyed {
    age: Duration,
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    accepted: HashMap<EventId, Earlier>,
    order: VecDeque<(Timestamp, EventId)>,
}

/// What was accepted under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Earlier {
    pub(crate) position: Position,
    pub(crate) request: RequestDigest,
}

impl Keyed {
    /// `most` at a time, each for `age`.
    pub(crate) fn new(age: Duration, most: usize) -> Keyed {
        Keyed { age, most, state: Mutex::default() }
    }

    /// Takes in an event of the log that was appended then. Of two with the same id the first counts.
    pub(crate) fn insert(&self, id: EventId, earlier: Earlier, at: Timestamp, now: Timestamp) {
        let mut state = self.state.lock().expect("nothing panics while it holds the lock");
        let State { accepted, order } = &mut *state;
        while let Some((oldest, id)) = order.front()
            && (order.len() >= self.most || now.duration_since(*oldest).unsigned_abs() > self.age)
        {
            accepted.remove(id);
            order.pop_front();
        }
        if let std::collections::hash_map::Entry::Vacant(vacant) = accepted.entry(id) {
            vacant.insert(earlier);
            order.push_back((at, id));
        }
    }

    /// What was accepted under the key of that id.
    pub(crate) fn get(&self, id: EventId) -> Option<Earlier> {
        self.state.lock().expect("nothing panics while it holds the lock").accepted.get(&id).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn earlier(sequence: u64) -> Earlier {
        let position = Position { epoch: 1, sequence, index: 0 };
        Earlier { position, request: RequestDigest::of("key", "text") }
    }

    #[test]
    fn the_first_of_two_counts_and_the_oldest_are_forgotten() {
        let keyed = Keyed::new(Duration::from_secs(600), 3);
        let ids: Vec<EventId> = (0..4).map(|_| EventId::new()).collect();
        let now = nats::now();
        keyed.insert(ids[0], earlier(1), now, now);
        keyed.insert(ids[0], earlier(2), now, now);
        assert_eq!(keyed.get(ids[0]), Some(earlier(1)));
        for id in &ids[1..] {
            keyed.insert(*id, earlier(3), now, now);
        }
        assert_eq!(keyed.get(ids[0]), None);
        assert_eq!(keyed.get(ids[3]), Some(earlier(3)));
    }

    #[test]
    fn what_is_old_is_forgotten_with_the_next() {
        let keyed = Keyed::new(Duration::from_secs(600), 100);
        let (old, new, now) = (EventId::new(), EventId::new(), nats::now());
        let then = now - Duration::from_secs(601);
        keyed.insert(old, earlier(1), then, then);
        keyed.insert(new, earlier(2), now, now);
        assert_eq!((keyed.get(old), keyed.get(new)), (None, Some(earlier(2))));
    }
}
