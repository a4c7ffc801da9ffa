//! The clocks of the log's servers, which stamp everything in the log. A node's own clock may be an hour wrong.
//!
//! Each partition has a leader, and the leader sends its time with every answer about the stream. Between two readings
//! a clock advances with [`Moment`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::jetstream;
use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use runtime::Moment;
use serde::Deserialize;
use serde_json::Map;

use crate::epoch::timeline::{TIMELINE, Timeline};
use crate::error::Error;
use crate::jetstream::request_within;
use crate::partition;

/// A server's clock may be set at any moment. A reading younger than this counts as the present time.
const FRESH: Duration = Duration::from_millis(1_500);

/// The deadline of a reading. A leader that does not answer in time is in trouble, and the caller asks again.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);

/// The clock of one partition's leader.
#[derive(Debug)]
pub(crate) struct Clock {
    partition: u32,
    reading: Mutex<Option<Reading>>,
    /// The last reading that was dropped. It is better than this machine's own clock.
    before: Mutex<Option<Reading>>,
    /// Whether anyone used the clock since the last call of [`Clock::is_wanted`].
    wanted: AtomicBool,
}

/// A leader's answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    /// The leader's time at some moment between `asked` and `answered`.
    pub(crate) time: Timestamp,
    asked: Moment,
    answered: Moment,
    /// The last sequence of the stream at that time.
    pub(crate) last_sequence: u64,
    /// The epoch of new appends at that time.
    pub(crate) epoch: u64,
    /// The number of the connection on which the leader was asked.
    connection: u64,
}

/// The members of a server's answer about a stream that matter here: its time, how far the stream reaches, and its
/// timeline. The client ignores the time.
#[derive(Debug, Deserialize)]
struct Said {
    ts: Timestamp,
    created: Timestamp,
    state: LastSequence,
    config: StreamConfig,
}

#[derive(Debug, Deserialize)]
struct StreamConfig {
    #[serde(default)]
    metadata: HashMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct LastSequence {
    last_seq: u64,
}

impl Reading {
    /// The leader's clock shows at least this now.
    pub(crate) fn earliest(&self) -> Timestamp {
        after(self.time, self.answered.elapsed())
    }

    /// The leader's clock shows at most this now, unless it was set since.
    pub(crate) fn latest(&self) -> Timestamp {
        after(self.time, self.asked.elapsed())
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.asked.elapsed() < FRESH
    }
}

impl Clock {
    pub(crate) fn new(partition: u32) -> Clock {
        Clock { partition, reading: Mutex::new(None), before: Mutex::new(None), wanted: AtomicBool::new(false) }
    }

    /// Asks the leader.
    pub(crate) async fn read(&self, jetstream: &jetstream::Context) -> Result<Reading, Error> {
        let subject = format!("STREAM.INFO.{}", partition::stream(self.partition));
        let nothing = Map::new();
        let (asked, connection) = (Moment::now(), connection(jetstream));
        let asking = jetstream.request(subject, &nothing);
        let Said { ts, created, state, config } =
            request_within(ANSWERED_WITHIN, "asking for the time", asking).await?;
        let created = u64::try_from(created.as_nanosecond()).unwrap_or(0);
        let epoch = Timeline::recorded(created, config.metadata.get(TIMELINE)).epoch();
        let (answered, last_sequence) = (Moment::now(), state.last_seq);
        let reading = Reading { time: ts, asked, answered, last_sequence, epoch, connection };
        *self.last_reading() = Some(reading);
        Ok(reading)
    }

    /// The last reading, if there is one.
    pub(crate) fn last(&self) -> Option<Reading> {
        self.wanted.store(true, Ordering::Relaxed);
        *self.last_reading()
    }

    /// The last reading if it was made on the present connection, otherwise a new one. The log may have lost its end
    /// between two connections.
    pub(crate) async fn read_here(&self, jetstream: &jetstream::Context) -> Result<Reading, Error> {
        match self.last() {
            Some(reading) if reading.connection == connection(jetstream) => Ok(reading),
            _ => self.read(jetstream).await,
        }
    }

    /// As [`Clock::read_here`], if that reading is fresh. Otherwise a new one.
    pub(crate) async fn fresh(&self, jetstream: &jetstream::Context) -> Result<Reading, Error> {
        match self.read_here(jetstream).await {
            Ok(reading) if !reading.is_fresh() => self.read(jetstream).await,
            reading => reading,
        }
    }

    /// The time by the last reading, even a dropped one; by this machine's own clock if there was none.
    pub(crate) fn now(&self) -> Timestamp {
        let before = || *self.before.lock();
        self.last().or_else(before).map_or_else(Timestamp::now, |reading| reading.earliest())
    }

