//! The archive as its readers see it.

use jiff::Timestamp;
use nats::{EventId, Position, PresenterIdx, User};

use crate::{Config, Error};

/// The archive, to be read. Cheap to clone; all clones share one connection pool.
#[derive(Debug, Clone)]
pub struct Archive {}

/// A message as archived, deleted or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedMessage {
    /// The id of its event.
    pub id: EventId,
    /// Where it stands in the log; the order of a room.
    pub position: Position,
    /// The room.
    pub presenter: PresenterIdx,
    /// Who wrote it.
    pub user: User,
    /// The text as sent.
    pub message: String,
    /// When ingest accepted it, to the millisecond.
    pub sent_at: Timestamp,
    /// What a filter found, by name.
    pub flags: Vec<String>,
    /// Why it must not be shown, if so.
    pub deleted: Option<Deletion>,
}

/// The decision that took a message away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// The decision's event: `message.deleted` or `room.cleared`.
    pub decision: EventId,
    /// When it was decided.
    pub at: Timestamp,
    /// Who decided.
    pub by: User,
    /// Why, in the words of who decided.
    pub reason: Option<String>,
}

impl Archive {
    /// Reads the configuration and starts the driver. No server need answer yet.
    pub async fn connect(_config: &Config) -> Result<Archive, Error> {
        todo!()
    }

    /// All messages of a room, in the order of the log.
    pub async fn room(&self, _presenter: PresenterIdx) -> Result<Vec<ArchivedMessage>, Error> {
        todo!()
    }
}
