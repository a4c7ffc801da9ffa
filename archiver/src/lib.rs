//! The archiver writes the log into MongoDB, each event once, and serves the archive over HTTP.
//!
//! `docs/reference/archive-schema.md` describes the collections, `docs/reference/archive-api.md` the read API. Nothing
//! below `http` knows HTTP.

mod acknowledgements;
mod archive;
mod config;
mod erasure;
mod error;
mod formats;
mod grams;
mod http;
mod metrics;
mod mongo;
mod query;
mod reload;
mod retention;
mod retry;
mod run;
mod status;
#[cfg(test)]
mod tidy;
mod traces;
mod work;
mod write;

pub use archive::{Archive, ArchivedDecision, ArchivedMessage, Author, Deletion};
pub use config::{Config, ConnectionString, ReadsConfig, TextIndexConfig};
pub use error::Error;
pub use http::openapi::document as openapi;
pub use mongo::documents::Cause;
pub use mongo::replica_set::{initiate_replica_set, primary_of, step_down};
pub use query::probe::{Disk, MongoDb, probe};
pub use retention::RetentionConfig;
pub use run::{READER, run};
pub use write::quarantine::{Quarantine, QuarantinedLine, Retried, Which};

/// The checks that the fuzz targets call.
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz {
    pub use crate::http::fuzz::{cursor, search};
}
