//! The saved cursors: the last event that reached each presenter. Thousands of cursors move every second, and a bucket
//! would fsync each of them, on the same disk as the log. Instead, a node saves all cursors that moved in one message
//! of the stream `CURSORS`, and every node reads that stream into a local map.

use std::collections::HashMap;
use std::sync::Arc;

use async_nats::jetstream::message::PublishMessage;
use chat::{Position, PresenterIdx};
use foldhash::fast::RandomState;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use crate::context::Context;
use crate::error::Error;
use crate::jetstream::{find_stream, request};
use crate::read::item::{Item, ReadFrom, Record, Status};
use crate::read::reader;
use crate::streams::{CURSORS, CURSORS_SUBJECT};

/// The number of cursors in one message of about 200 KB.
const CURSORS_A_MESSAGE: usize = 4_000;

/// The header that says, for each cursor of the message, where its acknowledged part begins. Older versions do not read
/// it, and do not write it.
const ACKNOWLEDGED: &str = "Chatting-Acknowledged-After";

/// 60 KB: JetStream refuses headers of 64 KB.
const MAX_HEADER_BYTES: usize = 60_000;

/// How far a presenter has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The last event that reached the presenter.
    pub position: Position,
    /// The presenter's page received every event after this position, up to `position`, and acknowledged it. `None`:
    /// nothing is known to be acknowledged. The original's dialect has no acknowledgements, and older versions do not
    /// save them.
    pub acknowledged_after: Option<Position>,
}

/// A cursor as it is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavedCursor {
    /// The cursor.
    pub cursor: Cursor,
    /// When it was stored, by the clock of the log's servers. `None`: this node is saving it.
    pub stored: Option<Timestamp>,
}

/// The saved cursors of all nodes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cursors {
    context: Arc<Context>,
    saved: Arc<Mutex<HashMap<PresenterIdx, SavedCursor, RandomState>>>,
    status: Status,
    /// The sequence of the stream up to which everything is applied.
    reached: Arc<watch::Sender<u64>>,
}

impl From<Position> for Cursor {
    fn from(position: Position) -> Cursor {
        Cursor { position, acknowledged_after: None }
    }
}

impl Cursors {
    pub(crate) fn start(context: &Arc<Context>) -> Cursors {
        // A full channel slows the reader down. Nothing is lost.
        let (sink, saved) = mpsc::channel(16);
        let stop = context.tasks.stop().clone();
        let status = reader::read(context, CURSORS, ReadFrom::Oldest, stop, sink, |item| item);
        let reached = Arc::new(watch::Sender::new(0));
        let cursors = Cursors { context: context.clone(), saved: Arc::default(), status, reached };
        context.tasks.spawn_until_stop("saved cursors", cursors.clone().follow(saved));
        cursors
    }

    /// Waits until everything that was saved before the start is known.
    pub async fn caught_up(&self) {
        self.status.caught_up().await;
    }

    /// Waits until everything is known that was saved before the call.
    pub async fn catch_up(&self) -> Result<(), Error> {
        let stream = find_stream(&self.context.jetstream, CURSORS).await?;
        let stream = stream.ok_or_else(|| Error::Missing { stream: CURSORS.to_owned() })?;
        let last = if stream.state.messages == 0 { 0 } else { stream.state.last_sequence };
        let mut reached = self.reached.subscribe();
        reached.wait_for(|reached| *reached >= last).await.expect("self keeps the sender");
        Ok(())
    }

    /// Whether NATS was heard from recently.
    pub fn is_current(&self) -> bool {
        self.status.is_current()
    }

    /// The position of the last event that reached the presenter.
    pub fn get(&self, presenter: PresenterIdx) -> Option<Position> {
        self.find(presenter).map(|saved| saved.cursor.position)
    }

    /// The presenter's cursor, and when it was stored.
    pub fn find(&self, presenter: PresenterIdx) -> Option<SavedCursor> {
        self.saved.lock().get(&presenter).copied()
    }

    /// All saved cursors.
    pub fn all(&self) -> Vec<(PresenterIdx, Position)> {
        self.saved.lock().iter().map(|(presenter, saved)| (*presenter, saved.cursor.position)).collect()
    }

