//! The connection to MongoDB. Every request has a deadline. A driver future that is dropped half-way can leave the
//! driver in a bad state, so each request runs in a task of its own, and the deadline applies to the wait for it.

use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::error::{CommandError, ErrorKind};
use mongodb::options::{ClientOptions, ServerAddress};
use mongodb::{Client, Collection};
use parking_lot::RwLock;
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::mongo::concerns;
use crate::mongo::failure::{Failure, classify, classify_write, has_expired};
use crate::{Config, Error};

/// 16: the requests in flight of the writing side, those included whose deadline has passed while their task still
/// waits for the driver. It bounds the memory that a silent MongoDB can cost. Further requests wait, within their
/// deadline.
const REQUESTS: usize = 16;

/// The database. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    /// The driver's. Another login makes another one.
    driver: Arc<RwLock<mongodb::Database>>,
    /// As the address names them.
    servers: Arc<[ServerAddress]>,
    name: &'static str,
    request_timeout: Duration,
    requests: Arc<Semaphore>,
}

impl Database {
    /// Checks the configuration and starts the driver, which connects in the background.
    pub(crate) async fn connect(config: &Config) -> Result<Database, Error> {
        Database::open(config, "chatting-archiver", config.request_timeout(), REQUESTS).await
    }

    /// The same for the read API, with connections of its own: readers must not keep the writer waiting.
    pub(crate) async fn connect_for_reading(config: &Config) -> Result<Database, Error> {
        let requests = config.reads.max_in_flight.saturating_add(config.reads.max_streams);
        let requests = requests.clamp(1, Semaphore::MAX_PERMITS);
        Database::open(config, "chatting-archiver reading", config.reads.timeout(), requests).await
    }

    async fn open(
        config: &Config,
        name: &'static str,
        request_timeout: Duration,
        requests: usize,
    ) -> Result<Database, Error> {
        let invalid = |error: mongodb::error::Error| {
            Error::from(conf::Problem::new("archiver.uri", config.uri.complaint(&error)))
        };
        let mut options = ClientOptions::parse(config.uri.as_str()).await.map_err(invalid)?;
        options.app_name.get_or_insert_with(|| name.to_owned());
        options.server_selection_timeout = Some(config.server_selection_timeout());
        options.connect_timeout = Some(config.connect_timeout());
        // The driver has no socket timeout. Heartbeats notice a server that has gone silent, and cut its requests. They
        // notice a dead server after this interval and the connect timeout.
        options.heartbeat_freq = Some(config.connect_timeout());
        concerns::check(&options).map_err(|reason| conf::Problem::new("archiver.uri", reason))?;
        // A write that the majority does not confirm ends on the server before we stop waiting for it.
        concerns::pin(&mut options, request_timeout / 2);
        let servers = options.hosts.as_slice().into();
        let client = Client::with_options(options).map_err(invalid)?;
        if config.database.is_empty() {
            return Err(conf::Problem::new("archiver.database", "is empty. Set the name of the database").into());
        }
        Ok(Database {
            driver: Arc::new(RwLock::new(client.database(&config.database))),
            servers,
            name,
            request_timeout,
            requests: Arc::new(Semaphore::new(requests)),
        })
    }

    /// From now on the login of that configuration counts, if its servers are the same and accept it. Requests in
    /// progress end as they began. Err: why nothing has changed.
    pub(crate) async fn renew(&self, config: &Config) -> Result<(), String> {
        let renewed = Database::open(config, self.name, self.request_timeout, 1).await;
        let renewed = renewed.map_err(|error| error.to_string())?;
        if renewed.servers != self.servers {
            return Err("it names other servers: restart archiver to use them".to_owned());
        }
        renewed.ping().await.map_err(|failure| failure.to_string())?;
        *self.driver.write() = renewed.driver();
        Ok(())
    }

    /// The driver's database. Cheap.
    pub(super) fn driver(&self) -> mongodb::Database {
        self.driver.read().clone()
    }

    /// The deadline of a request.
    pub(crate) fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    /// Creates a collection, unless it exists.
    pub(crate) async fn create_collection(&self, name: &'static str, options: Document) -> Result<(), Failure> {
        let database = self.driver();
        let mut command = doc! { "create": name };
        command.extend(options);
        let created = self.ask(async move { database.run_command(command).await }).await;
        match created {
            Ok(_) | Err(Failure::Exists) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Creates the indexes that do not exist. [`Failure::Exists`]: none was created, because a different index has the
    /// keys or the name of one.
    pub(crate) async fn create_indexes(&self, collection: &'static str, indexes: Vec<Document>) -> Result<(), Failure> {
        let database = self.driver();
        let command = doc! { "createIndexes": collection, "indexes": indexes };
        self.ask(async move { database.run_command(command).await }).await.map(|_| ())
    }

    /// Runs any command.
    pub(crate) async fn command(&self, command: Document) -> Result<Document, Failure> {
        let database = self.driver();
        self.ask(async move { database.run_command(command).await }).await
    }

    /// Drops an index, if it exists.
    pub(crate) async fn drop_index(&self, collection: &'static str, name: &str) -> Result<(), Failure> {
        /// MongoDB's `IndexNotFound`.
        const NOT_FOUND: i32 = 27;
        let database = self.driver();
        let command = doc! { "dropIndexes": collection, "index": name };
        match self.ask_driver(async move { database.run_command(command).await }).await? {
            Err(error) if !matches!(error.kind.as_ref(), ErrorKind::Command(CommandError { code: NOT_FOUND, .. })) => {
                Err(classify(&error))
            }
            _ => Ok(()),
        }
    }

    /// Checks that a primary answers.
    pub(crate) async fn ping(&self) -> Result<(), Failure> {
        let database = self.driver();
        self.ask(async move { database.run_command(doc! { "ping": 1 }).await }).await.map(|_| ())
    }

    /// Runs a request of the driver, and waits for its end within the deadline.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        request: impl Future<Output = mongodb::error::Result<T>> + Send + 'static,
    ) -> Result<T, Failure> {
        match self.ask_driver(request).await? {
            Ok(answer) => Ok(answer),
            Err(error) => Err(classify(&error)),
        }
    }

    /// The same for a request with a time limit on the server. None: the server gave it up at that limit.
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
            #[allow(clippy::disallowed_methods, reason = "a request, awaited here unless it takes too long")]
            tokio::spawn(async move {
                let answer = request.await;
                drop(permit);
                answer
            })
            .await
        });
        answer.await.map_err(late)?.map_err(|_| Failure::Unavailable("the MongoDB driver panicked".to_owned()))
    }

    /// Inserts as many of the documents as possible. The result names, by index, those that exist and those that are
    /// refused.
    pub(crate) async fn insert<T>(&self, collection: Collection<T>, documents: Vec<T>) -> Result<Inserted, Failure>
    where
        T: Serialize + Send + Sync + 'static,
    {
        let documents = Arc::new(documents);
        let mut inserted = Inserted::default();
        // Usually one range. If MongoDB refuses a request without naming a document, its halves are tried.
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

/// The documents of an insert that were not stored, by index.
#[derive(Debug, Default)]
pub(crate) struct Inserted {
    pub(crate) existing: Vec<usize>,
    pub(crate) refused: Vec<(usize, String)>,
}
