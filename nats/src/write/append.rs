//! Append, with group commit. JetStream fsyncs message by message, so many events share one message: while one append
//! of a partition is in flight, what arrives gathers, and goes out together as the next. A lone event never waits.
//!
//! A batch is sent again under the same message id until it is acknowledged or has expired; the stream stores it once.
//! One batch at a time keeps the order in which events were accepted.
//!
//! No event takes effect after its deadline. Each batch bears the time at which it expires, by the clock of the log's
//! servers, and readers skip what was stored later (`entry.rs`). So whatever is still on its way when the deadline
//! passes, in the client, in a socket, in a paused server, comes to nothing. An event that waits too long for its turn
//! is refused before it enters a batch: it never shortens the time of those that it would share it with.

use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::epoch::continuity::record_loss;
use crate::log::Inner;
use crate::read::clock::Reading;
use crate::write::store::{Batch, store};
use chat::Position;
use runtime::Moment;

/// A batch holds no more; a single event must fit too.
const MAX_BATCH_BYTES: usize = 256 * 1024;
const MAX_BATCH_EVENTS: usize = 1_000;

/// How often it is looked whether the log is there again.
const PAUSE: Duration = Duration::from_millis(50);

/// How much longer the caller waits than the batch, so that it hears the batch's own outcome.
const ANSWER_SLACK: Duration = Duration::from_millis(250);

/// Why an append has no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// It may be stored or not: no acknowledgement came in time. Appending the same event again is safe.
    #[error("the append was not acknowledged in time; it may be stored or not")]
    Unknown,
    /// Not stored: the log has reached its size limit.
    #[error("the log is full")]
    Full,
    /// Not stored: too many appends wait, or it waited too long for its turn.
    #[error("too many messages are being handled")]
    Busy,
    /// Not stored, and what is underway never will be: NATS cannot be reached, has no leader for the partition, or did
    /// not take it before it expired.
    #[error("the log cannot be reached")]
    Unavailable,
    /// Not stored, and it never will be: the event is larger than a batch may be.
    #[error("the event is too large for the log")]
    TooLarge,
}

/// The way into one partition.
#[derive(Debug)]
pub(crate) struct Appender {
    /// Bounded by `room`.
    queue: mpsc::UnboundedSender<Slot>,
    /// One permit for each event that waits for its turn; who finds none is refused at once.
    room: Arc<Semaphore>,
    way: watch::Receiver<Way>,
    patience: Patience,
}

/// How long an event waits for its turn. A longer queue than the log can take in soon is an overload: who is refused at
/// once can go elsewhere. Through an outage that passes, such as an election, it waits for half of its time.
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

/// Whether the log takes appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Since then.
    Open(Moment),
    /// There is no connection, or no leader.
    Closed,
}

/// An event that waits for its turn, until either the batch or the caller, who has waited for too long, takes it out.
type Slot = Arc<Mutex<Option<Waiting>>>;

#[derive(Debug)]
struct Waiting {
    line: Bytes,
    since: Moment,
    /// Until then it is to have an answer.
    deadline: Moment,
    /// As well as its deadline allows: until then it may be stored, by the log's clock.
    end: Option<Timestamp>,
    outcome: oneshot::Sender<Result<Position, AppendError>>,
    _room: OwnedSemaphorePermit,
}

impl Appender {
    pub(crate) fn start(
        log: Weak<Inner>,
        config: &Config,
        partition: u32,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Appender {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (say, way) = watch::channel(Way::Open(Moment::now()));
        let while_closed = config.append_deadline() / 2;
        let patience = Patience { while_open: config.longest_queue().min(while_closed), while_closed };
        tasks.spawn(Turns { log, partition, queue: receiver, held: None, way: say, patience, stop }.run());
        let room = Arc::new(Semaphore::new(config.append_queue.min(Semaphore::MAX_PERMITS)));
        Appender { queue: sender, room, way, patience }
    }

    /// Appends the line, so that it is stored before `end`, if there is one, and never after the deadline.
    pub(crate) async fn append(
        &self,
        line: Bytes,
        deadline: Duration,
        end: Option<Timestamp>,
    ) -> Result<Position, AppendError> {
        if line.len() > MAX_BATCH_BYTES {
            return Err(AppendError::TooLarge);
        }
        let room = self.room.clone().try_acquire_owned().map_err(|_| AppendError::Busy)?;
        let (outcome, mut answer) = oneshot::channel();
        let since = Moment::now();
        let waiting = Waiting { line, since, deadline: since + deadline, end, outcome, _room: room };
        let slot: Slot = Arc::new(Mutex::new(Some(waiting)));
        self.queue.send(slot.clone()).map_err(|_| AppendError::Unavailable)?;

        let mut way = self.way.clone();
        loop {
            let now = *way.borrow_and_update();
            let limit = self.patience.limit(since, now);
            // An answer that comes with the other branches is still there in the next round.
            tokio::select! {
                answer = &mut answer => return answer.unwrap_or(Err(AppendError::Unknown)),
                Ok(()) = way.changed() => continue,
                () = sleep(limit.left()) => {}
            }
            if !limit.is_past() || limit != self.patience.limit(since, *way.borrow()) {
                continue;
            }
            if lock(&slot).take().is_some() {
                return Err(if now == Way::Closed { AppendError::Unavailable } else { AppendError::Busy });
            }
            // It is in a batch.
            let left = (since + deadline + ANSWER_SLACK).left();
            return match timeout(left, answer).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) | Err(_) => Err(AppendError::Unknown),
            };
        }
    }
}

