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

    /// Takes in an event of the log that was appended at that time. Answers whether it counts: of two with the same id
    /// only the first does, unless it was forgotten before the second was appended.
    pub(crate) fn insert(&self, id: EventId, earlier: Earlier, at: Timestamp, now: Timestamp) -> bool {
        // Time is the log's, so that who reads of the past forgets what was forgotten then. Only a clock that is ahead
        // does not count.
        let at = at.min(now);
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

    /// What was accepted under the key of that id.
    pub(crate) fn get(&self, id: EventId, now: Timestamp) -> Option<Earlier> {
        let state = self.state.lock().expect("nothing panics while it holds the lock");
        state.accepted.get(&id).filter(|(at, _)| !self.is_old(*at, now)).map(|(_, earlier)| *earlier)
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
        assert!(keyed.insert(ids[0], earlier(1), now, now));
        assert!(!keyed.insert(ids[0], earlier(2), now, now));
        assert_eq!(keyed.get(ids[0], now), Some(earlier(1)));
        for id in &ids[1..] {
            assert!(keyed.insert(*id, earlier(3), now, now));
        }
        assert_eq!(keyed.get(ids[0], now), None);
        assert_eq!(keyed.get(ids[3], now), Some(earlier(3)));
        assert!(keyed.insert(ids[0], earlier(4), now, now), "what was forgotten counts again");
        assert_eq!(keyed.get(ids[0], now), Some(earlier(4)));
    }

    #[test]
    fn what_is_old_is_forgotten_whether_or_not_others_come() {
        let keyed = keyed(100);
        let (old, new) = (EventId::new(), EventId::new());
        assert!(keyed.insert(old, earlier(1), seconds(0), seconds(0)));
        assert_eq!(keyed.get(old, seconds(600)), Some(earlier(1)));
        assert_eq!(keyed.get(old, seconds(601)), None);
        assert!(keyed.insert(new, earlier(2), seconds(601), seconds(601)));
        assert_eq!(keyed.state.lock().unwrap().accepted.len(), 1);
        assert!(keyed.insert(old, earlier(3), seconds(602), seconds(602)));
        assert!(!keyed.insert(old, earlier(4), seconds(1_202), seconds(1_202)));
        assert_eq!(keyed.get(old, seconds(1_202)), Some(earlier(3)));
    }

    #[test]
    fn who_reads_of_the_past_decides_as_who_was_there() {
        let (there, later) = (keyed(100), keyed(100));
        let id = EventId::new();
        for at in [0, 599, 601, 1_000, 1_300] {
            let counts = there.insert(id, earlier(1), seconds(at), seconds(at));
            assert_eq!(later.insert(id, earlier(1), seconds(at), seconds(5_000)), counts, "at {at}");
        }
    }

    #[test]
    fn a_clock_that_is_ahead_makes_nobody_forget() {
        let keyed = keyed(100);
        let (id, ahead) = (EventId::new(), EventId::new());
        assert!(keyed.insert(id, earlier(1), seconds(0), seconds(0)));
        assert!(keyed.insert(ahead, earlier(2), seconds(100_000), seconds(1)));
        assert_eq!(keyed.get(id, seconds(1)), Some(earlier(1)));
        assert_eq!(keyed.get(ahead, seconds(602)), None);
    }
}
