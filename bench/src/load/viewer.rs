//! The sockets where messages arrive.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::wire::{Tag, answer, frame};

/// The messages that a socket received.
pub(super) struct Seen {
    /// Microseconds from the time at which each post was due.
    pub(super) latency: Histogram<u64>,
    /// The number of each poster's last message.
    pub(super) last: HashMap<u64, u64>,
    /// Messages that are missing before the last one, repeated, or out of order among those of their poster.
    pub(super) wrong: u64,
}

/// An open socket.
pub(super) struct Viewer {
    stream: TcpStream,
    buffer: Vec<u8>,
}

const TEXT: u8 = 1;
const CLOSE: u8 = 8;

impl Viewer {
    /// Connects. `first` is sent after the handshake.
    pub(super) async fn connect(port: u16, handshake: &str, first: Option<&[u8]>) -> anyhow::Result<Viewer> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        stream.write_all(handshake.as_bytes()).await?;
        let mut buffer = Vec::with_capacity(16 * 1024);
        loop {
            ensure!(stream.read_buf(&mut buffer).await? > 0, "the socket ended in its handshake");
            if let Some((status, length)) = answer(&buffer)? {
                ensure!(status == 101, "the handshake got {status}");
                buffer.drain(..length);
                break;
            }
        }
        if let Some(first) = first {
            stream.write_all(first).await?;
        }
        Ok(Viewer { stream, buffer })
    }

    /// Waits for the first frame.
    pub(super) async fn welcomed(&mut self) -> anyhow::Result<()> {
        while frame(&self.buffer).is_none() {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the socket ended before its welcome");
        }
        Ok(())
    }

    /// Reads until the stop, and counts messages in `arrived`.
    pub(super) async fn watch(
        mut self,
        (start, run): (Instant, u64),
        arrived: Rc<Cell<u64>>,
        stop: CancellationToken,
    ) -> anyhow::Result<Seen> {
        let mut seen = Seen { latency: Histogram::new(3)?, last: HashMap::new(), wrong: 0 };
        loop {
            let mut taken = 0;
            while let Some((opcode, payload, length)) = frame(&self.buffer[taken..]) {
                ensure!(opcode != CLOSE, "the socket was closed: {}", String::from_utf8_lossy(payload));
                if opcode == TEXT {
                    seen.take(payload, (start, run), &arrived)?;
                }
                taken += length;
            }
            self.buffer.drain(..taken);
            tokio::select! {
                read = self.stream.read_buf(&mut self.buffer) => ensure!(read.context("reading a socket")? > 0, "a socket ended"),
                () = stop.cancelled() => return Ok(seen),
            }
        }
    }
}

impl Seen {
    fn take(&mut self, mut payload: &[u8], (start, run): (Instant, u64), arrived: &Cell<u64>) -> anyhow::Result<()> {
        let now = u64::try_from(start.elapsed().as_nanos())?;
        while let Some((tag, end)) = Tag::find(payload) {
            payload = &payload[end..];
            if tag.run != run {
                continue;
            }
            self.latency.record((now.saturating_sub(tag.due) / 1_000).max(1))?;
            let last = self.last.entry(tag.poster).or_default();
            if tag.number != *last + 1 {
                self.wrong += 1;
            }
            *last = (*last).max(tag.number);
            arrived.set(arrived.get() + 1);
        }
        Ok(())
    }
}
