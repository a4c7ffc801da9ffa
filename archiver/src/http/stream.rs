//! Streamed answers of any size. Pieces are written as fast as the client takes them, so a stream needs the memory of a
//! few pieces. The number of streams is bounded, and a stream whose client takes nothing for too long is cut. A stream
//! that fails half-way, whose token expires, or whose client is no longer a moderator of the room, breaks the
//! connection: the client sees that the answer is incomplete.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use runtime::for_same_request;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use web::{UserPermit, UserPermits};

use super::refusal::Refusal;
use super::role::RoomRole;
use crate::ReadsConfig;
use crate::mongo::failure::Failure;

/// Pieces that wait for the client, beside the one in the making. When it is full, the stream waits.
const WAITING: usize = 2;

/// The streams in progress. They have no place among the role's supervised tasks: one that panics costs one answer.
#[derive(Debug)]
pub(crate) struct Streams {
    permits: Arc<UserPermits>,
    stall_timeout: Duration,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// The permit for one stream, held for as long as it lasts.
#[derive(Debug)]
pub(super) struct StreamPermit {
    _permit: UserPermit,
    until: SystemTime,
    role: Option<RoomRole>,
}

/// Where a stream's pieces go.
#[derive(Debug, Clone)]
pub(super) struct Sink {
    /// None ends the stream. A channel that closes without it was cut.
    pieces: mpsc::Sender<Option<Bytes>>,
    stall_timeout: Duration,
}

/// Why a stream ends early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    /// The client disconnected, or takes nothing.
    #[error("the client is gone")]
    Gone,
    /// The client's token expired.
    #[error("the client's token has expired")]
    Expired,
    /// The client's role in the room has ended.
    #[error("the client is no longer a moderator of the room")]
    Dismissed,
    #[error("{0}")]
    Archive(#[from] Failure),
}

/// 10 s: how often the wall clock is checked. A longer sleep would not notice that the machine was suspended.
const LOOK: Duration = Duration::from_secs(10);

/// Waits until that time of the wall clock.
async fn ended(until: SystemTime) {
    loop {
        let left = until.duration_since(SystemTime::now()).unwrap_or_default();
        if left.is_zero() {
            return;
        }
        sleep(left.min(LOOK)).await;
    }
}

/// Waits until the role has ended. None: forever.
async fn dismissed(role: Option<&RoomRole>) {
    match role {
        Some(role) => role.ended().await,
        None => pending().await,
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

    /// Ends the remaining streams. Their connections are closed by then.
    pub(crate) async fn finish(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// A permit for one more stream of the user, to be taken before the stream begins. `until`: when the token expires.
    /// `role`: the role that allows the stream, if the token alone does not.
    pub(super) fn permit(&self, user: i64, until: SystemTime, role: Option<RoomRole>) -> Result<StreamPermit, Refusal> {
        let permit = self.permits.take(user).ok_or(Refusal::Overloaded)?;
        Ok(StreamPermit { _permit: permit, until, role })
    }

    /// A body of the pieces that `produce` sends to its sink.
    pub(super) fn body<F>(&self, permit: StreamPermit, produce: impl FnOnce(Sink) -> F) -> Body
    where
        F: Future<Output = Result<(), Cut>> + Send + 'static,
    {
        let (pieces, mut waiting) = mpsc::channel(WAITING);
        let sink = Sink { pieces, stall_timeout: self.stall_timeout };
        // Boxed: it is large, and each future around it would have room for it again.
        let (produced, end) = (Box::pin(produce(sink.clone())), sink);
        let stop = self.stop.clone();
        self.tasks.spawn(for_same_request(async move {
            // Moves the permit as a whole into the task, not the time alone.
            let permit = permit;
            let whole = async {
                produced.await?;
                end.give(None).await
            };
            // The dropped branch has only read. A client that comes back needs another token.
            let whole = async {
                tokio::select! {
                    biased;
                    () = ended(permit.until) => Err(Cut::Expired),
                    () = dismissed(permit.role.as_ref()) => Err(Cut::Dismissed),
                    cut = whole => cut,
                }
            };
            // Nobody reads a stream that the stop drops.
            if let Some(Err(Cut::Archive(failure))) = stop.run_until_cancelled(whole).await {
                tracing::warn!(error = %failure, "a stream was cut half-way: {failure}");
            }
        }));
        Body::from_stream(stream::poll_fn(move |context| {
            waiting.poll_recv(context).map(|piece| match piece {
                Some(piece) => piece.map(Ok),
                None => Some(Err(io::Error::other("the stream was cut"))),
            })
        }))
    }
}

impl Sink {
    /// Sends a piece, once there is room for it.
    pub(super) async fn send(&self, piece: impl Into<Bytes>) -> Result<(), Cut> {
        self.give(Some(piece.into())).await
    }

    /// Waits until the client has disconnected, as far as that is noticed.
    pub(super) async fn gone(&self) {
        self.pieces.closed().await;
    }

    async fn give(&self, piece: Option<Bytes>) -> Result<(), Cut> {
        match timeout(self.stall_timeout, self.pieces.send(piece)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Cut::Gone),
            Err(_) => {
                tracing::debug!("a stream is cut: its client takes nothing");
                Err(Cut::Gone)
            }
        }
    }
}

/// A file download with that name, which is ASCII.
pub(super) fn file(body: Body, content_type: &'static str, name: &str) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-store")], [(CONTENT_DISPOSITION, disposition)], body)
        .into_response()
}
