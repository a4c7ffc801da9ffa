//! Why delivery cannot go on.

/// Why [`crate::run`] ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be right.
    #[error(transparent)]
    Config(#[from] conf::Problem),
    /// The log cannot be used, or is not the one that was read before.
    #[error(transparent)]
    Log(#[from] nats::Error),
    /// Something that runs beside the sessions has failed for good; a new process begins with what is there.
    #[error("delivery cannot go on: {0}")]
    Failed(String),
}
