//! What this node replays from the log, so that every node decides alike.

pub(crate) mod decision_keeper;
pub(crate) mod idempotency;
pub(crate) mod replay;
