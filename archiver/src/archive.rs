//! The archive for other programs: `play`, the tests and `reliability` read with it what was archived.

use chat::{EventId, Position, PresenterIdx, Role};
use jiff::Timestamp;
use mongodb::bson::DateTime;
use nats::{Entry, Malformed};

use crate::mongo::collections::{DECISIONS, MESSAGES};
use crate::mongo::database::Database;
use crate::mongo::documents::{DecisionDocument, DeletedDocument, MessageDocument, UserDocument};
use crate::query::{everything, trace};
use crate::work::Work;
use crate::{Config, Error};

/// A connection to the archive. Cheap to clone: all clones share one connection pool.
#[derive(Debug, Clone)]
pub struct Archive {
    database: Database,
}

/// An archived message, deleted or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedMessage {
    /// The id of its event.
    pub id: EventId,
    /// The position in the log, which orders the room.
    pub position: Position,
    /// The room.
    pub presenter: PresenterIdx,
    /// The author.
    pub user: Author,
    /// The text as sent. Empty if the message was deleted and its text has been removed since.
    pub message: String,
    /// When ingest accepted it, to the millisecond.
    pub sent_at: Timestamp,
    /// The labels of the word filter and the review hook.
    pub flags: Vec<String>,
    /// The deletion, if the message was deleted.
    pub deleted: Option<Deletion>,
}

/// The person who wrote or decided something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The user's number. A negative number is the pseudonym of an erased user.
    pub idx: i64,
    /// The nickname as of the event. Empty for a pseudonym.
    pub nickname: String,
    /// The role in the room as of the event.
    pub role: Role,
}

/// An archived moderation decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedDecision {
    /// The id of its event.
    pub id: EventId,
    /// The type of its event, such as `user.banned`.
    pub kind: String,
    /// The position in the log.
    pub position: Position,
    /// The room. None: every room.
    pub presenter: Option<PresenterIdx>,
    /// The user that a ban or its end is about. A negative number is the pseudonym of an erased user.
    pub user: Option<i64>,
    /// The message that a deletion or a restoration is about.
    pub target: Option<EventId>,
    /// The reason that the moderator gave.
    pub reason: Option<String>,
}

/// The decision that deleted a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// The decision's event: `message.deleted`, `room.cleared`, `room.swept`, or a `user.banned` that purges.
    pub decision: EventId,
    /// The time of the decision.
    pub at: Timestamp,
    /// The moderator.
    pub by: Author,
    /// The reason that the moderator gave.
    pub reason: Option<String>,
}

impl Archive {
    /// Checks the configuration and starts the driver, which connects in the background.
    pub async fn connect(config: &Config) -> Result<Archive, Error> {
        Ok(Archive { database: Database::connect(config).await? })
    }

    /// Archives lines of the log that come another way, as a running archiver does. Safe to repeat. Lines that cannot
    /// be archived go into quarantine.
    pub async fn write(&self, lines: Vec<Result<Entry, Malformed>>) -> Result<(), Error> {
        let mut work = Work::default();
        lines.into_iter().for_each(|line| work.add(line));
        let written = work.write(&self.database).await;
        written.map(|_| ()).map_err(|failure| Error::MongoDb { doing: "archiving lines", source: failure.into() })
    }

    /// All messages of a room, in the order of the log.
    pub async fn room(&self, presenter: PresenterIdx) -> Result<Vec<ArchivedMessage>, Error> {
        let documents = everything::messages(&self.database, presenter.get()).await;
        let documents =
            documents.map_err(|failure| Error::MongoDb { doing: "reading a room", source: failure.into() })?;
        documents.into_iter().map(message).collect()
    }

    /// Whether the archive has the message of the room, deleted or not.
    pub async fn has_message(&self, presenter: PresenterIdx, id: EventId) -> Result<bool, Error> {
        let found = trace::message(&self.database, presenter.get(), id).await;
        let found = found.map_err(|failure| Error::MongoDb { doing: "reading a message", source: failure.into() })?;
        Ok(found.is_some())
    }

    /// All decisions, about any room and about every room, in the order of their ids.
    pub async fn decisions(&self) -> Result<Vec<ArchivedDecision>, Error> {
        let documents = everything::decisions(&self.database).await;
        let documents =
            documents.map_err(|failure| Error::MongoDb { doing: "reading decisions", source: failure.into() })?;
        documents.into_iter().map(decision).collect()
    }
}

fn decision(document: DecisionDocument) -> Result<ArchivedDecision, Error> {
    let DecisionDocument { id, kind, presenter_idx, position, target, user_idx: user, reason, .. } = document;
    let odd = |reason: &str| Error::Document { collection: DECISIONS, id: id.clone(), reason: reason.to_owned() };
    Ok(ArchivedDecision {
        position: position.position().ok_or_else(|| odd("its position is negative"))?,
        presenter: presenter_idx.map(PresenterIdx::stored).transpose().map_err(|_| odd("its room is not positive"))?,
        target: target.map(|target| target.parse()).transpose().map_err(|_| odd("its target is not a UUID"))?,
        id: id.parse().map_err(|_| odd("its _id is not a UUID"))?,
        kind,
        user,
        reason,
    })
}

fn message(document: MessageDocument) -> Result<ArchivedMessage, Error> {
    let id = document.id.clone();
    let odd = |reason: &str| Error::Document { collection: MESSAGES, id: id.clone(), reason: reason.to_owned() };
    Ok(ArchivedMessage {
        id: document.id.parse().map_err(|_| odd("its _id is not a UUID"))?,
        position: document.position.position().ok_or_else(|| odd("its position is negative"))?,
        presenter: PresenterIdx::stored(document.presenter_idx).map_err(|_| odd("its presenterIdx is not positive"))?,
        user: Author { idx: document.user_idx, nickname: document.nickname, role: document.role },
        message: document.message.unwrap_or_default(),
        sent_at: timestamp(document.sent_at).ok_or_else(|| odd("its sentAt is out of range"))?,
        flags: document.flags,
        deleted: match document.deleted {
            None => None,
            Some(deleted) => Some(deletion(deleted).ok_or_else(|| odd("its deletion is not as written"))?),
        },
    })
}

fn deletion(document: DeletedDocument) -> Option<Deletion> {
    let UserDocument { user_idx, nickname, role } = document.by;
    Some(Deletion {
        decision: document.decision.parse().ok()?,
        at: timestamp(document.at)?,
        by: Author { idx: user_idx, nickname, role },
        reason: document.reason,
    })
}

fn timestamp(at: DateTime) -> Option<Timestamp> {
    Timestamp::from_millisecond(at.timestamp_millis()).ok()
}
