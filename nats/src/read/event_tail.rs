//! The tail of a process that replays the log into state of its own: parsed events, with every copy. Events that this
//! process appended by [`crate::Log::append_own`] are handed out as they are; each line of other processes is parsed
//! once.

use std::sync::Arc;

use chat::{Event, Position};
use jiff::Timestamp;

use crate::error::Error;
use crate::read::entry::skips;
use crate::read::item::Record;
use crate::read::tail::{Tail, TailStatus};

/// An event of the log, parsed.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Its position.
    pub position: Position,
    /// When its batch was stored, by the clock of the log's servers.
    pub stored: Timestamp,
    /// Whether this copy has an effect: see [`crate::Log::counts`].
    pub counts: bool,
    /// The event.
    pub event: Arc<Event>,
}

/// A tail of all partitions. Dropping it ends its tasks.
#[derive(Debug)]
pub struct EventTail(Tail);

impl EventTail {
    /// `tail` must hand out copies.
    pub(crate) fn new(tail: Tail) -> EventTail {
        EventTail(tail)
    }

    /// The next events: one batch of one partition, never empty, in order. Waits until there is something. Cancel safe.
    /// An error is final, and after [`Error::Replaced`] the log has failed. A line that is not an event of this version
    /// is logged and skipped.
    pub async fn next(&mut self) -> Result<Vec<StoredEvent>, Error> {
        loop {
            let (partition, record) = self.0.record().await?;
            let epoch = self.0.receive(partition, &record);
            let own = self.0.own_batches(partition).take(record.headers.as_ref(), &record.payload);
            if skips(epoch, record.sequence, record.stored, record.headers.as_ref()) {
                continue;
            }
            let stored = |(position, event): (Position, Arc<Event>)| {
                let counts = event.presenter.is_some() || partition == 0;
                StoredEvent { position, stored: record.stored, counts, event }
            };
            let position = |index| Position { epoch, sequence: record.sequence, index };
            let events: Vec<StoredEvent> = match own {
                Some(own) => (0..).map(position).zip(own).map(stored).collect(),
                None => parsed(&record, position).map(stored).collect(),
            };
            if !events.is_empty() {
                return Ok(events);
            }
        }
    }

    /// A handle on this tail's state.
    pub fn status(&self) -> TailStatus {
        self.0.status()
    }
}

/// The events of a batch. Blank lines are skipped and do not count.
fn parsed(record: &Record, position: impl Fn(u32) -> Position) -> impl Iterator<Item = (Position, Arc<Event>)> {
    let lines = record.payload.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    (0..).map(position).zip(lines).filter_map(|(position, line)| match Event::from_line(line) {
        Ok(event) => Some((position, Arc::new(event))),
        Err(reason) => {
            tracing::warn!(%position, %reason, "skipped a line of the log that is not an event");
            None
        }
    })
}
