//! Archiver: writes the log into MongoDB, every event once. `docs/archive.md` describes what it leaves there.

mod archive;
mod broadcasts;
mod config;
mod copies;
mod database;
mod decisions;
mod documents;
mod erase;
mod erased_ids;
mod eraser;
mod erasures;
mod error;
mod replica_set;
mod retention;
mod run;
mod schema;
mod status;
mod tombstones;
mod work;
mod write;

pub use archive::{Archive, ArchivedMessage, Author, Deletion};
pub use config::{Config, ConnectionString};
pub use error::Error;
pub use replica_set::initiate_replica_set;
pub use retention::RetentionConfig;
pub use run::run;
