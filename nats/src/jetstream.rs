//! Requests to JetStream: none waits for ever, and a write that nobody took is written again.

use std::future::IntoFuture;
use std::time::Duration;

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::{self, ErrorCode, kv};
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::Error;

/// An election takes seconds; it costs the server little to be asked meanwhile.
const NOBODY_PAUSE: Duration = Duration::from_millis(100);

/// A request to JetStream that takes longer has failed.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether a write was refused because another came first. A cluster says so by another code where both come at once,
/// which the client does not know.
pub(crate) fn is_conflict(error: &kv::UpdateError) -> bool {
    let refusal = || -> Option<ErrorCode> {
        let publish = std::error::Error::source(error)?;
        Some(publish.source()?.downcast_ref::<jetstream::Error>()?.error_code())
    };
    error.kind() == kv::UpdateErrorKind::WrongLastRevision
        || refusal() == Some(ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT)
}

/// Whether a write came to nobody, so that nothing is stored: for a moment a stream of a cluster has no leader, or a member
/// does not know it.
fn nobody_took(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error)
        .find_map(|cause| cause.downcast_ref::<PublishError>())
        .is_some_and(|error| error.kind() == PublishErrorKind::StreamNotFound)
}

/// The error, and what caused it.
pub(crate) fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// Writes, again for as long as nobody takes it, but not for ever.
pub(crate) async fn write<T, E, F>(doing: &'static str, write: impl Fn() -> F) -> Result<Result<T, E>, Error>
where
    E: std::error::Error + Send + Sync + 'static,
    F: Future<Output = Result<T, E>>,
{
    write_until(Instant::now() + REQUEST_TIMEOUT, doing, write).await
}

/// The same, until then.
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
            Ok(Err(error)) if nobody_took(&error) && Instant::now() + NOBODY_PAUSE < until => sleep(NOBODY_PAUSE).await,
            Ok(answer) => return Ok(answer),
            Err(elapsed) => return Err(Error::JetStream { doing, source: elapsed.into() }),
        }
    }
}

/// Awaits a request to JetStream, but not for ever.
pub(crate) async fn request<T, E>(
    doing: &'static str,
    request: impl IntoFuture<Output = Result<T, E>>,
) -> Result<T, Error>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    request_within(REQUEST_TIMEOUT, doing, request).await
}

/// The same, and no longer than that.
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
