//! An event as it stands in the log: its position, what an index needs of it, and the bytes as they came.

use bytes::Bytes;
use jiff::Timestamp;

use crate::event::{Body, Event, Head, MalformedEvent};
use crate::ids::{EventId, PresenterIdx};
use crate::position::Position;

/// One event of the log.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where it stands.
    pub position: Position,
    /// Its identity.
    pub id: EventId,
    /// Its type, such as `message.posted`.
    pub kind: String,
    /// Its room; none: every room.
    pub presenter: Option<PresenterIdx>,
    /// When it was decided.
    pub at: Timestamp,
    /// The JSON as it was appended, sharing the memory of its batch.
    pub line: Bytes,
}

/// A line of the log that is not an event of this version.
#[derive(Debug, Clone)]
pub struct Malformed {
    /// Where it stands.
    pub position: Position,
    /// The bytes as they came.
    pub line: Bytes,
    /// Why it is not an event.
    pub reason: MalformedEvent,
}

impl Entry {
    /// Reads the line that stands at that position, wherever it was kept.
    pub fn read(position: Position, line: Bytes) -> Result<Entry, Malformed> {
        match Head::from_line(&line) {
            Ok(Head { id, kind, presenter, at, .. }) => Ok(Entry { position, id, kind, presenter, at, line }),
            Err(reason) => Err(Malformed { position, line, reason }),
        }
    }

    /// The whole event. It fails where the members of a known type are not as they must be.
    pub fn event(&self) -> Result<Event, MalformedEvent> {
        Event::from_line(&self.line)
    }

    /// What happened. It fails as [`Entry::event`] does, and reads the line once where that reads it twice.
    pub fn body(&self) -> Result<Body, MalformedEvent> {
        Body::from_line(&self.kind, &self.line)
    }
}

/// The lines of one batch. Blank lines do not count as lines, so that a file of NDJSON is a batch too.
pub(crate) fn entries(epoch: u64, sequence: u64, batch: &Bytes) -> Vec<Result<Entry, Malformed>> {
    let lines = batch.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .enumerate()
        .map(|(index, line)| {
            let index = u32::try_from(index).expect("a batch of at most 1 MB has fewer than 2^32 lines");
            Entry::read(Position { epoch, sequence, index }, batch.slice_ref(line))
        })
        .collect()
}
