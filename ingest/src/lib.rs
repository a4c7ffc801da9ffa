//! Ingest accepts messages and moderation over HTTP. It checks the sender, the text and whether the room is live,
//! appends the event to the log, and answers after the fsync. Two surfaces, the original's and `/v1`, share one core.
//!
//! All state but the configuration is replayed from the log, so every node decides alike. Ingest starts and stays up
//! while the room server is down. Of presenters' sockets it knows only which presenters have a session.

mod config;
mod http;
mod memory;
mod metrics;
mod moderation;
mod outbound;
mod posting;
mod refusal;
mod reload;
mod run;
mod sender;
mod state;

pub use config::{Config, RoomConfig};
pub use http::openapi::document as openapi;
pub use outbound::room_server::{RoomsConfig, probe_room_server};
pub use posting::limits::LimitsConfig;
pub use posting::review::{Fallback, ReviewConfig, SigningKey};
pub use posting::word_filter::WordsConfig;
pub use run::{Error, run};

/// The checks that the fuzz targets call.
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz {
    pub use crate::http::fuzz::{post, sweep_rule, text};
}
