//! Archiver: writes the log into MongoDB.

mod replica_set;

pub use replica_set::initiate_replica_set;
