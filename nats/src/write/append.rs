//! Append with group commit. JetStream fsyncs every message, so many events share one: events that arrive while one
//! append of a partition is in flight form the next batch. A lone event never waits.
//!
//! A batch is retried under the same message id until it is acknowledged or has expired; the stream stores it once. One
//! batch at a time keeps the order in which events were accepted.
//!
//! No event takes effect after its deadline. Each batch carries its expiry, by the clock of the log's servers, and
//! readers skip batches that were stored later (`entry.rs`). A batch still in flight at the deadline, in the client, in
//! a socket or in a paused server, therefore has no effect. An event that waits too long for its turn is refused before
//! it enters a batch, so it never shortens the time of the other events in that batch.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chat::{Event, Position};
use jiff::Timestamp;
use parking_lot::Mutex;
use runtime::{Moment, Timers, TraceContext};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::context::Context;
use crate::epoch::continuity::record_loss;
use crate::epoch::evidence::known_end;
use crate::error::AppendError;
use crate::own_batches::OwnBatch;
use crate::read::clock::Reading;
use crate::traces;
use crate::write::store::{Batch, Way, store};

/// The bounds of a batch. A single event must fit too.
const MAX_BATCH_BYTES: usize = 256 * 1024;
const MAX_BATCH_EVENTS: usize = 1_000;

/// The pause between checks whether the log accepts appends again.
const PAUSE: Duration = Duration::from_millis(50);

/// The caller waits this much longer than the batch, so that it gets the batch's own outcome.
const ANSWER_SLACK: Duration = Duration::from_millis(250);

/// The entrance to one partition.
#[derive(Debug)]
pub(crate) struct Appender {
    /// Bounded by `permits`.
    queue: mpsc::UnboundedSender<Slot>,
    /// One permit for each waiting event. Without a free permit an append is refused at once.
    permits: Arc<Semaphore>,
    most_waiting: usize,
    way: watch::Receiver<Way>,
    patience: Patience,
    /// For the end of an event's patience.
    timers: Timers,
}

/// How long an event waits for its turn. A longer queue means overload, and a client that is refused early can try
/// another node. Through a short outage, such as an election, an event waits for half of its deadline.
#[derive(Debug, Clone, Copy)]
struct Patience {
    while_open: Duration,
    while_closed: Duration,
}

impl Patience {
    fn limit(self, since: Moment, way: Way) -> Moment {
        match way {
            Way::Open(open) => since.max(open) + self.while_open,
            Way::Closed => since + self.while_closed,
        }
    }
}

/// A waiting event. Either the batch takes it, or its caller does after waiting too long.
type Slot = Arc<Mutex<Option<Waiting>>>;

#[derive(Debug)]
struct Waiting {
    line: Bytes,
    /// The line's event, if this process reads it back.
    event: Option<Arc<Event>>,
    /// The span of the append, if its trace is sampled.
    trace: Option<TraceContext>,
    since: Moment,
    /// The caller must have an answer by then.
    deadline: Moment,
    /// The event must be stored before this time, by the log's clock, in addition to its deadline.
    end: Option<Timestamp>,
    outcome: oneshot::Sender<Result<Position, AppendError>>,
    _permit: OwnedSemaphorePermit,
}

impl Appender {
    pub(crate) fn start(context: &Arc<Context>, partition: u32) -> Appender {
        let (sender, queue) = mpsc::unbounded_channel();
        let (way_sender, way) = watch::channel(Way::Open(Moment::now()));
        let config = &context.config;
        let while_closed = config.append_deadline() / 2;
        let patience = Patience { while_open: config.longest_queue().min(while_closed), while_closed };
        let stop = context.tasks.stop().clone();
        let turns =
            Turns { context: Arc::downgrade(context), partition, queue, held: None, way: way_sender, patience, stop };
        context.tasks.spawn("log appender", turns.run());
        let most_waiting = config.append_queue.min(Semaphore::MAX_PERMITS);
        let permits = Arc::new(Semaphore::new(most_waiting));
        Appender { queue: sender, permits, most_waiting, way, patience, timers: Timers::default() }
    }

