//! Stores one batch: sends it until it is acknowledged or has expired, then resolves its outcome, as far as time
//! allows.
//!
//! An acknowledgement alone is not enough. Readers skip a batch that was stored after its expiry, so a batch counts
//! only if it is known to be stored in time: by a fresh reading of the leader's clock, or by reading the message back.

use std::error::Error as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{HeaderMap, header::NATS_MESSAGE_ID};
use bytes::Bytes;
use chat::Position;
use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use runtime::Moment;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::context::Context;
use crate::epoch::evidence::set_known_end;
use crate::error::AppendError;
use crate::jetstream::timestamp;
use crate::node_name;
use crate::partition;
use crate::read::entry::{is_expired, set_expiry};
use crate::traces;

/// An attempt that is not answered within this time is retried with the same batch under the same id.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause after a temporary refusal, such as that of a server that is starting.
const PAUSE: Duration = Duration::from_millis(50);

/// An acknowledgement that comes this long before the expiry, by a fresh reading of the leader's clock, is trusted. NTP
/// never steps a clock further than this within a second and a half.
const MARGIN: SignedDuration = SignedDuration::from_secs(1);

/// The tolerated clock skew: after the expiry nothing can be stored in time, unless the next leader's clock is behind
/// by more.
const SKEW: SignedDuration = SignedDuration::from_millis(200);

/// How many messages are read back concurrently while a batch is searched.
const LOOKS: usize = 16;

/// A batch to be stored.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The message id: the stream stores it once.
    pub(crate) id: String,
    pub(crate) partition: u32,
    pub(crate) payload: Bytes,
    /// The header with the sampled traces of its events, if there are any.
    pub(crate) traces: Option<String>,
    /// The latest time at which the batch may be stored, by the clock of the partition's leader.
    pub(crate) expires: Timestamp,
    /// The same time, as far as this machine knows.
    pub(crate) expires_here: Moment,
    /// The outcome must be known by then.
    pub(crate) answer_by: Moment,
    /// The batch will stand after this sequence.
    pub(crate) after: u64,
    /// How far this process knew the partition to reach before the first attempt.
    pub(crate) known_end: Position,
}

/// Whether the log accepts appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Since this moment.
    Open(Moment),
    /// There is no connection, or no leader.
    Closed,
}

/// The outcome of one attempt.
enum Attempt {
    Acknowledged(u64),
    /// This attempt stored nothing.
    Refused(AppendError),
    /// The batch may be stored or not.
    Unanswered,
}

/// Sends the batch until its outcome is known, and reports through `way` whether the log accepts appends.
pub(crate) async fn store(context: &Context, batch: Batch, way: &watch::Sender<Way>) -> Result<u64, AppendError> {
    let (id, partition) = (&batch.id, batch.partition);
    // After an unanswered attempt the batch may be stored, whatever a later attempt returns.
    let mut unanswered = false;
    let mut refusal = AppendError::Unavailable;
    while !batch.has_expired(context) {
        // Without a connection the client would buffer the message, invisibly, until there is one.
        if !context.is_connected() {
            way.send_replace(Way::Closed);
            sleep(PAUSE).await;
            continue;
        }
        match batch.attempt(context, id).await {
            Attempt::Acknowledged(sequence) => {
                open(way);
                return batch.acknowledged(context, id, sequence).await;
            }
            // These refusals are permanent.
            Attempt::Refused(why @ (AppendError::Full | AppendError::TooLarge)) if !unanswered => {
                open(way);
                return Err(why);
            }
            Attempt::Refused(why) => {
                refusal = why;
                way.send_replace(Way::Closed);
            }
            Attempt::Unanswered => {
                unanswered = true;
                tracing::warn!(partition, batch = id, "an append was not acknowledged in time");
            }
        }
        sleep(PAUSE).await;
    }
    if unanswered { batch.resolve(context, id).await } else { Err(refusal) }
}

/// Reports that the log accepts appends, or refuses this one permanently.
fn open(way: &watch::Sender<Way>) {
    way.send_if_modified(|way| {
        let was_closed = *way == Way::Closed;
        if was_closed {
            *way = Way::Open(Moment::now());
        }
        was_closed
    });
}

impl Batch {
    /// Whether the batch can only be stored too late.
    fn has_expired(&self, context: &Context) -> bool {
        let by_the_log =
            context.clocks[self.partition as usize].last().is_some_and(|clock| clock.earliest() > self.expires);
        by_the_log || self.expires_here.is_past()
    }

