//! Assigns event ids. Without an idempotency key the id is a new UUID. Under a key the id is derived from the key and
//! the turn, a minute or less of the log's clock. All tries of a request, through any nodes, are therefore one event. A
//! key that is reused after it was forgotten gets another id.
//!
//! Two tries of one request never get the ids of two turns. An event of a turn has no effect if it is stored after the
//! turn's end, and a node assigns ids of a new turn only once it has replayed everything that was stored before the
//! turn.

use std::time::Duration;

use chat::{EventId, KeyId, PresenterIdx, Request, RequestDigest};
use jiff::{SignedDuration, Timestamp};
use nats::AppendError;
use runtime::Moment;
use tokio::time::{sleep, timeout};

use crate::memory::idempotency::Earlier;
use crate::memory::turns::Turn;
use crate::refusal::Refusal;
use crate::sender::{IdempotencyKey, Sender};
use crate::state::Ingest;

/// A margin before and after the end of a turn: time for an append, and for the servers of a cluster to agree on it.
const SETTLING: SignedDuration = SignedDuration::from_millis(200);

/// A review that takes longer can outlast its turn. The message is then refused as too late.
const LONGEST_REVIEW: Duration = Duration::from_secs(1);

/// Longer than a turn takes to settle. A log that does not answer within this time has an outage.
const SETTLED_WITHIN: Duration = Duration::from_secs(3);

/// The pause before the log is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// The id of an event to be appended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AssignedId {
    pub(crate) id: EventId,
    pub(crate) request: Option<Request>,
    /// The end of the turn, by the log's clock. An event that is stored later has no effect.
    pub(crate) end: Option<Timestamp>,
    pub(crate) assigned_at: Moment,
}

/// How a request gets its id.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Assignment {
    /// The request was accepted before.
    Earlier(Earlier),
    /// The request is new.
    New(AssignedId),
}

/// The key and digest of a request, if it has a key. `request` is its whole content as text: another text under the
/// same key is another request.
pub(crate) fn request(
    presenter: Option<PresenterIdx>,
    sender: &Sender,
    key: Option<&IdempotencyKey>,
    request: &str,
) -> Option<Request> {
    let key = key?.as_str();
    Some(Request { key: KeyId::of(presenter, sender.idx, key), digest: RequestDigest::of(key, request) })
}

impl Ingest {
    /// Finds the event that was accepted under the request's key, or assigns the id of a new one.
    pub(crate) async fn assign_id(
        &self,
        presenter: Option<PresenterIdx>,
        request: Option<Request>,
    ) -> Result<Assignment, Refusal> {
        match request {
            None => Ok(Assignment::New(AssignedId {
                id: EventId::new(),
                request: None,
                end: None,
                assigned_at: Moment::now(),
            })),
            // Boxed, so that the future of a post without a key has no room for the wait for a turn.
            Some(request) => Box::pin(self.assign_under_key(presenter, request)).await,
        }
    }

    async fn assign_under_key(&self, presenter: Option<PresenterIdx>, request: Request) -> Result<Assignment, Refusal> {
        if let Some(earlier) = self.earlier(request)? {
            return Ok(Assignment::Earlier(earlier));
        }
        self.check_caught_up()?;
        let settled = timeout(SETTLED_WITHIN, self.turn(presenter)).await;
        let turn = settled.map_err(|_| Refusal::Append(AppendError::Unavailable))?;
        // Everything that was accepted before this turn is known by now.
        if let Some(earlier) = self.earlier(request)? {
            return Ok(Assignment::Earlier(earlier));
        }
        if self.replay.accepted_keys.is_full(turn) {
            return Err(Refusal::Overloaded);
        }
        let id = EventId::of_turn(request.key, turn.first_second);
        Ok(Assignment::New(AssignedId {
            id,
            request: Some(request),
            end: Some(turn.end()),
            assigned_at: Moment::now(),
        }))
    }

