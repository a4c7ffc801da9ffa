//! Stores one batch: sends it until it is acknowledged or has expired, and then finds out what became of it, as far as
//! that can be known in time.
//!
//! An acknowledgement alone is not trusted. Readers skip what was stored after its expiry, so a batch counts only if its
//! stored time is known to be before: by a fresh reading of the leader's clock, or by the message itself, read back.

use std::error::Error as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{HeaderMap, header::NATS_MESSAGE_ID};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::log::Inner;
use crate::partition;
use crate::read::entry::{is_expired, set_expiry, timestamp};
use crate::write::append::{AppendError, Way};
use runtime::Moment;

/// An attempt that is not answered within this time is repeated: the same batch under the same id.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause after a refusal that may pass, such as a server that is starting.
const PAUSE: Duration = Duration::from_millis(50);

/// An acknowledgement that comes so long before the expiry, by a fresh reading of the leader's clock, is trusted. A clock
/// that is set forward by more within a second and a half of being read is nobody's NTP.
const MARGIN: SignedDuration = SignedDuration::from_secs(1);

/// After the expiry nothing more can be stored in time, unless the next leader's clock is behind: by less than this.
const SKEW: SignedDuration = SignedDuration::from_millis(200);

/// Messages that are looked at together when a batch is looked for.
const LOOKS: usize = 16;

/// A batch on its way.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) partition: u32,
    pub(crate) payload: Bytes,
    /// Until then it may be stored, by the clock of the partition's leader.
    pub(crate) expires: Timestamp,
    /// The same, as far as this machine knows.
    pub(crate) expires_here: Moment,
    /// Until then its outcome is to be known.
    pub(crate) answer_by: Moment,
    /// It stands after this sequence.
    pub(crate) after: u64,
}

/// What an attempt came to.
enum Attempt {
    Acknowledged(u64),
    /// Nothing was stored by it.
    Refused(AppendError),
    /// It may be stored or not.
    Unanswered,
}

