//! The quarantine, for operators: list the lines and their causes, archive lines again once the cause is fixed, or
//! discard them. All of it is safe beside running archivers, and to repeat.

use bytes::Bytes;
use chat::Position;
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use mongodb::bson::{Bson, Document, deserialize_from_document, doc};
use nats::Entry;

use crate::mongo::database::Database;
use crate::mongo::documents::{Cause, QuarantineDocument};
use crate::mongo::failure::Failure;
use crate::work::Work;
use crate::{Config, Error};

/// 100: the lines that one write archives again. With lines of the largest size they have 50 MB.
const PAGE: i64 = 100;

/// The lines of the log that could not be archived.
#[derive(Debug, Clone)]
pub struct Quarantine {
    database: Database,
}

/// A line in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedLine {
    /// Its position in the log.
    pub position: Position,
    /// The cause, as a stable word.
    pub cause: Cause,
    /// What exactly is wrong, for people. It may repeat a value of the line.
    pub reason: String,
    /// When it was put into quarantine.
    pub at: Timestamp,
    /// The bytes of the line.
    pub line: Bytes,
}

/// A selection of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All lines.
    All,
    /// The lines with this cause.
    Cause(Cause),
    /// The lines at these positions.
    At(Vec<Position>),
}

/// The result of archiving lines again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retried {
    /// The number of lines that were archived and left the quarantine.
    pub archived: u64,
    /// The lines that stay. Their cause and reason are those of this attempt.
    pub kept: Vec<Position>,
    /// The positions without a line in quarantine. The line may have been archived or discarded meanwhile.
    pub missing: Vec<Position>,
}

/// The number of lines, by the collection's metadata: it costs nothing, and may be wrong for a while after a crash of
/// MongoDB.
pub(crate) async fn estimate(database: &Database) -> Result<u64, Failure> {
    let collection = database.quarantine();
    database.ask(async move { collection.estimated_document_count().await }).await
}

impl Quarantine {
    /// Checks the configuration and starts the driver, which connects in the background.
    pub async fn connect(config: &Config) -> Result<Quarantine, Error> {
        Ok(Quarantine { database: Database::connect(config).await? })
    }

    /// The oldest lines, at most `first`.
    pub async fn list(&self, cause: Option<Cause>, first: u32) -> Result<Vec<QuarantinedLine>, Error> {
        let filter = cause.map_or(Which::All, Which::Cause).filter();
        // MongoDB takes a limit of 0 for no limit.
        if first == 0 {
            return Ok(Vec::new());
        }
        let documents = self.find(filter, doc! { "at": 1, "_id": 1 }, first.into()).await;
        Ok(documents.map_err(failed("listing the quarantine"))?.into_iter().filter_map(read).collect())
    }

    /// The number of lines.
    pub async fn count(&self, which: &Which) -> Result<u64, Error> {
        let (collection, filter) = (self.database.quarantine(), which.filter());
        let count = self.database.ask(async move { collection.count_documents(filter).await }).await;
        count.map_err(failed("counting the quarantine"))
    }

    /// The line at that position, if it is in quarantine.
    pub async fn get(&self, position: Position) -> Result<Option<QuarantinedLine>, Error> {
        let documents = self.find(Which::At(vec![position]).filter(), doc! {}, 1).await;
        Ok(documents.map_err(failed("reading the quarantine"))?.into_iter().find_map(read))
    }

    /// Archives the lines as a running archiver would, each at its own position. An archived line leaves the quarantine
    /// once it is durable. The others stay, with their new cause and reason.
    ///
    /// An event of every room has a copy in each partition. The copy with the lowest position stays, as always: the one
    /// of the first partition.
    pub async fn retry(&self, which: &Which) -> Result<Retried, Error> {
        let doing = "archiving the quarantine";
        let mut retried = Retried { missing: self.missing(which).await.map_err(failed(doing))?, ..Retried::default() };
        let mut after = String::new();
        loop {
            // In the order of `_id`, so that lines that stay are not read again.
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

    /// Removes the lines for good, and returns their number.
    pub async fn discard(&self, which: &Which) -> Result<u64, Error> {
        self.delete(which.filter()).await.map_err(failed("discarding from the quarantine"))
    }

    /// The named positions that have no line in quarantine.
    async fn missing(&self, which: &Which) -> Result<Vec<Position>, Failure> {
        let Which::At(positions) = which else { return Ok(Vec::new()) };
        let (collection, filter) = (self.database.quarantine(), which.filter());
        let found = self.database.ask(async move { collection.distinct("_id", filter).await }).await?;
        let is_there = |position: &&Position| found.contains(&Bson::String(position.to_string()));
        Ok(positions.iter().filter(|position| !is_there(position)).copied().collect())
    }

    /// Updates the cause and the reason of a line.
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

/// The line. A document that something else changed is logged and skipped.
fn read(document: Document) -> Option<QuarantinedLine> {
    let id = id(&document).to_owned();
    let line = deserialize_from_document(document).ok().and_then(line);
    if line.is_none() {
        tracing::warn!(id, "the document {id:?} of the quarantine is invalid and is skipped");
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
