//! Tells what a sweep would delete, without making it: reads the log itself, which has everything recent, archived or
//! not. This file does not know HTTP.

use std::time::Duration;

use chat::{EventId, LONGEST_FORWARD, PresenterIdx, SweepMatcher, SweepPreview};
use jiff::{SignedDuration, Timestamp};
use nats::{AppendError, MOST_AHEAD, ScanEnd};
use tokio::time::timeout;

use crate::moderation::first_seen::Newcomers;
use crate::moderation::sweep_order::SweepOrder;
use crate::posting::limits::Quota;
use crate::refusal::Refusal;
use crate::sender::Sender;
use crate::state::Ingest;

/// 200,000 events of the room's partition: less than a second of reading.
pub(super) const MOST_EVENTS: usize = 200_000;

/// 3 s: an answer of a part is better than none.
const READ_WITHIN: Duration = Duration::from_secs(3);

/// What a sweep would delete.
#[derive(Debug)]
pub(crate) struct Previewed {
    pub(crate) preview: SweepPreview,
    /// Whether the log was read to its end.
    pub(crate) is_complete: bool,
    /// The sender's remaining quota of decisions.
    pub(crate) quota: Quota,
    /// Whom it is about, if that depends on when users were first seen.
    pub(crate) newcomers: Option<Newcomers>,
}

impl Ingest {
    /// It counts as a decision, because it takes more work than one.
    pub(crate) async fn preview(
        &self,
        sender: &Sender,
        room: PresenterIdx,
        order: &SweepOrder,
    ) -> Result<Previewed, Refusal> {
        let _admitted = self.admission.enter()?;
        let _permit = self.lists.take(sender.idx.get()).ok_or(Refusal::Overloaded)?;
        let quota = self.replay.limits.decide(EventId::new(), sender.idx).map_err(Refusal::TooManyDecisions)?;
        let first_seen = self.first_seen(room, order).await?;
        let rule = order.rule(first_seen.as_ref().map(|first_seen| first_seen.users.as_slice()));
        let since = self.log.now().checked_sub(SignedDuration::from_secs(order.seconds_back().into()));
        let since = since.unwrap_or(Timestamp::MIN);
        let mut preview = SweepPreview::new(SweepMatcher::new(&rule), since);
        // An event is stored at most so long before its own time, and earlier sweeps may be about later messages.
        let stored_since = since.checked_sub(MOST_AHEAD + LONGEST_FORWARD).unwrap_or(Timestamp::MIN);
        let scan = self.log.scan(room, stored_since, MOST_EVENTS, |entry| {
            if let Ok(event) = entry.event() {
                preview.apply(entry.at, &event);
            }
        });
        let end = match timeout(READ_WITHIN, scan).await {
            Ok(Ok(end)) => Some(end),
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot read the log for a sweep that is not made: {error}");
                return Err(Refusal::Append(AppendError::Unavailable));
            }
            Err(_elapsed) => None,
        };
        let is_complete = end == Some(ScanEnd::Complete);
        Ok(Previewed { preview, is_complete, quota, newcomers: first_seen.as_ref().map(Newcomers::from) })
    }
}
