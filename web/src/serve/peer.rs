//! The state of a connection towards its peer: whether it waits for the peer, since when, and how many bytes it holds
//! meanwhile. The reader of an answer has to take some of it in every write timeout, however the answer is cut.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::{Buf as _, Bytes};
use hyper::body::{Body as _, Frame, SizeHint};
use runtime::RequestId;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use crate::fair_slots::Slot;

/// 16 KB: the reader has to take that much of an answer, or the rest, in every write timeout.
const LEAST_PROGRESS: usize = 16 * 1024;

/// 256 KB that the kernel may hold and has not sent of what is not HTTP any more: the largest event that there is.
const UPGRADED_UNSENT_BYTES: u32 = 256 * 1024;

/// 1 s: a connection with a slower body or reader may be evicted when slots are short.
const PATIENCE: Duration = Duration::from_secs(1);

/// What of a connection several parts have to know.
#[derive(Debug)]
pub(super) struct Peer {
    slot: Slot,
    doing: AtomicU8,
    /// Whether an answer was made, and is perhaps not written.
    is_answered: AtomicBool,
    /// Whether something waits to be written.
    is_behind: AtomicBool,
    /// Whether it is not HTTP any more.
    is_upgraded: AtomicBool,
}

/// Between two requests, or while the header of one arrives.
const IDLE: u8 = 0;
/// From the end of a header to the end of the answer, as far as we make it.
const WORKING: u8 = 1;

impl Peer {
    pub(super) fn new(slot: Slot) -> Arc<Peer> {
        Arc::new(Peer {
            slot,
            doing: AtomicU8::new(IDLE),
            is_answered: AtomicBool::new(false),
            is_behind: AtomicBool::new(false),
            is_upgraded: AtomicBool::new(false),
        })
    }

    /// Returns when another connection needs the slot.
    pub(super) async fn has_to_go(&self) {
        self.slot.evicted().await;
    }

    /// It has ended, or from now on it is its handler's to bound.
    pub(super) fn leaves(&self) {
        self.is_upgraded.store(true, Ordering::Relaxed);
        self.slot.release();
    }

    /// The TLS handshake is done, and what came for it is not held any more.
    pub(super) fn has_shaken_hands(&self) {
        self.slot.clear_bytes();
        self.slot.set_waiting();
    }

    /// A header is whole.
    pub(super) fn asks(&self) {
        self.doing.store(WORKING, Ordering::Relaxed);
        self.slot.set_working();
        self.slot.clear_bytes();
    }

    /// An answer of so many bytes is there, which nobody else holds. False: too many bytes wait for readers.
    pub(super) fn makes(&self, bytes: usize) -> bool {
        self.slot.add_bytes(bytes)
    }

    /// The answer is made. Its connection keeps the slot until it is written.
    fn answered(&self) {
        self.doing.store(IDLE, Ordering::Relaxed);
        self.slot.set_proven();
        self.is_answered.store(true, Ordering::Relaxed);
    }

    fn has_sent(&self, bytes: usize) {
        if self.doing.load(Ordering::Relaxed) == IDLE && !self.is_upgraded.load(Ordering::Relaxed) {
            self.slot.add_bytes(bytes);
        }
    }

    fn falls_behind(&self) {
        self.is_behind.store(true, Ordering::Relaxed);
        self.slot.set_stalled_after(PATIENCE);
    }

    fn has_caught_up(&self) {
        let was_behind = self.is_behind.swap(false, Ordering::Relaxed);
        let is_idle = self.doing.load(Ordering::Relaxed) == IDLE;
        if self.is_answered.swap(false, Ordering::Relaxed) && is_idle {
            self.slot.clear_bytes();
            self.slot.set_waiting();
        } else if was_behind && is_idle {
            // Amid a handshake.
            self.slot.set_waiting();
        } else if was_behind {
            self.slot.set_working();
        }
    }
}

/// The socket of a connection. An error ends the connection.
#[derive(Debug)]
pub(super) struct Paced {
    stream: TcpStream,
    peer: Arc<Peer>,
    write_timeout: Duration,
    /// While the peer is behind: when it has to have taken more, and how much it took since the last such time.
    deadline: Option<Pin<Box<Sleep>>>,
    taken: usize,
    is_let_go: bool,
}

