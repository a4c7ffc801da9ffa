//! The policy for a node that cannot reach the log. During a grace period it keeps its sessions: servers restart and
//! elect leaders, and a session that waits misses nothing. Then it sends its presenters elsewhere, because only this
//! node may be cut off. If every node is, presenters retry until the log is back.

use tokio::time::timeout;

use crate::node::Node;
use crate::session::close_codes::CloseReason;
use crate::session::drain::send_away;

/// Sends the sessions away each time the node is out of touch for longer than the grace period. Returns if the lease
/// watch is gone, which is a failure.
pub(crate) async fn follow(node: &Node) {
    let mut in_touch = node.lease_watch.in_touch();
    while in_touch.wait_for(|in_touch| !in_touch).await.is_ok() {
        if timeout(node.config.cut_off_grace(), in_touch.wait_for(|in_touch| *in_touch)).await.is_err() {
            let sessions = node.seats.len();
            tracing::warn!(sessions, "the log cannot be reached: telling {sessions} presenters to connect elsewhere");
            node.readers.send_away();
            send_away(&node.seats, CloseReason::CutOff, node.config.drain_spread()).await;
            // No session begins before this.
            let _ = in_touch.wait_for(|in_touch| *in_touch).await;
        }
    }
}

/// Returns when the node is in touch, or is stopping and will not be any more.
pub(crate) async fn over(node: &Node) {
    let mut in_touch = node.lease_watch.in_touch();
    // Nothing is lost with the dropped branch: both only wait.
    tokio::select! {
        () = node.stop.cancelled() => {}
        _ = in_touch.wait_for(|in_touch| *in_touch) => {}
    }
}