    /// The number of events that wait for their turn or for the outcome of their batch.
    pub(crate) fn waiting(&self) -> usize {
        self.most_waiting - self.permits.available_permits()
    }

    /// Appends the line, so that it is stored before `end`, if given, and never after the deadline.
    pub(crate) async fn append(
        &self,
        line: Bytes,
        event: Option<Arc<Event>>,
        deadline: Duration,
        end: Option<Timestamp>,
    ) -> Result<Position, AppendError> {
        if line.len() > MAX_BATCH_BYTES {
            return Err(AppendError::TooLarge);
        }
        let permit = self.permits.clone().try_acquire_owned().map_err(|_| AppendError::Busy)?;
        let (outcome, mut answer) = oneshot::channel();
        let since = Moment::now();
        let trace = TraceContext::current();
        let waiting = Waiting { line, event, trace, since, deadline: since + deadline, end, outcome, _permit: permit };
        let slot: Slot = Arc::new(Mutex::new(Some(waiting)));
        self.queue.send(slot.clone()).map_err(|_| AppendError::Unavailable)?;

        let mut way = self.way.clone();
        loop {
            let now = *way.borrow_and_update();
            let limit = self.patience.limit(since, now);
            // An answer that arrives with another branch is still there in the next round.
            tokio::select! {
                answer = &mut answer => return answer.unwrap_or(Err(AppendError::Unknown)),
                Ok(()) = way.changed() => continue,
                () = self.timers.until(Instant::now() + limit.left()) => {}
            }
            if !limit.is_past() || limit != self.patience.limit(since, *way.borrow()) {
                continue;
            }
            if slot.lock().take().is_some() {
                return Err(if now == Way::Closed { AppendError::Unavailable } else { AppendError::Busy });
            }
            // The event is in a batch already.
            let left = (since + deadline + ANSWER_SLACK).left();
            return match Box::pin(timeout(left, answer)).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) | Err(_) => Err(AppendError::Unknown),
            };
        }
    }
}

/// The only writer of the partition in this process.
struct Turns {
    context: Weak<Context>,
    partition: u32,
    queue: mpsc::UnboundedReceiver<Slot>,
    /// An event that did not fit into the last batch. It keeps waiting, and its caller can still withdraw it.
    held: Option<Slot>,
    way: watch::Sender<Way>,
    patience: Patience,
    stop: CancellationToken,
}

impl Turns {
    /// After a stop the batch in flight is still completed.
    async fn run(mut self) {
        let stop = self.stop.clone();
        loop {
            let first = match self.held.take() {
                Some(slot) => slot,
                None => match stop.run_until_cancelled(self.queue.recv()).await {
                    Some(Some(slot)) => slot,
                    Some(None) | None => return,
                },
            };
            let reading = match stop.run_until_cancelled(self.open(&first)).await {
                Some(Some(reading)) => reading,
                Some(None) => continue,
                None => return,
            };
            let Some(context) = self.context.upgrade() else { return };
            let memory = &context.memories[self.partition as usize];
            let seen = memory.last();
            let waiting = self.fill(first);
            let Some(batch) = self.batch(&context, &reading, seen, &waiting) else { continue };
            let own_batches = &context.own_batches[self.partition as usize];
            let events: Vec<Arc<Event>> = waiting.iter().filter_map(|waiting| waiting.event.clone()).collect();
            if events.len() == waiting.len() {
                own_batches.insert(OwnBatch { id: batch.id.clone(), payload: batch.payload.clone(), events });
            }
            let id = batch.id.clone();
            let (began, bytes) = (Moment::now(), batch.payload.len());
            let stored = store(&context, batch, &self.way).await;
            context.metrics.appended(waiting.len(), bytes, began.elapsed(), stored.err());
            if stored.is_err() {
                own_batches.forget(&id);
            }
            if let Ok(sequence) = stored {
                if sequence <= seen {
                    // The callers get "unknown": the batch is stored, but a new epoch begins with it.
                    drop(waiting);
                    let reason = format!("it went back: what was appended after sequence {seen} has {sequence}");
                    let known = known_end(context.timelines.get(self.partition), sequence);
                    record_loss(&context, self.partition, reason, Some(known)).await;
                    return;
                }
                memory.acknowledged(sequence);
            }
            let timeline = context.timelines.get(self.partition);
            for (index, waiting) in (0_u32..).zip(waiting) {
                // A caller that is gone needs no answer.
                let _ = waiting.outcome.send(stored.map(|sequence| timeline.position(sequence, index)));
            }
        }
    }

