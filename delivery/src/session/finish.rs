//! How a session ends: it frees the seat, saves its cursor, records the end in the log, withdraws its claim, and closes
//! the socket.

use std::sync::Arc;

use chat::{Body, Event, PresenterDisconnected, PresenterIdx};

use crate::node::Node;
use crate::session::close_codes::CloseReason;
use crate::session::deliver::Session;
use crate::session::fence::Fence;
use crate::session::log_outage;
use crate::session::reconcile::withdraw;
use crate::session::socket::Socket;

pub(super) async fn finish(session: Session<'_>, socket: Socket, reason: CloseReason) {
    let Session { node, fence: Fence { claim, seat, guard, .. }, reader, connected, .. } = session;
    let (presenter, session, word) = (claim.presenter, claim.id, reason.word());
    tracing::info!(%presenter, %session, end = word, "the session of presenter {presenter} ended: {word}");
    node.metrics.closed(reason);
    drop(reader);
    // The node's next session may begin: this one writes nothing more, and its cursor is known.
    drop(seat);
    let record = Box::pin(async {
        // A claim left behind would show the presenter as connected once the lease is back.
        log_outage::over(node).await;
        // In this order: a session on another node takes the event to mean that the cursor is saved.
        node.cursors.save_now().await;
        // The append may have panicked. The end is recorded all the same.
        let _ = connected.await;
        let body = Body::PresenterDisconnected(PresenterDisconnected { session, reason: word.to_owned() });
        let withdrawn = async {
            drop(guard);
            // The newer session's claim has taken the place of a replaced one.
            if reason != CloseReason::Replaced {
                withdraw(node, &claim).await;
            }
        };
        tokio::join!(append(node.clone(), Event::now(presenter, body)), withdrawn);
    });
    tokio::join!(Box::pin(socket.close(reason)), record);
}

/// Appends an event of a session, or logs why it could not.
pub(super) async fn append(node: Arc<Node>, event: Event) {
    if let Err(error) = node.log.append(&event).await {
        let (presenter, kind) = (event.presenter.map(PresenterIdx::get), event.body.kind());
        tracing::warn!(presenter, %kind, %error, "a session's {kind} is not in the log: {error}");
    }
}
