//! MongoDB, asked with a deadline. A driver future that is dropped half-way can leave the driver in a bad state, so
//! every request runs in a task of its own, and the deadline is on the wait for it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::bson::{Document, deserialize_from_document, doc};
use mongodb::error::{CommandError, ErrorKind, WriteFailure};
use mongodb::options::ClientOptions;
use mongodb::{Client, Collection};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use crate::mongo::concerns;
use crate::mongo::documents::{
    DecisionDocument, ErasedIdDocument, ErasureDocument, MarkDocument, MessageDocument, QuarantineDocument,
};
use crate::write::gaps::Gap;
use crate::write::progress::{ProgressDocument, Run};
use crate::{Config, Error};

/// How many requests may be on their way, those included whose deadline has passed and whose task still waits for the
/// driver. It bounds what a silent MongoDB can pile up.
const REQUESTS: usize = 16;

/// The database with its collections. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    database: mongodb::Database,
    request_timeout: Duration,
    requests: Arc<Semaphore>,
}

/// Why a request has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Failure {
    /// It may work later, as it is.
    #[error("{0}")]
    Unavailable(String),
    /// It never will: MongoDB refuses the document.
    #[error("{0}")]
    Refused(String),
    /// What was to be created is there: a document with that `_id`, a collection, an index.
    #[error("it exists")]
    Exists,
}

impl Database {
    /// Reads the configuration and starts the driver, which connects in the background.
    pub(crate) async fn connect(config: &Config) -> Result<Database, Error> {
        Database::open(config, "chatting-archiver", config.request_timeout(), REQUESTS).await
    }

    /// The same for those who read, over connections of their own: they must not keep the writer waiting.
    pub(crate) async fn connect_for_reading(config: &Config) -> Result<Database, Error> {
        let requests = config.reads.max_in_flight.saturating_add(config.reads.max_streams);
        let requests = requests.clamp(1, Semaphore::MAX_PERMITS);
        Database::open(config, "chatting-archiver reading", config.reads.timeout(), requests).await
    }

    async fn open(config: &Config, name: &str, request_timeout: Duration, requests: usize) -> Result<Database, Error> {
        let invalid = |error: mongodb::error::Error| {
            Error::from(conf::Problem::new("archiver.uri", config.uri.complaint(&error)))
        };
        let mut options = ClientOptions::parse(config.uri.as_str()).await.map_err(invalid)?;
        options.app_name.get_or_insert_with(|| name.to_owned());
        options.server_selection_timeout = Some(config.server_selection_timeout());
        options.connect_timeout = Some(config.connect_timeout());
        // The driver has no socket timeout: a server that has gone silent is noticed by the heartbeats, which then
        // cut the requests in progress. A dead one is noticed after this and the connect timeout.
        options.heartbeat_freq = Some(config.connect_timeout());
        concerns::check(&options).map_err(|reason| conf::Problem::new("archiver.uri", reason))?;
        // A write that the majority does not confirm ends on the server too, before we stop waiting for it.
        concerns::pin(&mut options, request_timeout / 2);
        let client = Client::with_options(options).map_err(invalid)?;
        if config.database.is_empty() {
            return Err(conf::Problem::new("archiver.database", "is empty: name the database").into());
        }
        Ok(Database {
            database: client.database(&config.database),
            request_timeout,
            requests: Arc::new(Semaphore::new(requests)),
        })
    }

    /// How long a request may take.
    pub(crate) fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    pub(crate) fn messages(&self) -> Collection<MessageDocument> {
        self.database.collection("chatting_log")
    }

    pub(crate) fn decisions(&self) -> Collection<DecisionDocument> {
        self.database.collection("moderation_log")
    }

    pub(crate) fn broadcasts(&self) -> Collection<Document> {
        self.database.collection("broadcasts")
    }

    pub(crate) fn quarantine(&self) -> Collection<QuarantineDocument> {
        self.database.collection("quarantine")
    }

    pub(crate) fn marks(&self) -> Collection<MarkDocument> {
        self.database.collection("log_marks")
    }

    pub(crate) fn erased_ids(&self) -> Collection<ErasedIdDocument> {
        self.database.collection("erased_ids")
    }

    pub(crate) fn erasures(&self) -> Collection<ErasureDocument> {
        self.database.collection("erasures")
    }

    pub(crate) fn progress(&self) -> Collection<ProgressDocument> {
        self.database.collection("archive_progress")
    }

    pub(crate) fn runs(&self) -> Collection<Run> {
        self.database.collection("archive_runs")
    }

    pub(crate) fn gaps(&self) -> Collection<Gap> {
        self.database.collection("archive_gaps")
    }

