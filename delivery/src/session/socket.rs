//! A client's socket with its bounds: every write has a deadline, every frame that comes is counted, a close is a
//! handshake that ends. What the frames mean is not known here.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use web::places::Place;

use crate::config::Config;
use crate::http::handshake::Stream;
use crate::session::close_codes::End;
use crate::session::frame_limits::{Bounds, Breach, Frames};

/// The library's own buffers have 128 KB each way. A client says next to nothing, and ...
const READ_BUFFER_BYTES: usize = 1024;

/// ... some ten messages fill a packet or two.
const WRITE_BUFFER_BYTES: usize = 4 * 1024;

/// The write buffer never holds more than its size and one frame more. The largest frame is that of an event as large
/// as the log takes, 256 KB; this leaves room for what the frame adds.
const MAX_WRITE_BUFFER_BYTES: usize = 1024 * 1024;

/// After a breach of the protocol nothing more can be read. The connection stays for so long, lest the reset that
/// follows unread bytes overtake the close frame.
const LINGER: Duration = Duration::from_millis(500);

/// What goes into the kernel's buffer takes no time.
const FAREWELL: Duration = Duration::from_millis(100);

/// A client's socket.
#[derive(Debug)]
pub(crate) struct Socket {
    socket: WebSocketStream<Frames<Stream>>,
    write_timeout: Duration,
    close_timeout: Duration,
    heard: Instant,
    said: Instant,
}

/// What came from the client.
#[derive(Debug)]
pub(crate) enum Heard {
    Text(Utf8Bytes),
    /// A ping or a pong: a sign of life.
    Sign,
}

impl Socket {
    /// `place`: where it waits for its session to begin.
    pub(crate) async fn new(stream: Stream, config: &Config, place: Arc<Place>) -> Socket {
        let bounds = Bounds {
            frames_per_second: config.max_frames_per_second,
            message_bytes: config.max_frame_size.in_memory(),
        };
        let bounded = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES)
            .max_frame_size(Some(config.max_frame_size.in_memory()))
            .max_message_size(Some(config.max_frame_size.in_memory()));
        let frames = Frames::new(stream, bounds, place);
        let socket = WebSocketStream::from_raw_socket(frames, Role::Server, Some(bounded)).await;
        let now = Instant::now();
        Socket {
            socket,
            write_timeout: config.write_timeout(),
            close_timeout: config.close_timeout(),
            heard: now,
            said: now,
        }
    }

    /// Where it waits from now on; nowhere, once its session has begun.
    pub(crate) fn waits_in(&mut self, place: Option<Arc<Place>>) {
        self.socket.get_mut().moves_to(place);
    }

    /// When anything was last heard of the client.
    pub(crate) fn heard(&self) -> Instant {
        self.heard
    }

    /// When anything but a ping was last said to the client.
    pub(crate) fn said(&self) -> Instant {
        self.said
    }

    /// The next that comes. Cancel safe.
    pub(crate) async fn hear(&mut self) -> Result<Heard, End> {
        let message = match self.socket.next().await {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(end_of(&error)),
            None => return Err(End::Lost),
        };
        self.heard = Instant::now();
        match message {
            Message::Text(text) => Ok(Heard::Text(text)),
            Message::Ping(_) | Message::Pong(_) => Ok(Heard::Sign),
            Message::Binary(_) => Err(End::Binary),
            Message::Close(_) => Err(End::Closed),
            // The library hands out none that it reads.
            Message::Frame(_) => Ok(Heard::Sign),
        }
    }

    /// Takes a frame into the buffer, and writes what no longer fits. It has no deadline of its own.
    pub(crate) async fn put(&mut self, frame: Message) -> Result<(), End> {
        if matches!(frame, Message::Text(_)) {
            self.said = Instant::now();
        }
        self.socket.feed(frame).await.map_err(|_| End::Lost)
    }

    /// Writes what is left in the buffer. It has no deadline of its own.
    pub(crate) async fn flush(&mut self) -> Result<(), End> {
        self.socket.flush().await.map_err(|_| End::Lost)
    }

    /// Writes one frame by the deadline.
    pub(crate) async fn write(&mut self, frame: Message) -> Result<(), End> {
        let write_timeout = self.write_timeout;
        // Boxed: frames that go alone are rare, and every session would hold the room for one.
        let writing = Box::pin(async {
            self.put(frame).await?;
            self.flush().await
        });
        timeout(write_timeout, writing).await.unwrap_or(Err(End::Slow))
    }

    /// Writes one text by the deadline.
    pub(crate) async fn say(&mut self, text: Utf8Bytes) -> Result<(), End> {
        self.write(Message::Text(text)).await
    }

    /// Says why, and waits for the client to agree, within the close timeout.
    pub(crate) async fn close(mut self, end: End) {
        if matches!(end, End::Lost | End::Lapsed) {
            return;
        }
        let handshake = async {
            if let Some(frame) = end.close_frame()
                && self.socket.send(Message::Close(Some(frame))).await.is_err()
            {
                return;
            }
            if end.breaks_the_stream() {
                sleep(LINGER).await;
            }
            while let Some(Ok(_)) = self.socket.next().await {}
        };
        // A client that does not agree in time is gone, or as good as gone.
        let _ = timeout(self.close_timeout, handshake).await;
    }

    /// Says why, if it can be said at once, and goes: another socket needs the place.
    pub(crate) async fn make_room(mut self, end: End) {
        if let Some(frame) = end.close_frame() {
            // Whoever does not take it now does not learn why.
            let _ = timeout(FAREWELL, self.socket.send(Message::Close(Some(frame)))).await;
        }
    }
}

fn end_of(error: &tungstenite::Error) -> End {
    use tungstenite::Error;
    use tungstenite::error::ProtocolError;
    match error {
        Error::Capacity(_) => End::TooLarge,
        Error::Utf8(_) => End::NotUtf8,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Lost,
        Error::Protocol(_) => End::Violation,
        Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(Breach::Flood) => End::Flood,
            Some(Breach::TooLarge) => End::TooLarge,
            None => End::Lost,
        },
        _ => End::Lost,
    }
}
