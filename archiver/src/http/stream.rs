//! Answers of any size: written piece by piece, as fast as their reader takes them and no faster, so that they need the
//! memory of a few pieces. How many there are at once is bounded, and a reader who takes nothing for too long is cut.
//! A stream that fails half-way, or whose reader's token ends, breaks the connection: its reader sees that it is not whole.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use web::{UserPermit, UserPermits};

use super::Reader;
use super::call::Call;
use super::refusal::Refusal;
use crate::ReadsConfig;
use crate::mongo::database::Failure;

/// Pieces that wait for the reader; one more is being made.
const WAITING: usize = 2;

/// The streams at work.
#[derive(Debug)]
pub(crate) struct Streams {
    permits: Arc<UserPermits>,
    stall_timeout: Duration,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// The right to one stream, for as long as it lasts.
#[derive(Debug)]
pub(super) struct Place {
    _permit: UserPermit,
    until: SystemTime,
}

/// Where the pieces of a stream go.
#[derive(Debug, Clone)]
pub(super) struct Sink {
    /// None: that was all. Without it the stream was cut.
    pieces: mpsc::Sender<Option<Bytes>>,
    stall_timeout: Duration,
}

/// Why a stream ends before it is whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    /// The reader went away, or takes nothing.
    #[error("the reader is gone")]
    Gone,
    /// The reader's token has ended.
    #[error("the reader's token has expired")]
    Expired,
    #[error("{0}")]
    Archive(#[from] Failure),
}

/// How often the wall clock is looked at: what waits for it otherwise does not see that the machine was suspended.
const LOOK: Duration = Duration::from_secs(10);

/// Until that moment by the wall clock.
async fn ended(until: SystemTime) {
    loop {
        let left = until.duration_since(SystemTime::now()).unwrap_or_default();
        if left.is_zero() {
            return;
        }
        sleep(left.min(LOOK)).await;
    }
}

impl Streams {
    pub(super) fn new(config: &ReadsConfig) -> Streams {
        Streams {
            permits: UserPermits::new(config.max_streams, config.max_streams_of_user),
            stall_timeout: config.stall_timeout.get(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Ends what is left. The connections are closed by then, so that nobody reads it.
    pub(crate) async fn finish(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Reader {
    /// Room for one more stream of that caller, before it is begun.
    pub(super) fn place(&self, call: &Call) -> Result<Place, Refusal> {
        let permit = self.streams.permits.take(call.identity.user_idx).ok_or(Refusal::Overloaded)?;
        Ok(Place { _permit: permit, until: call.until })
    }

    /// A body of what `produce` gives to its sink.
    pub(super) fn stream<F>(&self, place: Place, produce: impl FnOnce(Sink) -> F) -> Body
    where
        F: Future<Output = Result<(), Cut>> + Send + 'static,
    {
        let (pieces, mut waiting) = mpsc::channel(WAITING);
        let sink = Sink { pieces, stall_timeout: self.streams.stall_timeout };
        let (produced, end) = (produce(sink.clone()), sink);
        let stop = self.streams.stop.clone();
        self.streams.tasks.spawn(async move {
            // The whole of it, not the time alone.
            let place = place;
            let whole = async {
                produced.await?;
                end.give(None).await
            };
            // What is dropped has only read; a reader who comes back needs another token.
            let whole = async {
                tokio::select! {
                    biased;
                    () = ended(place.until) => Err(Cut::Expired),
                    cut = whole => cut,
                }
            };
            // What is dropped by a stop is read by nobody.
            if let Some(Err(Cut::Archive(failure))) = stop.run_until_cancelled(whole).await {
                tracing::warn!(error = %failure, "a stream was cut half-way: {failure}");
            }
        });
        Body::from_stream(stream::poll_fn(move |context| {
            waiting.poll_recv(context).map(|piece| match piece {
                Some(piece) => piece.map(Ok),
                None => Some(Err(io::Error::other("the stream was cut"))),
            })
        }))
    }
}

impl Sink {
    /// Gives a piece to the reader; waits until there is room for it.
    pub(super) async fn send(&self, piece: impl Into<Bytes>) -> Result<(), Cut> {
        self.give(Some(piece.into())).await
    }

    /// Waits until the reader is known to be gone, which may be never.
    pub(super) async fn gone(&self) {
        self.pieces.closed().await;
    }

    async fn give(&self, piece: Option<Bytes>) -> Result<(), Cut> {
        match timeout(self.stall_timeout, self.pieces.send(piece)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Cut::Gone),
            Err(_) => {
                tracing::debug!("a stream is cut: its reader takes nothing");
                Err(Cut::Gone)
            }
        }
    }
}

/// A file to be saved under that name, which is ASCII.
pub(super) fn file(body: Body, content_type: &'static str, name: &str) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-store")], [(CONTENT_DISPOSITION, disposition)], body)
        .into_response()
}