/// Sends the batch until its outcome is known. `way` hears whether the log takes appends.
pub(crate) async fn store(log: &Inner, batch: Batch, way: &watch::Sender<Way>) -> Result<u64, AppendError> {
    let (id, partition) = (Uuid::new_v4().to_string(), batch.partition);
    // Once an attempt went unanswered it may be stored, whatever is said of a later one.
    let mut unanswered = false;
    let mut refusal = AppendError::Unavailable;
    while !batch.has_expired(log) {
        // What is sent without a connection waits in the client, where nobody sees it, for as long as there is none.
        if !log.is_connected() {
            way.send_replace(Way::Closed);
            sleep(PAUSE).await;
            continue;
        }
        match batch.attempt(log, &id).await {
            Attempt::Acknowledged(sequence) => {
                open(way);
                return batch.acknowledged(log, &id, sequence).await;
            }
            // These do not pass by themselves.
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
    if unanswered { batch.resolve(log, &id).await } else { Err(refusal) }
}

/// The log takes appends, or refuses them for good.
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
    /// Whether it could only be stored too late.
    fn has_expired(&self, log: &Inner) -> bool {
        let by_the_log =
            log.clocks[self.partition as usize].last().is_some_and(|clock| clock.earliest() > self.expires);
        by_the_log || self.expires_here.is_past()
    }

    async fn attempt(&self, log: &Inner, id: &str) -> Attempt {
        let mut headers = HeaderMap::new();
        set_expiry(&mut headers, self.expires);
        let message = PublishMessage::build().headers(headers).message_id(id).payload(self.payload.clone());
        let subject = partition::subject(self.partition);
        let publish = async { log.context.send_publish(subject, message).await?.await };
        // A dropped attempt may be stored or not, and so may one whose answer went to a connection that is gone.
        tokio::select! {
            answer = publish => match answer {
                Ok(ack) => Attempt::Acknowledged(ack.sequence),
                Err(error) => refusal(&error).map_or(Attempt::Unanswered, Attempt::Refused),
            },
            () = sleep(ATTEMPT_TIMEOUT.min(self.expires_here.left())) => Attempt::Unanswered,
            () = reconnect(&log.context) => Attempt::Unanswered,
        }
    }

    /// The batch stands at that sequence: whether in time, so that it counts.
    async fn acknowledged(&self, log: &Inner, id: &str, sequence: u64) -> Result<u64, AppendError> {
        let clock = &log.clocks[self.partition as usize];
        if let Ok(reading) = clock.fresh(&log.context).await
            && reading.latest() + MARGIN <= self.expires
        {
            return Ok(sequence);
        }
        while !self.answer_by.is_past() {
            match self.look(log, id, sequence).await {
                Some(Look::Stands(outcome)) => return outcome.map(|()| sequence),
                // It was acknowledged, so it is gone since.
                Some(Look::StandsNot) => break,
                None => sleep(PAUSE).await,
            }
        }
        Err(AppendError::Unknown)
    }

    /// The batch has expired, and may have been stored before.
    async fn resolve(&self, log: &Inner, id: &str) -> Result<u64, AppendError> {
        let left = self.answer_by.left();
        let outcome = timeout(left, self.find(log, id)).await.unwrap_or(Err(AppendError::Unknown));
        tracing::warn!(partition = self.partition, batch = id, ?outcome, "what became of an unanswered append");
        outcome
    }

    /// Looks for the batch wherever it can be.
    async fn find(&self, log: &Inner, id: &str) -> Result<u64, AppendError> {
        let clock = &log.clocks[self.partition as usize];
        loop {
            if log.is_connected()
                && let Ok(reading) = clock.read(&log.context).await
                && reading.earliest() > self.expires + SKEW
                && let Some(end) = self.fence(log).await
            {
                return self.find_before(log, id, end).await;
            }
            sleep(PAUSE).await;
        }
    }

    /// Appends an empty batch, which readers pass over, and says where it stands. Whatever its leader, or one before it,
    /// took in earlier stands before it or nowhere; without that, a leader that was cut off from the others would say of
    /// what it has yet to agree on with them that it is not there.
    async fn fence(&self, log: &Inner) -> Option<u64> {
        let publish = log.context.publish(partition::subject(self.partition), Bytes::new());
        let fenced = async { publish.await.ok()?.await.ok() };
        timeout(ATTEMPT_TIMEOUT, fenced).await.ok()?.map(|ack| ack.sequence)
    }

    async fn find_before(&self, log: &Inner, id: &str, end: u64) -> Result<u64, AppendError> {
        let looks = (self.after + 1..end).map(async |sequence| {
            loop {
                match self.look(log, id, sequence).await {
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

    /// Looks whether the batch stands at that place. None: nobody says.
    async fn look(&self, log: &Inner, id: &str, sequence: u64) -> Option<Look> {
        let stream: Stream<()> = log.context.get_stream_no_info(partition::stream(self.partition)).await.ok()?;
        // From the leader: another member may not have it yet.
        let message = match timeout(ATTEMPT_TIMEOUT, stream.get_raw_message(sequence)).await.ok()? {
            Ok(message) => message,
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Some(Look::StandsNot),
            Err(_) => return None,
        };
        if message.headers.get(NATS_MESSAGE_ID).is_none_or(|found| found.as_str() != id) {
            return Some(Look::StandsNot);
        }
        // Late: readers skip it, so it is as if it were not stored.
        let is_late = is_expired(timestamp(message.time), Some(&message.headers));
        Some(Look::Stands(if is_late { Err(AppendError::Unavailable) } else { Ok(()) }))
    }
}

/// What stands at a place.
enum Look {
    /// The batch: in time, or too late.
    Stands(Result<(), AppendError>),
    /// Something else, or nothing.
    StandsNot,
}

/// Waits until there is another connection than now.
async fn reconnect(context: &jetstream::Context) {
    let client = context.client();
    let statistics = client.statistics();
    let connects = statistics.connects.load(Ordering::Relaxed);
    while statistics.connects.load(Ordering::Relaxed) == connects {
        sleep(PAUSE).await;
    }
}

/// What a failed attempt says for certain: nothing was stored by it, and why. `None`: it may have been.
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
                // The store's own limits refuse beforehand; its other failures (a bad disk) may leave something behind.
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
            // It may be stored all the same.
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
