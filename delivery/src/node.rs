//! The state that all sessions of a delivery node share.

use std::sync::Arc;

use nats::{Lease, Log, Presence};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use web::auth::Verifier;
use web::fair_slots::FairSlots;

use crate::config::Config;
use crate::dialects::legacy::Legacy;
use crate::dialects::v1::V1;
use crate::metrics::Metrics;
use crate::readers::Readers;
use crate::session::claim_rate::Turns;
use crate::session::claims::Claims;
use crate::session::lease_watch::LeaseWatch;
use crate::session::saved_cursors::SavedCursors;
use crate::session::seats::Seats;
use crate::traces::Traces;
use crate::window::feed::Feed;

/// A delivery node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) auth: Arc<Verifier>,
    pub(crate) legacy: Legacy,
    pub(crate) v1: V1,
    pub(crate) log: Log,
    pub(crate) feed: Arc<Feed>,
    pub(crate) cursors: SavedCursors,
    pub(crate) seats: Arc<Seats>,
    pub(crate) readers: Readers,
    pub(crate) claims: Arc<Claims>,
    pub(crate) claim_rate: Turns,
    pub(crate) metrics: Metrics,
    pub(crate) traces: Arc<Traces>,
    pub(crate) presence: Presence,
    pub(crate) lease: Lease,
    pub(crate) lease_watch: LeaseWatch,
    /// One permit per session.
    pub(crate) sessions: Semaphore,
    /// One slot per socket without a session. Addresses share the slots, and so do presenters with a valid token.
    pub(crate) unstarted: Arc<FairSlots>,
    /// The tasks of all sockets, with the events that they append. The HTTP server's graceful stop does not cover them.
    /// A panic in one ends one session: its guards free the seat, and reconciliation withdraws the claim.
    pub(crate) sockets: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Node {
    /// Whether a presenter who connects now receives everything. If not, the reason.
    pub(crate) fn ready(&self) -> Result<(), String> {
        let fact = |holds: bool, otherwise: &str| if holds { Ok(()) } else { Err(otherwise.to_owned()) };
        fact(self.feed.is_filled(), "the window is being filled")?;
        fact(self.feed.is_current(), "the log was not heard of lately")?;
        fact(self.presence.is_current(), "presence is stale")?;
        fact(self.lease.is_held(), "the lease of this node has lapsed")?;
        self.auth.ready()
    }
}
