//! What all sessions of a delivery node share.

use std::sync::Arc;

use nats::{Lease, Log, Presence};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use web::auth::Verifier;
use web::places::Places;

use crate::config::Config;
use crate::dialects::legacy::Original;
use crate::dialects::v1::V1;
use crate::session::claim_rate::Turns;
use crate::session::claims::Claims;
use crate::session::lease_watch::Pulse;
use crate::session::saved_cursors::Cursors;
use crate::session::seats::Seats;
use crate::window::feed::Feed;

/// A delivery node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) auth: Arc<Verifier>,
    pub(crate) original: Original,
    pub(crate) v1: V1,
    pub(crate) log: Log,
    pub(crate) feed: Arc<Feed>,
    pub(crate) cursors: Cursors,
    pub(crate) seats: Arc<Seats>,
    pub(crate) claims: Arc<Claims>,
    pub(crate) turns: Turns,
    pub(crate) presence: Presence,
    pub(crate) lease: Lease,
    pub(crate) pulse: Pulse,
    /// One permit a session.
    pub(crate) sessions: Semaphore,
    /// One place a socket that has no session yet: shared by addresses, and by presenters who have shown their token.
    pub(crate) unstarted: Arc<Places>,
    /// Every socket, and what is written to the log for it. A graceful stop of the HTTP server knows nothing of them.
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Node {
    /// Whether a presenter who connects now gets everything, and why not.
    pub(crate) fn ready(&self) -> Result<(), String> {
        let fact = |holds: bool, otherwise: &str| if holds { Ok(()) } else { Err(otherwise.to_owned()) };
        fact(self.feed.is_filled(), "the window is being filled")?;
        fact(self.feed.is_current(), "the log was not heard of lately")?;
        fact(self.presence.is_current(), "other nodes' sessions were not heard of lately")?;
        fact(self.lease.is_held(), "the lease of this node has lapsed")?;
        self.auth.ready()
    }
}
