//! Archiver: writes the log into MongoDB, every event once.

mod archive;
mod config;
mod error;
mod replica_set;

pub use archive::{Archive, ArchivedMessage, Deletion};
pub use config::{Config, ConnectionString};
pub use error::Error;
pub use replica_set::initiate_replica_set;

/// Archives until `stop`, then finishes the writes in hand within the grace period.
pub async fn run(
    _config: Config,
    _listener: tokio::net::TcpListener,
    _log: nats::Log,
    _stop: tokio_util::sync::CancellationToken,
) -> Result<(), Error> {
    todo!()
}
