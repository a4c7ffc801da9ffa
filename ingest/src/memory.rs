//! The state that each node replays from the log, so that all nodes decide alike.

pub(crate) mod decision_keeper;
pub(crate) mod idempotency;
pub(crate) mod replay;
pub(crate) mod turns;
