//! Accepted idempotency keys: for a limited time, the event of each key and a digest of the request. They are replayed
//! from the log, so a retry through any node gets the same answer. Only the log decides which copy of an event counts,
//! so all nodes agree. The keys are bounded in age and number.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use chat::{EventId, KeyId, Position, RequestDigest};
use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};

use crate::memory::turns::{Turn, Turns};

/// The keys under which requests were accepted.
#[derive(Debug)]
pub(crate) struct AcceptedKeys {
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

/// The event that was accepted under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Earlier {
    pub(crate) id: EventId,
    pub(crate) position: Position,
    pub(crate) digest: RequestDigest,
    /// Whether it is a message that was held. Then the id is the message's, and the position that of its hold.
    pub(crate) is_held: bool,
}

impl AcceptedKeys {
    /// Remembers `most` keys, each for `age`.
    pub(crate) fn new(age: Duration, most: usize) -> AcceptedKeys {
        AcceptedKeys { age, most, turns: Turns::new(age), state: Mutex::default() }
    }

    /// Applies an event of the log that was stored at that time. Returns whether it counts: of two events with the same
    /// id only the first does, unless it was forgotten before the second was stored.
    ///
    /// Time is the log's. A node that replays the past therefore forgets what was forgotten then, and a node whose own
    /// clock is wrong forgets nothing that other nodes know.
    pub(crate) fn insert(&self, key: KeyId, earlier: Earlier, at: Timestamp) -> bool {
        let mut state = self.state();
        let State { accepted, order } = &mut *state;
        let known = accepted.get(&key).filter(|(first, _)| !self.is_old(*first, at));
        if known.is_some_and(|(_, known)| known.id == earlier.id) {
            return false;
        }
        // Keys of this turn stay, whatever their number: under the same key the same id would be assigned again.
        let is_dispensable =
            |oldest: Timestamp, number: usize| number >= self.most && self.turns.at(oldest) < self.turns.at(at);
        while let Some((oldest, key)) = order.front()
            && (is_dispensable(*oldest, order.len()) || self.is_old(*oldest, at))
        {
            // Another event may have been accepted under the key since.
            if accepted.get(key).is_some_and(|(accepted, _)| accepted == oldest) {
                accepted.remove(key);
            }
            order.pop_front();
        }
        accepted.insert(key, (at, earlier));
        order.push_back((at, key));
        true
    }

    /// The event that was accepted under the key. It is remembered until an event is stored that is younger by `age`.
    pub(crate) fn get(&self, key: KeyId) -> Option<Earlier> {
        self.state().accepted.get(&key).map(|(_, earlier)| *earlier)
    }

    /// Whether there is no room for another key of that turn.
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

    /// An event with the id that its key and turn give it.
    fn earlier(key: KeyId, sequence: u64, at: Timestamp) -> Earlier {
        let position = Position { epoch: 1, sequence, index: 0 };
        let second = EventId::of_turn(key, at.as_second() / 60);
        Earlier { id: second, position, digest: RequestDigest::of("key", "text"), is_held: false }
    }

    fn key(key: &str) -> KeyId {
        KeyId::of(None, 7.try_into().unwrap(), key)
    }

    fn accepted_keys(most: usize) -> AcceptedKeys {
        AcceptedKeys::new(Duration::from_secs(600), most)
    }

    fn seconds(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    /// Stores an event under the key, and returns whether it counts.
    fn counts(keys: &AcceptedKeys, name: &str, sequence: u64, at: i64) -> bool {
        keys.insert(key(name), earlier(key(name), sequence, seconds(at)), seconds(at))
    }

    fn sequence(keys: &AcceptedKeys, name: &str) -> Option<u64> {
        keys.get(key(name)).map(|earlier| earlier.position.sequence)
    }

    #[test]
    fn of_one_event_the_first_copy_counts_and_the_oldest_keys_are_forgotten() {
        let keys = accepted_keys(3);
        assert!(counts(&keys, "0", 1, 0));
        assert!(!counts(&keys, "0", 2, 0));
        assert_eq!(sequence(&keys, "0"), Some(1));
        for name in ["1", "2", "3"] {
            assert!(counts(&keys, name, 3, 60));
        }
        assert_eq!(sequence(&keys, "0"), None);
        assert_eq!(sequence(&keys, "3"), Some(3));
        assert!(counts(&keys, "0", 4, 60), "what was forgotten counts again");
        assert_eq!(sequence(&keys, "0"), Some(4));
    }

    #[test]
    fn keys_of_the_current_turn_are_never_forgotten() {
        let keys = accepted_keys(3);
        let turn = |at| Turns::new(Duration::from_secs(600)).at(seconds(at));
        assert!(counts(&keys, "of the last turn", 1, 59));
        for name in ["0", "1"] {
            assert!(!keys.is_full(turn(60)));
            assert!(counts(&keys, name, 2, 60));
        }
        assert!(!keys.is_full(turn(60)), "the one of the last turn makes room");
        // Other nodes accept keys at the same moment, beyond the bound.
        for name in ["2", "3", "4"] {
            assert!(counts(&keys, name, 2, 119));
        }
        assert!(keys.is_full(turn(119)));
        assert!(["0", "1", "2", "3", "4"].iter().all(|name| sequence(&keys, name) == Some(2)));
        assert!(!keys.is_full(turn(120)));
        assert!(counts(&keys, "of the next turn", 3, 120));
        assert_eq!(keys.state().accepted.len(), 3);
    }

    #[test]
    fn old_keys_are_forgotten_when_others_come() {
        let keys = accepted_keys(100);
        assert!(counts(&keys, "old", 1, 0));
        assert!(counts(&keys, "other", 1, 600));
        assert_eq!(sequence(&keys, "old"), Some(1));
        assert!(counts(&keys, "new", 2, 601));
        assert_eq!(sequence(&keys, "old"), None);
        assert_eq!(keys.state().accepted.len(), 2);
        assert!(counts(&keys, "old", 3, 602));
        assert!(!counts(&keys, "old", 4, 602));
        assert_eq!(sequence(&keys, "old"), Some(3));
    }

    #[test]
    fn an_old_key_counts_as_new_only_if_it_is_stored_again() {
        let keys = accepted_keys(100);
        assert!(counts(&keys, "key", 1, 0));
        assert_eq!(sequence(&keys, "key"), Some(1));
        assert!(counts(&keys, "key", 2, 601));
        assert_eq!(sequence(&keys, "key"), Some(2));
    }

    #[test]
    fn two_events_under_one_key_both_count_as_every_reader_shows_both() {
        let keys = accepted_keys(100);
        assert!(counts(&keys, "key", 1, 0));
        // Stored by a node that had forgotten the key.
        assert!(counts(&keys, "key", 2, 60));
        assert_eq!(sequence(&keys, "key"), Some(2));
    }
}
