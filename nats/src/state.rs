//! The small state that nodes share through NATS beside the log.

pub(crate) mod claim;
pub(crate) mod cursors;
pub(crate) mod decisions;
pub(crate) mod lease;
pub(crate) mod presence;
pub(crate) mod tickets;
