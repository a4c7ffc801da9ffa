//! What an event is called. Without an idempotency key it has an id that nobody has had before. Under a key the id follows
//! from the key and from the turn, a minute or less of the log's clock: so the tries of a request, through whichever nodes, are one
//! event, and a key that is used again after it was forgotten names another.
//!
//! That two tries never have ids of two turns is certain. An event of a turn has no effect if it is stored after the turn;
//! and a node gives a key an id of a new turn only once it has read everything that was stored before.

use std::collections::HashMap;
use std::time::Duration;

use chat::{EventId, KeyId, PresenterIdx, Request, RequestDigest};
use jiff::{SignedDuration, Timestamp};
use nats::AppendError;
use parking_lot::Mutex;
use runtime::Moment;
use tokio::time::{sleep, timeout};

use crate::Ingest;
use crate::memory::idempotency::Earlier;
use crate::memory::turns::Turn;
use crate::refusal::Refusal;
use crate::sender::{IdempotencyKey, Sender};

/// Before the end of a turn, and after it: for an append, and for the members of a cluster to agree on one.
const SETTLING: SignedDuration = SignedDuration::from_millis(200);

/// A review that may take longer can outlast its turn; the message is then refused as one that came too late.
const LONGEST_REVIEW: Duration = Duration::from_secs(1);

/// Longer than a turn takes to settle; a log that does not answer within this time has an outage.
const SETTLED_WITHIN: Duration = Duration::from_secs(3);

/// The pause before the log is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// The name of an event that is to be appended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Naming {
    pub(crate) id: EventId,
    pub(crate) request: Option<Request>,
    /// After this time, by the log's clock, the event would have another name.
    pub(crate) end: Option<Timestamp>,
    pub(crate) named_at: Moment,
}

/// What there is under a name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Named {
    /// The request was accepted before.
    Earlier(Earlier),
    /// Nothing yet.
    New(Naming),
}

/// Of each partition the last turn of which it is certain that everything from before it was read.
#[derive(Debug, Default)]
pub(crate) struct Certain(Mutex<HashMap<u32, Turn>>);

impl Certain {
    fn has(&self, partition: u32, turn: Turn) -> bool {
        let certain = self.0.lock();
        certain.get(&partition).is_some_and(|certain| *certain >= turn)
    }

    fn insert(&self, partition: u32, turn: Turn) {
        self.0.lock().insert(partition, turn);
    }
}

/// `request`: everything that was asked for, as text. Another text under the same key is another request.
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
    /// Finds what was accepted under the request's key, or names the event that it is to be.
    pub(crate) async fn name(
        &self,
        presenter: Option<PresenterIdx>,
        request: Option<Request>,
    ) -> Result<Named, Refusal> {
        let Some(request) = request else {
            return Ok(Named::New(Naming { id: EventId::new(), request: None, end: None, named_at: Moment::now() }));
        };
        if let Some(earlier) = self.earlier(request)? {
            return Ok(Named::Earlier(earlier));
        }
        self.check_knows_what_holds()?;
        let settled = timeout(SETTLED_WITHIN, self.turn(presenter)).await;
        let turn = settled.map_err(|_| Refusal::Append(AppendError::Unavailable))?;
        // What was accepted before this turn is known by now.
        if let Some(earlier) = self.earlier(request)? {
            return Ok(Named::Earlier(earlier));
        }
        if self.fold.keyed.is_full(turn) {
            return Err(Refusal::Overloaded);
        }
        let id = EventId::of_turn(request.key, turn.first_second);
        Ok(Named::New(Naming { id, request: Some(request), end: Some(turn.end()), named_at: Moment::now() }))
    }

    /// What was accepted under the request's key, if it was this request.
    fn earlier(&self, request: Request) -> Result<Option<Earlier>, Refusal> {
        match self.fold.keyed.get(request.key) {
            Some(earlier) if earlier.digest != request.digest => Err(Refusal::IdempotencyKeyReused),
            earlier => Ok(earlier),
        }
    }

    /// The turn that it is, in the room's partition, once everything from before it was read.
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
            if self.certain.has(partition, turn) {
                return turn;
            }
            // One asks for all who wait.
            let _asking = self.asking.lock().await;
            if self.certain.has(partition, turn) {
                continue;
            }
            match self.log.extent(presenter).await {
                Ok(extent) if extent.at >= turn.start() + SETTLING => {
                    self.fold.reached(extent.last).await;
                    self.certain.insert(partition, turn);
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

    /// What was accepted under the key. An answer is certain: what is not found never will be, unless a try of it is still
    /// on its way to a node.
    pub(crate) async fn accepted_under(
        &self,
        presenter: Option<PresenterIdx>,
        sender: &Sender,
        key: &IdempotencyKey,
    ) -> Result<Earlier, Refusal> {
        let key = KeyId::of(presenter, sender.idx, key.as_str());
        if let Some(earlier) = self.fold.keyed.get(key) {
            return Ok(earlier);
        }
        self.check_knows_what_holds()?;
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
            self.fold.reached(extent.last).await;
            if let Some(earlier) = self.fold.keyed.get(key) {
                return Ok(earlier);
            }
            if extent.at >= end {
                return Err(Refusal::NothingUnderKey);
            }
            let left = end.duration_since(extent.at).unsigned_abs();
            // If it comes, that is soon enough seen: the search goes on with both branches.
            let _ = timeout(left, self.fold.until(|fold| fold.keyed.get(key))).await;
        }
    }
}

/// Waits so long, and a moment more: the log's clock is known to some milliseconds.
async fn wait(time: SignedDuration) {
    sleep(time.unsigned_abs() + Duration::from_millis(2)).await;
}
