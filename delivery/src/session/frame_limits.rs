//! Limits on the frames that a client sends, counted in the bytes on their way to the WebSocket library: frames per
//! second, bytes per message, and bytes held for unfinished messages. The library reports whole messages only, and
//! keeps reading until there is one: without these limits, fragments and empty fragments would be free.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use web::fair_slots::Slot;

#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;

/// A breach of the limits, which closes the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Breach {
    /// More frames a second than allowed.
    #[error("too many frames")]
    Flood,
    /// A message of more bytes than allowed, in however many fragments.
    #[error("a message is too large")]
    TooLarge,
}

/// The limits of one client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameLimits {
    pub(crate) frames_per_second: u32,
    pub(crate) message_bytes: usize,
}

/// A stream of frames. After a breach it reads nothing more.
#[derive(Debug)]
pub(crate) struct Frames<S> {
    stream: S,
    limits: FrameLimits,
    counter: FrameCounter,
    /// While there is no session: where the bytes held for this client count, together with those of others.
    slot: Option<Arc<Slot>>,
}

#[derive(Debug)]
struct FrameCounter {
    /// The bytes of an incomplete header.
    header: [u8; LARGEST_HEADER],
    have: usize,
    /// The missing bytes of an incomplete payload.
    left: u64,
    is_last_part: bool,
    /// The announced bytes of the incomplete message, without control frames.
    message: u64,
    /// When the current second began, and its frames.
    second: (Instant, u32),
    breach: Option<Breach>,
}

/// 2 bytes, 8 of length, 4 of mask.
const LARGEST_HEADER: usize = 14;

impl<S> Frames<S> {
    pub(crate) fn new(stream: S, limits: FrameLimits, slot: Arc<Slot>) -> Frames<S> {
        let counter = FrameCounter {
            header: [0; LARGEST_HEADER],
            have: 0,
            left: 0,
            is_last_part: true,
            message: 0,
            second: (Instant::now(), 0),
            breach: None,
        };
        Frames { stream, limits, counter, slot: Some(slot) }
    }

    /// Counts the bytes held for the client in another slot from now on, or in none.
    pub(crate) fn counts_in(&mut self, slot: Option<Arc<Slot>>) {
        self.slot = slot;
    }
}

impl FrameCounter {
    /// Counts the bytes. Returns how many of them belong to a message that is incomplete at their end.
    fn follow(&mut self, mut bytes: &[u8], limits: FrameLimits) -> Result<usize, Breach> {
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
                self.begin_frame(limits)?;
            }
            if self.left == 0 && self.have == 0 && self.is_last_part {
                of_part = 0;
            }
        }
        Ok(of_part)
    }

    /// The length of the header, as far as the bytes so far tell.
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

    fn begin_frame(&mut self, limits: FrameLimits) -> Result<(), Breach> {
        let [first, second, extended @ ..] = self.header;
        self.have = 0;
        self.left = match second & 0x7f {
            126 => u64::from(u16::from_be_bytes([extended[0], extended[1]])),
            127 => u64::from_be_bytes(extended[..8].try_into().expect("eight bytes are eight bytes")),
            short => u64::from(short),
        };
        self.count(limits.frames_per_second)?;
        // Control frames may come between the fragments of a message, and do not belong to it.
        let (is_control, is_final) = (first & 0x08 != 0, first & 0x80 != 0);
        if is_control {
            self.is_last_part = self.message == 0;
            return Ok(());
        }
        let continues = first & 0x0f == 0;
        self.message = self.left.saturating_add(if continues { self.message } else { 0 });
        if self.message > limits.message_bytes as u64 {
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
        if let Some(breach) = self.counter.breach {
            return Poll::Ready(Err(io::Error::other(breach)));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let this = &mut *self;
        let bytes = &buffer.filled()[before..];
        match this.counter.follow(bytes, this.limits) {
            Ok(of_part) => {
                if let Some(slot) = &this.slot {
                    if of_part < bytes.len() {
                        slot.clear_bytes();
                    }
                    if of_part > 0 {
                        slot.add_bytes(of_part);
                    }
                }
                read
            }
            Err(breach) => {
                this.counter.breach = Some(breach);
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

    const LIMITS: FrameLimits = FrameLimits { frames_per_second: 50, message_bytes: 1_000 };

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

    fn counter() -> FrameCounter {
        let Frames { counter, .. } = Frames::new(&[0_u8][..], LIMITS, slot());
        counter
    }

    fn slot() -> Arc<Slot> {
        Arc::new(web::fair_slots::FairSlots::new(1, 1_000).acquire(web::fair_slots::Source::Unknown).unwrap())
    }

    /// Checks the frames, in chunks of several sizes.
    fn check(frames: &[Vec<u8>], expected: Result<bool, Breach>) {
        let bytes = frames.concat();
        for size in [1, 2, 3, 5, 7, 1_024] {
            let mut counter = counter();
            let followed = bytes.chunks(size).map(|chunk| counter.follow(chunk, LIMITS));
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
