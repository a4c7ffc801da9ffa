//! Requests to JetStream: each has a deadline, and a write that reached no leader is retried.

use std::future::IntoFuture;
use std::time::Duration;

use async_nats::jetstream::consumer::{PullConsumer, pull};
use async_nats::jetstream::context::{GetStreamErrorKind, PublishError, PublishErrorKind};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::ConsumerErrorKind;
use async_nats::jetstream::{self, ErrorCode, kv, stream};
use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::Error;

/// The pause before a write is retried. An election takes seconds, and a retry costs the server little.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// The deadline of a request to JetStream.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether a write was refused because another came first. If both arrive at once, a cluster answers with another code,
/// which the client does not know.
pub(crate) fn is_conflict(error: &kv::UpdateError) -> bool {
    let refusal = || -> Option<ErrorCode> {
        let publish = std::error::Error::source(error)?;
        Some(publish.source()?.downcast_ref::<jetstream::Error>()?.error_code())
    };
    error.kind() == kv::UpdateErrorKind::WrongLastRevision
        || refusal() == Some(ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT)
}

/// Whether a write reached no leader, so that nothing is stored: for a moment a stream of a cluster has no leader, or a
/// member does not know it.
fn found_no_leader(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error)
        .find_map(|cause| cause.downcast_ref::<PublishError>())
        .is_some_and(|error| error.kind() == PublishErrorKind::StreamNotFound)
}

/// The error and its causes, outermost first.
pub(crate) fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// Writes, and retries until a leader answers or [`REQUEST_TIMEOUT`] has passed.
pub(crate) async fn write<T, E, F>(doing: &'static str, write: impl Fn() -> F) -> Result<Result<T, E>, Error>
where
    E: std::error::Error + Send + Sync + 'static,
    F: Future<Output = Result<T, E>>,
{
    write_until(Instant::now() + REQUEST_TIMEOUT, doing, write).await
}

/// As [`write`], until the given time.
pub(crate) async fn write_until<T, E, F>(
    until: Instant,
    doing: &'static str,
    write: impl Fn() -> F,
) -> Result<Result<T, E>, Error>
where
    E: std::error::Error + Send + Sync + 'static,
    F: Future<Output = Result<T, E>>,
{
    loop {
        match timeout_at(until, write()).await {
            Ok(Err(error)) if found_no_leader(&error) && Instant::now() + RETRY_PAUSE < until => {
                sleep(RETRY_PAUSE).await
            }
            Ok(answer) => return Ok(answer),
            Err(elapsed) => return Err(Error::JetStream { doing, source: elapsed.into() }),
        }
    }
}

/// Awaits a request to JetStream, at most for [`REQUEST_TIMEOUT`].
pub(crate) async fn request<T, E>(
    doing: &'static str,
    request: impl IntoFuture<Output = Result<T, E>>,
) -> Result<T, Error>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    request_within(REQUEST_TIMEOUT, doing, request).await
}

/// As [`request`], with a deadline of its own.
pub(crate) async fn request_within<T, E>(
    limit: Duration,
    doing: &'static str,
    request: impl IntoFuture<Output = Result<T, E>>,
) -> Result<T, Error>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match tokio::time::timeout(limit, request.into_future()).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Error::JetStream { doing, source: error.into() }),
        Err(elapsed) => Err(Error::JetStream { doing, source: elapsed.into() }),
    }
}

/// The stream of that name, if it exists.
pub(crate) async fn find_stream(jetstream: &jetstream::Context, name: &str) -> Result<Option<stream::Info>, Error> {
    const DOING: &str = "asking for a stream of the log";
    match tokio::time::timeout(REQUEST_TIMEOUT, jetstream.get_stream(name)).await {
        Ok(Ok(stream)) => Ok(Some(stream.cached_info().clone())),
        Ok(Err(error)) => match error.kind() {
            GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
            _ => Err(Error::JetStream { doing: DOING, source: error.into() }),
        },
        Err(elapsed) => Err(Error::JetStream { doing: DOING, source: elapsed.into() }),
    }
}

/// The consumer of a stream with that name, if it exists.
pub(crate) async fn find_consumer(
    jetstream: &jetstream::Context,
    stream: &str,
    durable: &str,
) -> Result<Option<PullConsumer>, Error> {
    let asking = async {
        match jetstream.get_consumer_from_stream::<pull::Config, _, _>(durable, stream).await {
            Ok(consumer) => Ok(Some(consumer)),
            Err(error) => match error.kind() {
                ConsumerErrorKind::JetStream(refusal) if refusal.error_code() == ErrorCode::CONSUMER_NOT_FOUND => {
                    Ok(None)
                }
                _ => Err(error),
            },
        }
    };
    request("asking for a consumer", asking).await
}

/// The message with that sequence. None: the stream does not have it, or not any more.
pub(crate) async fn message_at<I>(stream: &stream::Stream<I>, sequence: u64) -> Result<Option<StreamMessage>, Error> {
    let asking = async {
        match stream.get_raw_message(sequence).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == stream::RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error),
        }
    };
    request("reading a message of a stream", asking).await
}

/// The first message from that sequence on. None: the stream has none there.
pub(crate) async fn next_message<I>(stream: &stream::Stream<I>, sequence: u64) -> Result<Option<StreamMessage>, Error> {
    let asking = async {
        match stream.get_first_raw_message_by_subject(">", sequence).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == stream::LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error),
        }
    };
    request("looking for the next message of a stream", asking).await
}

/// A time of the server's, from the client's type.
pub(crate) fn timestamp(time: async_nats::datetime::DateTime) -> Timestamp {
    Timestamp::from_nanosecond(time.unix_timestamp_nanos()).unwrap_or(Timestamp::MAX)
}
