//! Ingest: checks who sends a message, what it says and whether the room is live, appends it to the log, and answers
//! once it is fsynced there. Two surfaces, the original's and `/v1`, over one core. What it knows beside its
//! configuration is folded from the log, so that every node decides alike. It starts and stays up while the room server
//! is down, and knows nothing of presenters' sockets but that there are sessions.

mod config;
mod http;
mod memory;
mod moderation;
mod outbound;
mod posting;
mod run;

pub use config::{Config, LimitsConfig, ReviewConfig, RoomConfig, RoomsConfig};
pub use http::openapi::document as openapi;
pub use moderation::settings::{Rate, Settings, WordPolicy};
pub use posting::review::{Fallback, SigningKey};
pub use run::{Error, run};

/// What every request needs.
#[derive(Debug)]
struct Ingest {
    verifier: std::sync::Arc<web::auth::Verifier>,
    gateway: web::gateway::Gateway,
    room_server: outbound::room_server::RoomServer,
    log: nats::Log,
    presence: nats::Presence,
    fold: std::sync::Arc<memory::replay::Fold>,
    /// How far keys can be named, and the right to find out.
    turns: posting::event_id::Turns,
    certain: posting::event_id::Certain,
    asking: tokio::sync::Mutex<()>,
    word_filter: posting::word_filter::WordFilter,
    review: Option<posting::review::Review>,
    reconnects: outbound::reconnect::Reconnects,
    /// Requests at once whose body is not there yet, shared by users. A body waits for its sender, and so works on nothing.
    unfinished: std::sync::Arc<web::places::Places>,
    /// Requests at once, from the end of the body to the answer. None left: 503 at once.
    in_flight: tokio::sync::Semaphore,
    /// Lists of bans that are read at once, shared by users. More are answered 503 at once.
    ban_lists: std::sync::Arc<web::Shares>,
    /// Those of them that go to the log.
    door: posting::admission::Door,
    body_deadline: std::time::Duration,
    time_zone: jiff::tz::TimeZone,
    /// The document of the interface.
    openapi: bytes::Bytes,
}