    async fn attempt(&self, context: &Context, id: &str) -> Attempt {
        let mut headers = HeaderMap::new();
        set_expiry(&mut headers, self.expires);
        set_known_end(&mut headers, self.known_end);
        traces::set(&mut headers, self.traces.as_deref());
        node_name::set(&mut headers, context.config.node.as_ref());
        let message = PublishMessage::build().headers(headers).message_id(id).payload(self.payload.clone());
        let subject = partition::subject(self.partition);
        let publish = async { context.jetstream.send_publish(subject, message).await?.await };
        // After a dropped attempt the batch may be stored or not, and so it may after a reconnect.
        tokio::select! {
            answer = publish => match answer {
                Ok(ack) => Attempt::Acknowledged(ack.sequence),
                Err(error) => refusal(&error).map_or(Attempt::Unanswered, Attempt::Refused),
            },
            () = sleep(ATTEMPT_TIMEOUT.min(self.expires_here.left())) => Attempt::Unanswered,
            () = reconnect(&context.jetstream) => Attempt::Unanswered,
        }
    }

    /// Decides whether an acknowledged batch was stored in time, so that it counts.
    async fn acknowledged(&self, context: &Context, id: &str, sequence: u64) -> Result<u64, AppendError> {
        let clock = &context.clocks[self.partition as usize];
        let reading = clock.fresh(&context.jetstream).await;
        // The positions that this process would answer with may be those of a lost part.
        if reading.as_ref().is_ok_and(|reading| context.is_superseded(self.partition, reading)) {
            return Err(AppendError::Unknown);
        }
        if reading.is_ok_and(|reading| reading.latest() + MARGIN <= self.expires) {
            return Ok(sequence);
        }
        while !self.answer_by.is_past() {
            match self.look(context, id, sequence).await {
                Some(Look::Stands(outcome)) => return outcome.map(|()| sequence),
                // The batch was acknowledged, so it has left the log since.
                Some(Look::StandsNot) => break,
                None => sleep(PAUSE).await,
            }
        }
        Err(AppendError::Unknown)
    }

    /// Resolves the outcome of a batch that has expired and may be stored.
    async fn resolve(&self, context: &Context, id: &str) -> Result<u64, AppendError> {
        let left = self.answer_by.left();
        let outcome = timeout(left, self.find(context, id)).await.unwrap_or(Err(AppendError::Unknown));
        tracing::warn!(partition = self.partition, batch = id, ?outcome, "resolved an unanswered append");
        outcome
    }

    /// Searches the batch wherever it can stand.
    async fn find(&self, context: &Context, id: &str) -> Result<u64, AppendError> {
        let clock = &context.clocks[self.partition as usize];
        loop {
            if context.is_connected()
                && let Ok(reading) = clock.read(&context.jetstream).await
                && !context.is_superseded(self.partition, &reading)
                && reading.earliest() > self.expires + SKEW
                && let Some(end) = self.fence(context).await
            {
                return self.find_before(context, id, end).await;
            }
            sleep(PAUSE).await;
        }
    }

    /// Appends an empty batch, which readers skip, and returns its sequence. Everything that this leader or an earlier
    /// one accepted before stands before that sequence, or nowhere. Without the fence, a leader that is cut off would
    /// report messages as missing that the other members are still to agree on.
    async fn fence(&self, context: &Context) -> Option<u64> {
        let publish = context.jetstream.publish(partition::subject(self.partition), Bytes::new());
        let fenced = async { publish.await.ok()?.await.ok() };
        timeout(ATTEMPT_TIMEOUT, fenced).await.ok()?.map(|ack| ack.sequence)
    }

    async fn find_before(&self, context: &Context, id: &str, end: u64) -> Result<u64, AppendError> {
        let looks = (self.after + 1..end).map(async |sequence| {
            loop {
                match self.look(context, id, sequence).await {
                    Some(look) => return (sequence, look),
                    None => sleep(PAUSE).await,
                }
            }
        });
        let mut looks = stream::iter(looks).buffered(LOOKS);
        while let Some((sequence, look)) = looks.next().await {
            if let Look::Stands(outcome) = look {
                return outcome.map(|()| sequence);
            }
        }
        Err(AppendError::Unavailable)
    }