    /// Creates a collection, unless it exists.
    pub(crate) async fn create_collection(&self, name: &'static str, options: Document) -> Result<(), Failure> {
        let database = self.database.clone();
        let mut command = doc! { "create": name };
        command.extend(options);
        let created = self.ask(async move { database.run_command(command).await }).await;
        match created {
            Ok(_) | Err(Failure::Exists) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Creates an index, unless it exists. [`Failure::Exists`]: one that differs stands in its way.
    pub(crate) async fn create_index(&self, collection: &'static str, index: Document) -> Result<(), Failure> {
        let database = self.database.clone();
        let command = doc! { "createIndexes": collection, "indexes": [index] };
        self.ask(async move { database.run_command(command).await }).await.map(|_| ())
    }

    /// Any command.
    pub(crate) async fn command(&self, command: Document) -> Result<Document, Failure> {
        let database = self.database.clone();
        self.ask(async move { database.run_command(command).await }).await
    }

    /// Drops an index, if there is one of that name.
    pub(crate) async fn drop_index(&self, collection: &'static str, name: &str) -> Result<(), Failure> {
        /// MongoDB's `IndexNotFound`.
        const NOT_FOUND: i32 = 27;
        let database = self.database.clone();
        let command = doc! { "dropIndexes": collection, "index": name };
        match self.ask_driver(async move { database.run_command(command).await }).await? {
            Err(error) if !matches!(error.kind.as_ref(), ErrorKind::Command(CommandError { code: NOT_FOUND, .. })) => {
                Err(classify(&error))
            }
            _ => Ok(()),
        }
    }

    /// Whether a primary answers.
    pub(crate) async fn ping(&self) -> Result<(), Failure> {
        let database = self.database.clone();
        self.ask(async move { database.run_command(doc! { "ping": 1 }).await }).await.map(|_| ())
    }

    /// Runs a request of the driver to its end, and waits for that within the deadline.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        request: impl Future<Output = mongodb::error::Result<T>> + Send + 'static,
    ) -> Result<T, Failure> {
        match self.ask_driver(request).await? {
            Ok(answer) => Ok(answer),
            Err(error) => Err(classify(&error)),
        }
    }

    /// The same of a request that has a time of its own on the server; none: it did not come to its end in that.
    pub(crate) async fn ask_within<T: Send + 'static>(
        &self,
        request: impl Future<Output = mongodb::error::Result<T>> + Send + 'static,
    ) -> Result<Option<T>, Failure> {
        match self.ask_driver(request).await? {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if has_expired(&error) => Ok(None),
            Err(error) => Err(classify(&error)),
        }
    }

    async fn ask_driver<T: Send + 'static>(
        &self,
        request: impl Future<Output = mongodb::error::Result<T>> + Send + 'static,
    ) -> Result<mongodb::error::Result<T>, Failure> {
        let requests = self.requests.clone();
        let late = |_| Failure::Unavailable("MongoDB did not answer in time".to_owned());
        let answer = tokio::time::timeout(self.request_timeout, async move {
            let permit = requests.acquire_owned().await.expect("the semaphore is never closed");
            // The task keeps the permit until the driver is done, however long that takes.
            tokio::spawn(async move {
                let answer = request.await;
                drop(permit);
                answer
            })
            .await
        });
        answer.await.map_err(late)?.map_err(|_| Failure::Unavailable("the MongoDB driver panicked".to_owned()))
    }

    /// The documents that match and are as this archiver writes them. One that somebody has changed beyond that is left
    /// alone: it must not stop the archive. `limit` 0: all.
    pub(crate) async fn find<T, D>(
        &self,
        collection: &Collection<D>,
        filter: Document,
        limit: i64,
    ) -> Result<Vec<T>, Failure>
    where
        T: DeserializeOwned,
        D: Send + Sync,
    {
        let collection = collection.clone_with_type::<Document>();
        let name = collection.name().to_owned();
        let found = async move { collection.find(filter).limit(limit).await?.try_collect::<Vec<_>>().await };
        let mut documents = Vec::new();
        for document in self.ask(found).await? {
            let id = document.get("_id").map(ToString::to_string).unwrap_or_default();
            match deserialize_from_document(document) {
                Ok(document) => documents.push(document),
                Err(_) => tracing::warn!(collection = name, id, "a document is not as archived and is left alone"),
            }
        }
        Ok(documents)
    }

    /// Inserts what can be inserted. The answer names, by index, the documents that exist and those that are refused.
    pub(crate) async fn insert<T>(&self, collection: Collection<T>, documents: Vec<T>) -> Result<Inserted, Failure>
    where
        T: Serialize + Send + Sync + 'static,
    {
        let documents = Arc::new(documents);
        let mut inserted = Inserted::default();
        // Usually one range. Where MongoDB refuses a request without naming a document, its halves are tried.
        let mut ranges = vec![(0, documents.len())];
        while let Some((start, end)) = ranges.pop() {
            if start == end {
                continue;
            }
            let (collection, documents) = (collection.clone(), documents.clone());
            let request = async move { collection.insert_many(&documents[start..end]).ordered(false).await };
            let answer = self.ask_driver(request).await?;
            let Err(error) = answer else { continue };
            match error.kind.as_ref() {
                ErrorKind::InsertMany(errors) if errors.write_concern_error.is_none() => {
                    for error in errors.write_errors.iter().flatten() {
                        let index = start + error.index;
                        match classify_write(error.code, &error.message) {
                            Failure::Exists => inserted.existing.push(index),
                            Failure::Refused(reason) => inserted.refused.push((index, reason)),
                            unavailable @ Failure::Unavailable(_) => return Err(unavailable),
                        }
                    }
                }
                _ => match classify(&error) {
                    Failure::Refused(reason) if end - start == 1 => inserted.refused.push((start, reason)),
                    Failure::Refused(_) => {
                        let middle = start.midpoint(end);
                        ranges.extend([(middle, end), (start, middle)]);
                    }
                    failure => return Err(failure),
                },
            }
        }
        Ok(inserted)
    }
}

