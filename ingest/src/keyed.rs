//! What was accepted under idempotency keys: for a while, the position that each has in the log and what was asked for.
//! It is folded from the log, so a retry through whichever node gets the same answer; and which copy of an event counts
//! is decided by what stands in the log alone, so that all nodes agree. Bounded in time and number.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
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
    accepted: HashMap<EventId, (Timestamp, Earlier)>,
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

    /// Takes in an event of the log that was stored at that time. Answers whether it counts: of two with the same id
    /// only the first does, unless it was forgotten before the second was stored.
    ///
    /// Time is the log's, so that who reads of the past forgets what was forgotten then, and no clock of a node that is
    /// wrong makes it forget what others know.
    pub(crate) fn insert(&self, id: EventId, earlier: Earlier, at: Timestamp) -> bool {
        let mut state = self.state.lock().expect("nothing panics while it holds the lock");
        let State { accepted, order } = &mut *state;
        if accepted.get(&id).is_some_and(|(first, _)| !self.is_old(*first, at)) {
            return false;
        }
        while let Some((oldest, id)) = order.front()
            && (order.len() >= self.most || self.is_old(*oldest, at))
        {
            // It may have been accepted once more since.
            if accepted.get(id).is_some_and(|(accepted, _)| accepted == oldest) {
                accepted.remove(id);
            }
            order.pop_front();
        }
        accepted.insert(id, (at, earlier));
        order.push_back((at, id));
        true
    }

    /// What was accepted under the key of that id. It is remembered until something is stored that is so much younger.
    pub(crate) fn get(&self, id: EventId) -> Option<Earlier> {
        let state = self.state.lock().expect("nothing panics while it holds the lock");
        state.accepted.get(&id).map(|(_, earlier)| *earlier)
    }

    fn is_old(&self, at: Timestamp, now: Timestamp) -> bool {
        now.duration_since(at) > self.age.try_into().unwrap_or(SignedDuration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn earlier(sequence: u64) -> Earlier {
        let position = Position { epoch: 1, sequence, index: 0 };
        Earlier { position, request: RequestDigest::of("key", "text") }
    }

    fn keyed(most: usize) -> Keyed {
        Keyed::new(Duration::from_secs(600), most)
    }

    fn seconds(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn the_first_of_two_counts_and_the_oldest_are_forgotten() {
        let keyed = keyed(3);
        let ids: Vec<EventId> = (0..4).map(|_| EventId::new()).collect();
        let now = seconds(0);
        assert!(keyed.insert(ids[0], earlier(1), now));
        assert!(!keyed.insert(ids[0], earlier(2), now));
        assert_eq!(keyed.get(ids[0]), Some(earlier(1)));
        for id in &ids[1..] {
            assert!(keyed.insert(*id, earlier(3), now));
        }
        assert_eq!(keyed.get(ids[0]), None);
        assert_eq!(keyed.get(ids[3]), Some(earlier(3)));
        assert!(keyed.insert(ids[0], earlier(4), now), "what was forgotten counts again");
        assert_eq!(keyed.get(ids[0]), Some(earlier(4)));
    }

    #[test]
    fn what_is_old_is_forgotten_when_others_come() {
        let keyed = keyed(100);
        let (old, new) = (EventId::new(), EventId::new());
        assert!(keyed.insert(old, earlier(1), seconds(0)));
        assert!(keyed.insert(EventId::new(), earlier(1), seconds(600)));
        assert_eq!(keyed.get(old), Some(earlier(1)));
        assert!(keyed.insert(new, earlier(2), seconds(601)));
        assert_eq!(keyed.get(old), None);
        assert_eq!(keyed.state.lock().unwrap().accepted.len(), 2);
        assert!(keyed.insert(old, earlier(3), seconds(602)));
        assert!(!keyed.insert(old, earlier(4), seconds(1_202)));
        assert_eq!(keyed.get(old), Some(earlier(3)));
    }

    #[test]
    fn who_is_asked_again_after_a_long_silence_counts_as_new_only_if_it_is_stored_again() {
        let keyed = keyed(100);
        let id = EventId::new();
        assert!(keyed.insert(id, earlier(1), seconds(0)));
        assert_eq!(keyed.get(id), Some(earlier(1)));
        assert!(keyed.insert(id, earlier(2), seconds(601)));
        assert_eq!(keyed.get(id), Some(earlier(2)));
    }
}