    /// Looks for the batch at that sequence. `None`: there was no answer.
    async fn look(&self, context: &Context, id: &str, sequence: u64) -> Option<Look> {
        let stream: Stream<()> = context.jetstream.get_stream_no_info(partition::stream(self.partition)).await.ok()?;
        // The leader answers this: another member may not have the message yet.
        let message = match timeout(ATTEMPT_TIMEOUT, stream.get_raw_message(sequence)).await.ok()? {
            Ok(message) => message,
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Some(Look::StandsNot),
            Err(_) => return None,
        };
        if message.headers.get(NATS_MESSAGE_ID).is_none_or(|found| found.as_str() != id) {
            return Some(Look::StandsNot);
        }
        // Readers skip a batch that is late, so it counts as not stored.
        let is_late = is_expired(timestamp(message.time), Some(&message.headers));
        Some(Look::Stands(if is_late { Err(AppendError::Unavailable) } else { Ok(()) }))
    }
}

/// What stands at a sequence.
enum Look {
    /// The batch, in time or too late.
    Stands(Result<(), AppendError>),
    /// Another message, or none.
    StandsNot,
}

/// Waits for the next connection.
async fn reconnect(context: &jetstream::Context) {
    let client = context.client();
    let statistics = client.statistics();
    let connects = statistics.connects.load(Ordering::Relaxed);
    while statistics.connects.load(Ordering::Relaxed) == connects {
        sleep(PAUSE).await;
    }
}

/// The reason if the failed attempt certainly stored nothing. `None`: the batch may be stored.
fn refusal(error: &PublishError) -> Option<AppendError> {
    match error.kind() {
        // Nobody listens on the subject: JetStream is starting, or the partition has no leader.
        PublishErrorKind::StreamNotFound => Some(AppendError::Unavailable),
        PublishErrorKind::MaxPayloadExceeded => Some(AppendError::TooLarge),
        PublishErrorKind::Other => {
            let source = error.source()?;
            let error = source.downcast_ref::<jetstream::Error>()?;
            match error.error_code() {
                ErrorCode::STORAGE_RESOURCES_EXCEEDED | ErrorCode::INSUFFICIENT_RESOURCES => Some(AppendError::Full),
                // The store checks its limits before it writes. Its other failures, such as a bad disk, may leave the
                // message behind.
                ErrorCode::STREAM_STORE_FAILED if error.to_string().contains("maximum") => Some(AppendError::Full),
                ErrorCode::STREAM_STORE_FAILED => None,
                _ => Some(AppendError::Unavailable),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jetstream_says(code: u64, error_code: u64, description: &str) -> PublishError {
        let said = serde_json::json!({ "code": code, "err_code": error_code, "description": description });
        let said: jetstream::Error = serde_json::from_value(said).unwrap();
        PublishError::with_source(PublishErrorKind::Other, said)
    }

    #[test]
    fn only_what_says_for_certain_that_nothing_is_stored_is_a_refusal() {
        use AppendError::{Full, TooLarge, Unavailable};
        for (error, expected) in [
            (PublishError::new(PublishErrorKind::StreamNotFound), Some(Unavailable)),
            (PublishError::new(PublishErrorKind::MaxPayloadExceeded), Some(TooLarge)),
            (jetstream_says(500, 10047, "insufficient storage resources available"), Some(Full)),
            (jetstream_says(503, 10023, "insufficient resources"), Some(Full)),
            (jetstream_says(503, 10077, "maximum bytes exceeded"), Some(Full)),
            (jetstream_says(503, 10077, "maximum messages exceeded"), Some(Full)),
            (jetstream_says(503, 10008, "JetStream system temporarily unavailable"), Some(Unavailable)),
            (jetstream_says(503, 10076, "JetStream not enabled for account"), Some(Unavailable)),
            // The batch may be stored all the same.
            (jetstream_says(503, 10077, "error opening msg block file: input/output error"), None),
            (PublishError::new(PublishErrorKind::TimedOut), None),
            (PublishError::new(PublishErrorKind::BrokenPipe), None),
            (PublishError::new(PublishErrorKind::Other), None),
            (PublishError::with_source(PublishErrorKind::Other, std::io::Error::other("cut off")), None),
        ] {
            assert_eq!(refusal(&error), expected, "{error:?}");
        }
    }

    #[test]
    fn a_way_that_opens_again_is_open_since_then_and_one_that_stays_open_since_before() {
        let (way, before) = (watch::Sender::new(Way::Closed), Moment::now());
        open(&way);
        let Way::Open(since) = *way.borrow() else { panic!("it is still closed") };
        assert!(since >= before);
        let mut watcher = way.subscribe();
        open(&way);
        assert_eq!(*way.borrow(), Way::Open(since));
        assert!(!watcher.has_changed().unwrap(), "nobody is woken for nothing");
        watcher.mark_unchanged();
        way.send_replace(Way::Closed);
        open(&way);
        assert!(watcher.has_changed().unwrap());
    }
}
