//! The state of ingest: what every request reads.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::http::gateway::Gateway;
use bytes::Bytes;
use jiff::tz::TimeZone;
use nats::{Log, Presence};
use otlp::Tracer;
use tokio::sync::{Mutex, Semaphore};
use web::UserPermits;
use web::auth::{TokenCache, Verifier};
use web::fair_slots::FairSlots;

use crate::memory::replay::Replay;
use crate::memory::turns::{SettledTurns, Turns};
use crate::metrics::Metrics;
use crate::moderation::warnings::SentWarnings;
use crate::outbound::reconnect::Reconnects;
use crate::outbound::room_server::RoomServer;
use crate::posting::admission::Admission;
use crate::posting::review::Review;
use crate::posting::word_filter::WordFilter;
use crate::sender::Sender;

/// The state that all requests share.
#[derive(Debug)]
pub(crate) struct Ingest {
    pub(crate) verifier: Arc<Verifier>,
    /// The senders whose tokens were verified.
    pub(crate) senders: TokenCache<Sender>,
    pub(crate) gateway: Gateway,
    pub(crate) room_server: RoomServer,
    pub(crate) log: Log,
    pub(crate) presence: Presence,
    pub(crate) replay: Arc<Replay>,
    pub(crate) turns: Turns,
    pub(crate) settled_turns: SettledTurns,
    /// Held by the one request that looks up the log's extent for all that wait for a turn.
    pub(crate) turn_lookup: Mutex<()>,
    pub(crate) word_filter: WordFilter,
    pub(crate) review: Option<Review>,
    /// How long a message waits for a moderator.
    pub(crate) hold: Duration,
    pub(crate) reconnects: Reconnects,
    /// Concurrent requests whose body has not arrived, shared fairly among users. They wait for the sender, so they
    /// take no permit of `in_flight`.
    pub(crate) unfinished: Arc<FairSlots>,
    /// Concurrent requests, from the end of the body to the answer. Without a permit a request gets 503 at once.
    pub(crate) in_flight: Arc<Semaphore>,
    /// Concurrent requests that append to the log.
    pub(crate) admission: Admission,
    /// The warnings that answers of this node carry.
    pub(crate) sent_warnings: SentWarnings,
    /// Lists of bans, moderators, warnings and notes that are being read, shared by users.
    pub(crate) lists: Arc<UserPermits>,
    pub(crate) body_deadline: Duration,
    pub(crate) metrics: Metrics,
    pub(crate) tracer: Tracer,
    pub(crate) time_zone: TimeZone,
    /// The OpenAPI document, written at the first request.
    pub(crate) openapi: OnceLock<Bytes>,
}