    /// Waits until the log accepts appends and its clock is known. `None`: nobody waits any more.
    async fn open(&self, first: &Slot) -> Option<Reading> {
        loop {
            let context = self.context.upgrade()?;
            // A caller that waited too long has got its answer and is gone.
            if first.lock().is_none() {
                return None;
            }
            let clock = &context.clocks[self.partition as usize];
            if context.is_connected()
                && let Ok(reading) = clock.read_here(&context.jetstream).await
                && !context.is_superseded(self.partition, &reading)
            {
                return Some(reading);
            }
            self.way.send_replace(Way::Closed);
            drop(context);
            sleep(PAUSE).await;
        }
    }

    /// Fills a batch: the first event, then as much of the queue as fits.
    fn fill(&mut self, first: Slot) -> Vec<Waiting> {
        let (way, now) = (*self.way.borrow(), Moment::now());
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(slot) = next {
            let mut waiting = slot.lock();
            bytes += waiting.as_ref().map_or(0, |waiting| waiting.line.len() + 1);
            if bytes > MAX_BATCH_BYTES && !batch.is_empty() {
                drop(waiting);
                self.held = Some(slot);
                break;
            }
            // `None`: the caller has withdrawn the event.
            if let Some(waiting) = waiting.take() {
                match self.patience.limit(waiting.since, way) {
                    // The caller's own timer is due as well.
                    limit if limit <= now => {
                        // A caller that is gone needs no answer.
                        let _ = waiting.outcome.send(Err(AppendError::Busy));
                        bytes -= waiting.line.len() + 1;
                    }
                    _ => batch.push(waiting),
                }
            }
            next = if batch.len() < MAX_BATCH_EVENTS { self.queue.try_recv().ok() } else { None };
        }
        batch
    }

    /// Builds the batch. It expires with the event that has the least time left. `None`: nobody waits any more.
    fn batch(&self, context: &Context, reading: &Reading, seen: u64, waiting: &[Waiting]) -> Option<Batch> {
        let answer_by = waiting.iter().map(|waiting| waiting.deadline).min()?;
        // A quarter of the deadline remains for resolving the outcome.
        let lifetime = answer_by.left().saturating_sub(context.config.append_deadline() / 4);
        let expires = reading.earliest().saturating_add(lifetime).unwrap_or(Timestamp::MAX);
        let end = waiting.iter().filter_map(|waiting| waiting.end).min().unwrap_or(Timestamp::MAX);
        // The header holds milliseconds, and a batch stored exactly at the end is too late.
        let last_moment = expires.min(end).as_millisecond() - 1;
        Some(Batch {
            id: Uuid::new_v4().to_string(),
            partition: self.partition,
            payload: payload(waiting),
            traces: traces::header(waiting.iter().map(|waiting| waiting.trace)),
            expires: Timestamp::from_millisecond(last_moment).unwrap_or(expires),
            expires_here: Moment::now() + lifetime,
            answer_by,
            after: reading.last_sequence,
            known_end: known_end(context.timelines.get(self.partition), seen),
        })
    }
}

fn payload(batch: &[Waiting]) -> Bytes {
    let mut payload = BytesMut::with_capacity(batch.iter().map(|waiting| waiting.line.len() + 1).sum());
    for waiting in batch {
        payload.extend_from_slice(&waiting.line);
        payload.extend_from_slice(b"\n");
    }
    payload.freeze()
}

#[cfg(test)]
mod tests;
