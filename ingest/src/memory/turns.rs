//! Turns of idempotency keys: a key names one event within a turn, and may name another in a later one.

use std::time::Duration;

use jiff::Timestamp;

/// A minute. What was accepted under a key must be remembered to the end of its turn, whatever the number of keys; and
/// when a turn ends, who comes with a new key waits for a moment.
const LONGEST_TURN: Duration = Duration::from_secs(60);

/// How long turns are: the same on every node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turns(i64);

/// So many seconds of the log's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    pub(crate) first_second: i64,
    seconds: i64,
}

impl Turns {
    /// A minute, or for as long as keys are remembered, if that is shorter.
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
