//! Writing the log: gathering events into batches, and storing a batch.

pub(crate) mod append;
pub(crate) mod store;
