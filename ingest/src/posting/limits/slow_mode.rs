//! Slow mode: a pause between two messages of a viewer. While one message is being appended the viewer's others are
//! refused, however many arrive at once.

use std::time::{Duration, Instant};

use chat::{EventId, PresenterIdx, UserIdx};
use runtime::ShardedLru;

use super::limited::{Limited, whole_seconds};

/// 200,000 viewers of rooms in slow mode: about 18 MB. Beyond that, the viewer that has been silent longest is
/// forgotten.
const MOST_VIEWERS: usize = 200_000;

#[derive(Debug)]
pub(super) struct SlowMode {
    last_messages: ShardedLru<Viewer, LastMessage>,
}

/// A viewer of a room.
type Viewer = (PresenterIdx, UserIdx);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastMessage {
    /// It is being appended.
    Writing(EventId),
    /// It was stored at that time.
    Wrote(EventId, Instant),
}

/// A viewer's message in progress. Dropped before [`Writing::done`], it leaves no trace.
#[derive(Debug)]
pub(super) struct Writing<'a> {
    slow_mode: &'a SlowMode,
    viewer: Viewer,
    id: EventId,
}

impl SlowMode {
    pub(super) fn new() -> SlowMode {
        SlowMode { last_messages: ShardedLru::new(MOST_VIEWERS) }
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
    ) -> Result<Option<Writing<'_>>, Limited> {
        let viewer = (presenter, user);
        self.last_messages.update(viewer, |last_message| {
            let left = match *last_message {
                Some(LastMessage::Writing(last) | LastMessage::Wrote(last, _)) if last == id => return Ok(None),
                Some(LastMessage::Writing(_)) => pause,
                Some(LastMessage::Wrote(_, at)) => pause.saturating_sub(now.saturating_duration_since(at)),
                None => Duration::ZERO,
            };
            if !left.is_zero() {
                return Err(Limited::SlowMode { retry_after: whole_seconds(left) });
            }
            *last_message = Some(LastMessage::Writing(id));
            Ok(Some(Writing { slow_mode: self, viewer, id }))
        })
    }

    /// Records a message of the log that the viewer posted `age` ago.
    pub(super) fn wrote(&self, id: EventId, presenter: PresenterIdx, user: UserIdx, age: Duration, now: Instant) {
        // None: the clock does not reach back that far, which is longer than any pause.
        let Some(at) = now.checked_sub(age) else { return };
        self.last_messages.update((presenter, user), |last_message| match *last_message {
            Some(LastMessage::Wrote(_, later)) if later >= at => {}
            _ => *last_message = Some(LastMessage::Wrote(id, at)),
        });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.last_messages.len()
    }
}

impl Writing<'_> {
    /// The message is in the log.
    pub(super) fn done(self) {
        self.slow_mode.last_messages.insert(self.viewer, LastMessage::Wrote(self.id, Instant::now()));
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.slow_mode.last_messages.update(self.viewer, |last_message| match *last_message {
            Some(LastMessage::Writing(id)) if id == self.id => *last_message = None,
            // The message was stored, or another of the viewer's was.
            _ => {}
        });
    }
}
