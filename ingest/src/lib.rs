//! Ingest accepts messages and moderation over HTTP. It checks the sender, the text and whether the room is live,
//! appends the event to the log, and answers after the fsync. Two surfaces, the original's and `/v1`, share one core.
//!
//! All state but the configuration is replayed from the log, so every node decides alike. Ingest starts and stays up
//! while the room server is down. Of presenters' sockets it knows only which presenters have a session.

mod config;
mod http;
mod memory;
mod moderation;
mod outbound;
mod posting;
mod refusal;
mod run;
mod sender;

pub use config::{Config, LimitsConfig, ReviewConfig, RoomConfig, RoomsConfig};
pub use http::openapi::document as openapi;
pub use moderation::settings::{Rate, Settings, WordPolicy};
pub use posting::review::{Fallback, SigningKey};
pub use run::{Error, run};

/// The state that all requests share.
#[derive(Debug)]
struct Ingest {
    verifier: std::sync::Arc<web::auth::Verifier>,
    gateway: web::gateway::Gateway,
    room_server: outbound::room_server::RoomServer,
    log: nats::Log,
    presence: nats::Presence,
    replay: std::sync::Arc<memory::replay::Replay>,
    turns: memory::turns::Turns,
    settled_turns: posting::event_id::SettledTurns,
    /// Held by the one request that looks up the log's extent for all that wait for a turn.
    turn_lookup: tokio::sync::Mutex<()>,
    word_filter: posting::word_filter::WordFilter,
    review: Option<posting::review::Review>,
    reconnects: outbound::reconnect::Reconnects,
    /// Concurrent requests whose body has not arrived, shared fairly among users. They wait for the sender, so they take
    /// no permit of `in_flight`.
    unfinished: std::sync::Arc<web::places::Places>,
    /// Concurrent requests, from the end of the body to the answer. Without a permit a request gets 503 at once.
    in_flight: std::sync::Arc<tokio::sync::Semaphore>,
    /// Concurrent requests that append to the log.
    admission: posting::admission::Admission,
    body_deadline: std::time::Duration,
    time_zone: jiff::tz::TimeZone,
    /// The OpenAPI document.
    openapi: bytes::Bytes,
}