    /// The event that was accepted under the request's key. Err: it was another request's.
    pub(crate) fn earlier(&self, request: Request) -> Result<Option<Earlier>, Refusal> {
        match self.replay.accepted_keys.get(request.key) {
            Some(earlier) if earlier.digest != request.digest => Err(Refusal::IdempotencyKeyReused),
            earlier => Ok(earlier),
        }
    }

    /// The current turn of the room's partition, once everything that was stored before it has been replayed.
    async fn turn(&self, presenter: Option<PresenterIdx>) -> Turn {
        let partition = presenter.map_or(0, |presenter| self.log.timelines().partition_of(presenter));
        let review = self.review.as_ref().map_or(Duration::ZERO, |review| review.deadline());
        let time_to_append = SETTLING + SignedDuration::from_millis(review.min(LONGEST_REVIEW).as_millis() as i64);
        loop {
            let Some(now) = self.now_in(presenter).await else {
                sleep(PAUSE).await;
                continue;
            };
            let turn = self.turns.at(now);
            let left = turn.end().duration_since(now);
            if left < time_to_append {
                wait(left).await;
                continue;
            }
            if self.settled_turns.has(partition, turn) {
                return turn;
            }
            // One request asks the log for all that wait.
            let _lookup = self.turn_lookup.lock().await;
            if self.settled_turns.has(partition, turn) {
                continue;
            }
            match self.log.extent(presenter).await {
                Ok(extent) if extent.at >= turn.start() + SETTLING => {
                    self.replay.reached(extent.last).await;
                    self.settled_turns.insert(partition, turn);
                }
                Ok(extent) => wait((turn.start() + SETTLING).duration_since(extent.at)).await,
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    async fn now_in(&self, presenter: Option<PresenterIdx>) -> Option<Timestamp> {
        match self.log.now_in(presenter) {
            Some(now) => Some(now),
            None => Some(self.log.extent(presenter).await.ok()?.at),
        }
    }

    /// The event that was accepted under the key. "Nothing" is final: no later search finds it either, unless a try of
    /// the request has not reached a node yet.
    pub(crate) async fn accepted_under(
        &self,
        presenter: Option<PresenterIdx>,
        sender: &Sender,
        key: &IdempotencyKey,
    ) -> Result<Earlier, Refusal> {
        let key = KeyId::of(presenter, sender.idx, key.as_str());
        if let Some(earlier) = self.replay.accepted_keys.get(key) {
            return Ok(earlier);
        }
        self.check_caught_up()?;
        let longest = self.log.append_deadline();
        let searched = timeout(longest + SETTLED_WITHIN, self.search(presenter, key, longest)).await;
        searched.unwrap_or(Err(Refusal::Append(AppendError::Unknown)))
    }

    async fn search(&self, presenter: Option<PresenterIdx>, key: KeyId, longest: Duration) -> Result<Earlier, Refusal> {
        // Every batch that was sent before this has expired by then.
        let mut end = None;
        loop {
            let Ok(extent) = self.log.extent(presenter).await else {
                sleep(PAUSE).await;
                continue;
            };
            let end = *end.get_or_insert(extent.at + SETTLING + longest);
            self.replay.reached(extent.last).await;
            if let Some(earlier) = self.replay.accepted_keys.get(key) {
                return Ok(earlier);
            }
            if extent.at >= end {
                return Err(Refusal::NothingUnderKey);
            }
            let left = end.duration_since(extent.at).unsigned_abs();
            // An event that arrives meanwhile is found in the next round, as is one that arrives at the timeout.
            let _ = timeout(left, self.replay.until(|replay| replay.accepted_keys.get(key))).await;
        }
    }
}

/// Waits that long and 2 ms more: the log's clock is known to within milliseconds.
async fn wait(time: SignedDuration) {
    sleep(time.unsigned_abs() + Duration::from_millis(2)).await;
}