fn lock(slot: &Slot) -> MutexGuard<'_, Option<Waiting>> {
    slot.lock().expect("nothing panics while it holds the lock")
}

/// The partition's only writer in this process.
struct Turns {
    log: Weak<Inner>,
    partition: u32,
    queue: mpsc::UnboundedReceiver<Slot>,
    /// It did not fit into the last batch. It waits on, and its caller may still take it out.
    held: Option<Slot>,
    way: watch::Sender<Way>,
    patience: Patience,
    stop: CancellationToken,
}

impl Turns {
    /// A batch that is underway when the log is closed is seen to its end.
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
            let Some(log) = self.log.upgrade() else { return };
            let waiting = self.fill(first);
            let Some(batch) = self.batch(&log, &reading, &waiting) else { continue };
            let memory = &log.memories[self.partition as usize];
            let seen = memory.last();
            let stored = store(&log, batch, &self.way).await;
            if let Ok(sequence) = stored {
                if sequence <= seen {
                    // To the callers it is unknown: the batch is stored, but another epoch begins with it.
                    drop(waiting);
                    let reason = format!("it went back: what was appended after sequence {seen} has {sequence}");
                    record_loss(&log, self.partition, reason, Some(sequence)).await;
                    return;
                }
                memory.acknowledged(sequence);
            }
            let timeline = log.timelines.get(self.partition);
            for (index, waiting) in (0_u32..).zip(waiting) {
                // A caller that has gone needs no answer.
                let _ = waiting.outcome.send(stored.map(|sequence| timeline.position(sequence, index)));
            }
        }
    }

    /// Waits until the log can be written to and its clock is known. None: nobody waits any more.
    async fn open(&self, first: &Slot) -> Option<Reading> {
        loop {
            let log = self.log.upgrade()?;
            // Whoever has waited for too long has been told so, and is gone.
            if lock(first).is_none() {
                return None;
            }
            let clock = &log.clocks[self.partition as usize];
            if log.is_connected() {
                let reading = match clock.last() {
                    Some(reading) => Some(reading),
                    None => clock.read(&log.context).await.ok(),
                };
                if reading.is_some() {
                    return reading;
                }
            }
            self.way.send_replace(Way::Closed);
            drop(log);
            sleep(PAUSE).await;
        }
    }

    /// The first, and of the queue what fits.
    fn fill(&mut self, first: Slot) -> Vec<Waiting> {
        let way = *self.way.borrow();
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(slot) = next {
            let mut waiting = lock(&slot);
            bytes += waiting.as_ref().map_or(0, |waiting| waiting.line.len() + 1);
            if bytes > MAX_BATCH_BYTES && !batch.is_empty() {
                drop(waiting);
                self.held = Some(slot);
                break;
            }
            // None: its caller has taken it out.
            if let Some(waiting) = waiting.take() {
                match self.patience.limit(waiting.since, way) {
                    // Its caller is as late as we are.
                    limit if limit.is_past() => {
                        // A caller that has gone needs no answer.
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

    /// What is sent. It expires with the event that has the least time. None: nobody waits any more.
    fn batch(&self, log: &Inner, reading: &Reading, waiting: &[Waiting]) -> Option<Batch> {
        let answer_by = waiting.iter().map(|waiting| waiting.deadline).min()?;
        // A quarter of the time is left to find out what became of it.
        let lifetime = answer_by.left().saturating_sub(log.config.append_deadline() / 4);
        let expires = reading.earliest().saturating_add(lifetime).unwrap_or(Timestamp::MAX);
        let end = waiting.iter().filter_map(|waiting| waiting.end).min().unwrap_or(Timestamp::MAX);
        // The header has milliseconds, and what is stored at the end itself is stored too late.
        let last_moment = expires.min(end).as_millisecond() - 1;
        Some(Batch {
            partition: self.partition,
            payload: payload(waiting),
            expires: Timestamp::from_millisecond(last_moment).unwrap_or(expires),
            expires_here: Moment::now() + lifetime,
            answer_by,
            after: reading.last_sequence,
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
mod tests {
    use super::*;

    type Outcome = oneshot::Receiver<Result<Position, AppendError>>;

    const PATIENCE: Patience = Patience { while_open: Duration::from_secs(60), while_closed: Duration::from_secs(90) };

    /// Turns of which only the queue is looked at, and how to get into it.
    fn turns() -> (mpsc::UnboundedSender<Slot>, Turns) {
        let (sender, queue) = mpsc::unbounded_channel();
        let (way, stop) = (watch::Sender::new(Way::Open(Moment::BOOT)), CancellationToken::new());
        (sender, Turns { log: Weak::new(), partition: 0, queue, held: None, way, patience: PATIENCE, stop })
    }

    /// An event of so many bytes that has waited for so long.
    fn waiting(bytes: usize, since: Moment) -> (Slot, Outcome) {
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let (outcome, answer) = oneshot::channel();
        let line = Bytes::from(vec![b'x'; bytes]);
        let waiting = Waiting { line, since, deadline: since + PATIENCE.while_closed, end: None, outcome, _room: room };
        (Arc::new(Mutex::new(Some(waiting))), answer)
    }

    /// Takes batches until nobody waits; how many bytes each event of each batch has.
    fn batches(turns: &mut Turns) -> Vec<Vec<usize>> {
        let mut batches = Vec::new();
        while let Some(first) = turns.held.take().or_else(|| turns.queue.try_recv().ok()) {
            batches.push(turns.fill(first).iter().map(|waiting| waiting.line.len()).collect());
        }
        batches
    }

    #[test]
    fn a_batch_holds_what_fits_and_the_next_begins_with_what_did_not() {
        const FULL: usize = MAX_BATCH_BYTES;
        for (sizes, expected) in [
            (vec![10, 20, 30], vec![vec![10, 20, 30]]),
            // Each line ends with a line feed.
            (vec![FULL - 11, 9], vec![vec![FULL - 11, 9]]),
            (vec![FULL - 11, 10], vec![vec![FULL - 11], vec![10]]),
            (vec![FULL / 2, FULL / 2, 5], vec![vec![FULL / 2], vec![FULL / 2, 5]]),
            // Alone the largest that is taken fits too.
            (vec![5, FULL, 5], vec![vec![5], vec![FULL], vec![5]]),
            (vec![1; MAX_BATCH_EVENTS + 1], vec![vec![1; MAX_BATCH_EVENTS], vec![1]]),
        ] {
            let (queue, mut turns) = turns();
            let _answers: Vec<Outcome> = sizes
                .iter()
                .map(|bytes| {
                    let (slot, answer) = waiting(*bytes, Moment::now());
                    queue.send(slot).unwrap();
                    answer
                })
                .collect();
            assert_eq!(batches(&mut turns), expected);
        }
    }

    #[test]
    fn who_has_left_or_waited_for_too_long_takes_no_room_in_a_batch() {
        let (queue, mut turns) = turns();
        let long_ago = Moment::now().before(Duration::from_secs(61));
        turns.way.send_replace(Way::Open(Moment::BOOT));
        let (left, _) = waiting(MAX_BATCH_BYTES, Moment::now());
        lock(&left).take();
        let (late, mut refused) = waiting(MAX_BATCH_BYTES, long_ago);
        // Together they fill it.
        let (small, _answer) = waiting(9, Moment::now());
        let (large, _answer) = waiting(MAX_BATCH_BYTES - 11, Moment::now());
        for slot in [left, late, small, large] {
            queue.send(slot).unwrap();
        }
        assert_eq!(batches(&mut turns), [vec![9, MAX_BATCH_BYTES - 11]]);
        assert_eq!(refused.try_recv(), Ok(Err(AppendError::Busy)));
    }

    #[test]
    fn an_event_waits_its_time_from_when_it_came_or_the_way_opened_and_longer_while_it_is_closed() {
        let came = Moment::now();
        let (before, after) = (came.before(Duration::from_secs(7)), came + Duration::from_secs(7));
        assert_eq!(PATIENCE.limit(came, Way::Open(before)), came + PATIENCE.while_open);
        assert_eq!(PATIENCE.limit(came, Way::Open(after)), after + PATIENCE.while_open);
        assert_eq!(PATIENCE.limit(came, Way::Closed), came + PATIENCE.while_closed);
    }
}
