//! The connections that post messages.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};

use super::target::Target;
use super::wire::{Tag, answer};

/// When the next post is due.
#[derive(Clone)]
pub(super) enum Turn {
    /// As soon as the previous answer has arrived, until this time.
    AtOnce(Instant),
    /// On schedule, on any free connection.
    Due(Rc<Mutex<mpsc::UnboundedReceiver<Instant>>>),
}

impl Turn {
    async fn next(&self) -> Option<Instant> {
        match self {
            Turn::AtOnce(until) => Some(Instant::now()).filter(|now| now < until),
            Turn::Due(due) => due.lock().await.recv().await,
        }
    }
}

/// The result of a poster.
pub(super) struct Posted {
    poster: u64,
    stride: Option<u64>,
    /// The requests that it had.
    requests: u64,
    /// Microseconds from the time at which each post was due to its answer.
    pub(super) latency: Histogram<u64>,
    /// Posts, all accepted.
    pub(super) accepted: u64,
}

impl Posted {
    /// Each sequence that its tags have, and how many messages of it were accepted.
    pub(super) fn sequences(&self) -> impl Iterator<Item = (u64, u64)> {
        let slots = if self.stride.is_some() { self.requests } else { 1 };
        let stride = self.stride.unwrap_or(0);
        (0..slots).map(move |slot| (self.poster + slot * stride, (self.accepted + slots - 1 - slot) / slots))
    }
}

/// A connection with prepared requests.
pub(super) struct Poster {
    pub(super) number: u64,
    /// None: all requests go to one room, and their tags have this poster's number. Else each goes to a room of its own,
    /// and has a number of its own, this far from the one before.
    pub(super) stride: Option<u64>,
    pub(super) stream: TcpStream,
    /// Each with the offset of its tag.
    pub(super) requests: Vec<(Vec<u8>, usize)>,
}

impl Poster {
    /// Posts until the load ends.
    pub(super) async fn post(
        mut self,
        target: Arc<Target>,
        (start, run): (Instant, u64),
        turn: Turn,
    ) -> anyhow::Result<Posted> {
        let (poster, stride, requests) = (self.number, self.stride, self.requests.len() as u64);
        let mut posted = Posted { poster, stride, requests, latency: Histogram::new(3)?, accepted: 0 };
        let mut buffer = Vec::with_capacity(4 * 1024);
        while let Some(due) = turn.next().await {
            let (slot, round) = (posted.accepted % requests, posted.accepted / requests);
            posted.accepted += 1;
            let (poster, number) = match stride {
                Some(stride) => (poster + slot * stride, round + 1),
                None => (poster, posted.accepted),
            };
            let due_nanos = u64::try_from(due.saturating_duration_since(start).as_nanos())?;
            let tag = Tag { run, poster, number, due: due_nanos };
            let (request, at) = &mut self.requests[slot as usize];
            tag.write(request, *at);
            self.stream.write_all(request).await.context("posting")?;
            let (status, length) = loop {
                ensure!(
                    self.stream.read_buf(&mut buffer).await.context("reading an answer")? > 0,
                    "a connection ended"
                );
                if let Some(answer) = answer(&buffer)? {
                    break answer;
                }
            };
            ensure!(target.has_taken(status), "a post got {status}: {}", String::from_utf8_lossy(&buffer[..length]));
            buffer.drain(..length);
            posted.latency.record(u64::try_from(due.elapsed().as_micros())?.max(1))?;
        }
        Ok(posted)
    }
}
