//! Reconciles the claims in the log with the sessions of this node. It withdraws a claim without a session: one that
//! was stored although its request failed, or whose withdrawal was lost. It ends a session without a claim: no other
//! node knows of it.

use std::convert::Infallible;
use std::sync::Arc;

use chat::PresenterIdx;
use futures_util::{StreamExt, stream};
use nats::Claim;
use tokio::time::{MissedTickBehavior, interval};

use crate::node::Node;
use crate::session::close_codes::CloseReason;

/// 16 requests at once: a thousand orphaned claims are gone within a second.
const AT_ONCE: usize = 16;

/// Compares claims and sessions as often as the lease is renewed.
pub(crate) async fn reconcile(node: &Arc<Node>) -> Infallible {
    let mut tick = interval(node.lease.renewal());
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        // Out of touch with the log, the node can neither compare nor withdraw.
        if !node.log.is_connected() || !node.lease.is_held() {
            continue;
        }
        let shown = node.presence.claims_of(node.lease.node());
        let orphaned: Vec<Claim> = shown.into_iter().filter(|claim| !node.claims.keeps(claim.id)).collect();
        stream::iter(orphaned).for_each_concurrent(AT_ONCE, async |claim| withdraw(node, &claim).await).await;

        let is_shown = |presenter, revision| node.presence.revision(presenter) == Some(revision);
        let unclaimed: Vec<_> = node.seats.all().into_iter().filter(|seat| !is_shown(seat.0, seat.1)).collect();
        stream::iter(unclaimed).for_each_concurrent(AT_ONCE, async |seat| end_unless_claimed(node, seat).await).await;
    }
}

/// Ends the session of a seat that has no claim any more.
async fn end_unless_claimed(node: &Node, (presenter, revision): (PresenterIdx, u64)) {
    // Presence may be stale: the log is asked before a session ends.
    let Ok(holder) = node.lease.holder(presenter).await else { return };
    let reason = match holder.map(|holder| holder.revision) {
        Some(newest) if newest == revision => return,
        Some(newest) if newest > revision => CloseReason::Replaced,
        _ => CloseReason::Unavailable,
    };
    tracing::warn!(%presenter, "the claim of presenter {presenter} is gone: ending its session");
    node.seats.stop(presenter, revision, reason);
}

/// Withdraws a claim. If that fails, reconciliation retries for as long as the log shows the claim.
pub(crate) async fn withdraw(node: &Node, claim: &Claim) {
    if let Err(error) = node.lease.release(claim).await {
        tracing::warn!(presenter = %claim.presenter, %error, "could not withdraw a claim, retrying");
    }
}
