//! Why the archive cannot be used. An outage of MongoDB is no error of a running archiver: it waits.

/// What ends the archiver, or a reading of the archive.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be right.
    #[error(transparent)]
    Config(#[from] conf::Problem),
    /// MongoDB did not answer, or refused.
    #[error("{doing}: {source}")]
    MongoDb {
        /// What was being done.
        doing: &'static str,
        /// What the driver says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stored document is not one that this archiver writes.
    #[error("document {id} of {collection} is not as archived: {reason}")]
    Document {
        /// Which collection.
        collection: &'static str,
        /// The `_id`, as far as it can be read.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The log cannot be read any further.
    #[error("reading the log: {0}")]
    Log(#[from] nats::Error),
}
