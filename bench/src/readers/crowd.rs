//! Thousands of readers in one thread. Connecting is straight-line; receiving is one loop over epoll with one buffer,
//! because the readers must cost less than what serves them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use super::opening::{Opening, Way};
use super::tally::Tally;
use crate::connection::source;
use crate::load::wire::{Tag, frame};

/// 128: concurrent handshakes.
const HANDSHAKES: usize = 128;

/// 10 s without a delivery: what has not arrived is lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// The number of posts is looked at as often.
const LOOK: Duration = Duration::from_millis(10);

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;

/// An empty pong of a client.
const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

/// The posts that are accepted, before the last of them is known.
pub(super) const UNKNOWN: u64 = u64::MAX;

/// Connected readers.
pub(super) struct Crowd {
    way: Way,
    poll: Poll,
    readers: Vec<Reader>,
}

struct Reader {
    stream: TcpStream,
    /// The start of a frame or a tag whose end has not arrived.
    rest: Vec<u8>,
}

/// The run that readers watch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    pub(super) run: u64,
    /// The time that tags count from.
    pub(super) start: Instant,
    /// The readers of a room.
    pub(super) audience: usize,
}

impl Crowd {
    /// Connects all of them.
    pub(super) async fn connect(way: Way, openings: Vec<Opening>) -> anyhow::Result<Crowd> {
        let mut readers: Vec<Reader> = stream::iter(openings.into_iter().enumerate())
            .map(|(number, opening)| async move {
                open(number, opening).await.with_context(|| format!("reader {} cannot connect", number + 1))
            })
            .buffered(HANDSHAKES)
            .try_collect()
            .await?;
        let poll = Poll::new()?;
        for (number, reader) in readers.iter_mut().enumerate() {
            poll.registry().register(&mut reader.stream, Token(number), Interest::READABLE)?;
        }
        Ok(Crowd { way, poll, readers })
    }

    /// Receives until every reader has all of the posts, whose number appears in `posts`.
    pub(super) fn watch(&mut self, watch: Watch, posts: &AtomicU64) -> anyhow::Result<Tally> {
        let mut tally = Tally::new(watch.run, self.readers.len(), watch.audience)?;
        let (mut events, mut buffer) = (Events::with_capacity(1_024), vec![0; 64 * 1_024]);
        let mut received_at = Instant::now();
        loop {
            match self.poll.poll(&mut events, Some(LOOK)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            let before = tally.deliveries;
            for event in &events {
                let Token(number) = event.token();
                let reader = &mut self.readers[number];
                let received = reader.receive(self.way, &mut buffer, |tag| {
                    tally.take(number, tag, u64::try_from(watch.start.elapsed().as_nanos())?)
                });
                received.with_context(|| format!("reader {}", number + 1))?;
            }
            let posts = posts.load(Ordering::Acquire);
            if tally.deliveries > before || posts == UNKNOWN {
                received_at = Instant::now();
            }
            if posts != UNKNOWN && (tally.deliveries >= tally.due(posts) || received_at.elapsed() > PATIENCE) {
                return Ok(tally);
            }
        }
    }
}

/// Connects, and waits for the answer and the welcome.
async fn open(number: usize, opening: Opening) -> anyhow::Result<Reader> {
    let Opening { port, request, status, first, welcome } = opening;
    let socket = TcpSocket::new_v4()?;
    socket.bind(source(number))?;
    let mut stream = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&request).await?;
    let mut bytes = Vec::with_capacity(1_024);
    let head = loop {
        ensure!(stream.read_buf(&mut bytes).await? > 0, "the connection ended before an answer");
        if let Some(end) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
            break end + 4;
        }
    };
    let answer = String::from_utf8_lossy(&bytes);
    ensure!(answer.get(9..12) == Some(status.to_string().as_str()), "it was refused: {answer}");
    bytes.drain(..head);
    if let Some(first) = first {
        stream.write_all(&first).await?;
    }
    while memchr::memmem::find(&bytes, welcome).is_none() {
        ensure!(stream.read_buf(&mut bytes).await? > 0, "the connection ended before a welcome");
    }
    bytes.shrink_to_fit();
    Ok(Reader { stream: TcpStream::from_std(stream.into_std()?), rest: bytes })
}

impl Reader {
    /// Reads what has arrived. A read that does not fill the buffer has emptied the socket.
    fn receive(
        &mut self,
        way: Way,
        buffer: &mut [u8],
        mut take: impl FnMut(Tag) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        loop {
            let read = match self.stream.read(buffer) {
                Ok(0) => bail!("the connection ended: {}", String::from_utf8_lossy(&self.rest)),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let mut bytes = &buffer[..read];
            let joined;
            if !self.rest.is_empty() {
                self.rest.extend_from_slice(bytes);
                joined = std::mem::take(&mut self.rest);
                bytes = &joined;
            }
            let taken = match way {
                Way::Socket => frames(bytes, &mut self.stream, &mut take)?,
                Way::Events => tags(bytes, &mut take)?,
            };
            self.rest.extend_from_slice(&bytes[taken..]);
            if read < buffer.len() {
                return Ok(());
            }
        }
    }
}

/// The tags of all complete frames, and the length of these frames.
fn frames(
    bytes: &[u8],
    stream: &mut TcpStream,
    take: &mut impl FnMut(Tag) -> anyhow::Result<()>,
) -> anyhow::Result<usize> {
    let mut taken = 0;
    while let Some((opcode, payload, length)) = frame(&bytes[taken..]) {
        match opcode {
            TEXT => _ = tags(payload, take)?,
            PING => stream.write_all(&PONG)?,
            CLOSE => bail!("the socket was closed: {}", String::from_utf8_lossy(payload.get(2..).unwrap_or_default())),
            _ => {}
        }
        taken += length;
    }
    Ok(taken)
}

/// All complete tags, and the length of what need not be looked at again.
fn tags(bytes: &[u8], take: &mut impl FnMut(Tag) -> anyhow::Result<()>) -> anyhow::Result<usize> {
    let mut taken = 0;
    while let Some((tag, end)) = Tag::find(&bytes[taken..]) {
        take(tag)?;
        taken += end;
    }
    // A tag may begin in the last bytes.
    let tail = bytes.len().saturating_sub(Tag::BYTES - 1).max(taken);
    Ok(memchr::memchr(b'~', &bytes[tail..]).map_or(bytes.len(), |begin| tail + begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_in_two_parts_is_found_once() {
        let tag = Tag { run: 1, poster: 2, number: 3, due: 4 };
        let text = format!("data: {{\"text\":\"{} 안녕 ~ \"}}\n\n", tag.text());
        for cut in 0..text.len() {
            let (mut found, mut rest) = (Vec::new(), Vec::new());
            for part in [&text.as_bytes()[..cut], &text.as_bytes()[cut..]] {
                rest.extend_from_slice(part);
                let taken = tags(&rest, &mut |tag| {
                    found.push(tag);
                    Ok(())
                });
                rest.drain(..taken.unwrap());
            }
            assert_eq!(found, [tag], "cut at {cut}");
            assert!(rest.len() < Tag::BYTES, "cut at {cut}");
        }
    }
}
