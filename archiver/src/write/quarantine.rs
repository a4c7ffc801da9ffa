//! The quarantine, for whoever looks after it: what is in it and why, and lines archived again once what was wrong is
//! put right. All of it may be done beside running archivers, and twice.

use bytes::Bytes;
use chat::Position;
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use mongodb::bson::{Bson, Document, deserialize_from_document, doc};
use nats::Entry;

use crate::mongo::database::{Database, Failure};
use crate::mongo::documents::{Cause, QuarantineDocument};
use crate::write::work::Work;
use crate::{Config, Error};

/// Lines that are archived again in one write: with the largest that the log takes, 50 MB.
const PAGE: i64 = 100;

/// The lines that had no place in the archive.
#[derive(Debug, Clone)]
pub struct Quarantine {
    database: Database,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedLine {
    /// Where it stands, or stood, in the log.
    pub position: Position,
    /// Why it is here, in a stable word.
    pub cause: Cause,
    /// What exactly is wrong, for people. It may repeat a value of the line.
    pub reason: String,
    /// When it was put here.
    pub at: Timestamp,
    /// The bytes as they came.
    pub line: Bytes,
}

/// Which lines something is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Those of one cause.
    Cause(Cause),
    /// Those that stand there.
    At(Vec<Position>),
}

/// What became of lines that were archived again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retried {
    /// So many found their place, and left the quarantine.
    pub archived: u64,
    /// These did not; their cause and reason are those of this attempt.
    pub kept: Vec<Position>,
    /// Nothing is in quarantine there. It may have been archived or discarded meanwhile.
    pub missing: Vec<Position>,
}

impl Quarantine {
    /// Reads the configuration and starts the driver. No server need answer yet.
    pub async fn connect(config: &Config) -> Result<Quarantine, Error> {
        Ok(Quarantine { database: Database::connect(config).await? })
    }

    /// The lines that were put here first, so many at most.
    pub async fn list(&self, cause: Option<Cause>, first: u32) -> Result<Vec<QuarantinedLine>, Error> {
        let filter = cause.map_or(Which::All, Which::Cause).filter();
        // 0 would be all.
        if first == 0 {
            return Ok(Vec::new());
        }
        let documents = self.find(filter, doc! { "at": 1, "_id": 1 }, first.into()).await;
        Ok(documents.map_err(failed("listing the quarantine"))?.into_iter().filter_map(read).collect())
    }

    /// How many lines there are.
    pub async fn count(&self, which: &Which) -> Result<u64, Error> {
        let (collection, filter) = (self.database.quarantine(), which.filter());
        let count = self.database.ask(async move { collection.count_documents(filter).await }).await;
        count.map_err(failed("counting the quarantine"))
    }

    /// The line that stands there, if it is in quarantine.
    pub async fn get(&self, position: Position) -> Result<Option<QuarantinedLine>, Error> {
        let documents = self.find(Which::At(vec![position]).filter(), doc! {}, 1).await;
        Ok(documents.map_err(failed("reading the quarantine"))?.into_iter().find_map(read))
    }

    /// Archives the lines as a running archiver would, each at its own position. What finds its place leaves the
    /// quarantine, after it is durable; what does not stays, with its new cause and reason.
    ///
    /// Of the copies that an event of every room has, one in each partition, the one with the lowest position stays, as
    /// always: that of the first partition, which was made first.
    pub async fn retry(&self, which: &Which) -> Result<Retried, Error> {
        let doing = "archiving the quarantine";
        let mut retried = Retried { missing: self.missing(which).await.map_err(failed(doing))?, ..Retried::default() };
        let mut after = String::new();
        loop {
            // By `_id`, so that what stays is not met again.
            let mut filter = which.filter();
            filter.insert("$and", [doc! { "_id": { "$gt": &after } }]);
            let documents = self.find(filter, doc! { "_id": 1 }, PAGE).await.map_err(failed(doing))?;
            let Some(last) = documents.last() else { return Ok(retried) };
            after = id(last).to_owned();
            let (mut work, mut ids) = (Work::default(), Vec::new());
            for document in documents {
                let own = id(&document).to_owned();
                let Some(line) = read(document) else { continue };
                work.add(Entry::read(line.position, line.line));
                ids.push(own);
            }
            let written = work.write(&self.database).await.map_err(failed(doing))?;
            for kept in &written.quarantined {
                self.explain(kept).await.map_err(failed(doing))?;
                retried.kept.extend(kept.id.parse::<Position>());
            }
            ids.retain(|id| written.quarantined.iter().all(|kept| kept.id != *id));
            retried.archived += self.delete(doc! { "_id": { "$in": ids } }).await.map_err(failed(doing))?;
        }
    }

