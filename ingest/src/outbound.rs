//! Other servers that ingest asks or tells: the room server, the reconnect webhook.

pub(crate) mod circuit_breaker;
pub(crate) mod log_throttle;
pub(crate) mod reconnect;
pub(crate) mod room_server;
