//! The fence of a session: its claim on the room, which all nodes know, its seat on this node, and the check before
//! every write that both still stand. The newest session of a presenter wins. An older one writes nothing once the
//! check fails.

use std::sync::Arc;

use chat::{PresenterIdx, SessionId};
use tokio::time::timeout;

use crate::node::Node;
use crate::session::claim_rate::Turn;
use crate::session::claims::ClaimGuard;
use crate::session::close_codes::CloseReason;
use crate::session::reconcile::withdraw;
use crate::session::seats::Seat;

/// A session's claim and seat.
pub(crate) struct Fence<'a> {
    node: &'a Arc<Node>,
    pub(crate) claim: nats::Claim,
    pub(crate) seat: Seat,
    /// Nothing withdraws the claim while the session lasts.
    pub(crate) guard: ClaimGuard,
    /// The term of the lease watch in which the claim was last known to stand.
    term: u64,
}

/// Whether a session may write.
pub(crate) enum MayWrite {
    Yes,
    No,
    /// The node is out of touch with the others: not now.
    Unknown,
}

impl<'a> Fence<'a> {
    /// Claims the room for a new session, after the earlier session on this node has left. An earlier session on
    /// another node hears of the claim within moments. If the new session begins at the saved cursor, it waits until
    /// the earlier one has saved it.
    pub(crate) async fn take(
        node: &'a Arc<Node>,
        presenter: PresenterIdx,
        turn: Turn<'_>,
        from_saved_cursor: bool,
        warned: bool,
    ) -> Result<Fence<'a>, CloseReason> {
        // A claim that waits for a reconnect could replace a session that began elsewhere meanwhile.
        if !node.log.is_connected() {
            return Err(CloseReason::Unavailable);
        }
        let term = node.lease_watch.term(&node.lease).unwrap_or_default();
        let before = node.presence.session(presenter).filter(|before| before.node != *node.lease.node());
        // Subscribed before the claim, because the claim makes the other session leave.
        let departure = before.filter(|_| from_saved_cursor).map(|before| node.feed.departure(before.id));
        let session = SessionId::new();
        // If the outcome of the claim stays unknown, the guard is dropped and reconciliation withdraws the claim.
        let guard = node.claims.keep(session);
        let claimed = node.lease.claim(presenter, session).await;
        if matches!(claimed, Ok(_) | Err(nats::Error::Overtaken { .. } | nats::Error::Unresolved { .. })) {
            turn.used();
        }
        let claim = claimed.map_err(|error| match error {
            nats::Error::Overtaken { .. } => CloseReason::Replaced,
            error => {
                tracing::warn!(%presenter, %error, "cannot claim the room of presenter {presenter}: {error}");
                CloseReason::Unavailable
            }
        })?;
        let seat = match node.seats.take(&claim, warned).await {
            Ok(seat) => seat,
            Err(reason) => {
                drop(guard);
                withdraw(node, &claim).await;
                return Err(reason);
            }
        };
        // A newer claim that arrived before the seat was taken has found no session to stop.
        if node.presence.revision(presenter).is_some_and(|newest| newest > claim.revision) {
            return Err(CloseReason::Replaced);
        }
        if let Some(mut departure) = departure {
            // The end of the earlier session and its cursor come by different streams.
            let over = async {
                departure.happened().await;
                node.cursors.catch_up().await
            };
            // Boxed: a session's task is as large as its largest future.
            let why = match Box::pin(timeout(node.config.handover_timeout(), over)).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("the earlier session did not end in time".to_owned()),
            };
            if let Some(why) = why {
                tracing::info!(%presenter, why, "some messages may be repeated: {why}");
            }
        }
        Ok(Fence { node, claim, seat, guard, term })
    }

    /// Checked before every write.
    pub(crate) async fn check(&mut self) -> MayWrite {
        let node = self.node;
        let Some(term) = node.lease_watch.term(&node.lease) else { return MayWrite::Unknown };
        if term != self.term {
            // Boxed: a new term is rare, and every session would hold the memory for it.
            match Box::pin(node.lease.holds(&self.claim)).await {
                Ok(true) => self.term = term,
                Ok(false) => return MayWrite::No,
                Err(error) => {
                    tracing::warn!(presenter = %self.claim.presenter, %error, "could not determine who holds the room");
                    return MayWrite::Unknown;
                }
            }
        }
        match node.presence.revision(self.claim.presenter) {
            Some(newest) if newest > self.claim.revision => MayWrite::No,
            _ => MayWrite::Yes,
        }
    }
}
