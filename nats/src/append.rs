//! Append, with group commit. JetStream fsyncs message by message, so many events share one message: while one append
//! of a partition is in flight, what arrives gathers, and goes out together as the next. A lone event never waits.
//!
//! A batch is sent again under the same message id until it is acknowledged or its deadline has passed; the stream
//! stores it once. One batch at a time keeps the order in which events were accepted.

use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, ErrorCode};
use bytes::{Bytes, BytesMut};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::connect::Inner;
use crate::continuity::record_loss;
use crate::partition;
use crate::position::Position;

/// A batch holds no more; a single event must fit too.
const MAX_BATCH_BYTES: usize = 256 * 1024;
const MAX_BATCH_EVENTS: usize = 1_000;

/// An attempt that is not answered within this time is repeated: the same batch under the same id.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause after a refusal that may pass, such as a server that is starting.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// How much longer the caller waits than the batch, so that it hears the batch's own outcome.
const ANSWER_SLACK: Duration = Duration::from_millis(250);

/// Why an append has no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// It may be stored or not: no acknowledgement came in time. Appending the same event again is safe.
    #[error("the append was not acknowledged in time; it may be stored or not")]
    Unknown,
    /// Not stored: the log has reached its size limit, or too many appends wait.
    #[error("the log is full")]
    Full,
    /// Not stored: NATS cannot be reached or has no leader for the partition.
    #[error("the log cannot be reached")]
    Unavailable,
    /// Not stored, and it never will be: the event is larger than a batch may be.
    #[error("the event is too large for the log")]
    TooLarge,
}

/// The way into one partition.
#[derive(Debug)]
pub(crate) struct Appender {
    /// Bounded; a caller that finds it full is refused at once.
    queue: mpsc::Sender<Waiting>,
}

struct Waiting {
    line: Bytes,
    deadline: Instant,
    outcome: oneshot::Sender<Result<Position, AppendError>>,
}

impl Appender {
    pub(crate) fn start(
        log: Weak<Inner>,
        queue: usize,
        partition: u32,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Appender {
        let (sender, receiver) = mpsc::channel(queue);
        tasks.spawn(gather(log, partition, receiver, stop));
        Appender { queue: sender }
    }

    pub(crate) async fn append(&self, line: Bytes, deadline: Duration) -> Result<Position, AppendError> {
        if line.len() > MAX_BATCH_BYTES {
            return Err(AppendError::TooLarge);
        }
        let (outcome, answer) = oneshot::channel();
        let deadline = Instant::now() + deadline;
        self.queue.try_send(Waiting { line, deadline, outcome }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => AppendError::Full,
            mpsc::error::TrySendError::Closed(_) => AppendError::Unavailable,
        })?;
        match timeout_at(deadline + ANSWER_SLACK, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Err(AppendError::Unknown),
        }
    }
}

/// The partition's only writer in this process.
async fn gather(log: Weak<Inner>, partition: u32, mut queue: mpsc::Receiver<Waiting>, stop: CancellationToken) {
    let mut held = None;
    loop {
        let first = match held.take() {
            Some(waiting) => waiting,
            // Nothing is lost whichever branch is dropped: `recv` is cancel safe.
            None => tokio::select! {
                waiting = queue.recv() => match waiting {
                    Some(waiting) => waiting,
                    None => return,
                },
                () = stop.cancelled() => return,
            },
        };
        let Some(log) = log.upgrade() else { return };
        let mut batch = vec![first];
        wait_for_connection(&log, &mut batch, &mut queue, &mut held).await;
        if batch.is_empty() {
            continue;
        }
        let (id, payload) = (Uuid::new_v4().to_string(), payload(&batch));
        let deadline = batch.iter().map(|waiting| waiting.deadline).max().expect("the batch is not empty");
        let memory = &log.memories[partition as usize];
        let seen = memory.last();
        let stored = store(&log.context, partition, &id, payload, deadline).await;
        if let Ok(sequence) = stored {
            if sequence <= seen {
                // To the callers it is unknown: the batch is stored, but another epoch begins with it.
                drop(batch);
                let reason = format!("it went back: what was appended after sequence {seen} has {sequence}");
                record_loss(&log, partition, reason, Some(sequence)).await;
                return;
            }
            memory.acknowledged(sequence);
        }
        let timeline = log.timelines.get(partition);
        for (index, waiting) in (0_u32..).zip(batch) {
            // A caller that has gone needs no answer.
            let _ = waiting.outcome.send(stored.map(|sequence| timeline.position(sequence, index)));
        }
    }
}

