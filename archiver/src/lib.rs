//! Archiver: writes the log into MongoDB, every event once. `docs/archive.md` describes what it leaves there.

mod archive;
mod broadcasts;
mod config;
mod copies;
mod database;
mod decisions;
mod documents;
mod error;
mod replica_set;
mod run;
mod schema;
mod status;
mod work;
mod write;

pub use archive::{Archive, ArchivedMessage, Deletion};
pub use config::{Config, ConnectionString};
pub use error::Error;
pub use replica_set::initiate_replica_set;
pub use run::run;
