//! Turns: the time slices within which an idempotency key stands for one event. In a later turn the same key may stand
//! for another event.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

/// A minute. A key must be remembered to the end of its turn, whatever the number of keys, so turns cannot be long.
/// They cannot be very short either: at the start of each, requests with a new key wait for a moment.
const LONGEST_TURN: Duration = Duration::from_secs(60);

/// The length of turns, in seconds. It is the same on every node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turns(i64);

/// One turn, in seconds of the log's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    pub(crate) first_second: i64,
    seconds: i64,
}

/// For each partition, the latest settled turn: everything that was stored before it has been replayed.
#[derive(Debug, Default)]
pub(crate) struct SettledTurns(Mutex<HashMap<u32, Turn>>);

impl Turns {
    /// Turns of a minute, or of `keys_for` if that is shorter.
    pub(crate) fn new(keys_for: Duration) -> Turns {
        Turns(keys_for.clamp(Duration::from_secs(1), LONGEST_TURN).as_secs().cast_signed())
    }

    pub(crate) fn at(self, time: Timestamp) -> Turn {
        let Turns(seconds) = self;
        let second = time.as_nanosecond().div_euclid(1_000_000_000) as i64;
        Turn { first_second: second.div_euclid(seconds) * seconds, seconds }
    }
}

impl Turn {
    pub(crate) fn start(self) -> Timestamp {
        Timestamp::from_second(self.first_second).unwrap_or(Timestamp::MAX)
    }

    pub(crate) fn end(self) -> Timestamp {
        Timestamp::from_second(self.first_second + self.seconds).unwrap_or(Timestamp::MAX)
    }
}

impl SettledTurns {
    pub(crate) fn has(&self, partition: u32, turn: Turn) -> bool {
        let settled = self.0.lock();
        settled.get(&partition).is_some_and(|settled| *settled >= turn)
    }

    pub(crate) fn insert(&self, partition: u32, turn: Turn) {
        self.0.lock().insert(partition, turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_a_minute_of_the_logs_clock_or_less() {
        let time = |time: &str| -> Timestamp { time.parse().unwrap() };
        for (keys_for, start, end) in [
            (600, "2026-03-01T15:04:00Z", "2026-03-01T15:05:00Z"),
            (6, "2026-03-01T15:04:54Z", "2026-03-01T15:05:00Z"),
            (0, "2026-03-01T15:04:59Z", "2026-03-01T15:05:00Z"),
        ] {
            let turns = Turns::new(Duration::from_secs(keys_for));
            let turn = turns.at(time("2026-03-01T15:04:59.999999999Z"));
            assert_eq!((turn.start(), turn.end()), (time(start), time(end)));
            assert_eq!(turn, turns.at(turn.start()));
            assert!(turn < turns.at(turn.end()));
        }
    }
}
