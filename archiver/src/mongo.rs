//! MongoDB: the connection, the collections with their indexes, and the stored documents.

pub(crate) mod collections;
pub(crate) mod concerns;
pub(crate) mod database;
pub(crate) mod documents;
pub(crate) mod failure;
pub(crate) mod find;
pub(crate) mod replica_set;
pub(crate) mod schema;
