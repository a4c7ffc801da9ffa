//! What holds for any bytes that a client sends on its socket. A check panics where it does not.

use std::io::{Cursor, Read, Write};

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::WebSocket;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::{Breach, FrameCounter, FrameLimits, LARGEST_HEADER};

/// Small, so that a fuzzer reaches it.
const LIMITS: FrameLimits = FrameLimits { frames_per_second: u32::MAX, message_bytes: 64 };

/// Limits hold in whatever pieces the bytes come, and no message that the library would hand on is larger.
pub fn socket_bytes(bytes: &[u8]) {
    let whole = follow(bytes, bytes.len().max(1));
    for size in [1, 2, 3, 14] {
        assert_eq!(follow(bytes, size), whole, "in pieces of {size}");
    }
    if whole.is_err() {
        return;
    }
    // Larger than the limit of these frames, which alone is tried here. Without one the library reserves whatever the
    // header of a control frame declares.
    let config = WebSocketConfig::default().max_message_size(None).max_frame_size(Some(64 * 1024));
    let mut socket = WebSocket::from_raw_socket(Peer(Cursor::new(bytes)), Role::Server, Some(config));
    // It ends with an error at the latest where the bytes do.
    while let Ok(message) = socket.read() {
        // A control frame has 125 bytes at most, and the library sees to that.
        let most = if message.is_text() || message.is_binary() { LIMITS.message_bytes } else { 125 };
        assert!(message.len() <= most, "{message:?}");
    }
}

/// What is left of an incomplete message at the end: whether there is something.
fn follow(bytes: &[u8], size: usize) -> Result<bool, Breach> {
    let mut counter = FrameCounter {
        header: [0; LARGEST_HEADER],
        have: 0,
        left: 0,
        is_last_part: true,
        message: 0,
        second: (Instant::now(), 0),
        breach: None,
    };
    let mut left = 0;
    for piece in bytes.chunks(size) {
        left = counter.follow(piece, LIMITS)?;
    }
    Ok(left > 0)
}

/// A peer that has sent these bytes, and takes whatever is answered.
struct Peer<'a>(Cursor<&'a [u8]>);

impl Read for Peer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Peer<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
