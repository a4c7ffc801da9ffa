//! MongoDB: the connection, the stored documents, the collections and their indexes.

pub(crate) mod concerns;
pub(crate) mod database;
pub(crate) mod documents;
pub(crate) mod replica_set;
pub(crate) mod schema;
