//! Errors that end the archiver or a use of the archive. An outage of MongoDB is not one of them: a running archiver
//! waits.

/// An error that ends the archiver, or a use of the archive.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] conf::Problem),
    /// MongoDB did not answer, or refused a request.
    #[error("{doing}: {source}")]
    MongoDb {
        /// The operation.
        doing: &'static str,
        /// The error of the driver.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stored document is invalid: something else changed it.
    #[error("document {id} of {collection} is invalid: {reason}")]
    Document {
        /// The collection.
        collection: &'static str,
        /// The `_id`.
        id: String,
        /// What is wrong.
        reason: String,
    },
    /// The log cannot be read any further.
    #[error("reading the log: {0}")]
    Log(#[from] nats::Error),
    /// A background task panicked, so the archiver cannot go on.
    #[error(transparent)]
    Task(#[from] runtime::Panicked),
}
