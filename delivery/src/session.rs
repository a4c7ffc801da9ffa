//! A session: a socket and a cursor into its room's window. It claims the room, then writes everything after its
//! cursor, once and in order, until a newer session claims the room. It has no queue: a slow presenter has an old
//! cursor, and costs others nothing. The steps are [`entry`], [`begin`], [`deliver`] and [`finish`], the same in both
//! dialects. A socket that reads a room without claiming it goes on in [`reading`].

pub(crate) mod claim_rate;
pub(crate) mod claims;
pub(crate) mod close_codes;
pub(crate) mod drain;
pub(crate) mod entry;
pub(crate) mod fence;
pub(crate) mod frame_limits;
pub(crate) mod lease_watch;
pub(crate) mod log_outage;
pub(crate) mod reconcile;
pub(crate) mod saved_cursors;
pub(crate) mod seats;
pub(crate) mod socket;
pub(crate) mod token;

pub(crate) mod begin;
mod deliver;
mod finish;
mod reading;
mod replies;

use std::sync::Arc;

use web::fair_slots::Slot;

use crate::dialects::Dialect;
use crate::node::Node;
use crate::session::close_codes::CloseReason;
use crate::session::entry::{Entrant, HandshakeToken, enter};
use crate::session::socket::{Socket, Stream};
use crate::session::token::expires_in;

/// Serves a socket to its end. `slot` is its slot among the sockets without a session.
pub(crate) async fn serve(
    node: &Arc<Node>,
    dialect: &dyn Dialect,
    stream: Stream,
    handshake_token: HandshakeToken,
    slot: Slot,
) {
    let slot = Arc::new(slot);
    // Boxed here and below: what a session does once would count in the memory of its task for hours.
    let mut socket = Box::new(Box::pin(Socket::new(stream, &node.config, slot.clone())).await);
    let entering = Box::pin(enter(node, dialect, &mut socket, handshake_token));
    let entrant = tokio::select! {
        entrant = entering => entrant,
        // Nothing is lost with the dropped branch: the client sends its frames again when it reconnects.
        () = slot.evicted() => Err(CloseReason::Overload),
    };
    match entrant {
        Ok(entrant) => {
            // From now on it shares slots with its own presenter, not with its address.
            let own = node.unstarted.acquire(entrant.bearer.source()).map_or(slot, Arc::new);
            socket.counts_in(Some(own.clone()));
            match entrant.room {
                None => run(node, dialect, socket, entrant, own).await,
                Some(room) => Box::pin(reading::serve(node, dialect, socket, entrant, room, own)).await,
            }
        }
        Err(reason) => {
            node.metrics.closed(reason);
            tracing::debug!(end = reason.word(), "a socket closed before it became a session");
            Box::pin(socket.leave(reason, &slot)).await;
        }
    }
}

/// Runs the presenter's session on an authenticated socket. The slot is given back once the session has begun. Until
/// the session claims the room, it can lose the slot.
async fn run(node: &Arc<Node>, dialect: &dyn Dialect, mut socket: Box<Socket>, mut entrant: Entrant, slot: Arc<Slot>) {
    let presenter = entrant.bearer.presenter;
    let begun: Result<_, CloseReason> = Box::pin(async {
        let turn = tokio::select! {
            turn = begin::wait_for_turn(node, dialect, &mut socket, &mut entrant) => turn?,
            // The room was not claimed: nothing is lost.
            () = slot.evicted() => return Err(CloseReason::Overload),
        };
        // The wait may have taken seconds. An expired token claims no room.
        if expires_in(dialect, entrant.bearer.until).is_zero() {
            return Err(CloseReason::TokenExpired);
        }
        slot.set_working();
        let permit = node.sessions.try_acquire().map_err(|_| CloseReason::Overload)?;
        Ok((begin::begin(node, dialect, entrant, turn).await?, permit))
    })
    .await;
    match begun {
        Ok(((mut session, welcome), _permit)) => {
            socket.counts_in(None);
            drop(slot);
            let reason = match session.deliver(&mut socket, &welcome).await {
                Ok(never) => match never {},
                Err(reason) => reason,
            };
            Box::pin(finish::finish(session, *socket, reason)).await;
        }
        Err(reason) => {
            node.metrics.closed(reason);
            tracing::info!(%presenter, end = reason.word(), "presenter {presenter} got no session: {}", reason.word());
            Box::pin(socket.leave(reason, &slot)).await;
        }
    }
}
