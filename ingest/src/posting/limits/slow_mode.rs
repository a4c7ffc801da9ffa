//! Slow mode: a pause between two messages of a viewer. While one message is being appended the viewer's others are
//! refused, however many arrive at once.

use std::time::{Duration, Instant};

use chat::{EventId, PresenterIdx, UserIdx};
use moka::Entry;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::limited::{Limited, whole_seconds};

/// 200,000 viewers of rooms in slow mode: about 70 MB. Beyond that, the viewer that has been silent longest is
/// forgotten.
const MOST_VIEWERS: u64 = 200_000;

/// An hour: the longest pause that a room can set.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

#[derive(Debug)]
pub(super) struct SlowMode {
    last_messages: LastMessages,
}

type LastMessages = Cache<(PresenterIdx, UserIdx), LastMessage>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastMessage {
    /// It is being appended.
    Writing(EventId),
    /// It was stored at that time.
    Wrote(EventId, Instant),
}

/// A viewer's message in progress. Dropped before [`Writing::done`], it leaves no trace.
#[derive(Debug)]
pub(super) struct Writing {
    last_messages: LastMessages,
    viewer: (PresenterIdx, UserIdx),
    id: EventId,
}

impl SlowMode {
    pub(super) fn new() -> SlowMode {
        let last_messages = Cache::builder()
            .max_capacity(MOST_VIEWERS)
            // LRU, as for the rates: by frequency, a full cache would reject new viewers.
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(LONGEST_PAUSE)
            .build();
        SlowMode { last_messages }
    }

    /// Begins a message, if the pause since the last one is over. None: the last one is this message, so this is a
    /// retry.
    pub(super) fn begin(
        &self,
        id: EventId,
        presenter: PresenterIdx,
        user: UserIdx,
        pause: Duration,
        now: Instant,
    ) -> Result<Option<Writing>, Limited> {
        let viewer = (presenter, user);
        let mut begun = Ok(None);
        self.last_messages.entry(viewer).and_compute_with(|last_message| {
            let left = match last_message.map(Entry::into_value) {
                Some(LastMessage::Writing(last) | LastMessage::Wrote(last, _)) if last == id => return Op::Nop,
                Some(LastMessage::Writing(_)) => pause,
                Some(LastMessage::Wrote(_, at)) => pause.saturating_sub(now.saturating_duration_since(at)),
                None => Duration::ZERO,
            };
            if !left.is_zero() {
                begun = Err(Limited::SlowMode { retry_after: whole_seconds(left) });
                return Op::Nop;
            }
            begun = Ok(Some(Writing { last_messages: self.last_messages.clone(), viewer, id }));
            Op::Put(LastMessage::Writing(id))
        });
        begun
    }

    /// Records a message of the log that the viewer posted `age` ago.
    pub(super) fn wrote(&self, id: EventId, presenter: PresenterIdx, user: UserIdx, age: Duration) {
        // None: the clock does not reach back that far, which is longer than any pause.
        let Some(at) = Instant::now().checked_sub(age) else { return };
        self.last_messages.entry((presenter, user)).and_compute_with(|last_message| {
            match last_message.map(Entry::into_value) {
                Some(LastMessage::Wrote(_, later)) if later >= at => Op::Nop,
                _ => Op::Put(LastMessage::Wrote(id, at)),
            }
        });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.last_messages.iter().count()
    }
}

impl Writing {
    /// The message is in the log.
    pub(super) fn done(self) {
        self.last_messages.insert(self.viewer, LastMessage::Wrote(self.id, Instant::now()));
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.last_messages.entry(self.viewer).and_compute_with(|last_message| {
            match last_message.map(Entry::into_value) {
                Some(LastMessage::Writing(id)) if id == self.id => Op::Remove,
                // The message was stored, or another of the viewer's was.
                _ => Op::Nop,
            }
        });
    }
}
