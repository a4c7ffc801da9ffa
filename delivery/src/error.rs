//! The errors that end delivery.

/// Why [`crate::run()`] ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is invalid.
    #[error(transparent)]
    Config(#[from] conf::Problem),
    /// The log failed, or is not the log that was read before.
    #[error(transparent)]
    Log(#[from] nats::Error),
    /// A background task failed for good. A new process starts over from the log.
    #[error("delivery failed: {0}")]
    Failed(String),
}
