//! A session's hold on its room: the claim that all nodes know, the seat on this node, and whether both still stand.
//! The newest session of a presenter wins; whoever held the room before writes nothing more once this says so. What is
//! written is not known here.

use std::sync::Arc;

use chat::{PresenterIdx, SessionId};
use tokio::time::timeout;

use crate::node::Node;
use crate::session::claim_rate::Turn;
use crate::session::claims;
use crate::session::claims::Standing;
use crate::session::close_codes::End;
use crate::session::seats::Seat;

/// A session's hold on its room.
pub(crate) struct Hold<'a> {
    node: &'a Arc<Node>,
    pub(crate) claim: nats::Claim,
    pub(crate) seat: Seat,
    /// Nobody withdraws the claim while the session lasts.
    pub(crate) standing: Standing,
    /// The term of the node's pulse in which the claim was last known to stand.
    term: u64,
}

/// Whether a session may write.
pub(crate) enum Fence {
    Holds,
    Lost,
    /// The node is out of touch with the others: not now.
    Unknown,
}

impl<'a> Hold<'a> {
    /// Takes the room for a new session, once the session before it on this node has left. One on another node has
    /// heard of it by then or will within moments; where the new session begins at the saved cursor, it waits for the
    /// other one to save it.
    pub(crate) async fn take(
        node: &'a Arc<Node>,
        presenter: PresenterIdx,
        turn: Turn<'_>,
        from_saved_cursor: bool,
        notice: bool,
    ) -> Result<Hold<'a>, End> {
        // A claim that waited for the connection to come back could replace a session that began elsewhere meanwhile.
        if !node.log.is_connected() {
            return Err(End::Unavailable);
        }
        let term = node.pulse.term(&node.lease).unwrap_or_default();
        let before = node.presence.session(presenter).filter(|before| before.node != *node.lease.node());
        // Listened for before the claim, which is what makes the other session leave.
        let departure = before.filter(|_| from_saved_cursor).map(|before| node.feed.departure(before.id));
        let session = SessionId::new();
        // If it cannot be told what became of the claim, the node does not stand by it any more, and withdraws it.
        let standing = node.claims.stand_by(session);
        let claimed = node.lease.claim(presenter, session).await;
        if matches!(claimed, Ok(_) | Err(nats::Error::Overtaken { .. } | nats::Error::Unresolved { .. })) {
            turn.used();
        }
        let claim = claimed.map_err(|error| match error {
            nats::Error::Overtaken { .. } => End::Replaced,
            error => {
                tracing::warn!(%presenter, %error, "cannot claim the room of presenter {presenter}: {error}");
                End::Unavailable
            }
        })?;
        let seat = match node.seats.take(&claim, notice).await {
            Ok(seat) => seat,
            Err(end) => {
                drop(standing);
                claims::withdraw(node, &claim).await;
                return Err(end);
            }
        };
        // Of a newer claim that was heard of before the seat was taken nobody tells its session.
        if node.presence.claim(presenter).is_some_and(|newest| newest.revision > claim.revision) {
            return Err(End::Replaced);
        }
        if let Some(mut departure) = departure
            && timeout(node.config.handover_timeout(), departure.happened()).await.is_err()
        {
            tracing::info!(%presenter, "the session before did not say goodbye in time; some messages may come again");
        }
        Ok(Hold { node, claim, seat, standing, term })
    }

    /// Asked before anything is written.
    pub(crate) async fn fence(&mut self) -> Fence {
        let node = self.node;
        let Some(term) = node.pulse.term(&node.lease) else { return Fence::Unknown };
        if term != self.term {
            match node.lease.holds(&self.claim).await {
                Ok(true) => self.term = term,
                Ok(false) => return Fence::Lost,
                Err(error) => {
                    tracing::warn!(presenter = %self.claim.presenter, %error, "cannot tell who holds the room");
                    return Fence::Unknown;
                }
            }
        }
        match node.presence.claim(self.claim.presenter) {
            Some(newest) if newest.revision > self.claim.revision => Fence::Lost,
            _ => Fence::Holds,
        }
    }
}
