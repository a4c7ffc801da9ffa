//! What can go wrong: with the log as a whole, and with one append.

use chat::PresenterIdx;
use runtime::Panicked;

/// Why the log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] conf::Problem),
    /// No server could be reached, or the server refused the connection.
    #[error("cannot connect to NATS at {servers}: {source}")]
    Connect {
        /// The configured hosts and ports.
        servers: String,
        /// The client's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The log exists with another number of partitions. Using a different number would tear rooms apart.
    #[error(
        "the log was created with {created} partitions and the configuration says {configured}: set nats.partitions = {created}"
    )]
    Partitions {
        /// The number that the log was created with.
        created: u32,
        /// The number in the configuration.
        configured: u32,
    },
    /// The log is not set up.
    #[error("the log has no stream {stream}: run `chatting-server setup`, which creates missing streams")]
    Missing {
        /// The missing stream.
        stream: String,
    },
    /// The log is not the one that was read before: it was recreated, or restored from an older copy. Holders of old
    /// positions must start over.
    #[error("the stream {stream} was replaced: {reason}")]
    Replaced {
        /// The stream.
        stream: String,
        /// How the replacement was detected.
        reason: String,
    },
    /// A request to JetStream failed or timed out.
    #[error("{doing}: {source}")]
    JetStream {
        /// The operation.
        doing: &'static str,
        /// The client's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Too many sessions claim the room at once.
    #[error("room {presenter} is claimed by too many sessions at once")]
    Contended {
        /// The room.
        presenter: PresenterIdx,
    },
    /// A newer session claimed the room before the outcome of this claim was known.
    #[error("room {presenter} was claimed by a newer session meanwhile")]
    Overtaken {
        /// The room.
        presenter: PresenterIdx,
    },
    /// The deadline passed before the outcome of a claim was known.
    #[error("could not determine whether room {presenter} was claimed")]
    Unresolved {
        /// The room.
        presenter: PresenterIdx,
    },
    /// A background task of the log panicked.
    #[error(transparent)]
    Panicked(#[from] Panicked),
    /// The log was closed by its owner.
    #[error("the log is closed")]
    Closed,
}

/// Why an append has no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The outcome is unknown: no acknowledgement came in time. Appending the same event again is safe.
    #[error("the append was not acknowledged in time; it may be stored or not")]
    Unknown,
    /// Not stored: the log has reached its size limit.
    #[error("the log is full")]
    Full,
    /// Not stored: too many appends are waiting, or this one waited too long for its turn.
    #[error("too many messages are being handled")]
    Busy,
    /// Not stored, and it never will be: NATS cannot be reached, has no leader for the partition, or did not store the
    /// batch before it expired.
    #[error("the log cannot be reached")]
    Unavailable,
    /// Not stored, and it never will be: the event exceeds the size of a batch.
    #[error("the event is too large for the log")]
    TooLarge,
}