/// Fills the batch with what is queued, until there is a connection to send it over. Those whose deadline passes before
/// that were never sent: they are told so, and leave the batch.
async fn wait_for_connection(
    log: &Inner,
    batch: &mut Vec<Waiting>,
    queue: &mut mpsc::Receiver<Waiting>,
    held: &mut Option<Waiting>,
) {
    loop {
        fill(batch, queue, held);
        if log.is_connected() || batch.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut expired = batch.extract_if(.., |waiting| waiting.deadline <= now).peekable();
        if expired.peek().is_none() {
            drop(expired);
            sleep(RETRY_PAUSE).await;
            continue;
        }
        for waiting in expired {
            // A caller that has gone needs no answer.
            let _ = waiting.outcome.send(Err(AppendError::Unavailable));
        }
    }
}

/// Takes from the queue what fits; what does not is held for the next batch.
fn fill(batch: &mut Vec<Waiting>, queue: &mut mpsc::Receiver<Waiting>, held: &mut Option<Waiting>) {
    let mut bytes: usize = batch.iter().map(|waiting| waiting.line.len() + 1).sum();
    while batch.len() < MAX_BATCH_EVENTS {
        let Some(waiting) = held.take().or_else(|| queue.try_recv().ok()) else { return };
        bytes += waiting.line.len() + 1;
        if bytes > MAX_BATCH_BYTES && !batch.is_empty() {
            *held = Some(waiting);
            return;
        }
        batch.push(waiting);
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

/// Sends the batch until its outcome is known or the deadline has passed.
async fn store(
    context: &jetstream::Context,
    partition: u32,
    id: &str,
    payload: Bytes,
    deadline: Instant,
) -> Result<u64, AppendError> {
    // Once an attempt went unanswered it may be stored, whatever is said of a later one.
    let mut unanswered = false;
    loop {
        let message = PublishMessage::build().message_id(id).payload(payload.clone());
        let attempt = async { context.send_publish(partition::subject(partition), message).await?.await };
        // A dropped attempt may be stored or not, and so may one whose answer went to a connection that is gone.
        let refusal = tokio::select! {
            answer = attempt => match answer {
                Ok(ack) => return Ok(ack.sequence),
                Err(error) => refusal(&error),
            },
            () = sleep(ATTEMPT_TIMEOUT.min(deadline - Instant::now())) => None,
            () = reconnect(context) => None,
        };
        match refusal {
            Some(AppendError::Full) if !unanswered => return Err(AppendError::Full),
            Some(_) => {}
            None => {
                unanswered = true;
                tracing::warn!(partition, batch = id, "an append was not acknowledged in time, sending it again");
            }
        }
        if Instant::now() + RETRY_PAUSE >= deadline {
            return Err(if unanswered { AppendError::Unknown } else { refusal.unwrap_or(AppendError::Unknown) });
        }
        sleep(RETRY_PAUSE).await;
    }
}

/// Waits until there is another connection than now.
async fn reconnect(context: &jetstream::Context) {
    let client = context.client();
    let statistics = client.statistics();
    let connects = statistics.connects.load(Ordering::Relaxed);
    while statistics.connects.load(Ordering::Relaxed) == connects {
        sleep(RETRY_PAUSE).await;
    }
}

/// What a failed attempt says for certain: nothing was stored by it, and why. `None`: it may have been.
fn refusal(error: &PublishError) -> Option<AppendError> {
    match error.kind() {
        // Nobody listens on the subject: JetStream is starting, or the partition has no leader.
        PublishErrorKind::StreamNotFound => Some(AppendError::Unavailable),
        PublishErrorKind::MaxPayloadExceeded => Some(AppendError::TooLarge),
        PublishErrorKind::Other => {
            let source = std::error::Error::source(error)?;
            let error = source.downcast_ref::<jetstream::Error>()?;
            match error.error_code() {
                ErrorCode::STORAGE_RESOURCES_EXCEEDED | ErrorCode::INSUFFICIENT_RESOURCES => Some(AppendError::Full),
                // The store's own limits refuse beforehand; its other failures (a bad disk) may leave something behind.
                ErrorCode::STREAM_STORE_FAILED if error.to_string().contains("maximum") => Some(AppendError::Full),
                ErrorCode::STREAM_STORE_FAILED => None,
                _ => Some(AppendError::Unavailable),
            }
        }
        _ => None,
    }
}
