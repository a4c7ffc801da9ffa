//! The archive as its readers see it.

use chat::{EventId, Position, PresenterIdx, Role};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use mongodb::bson::{DateTime, doc};
use nats::{Entry, Malformed};

use crate::mongo::database::Database;
use crate::mongo::documents::{DecisionDocument, DeletedDocument, MessageDocument, UserDocument};
use crate::query::BATCH;
use crate::write::work::Work;
use crate::{Config, Error};

/// The archive, to be read. Cheap to clone; all clones share one connection pool.
#[derive(Debug, Clone)]
pub struct Archive {
    database: Database,
}

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
    pub user: Author,
    /// The text as sent; empty where it was deleted so long ago that it is gone.
    pub message: String,
    /// When ingest accepted it, to the millisecond.
    pub sent_at: Timestamp,
    /// What a filter found, by name.
    pub flags: Vec<String>,
    /// Why it must not be shown, if so.
    pub deleted: Option<Deletion>,
}

/// Who wrote or decided something, as archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The user's number; negative: the pseudonym of somebody who was erased.
    pub idx: i64,
    /// As known then; empty for a pseudonym.
    pub nickname: String,
    /// In the room, then.
    pub role: Role,
}

/// A moderator's decision as archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedDecision {
    /// The id of its event.
    pub id: EventId,
    /// The type of its event, such as `user.banned`.
    pub kind: String,
    /// Where it stands in the log.
    pub position: Position,
    /// The room; none: every room.
    pub presenter: Option<PresenterIdx>,
    /// Whom it is about, of a ban and its end; negative: the pseudonym of somebody who was erased.
    pub user: Option<i64>,
    /// The message that a deletion is about.
    pub target: Option<EventId>,
    /// Why, in the words of who decided.
    pub reason: Option<String>,
}

/// The decision that took a message away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// The decision's event: `message.deleted` or `room.cleared`.
    pub decision: EventId,
    /// When it was decided.
    pub at: Timestamp,
    /// Who decided.
    pub by: Author,
    /// Why, in the words of who decided.
    pub reason: Option<String>,
}

impl Archive {
    /// Reads the configuration and starts the driver. No server need answer yet.
    pub async fn connect(config: &Config) -> Result<Archive, Error> {
        Ok(Archive { database: Database::connect(config).await? })
    }

    /// Archives lines of the log as a running archiver does, once: for lines that come another way, such as those of
    /// the quarantine. Safe to repeat. What cannot be archived goes into quarantine.
    pub async fn write(&self, lines: Vec<Result<Entry, Malformed>>) -> Result<(), Error> {
        let mut work = Work::default();
        lines.into_iter().for_each(|line| work.add(line));
        let written = work.write(&self.database).await;
        written.map(|_| ()).map_err(|failure| Error::MongoDb { doing: "archiving lines", source: failure.into() })
    }

    /// All messages of a room, in the order of the log.
    pub async fn room(&self, presenter: PresenterIdx) -> Result<Vec<ArchivedMessage>, Error> {
        let collection = self.database.messages();
        let documents: Vec<MessageDocument> = self
            .database
            .ask(async move {
                let find = collection.find(doc! { "presenterIdx": presenter.get() });
                find.sort(doc! { "position": 1 }).batch_size(BATCH).await?.try_collect().await
            })
            .await
            .map_err(|failure| Error::MongoDb { doing: "reading a room", source: failure.into() })?;
        documents.into_iter().map(message).collect()
    }

    /// All decisions, about whichever room and about every room, in the order of their ids.
    pub async fn decisions(&self) -> Result<Vec<ArchivedDecision>, Error> {
        let collection = self.database.decisions();
        let documents: Vec<DecisionDocument> = self
            .database
            .ask(async move {
                collection.find(doc! {}).sort(doc! { "_id": 1 }).batch_size(BATCH).await?.try_collect().await
            })
            .await
            .map_err(|failure| Error::MongoDb { doing: "reading decisions", source: failure.into() })?;
        documents.into_iter().map(decision).collect()
    }
}

fn decision(document: DecisionDocument) -> Result<ArchivedDecision, Error> {
    let DecisionDocument { id, kind, presenter_idx, position, target, user_idx: user, reason, .. } = document;
    let odd =
        |reason: &str| Error::Document { collection: "moderation_log", id: id.clone(), reason: reason.to_owned() };
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
    let odd = |reason: &str| Error::Document { collection: "chatting_log", id: id.clone(), reason: reason.to_owned() };
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