impl Paced {
    pub(super) fn new(stream: TcpStream, peer: Arc<Peer>, write_timeout: Duration) -> Paced {
        Paced { stream, peer, write_timeout, deadline: None, taken: 0, is_let_go: false }
    }

    /// From now on its handler has deadlines of its own, for larger pieces.
    fn lets_go(&mut self) {
        if self.is_let_go {
            return;
        }
        (self.is_let_go, self.deadline) = (true, None);
        if let Err(error) = SockRef::from(&self.stream).set_tcp_notsent_lowat(UPGRADED_UNSENT_BYTES) {
            tracing::debug!(%error, "cannot set how much of a socket may be unsent: {error}");
        }
    }

    fn wrote(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if self.peer.is_upgraded.load(Ordering::Relaxed) {
            self.lets_go();
            return written;
        }
        match (written, &mut self.deadline) {
            (Poll::Ready(Ok(bytes)), Some(deadline)) => {
                self.taken += bytes;
                if self.taken >= LEAST_PROGRESS {
                    self.taken = 0;
                    deadline.as_mut().reset(Instant::now() + self.write_timeout);
                    self.peer.falls_behind();
                }
                Poll::Ready(Ok(bytes))
            }
            (Poll::Pending, None) => {
                self.taken = 0;
                self.peer.falls_behind();
                let mut deadline = Box::pin(sleep(self.write_timeout));
                // It is new, and wakes this task.
                let _ = deadline.as_mut().poll(context);
                self.deadline = Some(deadline);
                Poll::Pending
            }
            (Poll::Pending, Some(deadline)) => {
                ready!(deadline.as_mut().poll(context));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer was not taken in time")))
            }
            (written, _) => written,
        }
    }
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.peer.has_sent(buffer.filled().len() - before);
        read
    }
}

impl AsyncWrite for Paced {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.wrote(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// It is called when everything is written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.deadline = None;
        self.peer.has_caught_up();
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The body of a request, that may be long in coming. What came of it counts as held until it is whole.
pub(super) struct Coming<B> {
    body: B,
    peer: Arc<Peer>,
    /// Since when it is waited for: pieces that drip in do not count.
    since: Option<Instant>,
}

impl<B> Coming<B> {
    pub(super) fn new(body: B, peer: Arc<Peer>) -> Coming<B> {
        Coming { body, peer, since: None }
    }
}

impl<B> hyper::body::Body for Coming<B>
where
    B: hyper::body::Body + Unpin,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Pending => {
                let since = *self.since.get_or_insert_with(Instant::now);
                self.peer.slot.set_stalled_after(PATIENCE.saturating_sub(since.elapsed()));
                Poll::Pending
            }
            Poll::Ready(frame) => {
                self.peer.slot.set_working();
                let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
                if let Some(data) = data {
                    self.peer.slot.add_bytes(data.remaining());
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Coming<B> {
    /// What is left of it nobody waits for, and what was there is the handler's to bound.
    fn drop(&mut self) {
        if self.peer.doing.load(Ordering::Relaxed) == WORKING {
            self.peer.slot.clear_bytes();
            self.peer.slot.set_working();
        }
    }
}

/// The body of an answer, that tells when all of it was made.
pub(super) struct Going {
    body: Body,
    peer: Arc<Peer>,
    /// The request, if the body is made after the answer has begun.
    id: Option<RequestId>,
}

impl Going {
    /// In the scope of the request's id.
    pub(super) fn new(body: Body, peer: Arc<Peer>) -> Going {
        let id = if body.size_hint().exact().is_none() { RequestId::current() } else { None };
        Going { body, peer, id }
    }
}

impl hyper::body::Body for Going {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Going { body, id, .. } = &mut *self;
        let mut poll = || Pin::new(&mut *body).poll_frame(context);
        match id {
            Some(id) => id.in_scope(poll),
            None => poll(),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        self.peer.answered();
    }
}
