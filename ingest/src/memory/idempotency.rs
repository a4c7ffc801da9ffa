//! What was accepted under idempotency keys: for a while, the event that each names and what was asked for. It is folded
//! from the log, so a retry through whichever node gets the same answer; and which copy of an event counts is decided by
//! what stands in the log alone, so that all nodes agree. Bounded in time and number.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use chat::{EventId, KeyId, Position, RequestDigest};
use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};

use crate::memory::turns::{Turn, Turns};

/// What was accepted under keys.
#[derive(Debug)]
pub(crate) struct Keyed {
    age: Duration,
    most: usize,
    turns: Turns,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    accepted: HashMap<KeyId, (Timestamp, Earlier)>,
    order: VecDeque<(Timestamp, KeyId)>,
}

/// What was accepted under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Earlier {
    pub(crate) id: EventId,
    pub(crate) position: Position,
    pub(crate) digest: RequestDigest,
}

impl Keyed {
    /// `most` at a time, each for `age`.
    pub(crate) fn new(age: Duration, most: usize) -> Keyed {
        Keyed { age, most, turns: Turns::new(age), state: Mutex::default() }
    }

    /// Takes in an event of the log that was stored at that time. Answers whether it counts: of two with the same id
    /// only the first does, unless it was forgotten before the second was stored.
    ///
    /// Time is the log's, so that who reads of the past forgets what was forgotten then, and no clock of a node that is
    /// wrong makes it forget what others know.
    pub(crate) fn insert(&self, key: KeyId, earlier: Earlier, at: Timestamp) -> bool {
        let mut state = self.state();
        let State { accepted, order } = &mut *state;
        let known = accepted.get(&key).filter(|(first, _)| !self.is_old(*first, at));
        if known.is_some_and(|(_, known)| known.id == earlier.id) {
            return false;
        }
        // What is of this turn is kept, whatever the number: under its key the same id would come again.
        let is_dispensable =
            |oldest: Timestamp, number: usize| number >= self.most && self.turns.at(oldest) < self.turns.at(at);
        while let Some((oldest, key)) = order.front()
            && (is_dispensable(*oldest, order.len()) || self.is_old(*oldest, at))
        {
            // Another may have been accepted under it since.
            if accepted.get(key).is_some_and(|(accepted, _)| accepted == oldest) {
                accepted.remove(key);
            }
            order.pop_front();
        }
        accepted.insert(key, (at, earlier));
        order.push_back((at, key));
        true
    }

    /// What was accepted under the key. It is remembered until something is stored that is so much younger.
    pub(crate) fn get(&self, key: KeyId) -> Option<Earlier> {
        self.state().accepted.get(&key).map(|(_, earlier)| *earlier)
    }

    /// Whether there is no room for one more key of that turn.
    pub(crate) fn is_full(&self, turn: Turn) -> bool {
        let state = self.state();
        state.order.len() >= self.most && state.order.front().is_some_and(|(oldest, _)| self.turns.at(*oldest) >= turn)
    }

    fn is_old(&self, at: Timestamp, now: Timestamp) -> bool {
        now.duration_since(at) > self.age.try_into().unwrap_or(SignedDuration::MAX)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As an event is named in its turn.
    fn earlier(key: KeyId, sequence: u64, at: Timestamp) -> Earlier {
        let position = Position { epoch: 1, sequence, index: 0 };
        let second = EventId::of_turn(key, at.as_second() / 60);
        Earlier { id: second, position, digest: RequestDigest::of("key", "text") }
    }

    fn key(key: &str) -> KeyId {
        KeyId::of(None, 7.try_into().unwrap(), key)
    }

    fn keyed(most: usize) -> Keyed {
        Keyed::new(Duration::from_secs(600), most)
    }

    fn seconds(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    /// Whether what is stored under the key then counts.
    fn counts(keyed: &Keyed, name: &str, sequence: u64, at: i64) -> bool {
        keyed.insert(key(name), earlier(key(name), sequence, seconds(at)), seconds(at))
    }

    fn sequence(keyed: &Keyed, name: &str) -> Option<u64> {
        keyed.get(key(name)).map(|earlier| earlier.position.sequence)
    }

    #[test]
    fn of_one_event_the_first_copy_counts_and_the_oldest_keys_are_forgotten() {
        let keyed = keyed(3);
        assert!(counts(&keyed, "0", 1, 0));
        assert!(!counts(&keyed, "0", 2, 0));
        assert_eq!(sequence(&keyed, "0"), Some(1));
        for name in ["1", "2", "3"] {
            assert!(counts(&keyed, name, 3, 60));
        }
        assert_eq!(sequence(&keyed, "0"), None);
        assert_eq!(sequence(&keyed, "3"), Some(3));
        assert!(counts(&keyed, "0", 4, 60), "what was forgotten counts again");
        assert_eq!(sequence(&keyed, "0"), Some(4));
    }

    #[test]
    fn what_is_of_this_turn_is_never_forgotten() {
        let keyed = keyed(3);
        let turn = |at| Turns::new(Duration::from_secs(600)).at(seconds(at));
        assert!(counts(&keyed, "of the last turn", 1, 59));
        for name in ["0", "1"] {
            assert!(!keyed.is_full(turn(60)));
            assert!(counts(&keyed, name, 2, 60));
        }
        assert!(!keyed.is_full(turn(60)), "the one of the last turn makes room");
        // Other nodes accept at the same moment.
        for name in ["2", "3", "4"] {
            assert!(counts(&keyed, name, 2, 119));
        }
        assert!(keyed.is_full(turn(119)));
        assert!(["0", "1", "2", "3", "4"].iter().all(|name| sequence(&keyed, name) == Some(2)));
        assert!(!keyed.is_full(turn(120)));
        assert!(counts(&keyed, "of the next turn", 3, 120));
        assert_eq!(keyed.state().accepted.len(), 3);
    }

    #[test]
    fn what_is_old_is_forgotten_when_others_come() {
        let keyed = keyed(100);
        assert!(counts(&keyed, "old", 1, 0));
        assert!(counts(&keyed, "other", 1, 600));
        assert_eq!(sequence(&keyed, "old"), Some(1));
        assert!(counts(&keyed, "new", 2, 601));
        assert_eq!(sequence(&keyed, "old"), None);
        assert_eq!(keyed.state().accepted.len(), 2);
        assert!(counts(&keyed, "old", 3, 602));
        assert!(!counts(&keyed, "old", 4, 602));
        assert_eq!(sequence(&keyed, "old"), Some(3));
    }

    #[test]
    fn who_is_asked_again_after_a_long_silence_counts_as_new_only_if_it_is_stored_again() {
        let keyed = keyed(100);
        assert!(counts(&keyed, "key", 1, 0));
        assert_eq!(sequence(&keyed, "key"), Some(1));
        assert!(counts(&keyed, "key", 2, 601));
        assert_eq!(sequence(&keyed, "key"), Some(2));
    }

    #[test]
    fn two_events_under_one_key_both_count_as_every_reader_shows_both() {
        let keyed = keyed(100);
        assert!(counts(&keyed, "key", 1, 0));
        // A node that had forgotten the key.
        assert!(counts(&keyed, "key", 2, 60));
        assert_eq!(sequence(&keyed, "key"), Some(2));
    }
}
