//! A pause between two messages of a viewer. While one is on its way into the log there is no second, however many come
//! at once.

use std::time::{Duration, Instant};

use chat::{EventId, PresenterIdx, UserIdx};
use moka::Entry;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::{Limited, whole_seconds};

/// 200,000 viewers of rooms in slow mode: some 70 MB. Beyond, who has not written for longest may write at once.
const MOST_VIEWERS: u64 = 200_000;

/// An hour: the longest pause that a room can set.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

#[derive(Debug)]
pub(super) struct SlowMode {
    turns: Turns,
}

type Turns = Cache<(PresenterIdx, UserIdx), Turn>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// A message is on its way into the log.
    Writing(EventId),
    /// The last one came into the log then.
    Wrote(EventId, Instant),
}

/// A viewer's turn. Dropped before it is done, it is as if it had never begun.
#[derive(Debug)]
pub(super) struct Writing {
    turns: Turns,
    viewer: (PresenterIdx, UserIdx),
    id: EventId,
}

impl SlowMode {
    pub(super) fn new() -> SlowMode {
        let turns = Cache::builder()
            .max_capacity(MOST_VIEWERS)
            // As for the rates: who comes new must be known too.
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(LONGEST_PAUSE)
            .build();
        SlowMode { turns }
    }

    /// Begins a turn, if the last one was long enough ago. None: the turn was that message's own.
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
        self.turns.entry(viewer).and_compute_with(|turn| {
            let left = match turn.map(Entry::into_value) {
                Some(Turn::Writing(last) | Turn::Wrote(last, _)) if last == id => return Op::Nop,
                Some(Turn::Writing(_)) => pause,
                Some(Turn::Wrote(_, at)) => pause.saturating_sub(now.saturating_duration_since(at)),
                None => Duration::ZERO,
            };
            if !left.is_zero() {
                begun = Err(Limited::SlowMode { retry_after: whole_seconds(left) });
                return Op::Nop;
            }
            begun = Ok(Some(Writing { turns: self.turns.clone(), viewer, id }));
            Op::Put(Turn::Writing(id))
        });
        begun
    }

    /// The log has a message that the viewer wrote so long ago.
    pub(super) fn wrote(&self, id: EventId, presenter: PresenterIdx, user: UserIdx, age: Duration) {
        // The clock does not reach back so far: that is longer than any pause.
        let Some(at) = Instant::now().checked_sub(age) else { return };
        self.turns.entry((presenter, user)).and_compute_with(|turn| match turn.map(Entry::into_value) {
            Some(Turn::Wrote(_, later)) if later >= at => Op::Nop,
            _ => Op::Put(Turn::Wrote(id, at)),
        });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.turns.iter().count()
    }
}

impl Writing {
    /// The message is in the log.
    pub(super) fn done(self) {
        self.turns.insert(self.viewer, Turn::Wrote(self.id, Instant::now()));
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.turns.entry(self.viewer).and_compute_with(|turn| match turn.map(Entry::into_value) {
            Some(Turn::Writing(id)) if id == self.id => Op::Remove,
            // The message came into the log, or another of the viewer's did.
            _ => Op::Nop,
        });
    }
}
