//! Outbound requests to the room server and the reconnect webhook, with what protects ingest from slow or failing
//! peers.

pub(crate) mod circuit_breaker;
pub(crate) mod log_throttle;
pub(crate) mod metrics;
pub(crate) mod reconnect;
pub(crate) mod room_server;