    /// Saves many cursors at once, with one fsync for 4,000 or, if they have acknowledged parts, for about 2,000, and
    /// returns once they are durable. The change is visible through [`Cursors::get`] at once on this node, and within
    /// milliseconds on others. A cursor only moves forward: saving an older position, or one of another log, changes
    /// nothing.
    pub async fn save(&self, cursors: &[(PresenterIdx, Cursor)]) -> Result<(), Error> {
        for cursors in cursors.chunks(CURSORS_A_MESSAGE) {
            self.apply(cursors.iter().copied(), None);
            let mut parts = vec![cursors];
            while let Some(cursors) = parts.pop() {
                let header = acknowledged(cursors);
                if header.as_ref().is_some_and(|header| header.len() > MAX_HEADER_BYTES) {
                    parts.extend(<[_; 2]>::from(cursors.split_at(cursors.len() / 2)));
                    continue;
                }
                let positions: Vec<(PresenterIdx, Position)> =
                    cursors.iter().map(|(presenter, cursor)| (*presenter, cursor.position)).collect();
                let payload =
                    serde_json::to_vec(&positions).expect("pairs of a number and a string have no failing serializer");
                let message = PublishMessage::build().payload(payload.into());
                let message = match header {
                    Some(header) => message.header(ACKNOWLEDGED, header.as_str()),
                    None => message,
                };
                let publish = async { self.context.jetstream.send_publish(CURSORS_SUBJECT, message).await?.await };
                request("saving cursors", publish).await?;
            }
        }
        Ok(())
    }

    async fn follow(self, mut saved: mpsc::Receiver<Result<Item, Error>>) {
        while let Some(item) = saved.recv().await {
            match item {
                Ok(Item::Record(record)) => {
                    let sequence = record.sequence;
                    match cursors(&record) {
                        Ok(cursors) => self.apply(cursors, Some(record.stored)),
                        Err(error) => {
                            tracing::warn!(sequence, %error, "a message of the stream CURSORS does not hold cursors");
                        }
                    }
                    self.reached.send_replace(sequence);
                }
                Ok(Item::CaughtUp(_)) => self.status.set_caught_up(),
                Ok(Item::Resumed) => {}
                Err(error) => self.context.fail(error),
            }
        }
    }

    fn apply(&self, cursors: impl IntoIterator<Item = (PresenterIdx, Cursor)>, stored: Option<Timestamp>) {
        let mut saved = self.saved.lock();
        for (presenter, cursor) in cursors {
            let known = saved.entry(presenter).or_insert(SavedCursor { cursor, stored });
            if known.cursor.position == cursor.position {
                // Saved again, or the message that this node saved comes back.
                known.cursor.acknowledged_after = known.cursor.acknowledged_after.or(cursor.acknowledged_after);
                known.stored = known.stored.or(stored);
            } else if self.context.timelines.further(cursor.position, known.cursor.position) == cursor.position {
                *known = SavedCursor { cursor, stored };
            }
        }
    }
}

/// The header for these cursors: where the acknowledged part of each begins. None: nothing is acknowledged.
fn acknowledged(cursors: &[(PresenterIdx, Cursor)]) -> Option<String> {
    let parts: Vec<Option<Position>> = cursors.iter().map(|(_, cursor)| cursor.acknowledged_after).collect();
    let is_any = parts.iter().any(Option::is_some);
    is_any.then(|| serde_json::to_string(&parts).expect("strings have no failing serializer"))
}

/// The cursors of a message.
fn cursors(record: &Record) -> serde_json::Result<Vec<(PresenterIdx, Cursor)>> {
    let positions: Vec<(PresenterIdx, Position)> = serde_json::from_slice(&record.payload)?;
    let header = record.headers.as_ref().and_then(|headers| headers.get(ACKNOWLEDGED));
    let parts: Vec<Option<Position>> = match header {
        Some(header) => serde_json::from_str(header.as_str())?,
        None => Vec::new(),
    };
    let parts = parts.into_iter().chain(std::iter::repeat(None));
    let cursors = positions.into_iter().zip(parts);
    Ok(cursors
        .map(|((presenter, position), acknowledged_after)| (presenter, Cursor { position, acknowledged_after }))
        .collect())
}