    /// A message was stored at that time, so the leader's clock shows at least that. If the last reading implies less,
    /// the clock was set, and only the next reading tells how far.
    pub(crate) fn observe(&self, stored: Timestamp) {
        let mut last = self.last_reading();
        if last.as_ref().is_some_and(|reading| stored > reading.latest()) {
            let (asked, answered) = (Moment::BOOT, Moment::now());
            // An ancient `asked` makes the reading a lower bound only.
            *last = last.map(|reading| Reading { time: stored, asked, answered, ..reading });
        }
    }

    /// Drops the last reading, so that the next user reads the clock again.
    pub(crate) fn forget(&self) {
        if let Some(reading) = self.last_reading().take() {
            *self.before.lock() = Some(reading);
        }
    }

    /// Whether anyone used the clock since the last call.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.swap(false, Ordering::Relaxed)
    }

    fn last_reading(&self) -> MutexGuard<'_, Option<Reading>> {
        self.reading.lock()
    }
}

/// The number of the client's present connection, or of its last one.
fn connection(jetstream: &jetstream::Context) -> u64 {
    jetstream.client().statistics().connects.load(Ordering::Relaxed)
}

fn after(time: Timestamp, elapsed: Duration) -> Timestamp {
    SignedDuration::try_from(elapsed).ok().and_then(|elapsed| time.checked_add(elapsed).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(time: Timestamp, asked_before: Duration) -> Clock {
        let (clock, answered) = (Clock::new(0), Moment::now());
        let asked = answered.before(asked_before);
        *clock.last_reading() = Some(Reading { time, asked, answered, last_sequence: 7, epoch: 1, connection: 1 });
        clock
    }

    #[test]
    fn a_slow_answer_leaves_the_time_open_by_as_much() {
        let time: Timestamp = "2026-03-01T15:00:00Z".parse().unwrap();
        let reading = clock(time, Duration::from_secs(1)).last().unwrap();
        let (earliest, latest) = (reading.earliest(), reading.latest());
        assert!(earliest >= time && latest >= time + SignedDuration::from_secs(1), "{earliest} {latest}");
        assert!(reading.is_fresh());
        assert!(!clock(time, FRESH).last().unwrap().is_fresh());
    }

    #[test]
    fn a_record_of_later_than_the_clock_moves_it_forward_and_makes_it_be_read_again() {
        let time: Timestamp = "2026-03-01T15:00:00Z".parse().unwrap();
        let clock = clock(time, Duration::from_millis(1));
        clock.observe(time);
        assert!(clock.last().unwrap().is_fresh(), "that tells nothing new");
        let hour_later = time + SignedDuration::from_hours(1);
        clock.observe(hour_later);
        assert!(clock.now() >= hour_later);
        let reading = clock.last().unwrap();
        assert!(!reading.is_fresh());
        assert_eq!(reading.last_sequence, 7);
    }

    #[test]
    fn a_clock_that_is_to_be_read_again_goes_on_from_what_it_showed() {
        let time: Timestamp = "2040-03-01T15:00:00Z".parse().unwrap();
        assert!(Clock::new(0).now() < time, "this machine's own, as long as there is no other");
        let clock = clock(time, Duration::from_millis(1));
        assert!(clock.now() >= time);
        clock.forget();
        assert!(clock.last().is_none());
        assert!(clock.now() >= time, "nobody falls back to this machine's own");
        // Without a reading there is nothing to drop, and the earlier one stays.
        clock.forget();
        assert!(clock.now() >= time);
    }

    #[test]
    fn a_clock_is_wanted_from_when_somebody_goes_by_it_until_that_is_noticed() {
        let clock = Clock::new(0);
        assert!(!clock.is_wanted());
        clock.now();
        assert!(clock.is_wanted());
        assert!(!clock.is_wanted());
    }

    #[test]
    fn an_observation_older_than_the_clock_does_not_set_it_back() {
        let time: Timestamp = "2026-03-01T15:00:00Z".parse().unwrap();
        let clock = clock(time, Duration::from_millis(1));
        clock.observe(time - SignedDuration::from_hours(1));
        assert!(clock.last().unwrap().is_fresh());
        assert!(clock.now() >= time);
        assert!(Clock::new(0).last().is_none(), "of a clock that was never read nothing is observed");
        assert_eq!(after(Timestamp::MAX, Duration::from_secs(1)), Timestamp::MAX);
        assert_eq!(after(time, Duration::from_secs(90)), time + SignedDuration::from_secs(90));
    }
}
