//! What becomes of the sessions of a node that cannot reach the log. For a while nothing: servers are started again and
//! elect leaders, and whoever waits misses nothing. Then their presenters are told to try elsewhere, because it may be
//! this node alone; if it is not, they try until the log is back. Why it is cut off is not known here.

use tokio::time::timeout;

use crate::node::Node;
use crate::session::close_codes::End;

/// Sends the sessions away each time that the node is out of touch for longer than the grace period. Returns when that
/// cannot be known any more, which is a failure.
pub(crate) async fn follow(node: &Node) {
    let mut in_touch = node.pulse.in_touch();
    while in_touch.wait_for(|in_touch| !in_touch).await.is_ok() {
        if timeout(node.config.cut_off_grace(), in_touch.wait_for(|in_touch| *in_touch)).await.is_err() {
            let sessions = node.seats.len();
            tracing::warn!(sessions, "the log cannot be reached: telling {sessions} presenters to connect elsewhere");
            node.seats.send_away(End::CutOff, node.config.drain_spread()).await;
            // Nobody gets a session before this.
            let _ = in_touch.wait_for(|in_touch| *in_touch).await;
        }
    }
}

/// Returns when the node is in touch, or will not be any more because it stops.
pub(crate) async fn over(node: &Node) {
    let mut in_touch = node.pulse.in_touch();
    // Neither branch holds anything that could be lost.
    tokio::select! {
        () = node.stop.cancelled() => {}
        _ = in_touch.wait_for(|in_touch| *in_touch) => {}
    }
}
