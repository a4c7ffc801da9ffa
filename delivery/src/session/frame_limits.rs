//! Every frame that a client sends, as the bytes pass on their way to the WebSocket library: how many there are, and how
//! much is there of a message that is not whole. The library tells of whole messages alone, and reads on for as long as
//! there are none: without this, parts of messages and empty parts would cost a client nothing. What a message says is
//! not known here.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use web::places::Place;

/// What a client does that ends its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Breach {
    /// More frames within a second than allowed.
    #[error("too many frames")]
    Flood,
    /// A message of more bytes than allowed, however many parts it has.
    #[error("a message of too many bytes")]
    TooLarge,
}

/// What a client may send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) frames_per_second: u32,
    pub(crate) message_bytes: usize,
}

/// A stream of frames. After a breach nothing is read from it any more.
#[derive(Debug)]
pub(crate) struct Frames<S> {
    stream: S,
    bounds: Bounds,
    reader: Reader,
    /// While there is no session: what is held for this client counts together with what is held for others.
    place: Option<Arc<Place>>,
}

#[derive(Debug)]
struct Reader {
    /// Of a frame whose header is not whole.
    header: [u8; LARGEST_HEADER],
    have: usize,
    /// Of a frame whose payload is not whole.
    left: u64,
    is_last_part: bool,
    /// Of the message that is not whole: how much was announced of it, control frames left out.
    message: u64,
    /// The second that is being counted, and the frames in it.
    second: (Instant, u32),
    breach: Option<Breach>,
}

/// Two bytes, a length of eight, a mask of four.
const LARGEST_HEADER: usize = 14;

impl<S> Frames<S> {
    pub(crate) fn new(stream: S, bounds: Bounds, place: Arc<Place>) -> Frames<S> {
        let reader = Reader {
            header: [0; LARGEST_HEADER],
            have: 0,
            left: 0,
            is_last_part: true,
            message: 0,
            second: (Instant::now(), 0),
            breach: None,
        };
        Frames { stream, bounds, reader, place: Some(place) }
    }

    /// What is held for the client counts there from now on, or nowhere.
    pub(crate) fn moves_to(&mut self, place: Option<Arc<Place>>) {
        self.place = place;
    }
}

impl Reader {
    /// Follows the bytes. How many of them belong to a message that is not whole at the end, if any is.
    fn follow(&mut self, mut bytes: &[u8], bounds: Bounds) -> Result<usize, Breach> {
        let mut of_part = 0;
        while !bytes.is_empty() {
            if self.left > 0 {
                let some = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                bytes = &bytes[some..];
                self.left -= some as u64;
                of_part += some;
            } else {
                self.header[self.have] = bytes[0];
                self.have += 1;
                bytes = &bytes[1..];
                of_part += 1;
                if self.have < self.header_length() {
                    continue;
                }
                self.begin_frame(bounds)?;
            }
            if self.left == 0 && self.have == 0 && self.is_last_part {
                of_part = 0;
            }
        }
        Ok(of_part)
    }

