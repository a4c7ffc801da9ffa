//! A client's socket with its limits: every write has a deadline, every received frame counts, and a close handshake
//! has a deadline. What the frames mean is the dialects' business.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use web::fair_slots::Slot;

use crate::config::Config;
use crate::session::close_codes::CloseReason;
use crate::session::frame_limits::{Breach, FrameLimits, Frames};

/// The stream of a client, after the handshake.
pub(crate) type Stream = TokioIo<Upgraded>;

/// 256 bytes: clients send little, and a longer frame makes the buffer grow. The library's default is 128 KB each way.
const READ_BUFFER_BYTES: usize = 256;

/// 4 KB: about ten messages, one or two packets.
const WRITE_BUFFER_BYTES: usize = 4 * 1024;

/// 1 MB: the write buffer holds at most its size and one frame. The largest frame has an event of 256 KB, the most that
/// the log accepts, and what the frame adds.
const MAX_WRITE_BUFFER_BYTES: usize = 1024 * 1024;

/// 64 KB: several pages of the window. Only what a large sweep does to its messages takes more.
const LARGEST_ORDINARY_BYTES: usize = 64 * 1024;

/// 500 ms: after a breach of the protocol nothing more is read. The connection stays open for this time, so that the
/// reset that unread bytes cause does not overtake the close frame.
const LINGER: Duration = Duration::from_millis(500);

/// 100 ms: writing to the kernel's buffer takes no time.
const FAREWELL: Duration = Duration::from_millis(100);

/// A client's socket.
#[derive(Debug)]
pub(crate) struct Socket {
    socket: WebSocketStream<Frames<Stream>>,
    write_timeout: Duration,
    close_timeout: Duration,
    received_at: Instant,
    sent_at: Instant,
}

/// What the client sent.
#[derive(Debug)]
pub(crate) enum Received {
    Text(Utf8Bytes),
    /// A ping or a pong: the client is alive.
    Alive,
}