/// What became of the documents of an insert that are not simply stored, by index.
#[derive(Debug, Default)]
pub(crate) struct Inserted {
    pub(crate) existing: Vec<usize>,
    pub(crate) refused: Vec<(usize, String)>,
}

/// Whether MongoDB gave it up because its time was over: `MaxTimeMSExpired`.
fn has_expired(error: &mongodb::error::Error) -> bool {
    matches!(error.kind.as_ref(), ErrorKind::Command(CommandError { code: 50, .. }))
}

fn classify(error: &mongodb::error::Error) -> Failure {
    match error.kind.as_ref() {
        // A collection, or an index with these keys or this name.
        ErrorKind::Command(CommandError { code: 48 | 85 | 86, .. }) => Failure::Exists,
        ErrorKind::Command(CommandError { code, .. }) if is_about_the_document(*code) => {
            Failure::Refused(describe(error))
        }
        ErrorKind::Write(WriteFailure::WriteError(error)) => classify_write(error.code, &error.message),
        ErrorKind::Bson(_) | ErrorKind::BsonSerialization(_) | ErrorKind::InvalidArgument { .. } => {
            Failure::Refused(describe(error))
        }
        _ => Failure::Unavailable(describe(error)),
    }
}

/// An error that MongoDB gives for one document.
fn classify_write(code: i32, message: &str) -> Failure {
    match code {
        // A unique index that somebody added is another matter than the identity of the document.
        11_000 if message.contains(" index: _id_ ") => Failure::Exists,
        11_000 => Failure::Refused("a unique index of the collection refuses it (11000)".to_owned()),
        121 => Failure::Refused("a validator of the collection refuses it (121)".to_owned()),
        _ if is_passing(code) => Failure::Unavailable(format!("MongoDB error {code}")),
        _ => Failure::Refused(format!("MongoDB error {code}")),
    }
}

/// Whether a command failed because of what is in a document: BadValue, FailedToParse, TypeMismatch, InvalidBSON,
/// DollarPrefixedFieldName, EmptyFieldName, DottedFieldName, DocumentValidationFailure, BSONObjectTooLarge and their
/// older numbers. Everything else (no permission, an unknown command, no primary) would fail with any document.
fn is_about_the_document(code: i32) -> bool {
    matches!(code, 2 | 9 | 14 | 22 | 52 | 56 | 57 | 121 | 10_334 | 17_280 | 17_419 | 17_420)
}

/// Whether an error passes by itself or is mended by an operator: unreachable hosts, permissions, timeouts, write
/// concern, conflicts, memory, elections, shutdowns, a full disk.
fn is_passing(code: i32) -> bool {
    const PASSING: [i32; 27] = [
        6, 7, 13, 18, 24, 43, 50, 64, 79, 89, 91, 100, 112, 134, 146, 189, 202, 262, 9_001, 10_058, 10_107, 11_600,
        11_601, 11_602, 13_435, 13_436, 14_031,
    ];
    PASSING.contains(&code)
}

/// What happened, without anything of a document: some of the driver's messages repeat the values that offend.
pub(crate) fn describe(error: &mongodb::error::Error) -> String {
    match error.kind.as_ref() {
        ErrorKind::Command(error) => format!("{} ({})", error.code_name, error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => format!("MongoDB error {}", error.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => {
            format!("the majority did not confirm the write: {} ({})", error.code_name, error.code)
        }
        ErrorKind::InsertMany(_) => "the majority did not confirm the insert".to_owned(),
        ErrorKind::Bson(_) | ErrorKind::BsonSerialization(_) => "a value does not fit into BSON".to_owned(),
        ErrorKind::ServerSelection { .. } => "no primary can be reached".to_owned(),
        kind => kind.to_string(),
    }
}