    /// As far as the bytes tell that are there.
    fn header_length(&self) -> usize {
        if self.have < 2 {
            return 2;
        }
        let extended = match self.header[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.header[1] & 0x80 != 0 { 4 } else { 0 };
        2 + extended + mask
    }

    fn begin_frame(&mut self, bounds: Bounds) -> Result<(), Breach> {
        let [first, second, extended @ ..] = self.header;
        self.have = 0;
        self.left = match second & 0x7f {
            126 => u64::from(u16::from_be_bytes([extended[0], extended[1]])),
            127 => u64::from_be_bytes(extended[..8].try_into().expect("eight bytes are eight bytes")),
            short => u64::from(short),
        };
        self.count(bounds.frames_per_second)?;
        // Control frames stand between the parts of a message, and are no part of it.
        let (is_control, is_final) = (first & 0x08 != 0, first & 0x80 != 0);
        if is_control {
            self.is_last_part = self.message == 0;
            return Ok(());
        }
        let continues = first & 0x0f == 0;
        self.message = self.left.saturating_add(if continues { self.message } else { 0 });
        if self.message > bounds.message_bytes as u64 {
            return Err(Breach::TooLarge);
        }
        self.is_last_part = is_final;
        if is_final {
            self.message = 0;
        }
        Ok(())
    }

    fn count(&mut self, most: u32) -> Result<(), Breach> {
        let now = Instant::now();
        let (second, frames) = &mut self.second;
        if now.duration_since(*second) >= Duration::from_secs(1) {
            (*second, *frames) = (now, 0);
        }
        *frames += 1;
        if *frames > most { Err(Breach::Flood) } else { Ok(()) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Frames<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(breach) = self.reader.breach {
            return Poll::Ready(Err(io::Error::other(breach)));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let this = &mut *self;
        let bytes = &buffer.filled()[before..];
        match this.reader.follow(bytes, this.bounds) {
            Ok(of_part) => {
                if let Some(place) = &this.place {
                    if of_part < bytes.len() {
                        place.holds_nothing();
                    }
                    if of_part > 0 {
                        place.holds(of_part);
                    }
                }
                read
            }
            Err(breach) => {
                this.reader.breach = Some(breach);
                Poll::Ready(Err(io::Error::other(breach)))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Frames<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { frames_per_second: 50, message_bytes: 1_000 };

    const TEXT: u8 = 0x1;
    const CONTINUATION: u8 = 0x0;
    const PING: u8 = 0x9;
    const FINAL: u8 = 0x80;

    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut frame = match length {
            0..126 => vec![first, 0x80 | length as u8],
            126..65_536 => [&[first, 0x80 | 126][..], &(length as u16).to_be_bytes()].concat(),
            _ => [&[first, 0x80 | 127][..], &(length as u64).to_be_bytes()].concat(),
        };
        frame.extend([1, 2, 3, 4]);
        frame.extend(vec![0xff; length]);
        frame
    }

    fn reader() -> Reader {
        let Frames { reader, .. } = Frames::new(&[0_u8][..], BOUNDS, place());
        reader
    }

    fn place() -> Arc<Place> {
        Arc::new(web::places::Places::new(1, 1_000).enter(web::places::Source::Unknown).unwrap())
    }

    /// However the bytes are cut.
    fn check(frames: &[Vec<u8>], expected: Result<bool, Breach>) {
        let bytes = frames.concat();
        for size in [1, 2, 3, 5, 7, 1_024] {
            let mut reader = reader();
            let followed = bytes.chunks(size).map(|chunk| reader.follow(chunk, BOUNDS));
            let followed: Result<Vec<usize>, Breach> = followed.collect();
            assert_eq!(followed.map(|of_part| of_part.last().is_some_and(|last| *last > 0)), expected, "in {size}");
        }
    }

    #[tokio::test]
    async fn whole_messages_leave_nothing_and_others_what_is_there_of_them() {
        check(&[frame(FINAL | TEXT, 0)], Ok(false));
        check(&[frame(FINAL | TEXT, 10), frame(FINAL | PING, 3), frame(FINAL | TEXT, 900)], Ok(false));
        check(&[frame(TEXT, 10), frame(FINAL | CONTINUATION, 10)], Ok(false));
        check(&[frame(TEXT, 10), frame(FINAL | PING, 0), frame(FINAL | CONTINUATION, 0)], Ok(false));
        check(&[frame(TEXT, 10)], Ok(true));
        check(&[frame(TEXT, 10), frame(FINAL | PING, 1)], Ok(true));
        check(&[frame(FINAL | TEXT, 200)[..150].to_vec()], Ok(true));
        check(&[vec![FINAL | TEXT]], Ok(true));
    }

    #[tokio::test]
    async fn every_frame_counts_the_empty_parts_of_a_message_too() {
        let parts = |count| [vec![frame(TEXT, 0)], vec![frame(CONTINUATION, 0); count]].concat();
        check(&parts(49), Ok(true));
        check(&parts(50), Err(Breach::Flood));
        check(&vec![frame(FINAL | PING, 0); 51], Err(Breach::Flood));
    }

    #[tokio::test]
    async fn a_message_is_as_large_as_its_parts_together() {
        check(&[frame(FINAL | TEXT, 1_000)], Ok(false));
        check(&[frame(FINAL | TEXT, 1_001)], Err(Breach::TooLarge));
        check(&[frame(FINAL | TEXT, 70_000)], Err(Breach::TooLarge));
        check(&[frame(TEXT, 500), frame(CONTINUATION, 500), frame(FINAL | CONTINUATION, 0)], Ok(false));
        check(&[frame(TEXT, 500), frame(FINAL | PING, 100), frame(FINAL | CONTINUATION, 501)], Err(Breach::TooLarge));
        check(&[frame(FINAL | TEXT, 900), frame(FINAL | TEXT, 900)], Ok(false));
    }
}