impl Socket {
    /// `slot`: its slot among the sockets without a session.
    pub(crate) async fn new(stream: Stream, config: &Config, slot: Arc<Slot>) -> Socket {
        let limits = FrameLimits {
            frames_per_second: config.max_frames_per_second,
            message_bytes: config.max_frame_size.in_memory(),
        };
        let web_socket = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES)
            .max_frame_size(Some(config.max_frame_size.in_memory()))
            .max_message_size(Some(config.max_frame_size.in_memory()));
        let frames = Frames::new(stream, limits, slot);
        let socket = WebSocketStream::from_raw_socket(frames, Role::Server, Some(web_socket)).await;
        let now = Instant::now();
        Socket {
            socket,
            write_timeout: config.write_timeout(),
            close_timeout: config.close_timeout(),
            received_at: now,
            sent_at: now,
        }
    }

    /// Counts unfinished frames in another slot. In none, once the session has begun.
    pub(crate) fn counts_in(&mut self, slot: Option<Arc<Slot>>) {
        self.socket.get_mut().counts_in(slot);
    }

    /// When the client last sent anything.
    pub(crate) fn received_at(&self) -> Instant {
        self.received_at
    }

    /// When a text frame was last sent to the client.
    pub(crate) fn sent_at(&self) -> Instant {
        self.sent_at
    }

    /// The next frame. Cancel safe.
    pub(crate) async fn receive(&mut self) -> Result<Received, CloseReason> {
        poll_fn(|context| self.poll_receive(context)).await
    }

    /// The next frame.
    pub(crate) fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Received, CloseReason>> {
        let message = match ready!(self.socket.poll_next_unpin(context)) {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Poll::Ready(Err(reason_of(&error))),
            None => return Poll::Ready(Err(CloseReason::Lost)),
        };
        self.received_at = Instant::now();
        Poll::Ready(match message {
            Message::Text(text) => Ok(Received::Text(text)),
            Message::Ping(_) | Message::Pong(_) => Ok(Received::Alive),
            Message::Binary(_) => Err(CloseReason::Binary),
            Message::Close(_) => Err(CloseReason::Closed),
            // The library hands out no raw frames that it reads.
            Message::Frame(_) => Ok(Received::Alive),
        })
    }

    /// Whether the buffer takes another frame. Before that, writes what no longer fits. Has no deadline of its own.
    pub(crate) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        self.socket.poll_ready_unpin(context).map_err(|_| CloseReason::Lost)
    }

    /// Puts a frame into the buffer, after [`Socket::poll_ready`].
    pub(crate) fn put(&mut self, frame: Message) -> Result<(), CloseReason> {
        if matches!(frame, Message::Text(_)) {
            self.sent_at = Instant::now();
        }
        self.socket.start_send_unpin(frame).map_err(|_| CloseReason::Lost)
    }

    /// Writes the rest of the buffer. Has no deadline of its own.
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        self.socket.poll_flush_unpin(context).map_err(|_| CloseReason::Lost)
    }

    /// Writes one frame by the deadline.
    pub(crate) async fn send(&mut self, frame: Message) -> Result<(), CloseReason> {
        let write_timeout = write_timeout(self.write_timeout, frame.len());
        // Boxed: single frames are rare, and every session would hold the memory for one.
        let writing = Box::pin(async {
            poll_fn(|context| self.poll_ready(context)).await?;
            self.put(frame)?;
            poll_fn(|context| self.poll_flush(context)).await
        });
        timeout(write_timeout, writing).await.unwrap_or(Err(CloseReason::Slow))
    }

    /// Writes one text frame by the deadline.
    pub(crate) async fn send_text(&mut self, text: Utf8Bytes) -> Result<(), CloseReason> {
        self.send(Message::Text(text)).await
    }

    /// Sends the close frame, and waits for the client's, within the close timeout.
    pub(crate) async fn close(mut self, reason: CloseReason) {
        if matches!(reason, CloseReason::Lost | CloseReason::Lapsed) {
            return;
        }
        let handshake = async {
            if let Some(frame) = reason.close_frame()
                && self.socket.send(Message::Close(Some(frame))).await.is_err()
            {
                return;
            }
            if reason.breaks_the_stream() {
                sleep(LINGER).await;
            }
            while let Some(Ok(_)) = self.socket.next().await {}
        };
        // A client that does not answer in time counts as gone.
        let _ = timeout(self.close_timeout, handshake).await;
    }

    /// Closes a socket that gets no session.
    pub(crate) async fn leave(self, reason: CloseReason, slot: &Slot) {
        if slot.is_evicted() { self.make_room(reason).await } else { self.close(reason).await }
    }

    /// Sends the close frame if that takes no time, and closes: another socket needs the slot.
    async fn make_room(mut self, reason: CloseReason) {
        if let Some(frame) = reason.close_frame() {
            // A client that does not take it now does not learn the reason.
            let _ = timeout(FAREWELL, self.socket.send(Message::Close(Some(frame)))).await;
        }
    }
}

/// How long a write of that size may take: a large sweep makes a page larger than others, and a client that would take
/// the pages one by one must not fail at it again and again.
pub(crate) fn write_timeout(of_page: Duration, bytes: usize) -> Duration {
    of_page.saturating_mul(u32::try_from(bytes / LARGEST_ORDINARY_BYTES).unwrap_or(u32::MAX).saturating_add(1))
}

fn reason_of(error: &tungstenite::Error) -> CloseReason {
    use tungstenite::Error;
    use tungstenite::error::ProtocolError;
    match error {
        Error::Capacity(_) => CloseReason::TooLarge,
        Error::Utf8(_) => CloseReason::NotUtf8,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => CloseReason::Lost,
        Error::Protocol(_) => CloseReason::Violation,
        Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(Breach::Flood) => CloseReason::Flood,
            Some(Breach::TooLarge) => CloseReason::TooLarge,
            None => CloseReason::Lost,
        },
        _ => CloseReason::Lost,
    }
}