    /// Removes the lines for good, and says how many.
    pub async fn discard(&self, which: &Which) -> Result<u64, Error> {
        self.delete(which.filter()).await.map_err(failed("discarding from the quarantine"))
    }

    /// Which of the positions that are named have no line in quarantine.
    async fn missing(&self, which: &Which) -> Result<Vec<Position>, Failure> {
        let Which::At(positions) = which else { return Ok(Vec::new()) };
        let (collection, filter) = (self.database.quarantine(), which.filter());
        let found = self.database.ask(async move { collection.distinct("_id", filter).await }).await?;
        let is_there = |position: &&Position| found.contains(&Bson::String(position.to_string()));
        Ok(positions.iter().filter(|position| !is_there(position)).copied().collect())
    }

    /// Why the line is here now.
    async fn explain(&self, line: &QuarantineDocument) -> Result<(), Failure> {
        let of = doc! { "_id": &line.id };
        let set = doc! { "$set": { "cause": line.cause.as_str(), "reason": &line.reason } };
        let collection = self.database.quarantine();
        self.database.ask(async move { collection.update_one(of, set).await }).await.map(|_| ())
    }

    async fn find(&self, filter: Document, order: Document, limit: i64) -> Result<Vec<Document>, Failure> {
        let collection = self.database.quarantine().clone_with_type::<Document>();
        let found = async move { collection.find(filter).sort(order).limit(limit).await?.try_collect().await };
        self.database.ask(found).await
    }

    async fn delete(&self, filter: Document) -> Result<u64, Failure> {
        let collection = self.database.quarantine();
        let deleted = self.database.ask(async move { collection.delete_many(filter).await }).await?;
        Ok(deleted.deleted_count)
    }
}

impl Which {
    fn filter(&self) -> Document {
        match self {
            Which::All => doc! {},
            Which::Cause(cause) => doc! { "cause": cause.as_str() },
            Which::At(positions) => {
                let ids: Vec<String> = positions.iter().map(Position::to_string).collect();
                doc! { "_id": { "$in": ids } }
            }
        }
    }
}

/// The line, unless somebody changed its document into something else: that is said, and it is left alone.
fn read(document: Document) -> Option<QuarantinedLine> {
    let id = id(&document).to_owned();
    let line = deserialize_from_document(document).ok().and_then(line);
    if line.is_none() {
        tracing::warn!(id, "the document {id:?} of the quarantine is not as archived and is left alone");
    }
    line
}

fn line(document: QuarantineDocument) -> Option<QuarantinedLine> {
    Some(QuarantinedLine {
        position: document.id.parse().ok()?,
        cause: document.cause,
        reason: document.reason,
        at: Timestamp::from_millisecond(document.at.timestamp_millis()).ok()?,
        line: match document.line {
            Bson::String(text) => text.into(),
            Bson::Binary(binary) => binary.bytes.into(),
            _ => return None,
        },
    })
}

fn id(document: &Document) -> &str {
    document.get_str("_id").unwrap_or_default()
}

fn failed(doing: &'static str) -> impl Fn(Failure) -> Error {
    move |failure| Error::MongoDb { doing, source: failure.into() }
}
