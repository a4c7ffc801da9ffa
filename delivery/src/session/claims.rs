//! The claims that this node stands by. Whatever else the log shows of this node is withdrawn until it is gone: a claim
//! that was stored although nobody heard of it, a withdrawal that was lost. And a session whose claim is gone, for whatever
//! reason, ends: nobody else knows of it.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use chat::{PresenterIdx, SessionId};
use futures_util::{StreamExt, stream};
use nats::Claim;
use tokio::time::{MissedTickBehavior, interval};

use crate::node::Node;
use crate::session::close_codes::End;

/// 16 requests at once: what a thousand sessions left behind is gone within a second.
const AT_ONCE: usize = 16;

/// The sessions that have a claim, or ask for one.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<HashSet<SessionId>>);

/// That a session is there, or about to be. Dropping it says that it is over.
#[derive(Debug)]
pub(crate) struct Standing {
    claims: Arc<Claims>,
    session: SessionId,
}

impl Claims {
    /// From now on the session's claim is not withdrawn.
    pub(crate) fn stand_by(self: &Arc<Claims>, session: SessionId) -> Standing {
        self.0.lock().expect("nothing panics while it holds the lock").insert(session);
        Standing { claims: self.clone(), session }
    }

    fn stands_by(&self, session: SessionId) -> bool {
        self.0.lock().expect("nothing panics while it holds the lock").contains(&session)
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.claims.0.lock().expect("nothing panics while it holds the lock").remove(&self.session);
    }
}

/// Compares, as often as the lease is renewed, what the log shows of this node with the sessions that it has.
pub(crate) async fn reconcile(node: &Arc<Node>) -> Infallible {
    let mut tick = interval(node.lease.renewal());
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        // Meanwhile nothing can be found out, and nothing withdrawn.
        if !node.log.is_connected() || !node.lease.is_held() {
            continue;
        }
        let shown = node.presence.claims_of(node.lease.node());
        let left: Vec<Claim> = shown.into_iter().filter(|claim| !node.claims.stands_by(claim.id)).collect();
        stream::iter(left).for_each_concurrent(AT_ONCE, async |claim| withdraw(node, &claim).await).await;

        let is_shown =
            |presenter, revision| node.presence.claim(presenter).is_some_and(|claim| claim.revision == revision);
        let hidden: Vec<_> = node.seats.all().into_iter().filter(|seat| !is_shown(seat.0, seat.1)).collect();
        stream::iter(hidden).for_each_concurrent(AT_ONCE, async |seat| end_unless_claimed(node, seat).await).await;
    }
}

/// Ends the session of a seat that has no claim any more.
async fn end_unless_claimed(node: &Node, (presenter, revision): (PresenterIdx, u64)) {
    // What is known here may be old: it is asked before anybody is sent away.
    let Ok(holder) = node.lease.holder(presenter).await else { return };
    let end = match holder.map(|holder| holder.revision) {
        Some(newest) if newest == revision => return,
        Some(newest) if newest > revision => End::Replaced,
        _ => End::Unavailable,
    };
    tracing::warn!(%presenter, "the claim of presenter {presenter} is gone, and its session with it");
    node.seats.stop(presenter, revision, end);
}

/// Withdraws a claim. Where that fails, it is tried again for as long as the log shows the claim.
pub(crate) async fn withdraw(node: &Node, claim: &Claim) {
    if let Err(error) = node.lease.release(claim).await {
        tracing::warn!(presenter = %claim.presenter, %error, "a claim was not withdrawn, trying again");
    }
}
