//! What can go wrong with the log as a whole.

/// Why the log cannot be used. Appends have their own error, [`crate::AppendError`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be right.
    #[error(transparent)]
    Config(#[from] conf::Problem),
    /// No server could be reached, or it refused the connection.
    #[error("cannot connect to NATS at {servers}: {source}")]
    Connect {
        /// The hosts and ports that are configured.
        servers: String,
        /// What the client says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The log exists, split otherwise. A different number would tear rooms apart.
    #[error(
        "the log was created with {created} partitions and the configuration says {configured}: set nats.partitions = {created}"
    )]
    Partitions {
        /// What the log says.
        created: u32,
        /// What the configuration says.
        configured: u32,
    },
    /// Nobody has set the log up yet.
    #[error("the log has no stream {stream}: run `chatting-server setup`, which makes what is missing")]
    Missing {
        /// Which stream.
        stream: String,
    },
    /// The log is not the one that was read before: it was deleted and made anew, or restored from an older copy.
    /// Whoever holds positions of the old one must begin again.
    #[error("the stream {stream} was replaced: {reason}")]
    Replaced {
        /// Which stream.
        stream: String,
        /// How that was noticed.
        reason: String,
    },
    /// A request to JetStream failed or was not answered in time.
    #[error("{doing}: {source}")]
    JetStream {
        /// What was being done.
        doing: &'static str,
        /// What the client says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A room is being claimed from all sides.
    #[error("room {presenter} is claimed by too many sessions at once")]
    Contended {
        /// The room.
        presenter: chat::PresenterIdx,
    },
    /// A newer session claimed a room before it was known that it had been claimed.
    #[error("room {presenter} was claimed by a newer session meanwhile")]
    Overtaken {
        /// The room.
        presenter: chat::PresenterIdx,
    },
    /// It could not be found out in time whether a claim was stored.
    #[error("it is not known whether room {presenter} was claimed")]
    Unresolved {
        /// The room.
        presenter: chat::PresenterIdx,
    },
    /// The log was closed by its owner.
    #[error("the log is closed")]
    Closed,
}
