//! Archiver: writes the log into MongoDB, every event once, and serves what is there to those who may read it.
//! `docs/reference/archive-schema.md` describes the collections, `docs/reference/archive-api.md` the reading side. Writing knows nothing of reading.

mod archive;
mod backfill;
mod broadcasts;
mod concern;
mod config;
mod copies;
mod database;
mod decisions;
mod documents;
mod erasure;
mod error;
mod folded;
mod formats;
mod gaps;
mod http;
mod marks;
mod progress;
mod quarantine;
mod read;
mod replica_set;
mod retention;
mod run;
mod schema;
mod statistics;
mod status;
mod work;
mod write;

pub use archive::{Archive, ArchivedDecision, ArchivedMessage, Author, Deletion};
pub use config::{Config, ConnectionString, ReadsConfig};
pub use documents::Cause;
pub use error::Error;
pub use http::openapi::document as openapi;
pub use quarantine::{Quarantine, QuarantinedLine, Retried, Which};
pub use replica_set::{initiate_replica_set, primary_of, step_down};
pub use retention::RetentionConfig;
pub use run::run;
