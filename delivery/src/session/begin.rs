//! How a session begins: it waits for its turn to claim the room, takes the room, and finds its cursor.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use chat::{Body, Event, Position, PresenterConnected, PresenterIdx};
use jiff::Timestamp;
use nats::{Cursor, Standing};
use runtime::for_same_request;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::dialects::{ClientFrame, Complaint, Dialect, Welcome};
use crate::node::Node;
use crate::session::claim_rate::{SHORT_WAIT, Turn};
use crate::session::close_codes::CloseReason;
use crate::session::deliver::Session;
use crate::session::entry::Entrant;
use crate::session::fence::Fence;
use crate::session::finish::append;
use crate::session::reconcile::withdraw;
use crate::session::replies::{complain, renewed, started_again};
use crate::session::socket::{Received, Socket};
use crate::session::token::expires_in;
use crate::window::Ask;
use crate::window::feed::RoomReader;

/// Waits until the claim rate allows a claim, which may take seconds. The current holder continues meanwhile, and keeps
/// the room if this client leaves. Replies to the client's frames as a session does.
pub(super) async fn wait_for_turn<'a>(
    node: &'a Node,
    dialect: &dyn Dialect,
    socket: &mut Socket,
    entrant: &mut Entrant,
) -> Result<Turn<'a>, CloseReason> {
    let presenter = entrant.bearer.presenter;
    // A few seconds are part of every start. A client that waits longer is told so.
    let wait = node.claim_rate.expected_wait(presenter);
    if wait > SHORT_WAIT {
        complain(dialect, socket, Complaint::StartedTooOften { wait }).await?;
    }
    let mut turn = pin!(node.claim_rate.wait(presenter));
    loop {
        // Only the branch that handles a frame takes it from the socket, and the turn is not dropped.
        let received = tokio::select! {
            biased;
            turn = &mut turn => return turn,
            () = node.stop.cancelled() => return Err(CloseReason::Drain),
            received = socket.receive() => received?,
        };
        let Received::Text(text) = received else { continue };
        match dialect.parse(&text) {
            ClientFrame::Answered(answer) => socket.send_text(answer).await?,
            ClientFrame::Keepalive => {}
            ClientFrame::Ack { .. } => complain(dialect, socket, Complaint::BadPosition).await?,
            ClientFrame::Token { token } => {
                let (bearer, answer) = renewed(node, dialect, presenter, &token).await;
                entrant.bearer = bearer.unwrap_or(entrant.bearer);
                if let Some(answer) = answer {
                    socket.send_text(answer).await?;
                }
            }
            ClientFrame::Start { token, .. } => {
                let bearer = started_again(node, dialect, socket, presenter, token).await?;
                entrant.bearer = bearer.unwrap_or(entrant.bearer);
            }
        }
    }
}

/// Takes the room and finds where the session begins in it.
pub(super) async fn begin<'a>(
    node: &'a Arc<Node>,
    dialect: &'a dyn Dialect,
    entrant: Entrant,
    turn: Turn<'_>,
) -> Result<(Session<'a>, Welcome), CloseReason> {
    let Entrant { bearer, position, .. } = entrant;
    let presenter = bearer.presenter;
    let warns = dialect.reconnect(Duration::ZERO).is_some();
    let fence = Fence::take(node, presenter, turn, position.is_none(), warns).await?;
    let reader = node.feed.reader(presenter, fence.seat.wake().clone());
    let known = node.cursors.find(presenter);
    let requested = match position {
        Some(position) => Some(position.parse().ok()),
        None => known.map(|known| Some(known.position)),
    };
    let ask = match requested {
        None => Ask::Anything,
        Some(None) => Ask::Unknown,
        Some(Some(position)) => match ask(node, &reader, presenter, position).await {
            Ok(ask) => ask,
            Err(reason) => {
                let Fence { claim, seat, guard, .. } = fence;
                drop((reader, seat, guard));
                withdraw(node, &claim).await;
                return Err(reason);
            }
        },
    };
    let beginning = reader.begin(ask);
    let session = fence.claim.id;
    let body = Body::PresenterConnected(PresenterConnected { session });
    let (appended, connected) = oneshot::channel();
    let append = append(node.clone(), Event::now(presenter, body));
    // Awaited by a channel: a join handle would keep the task's memory for as long as the session lives.
    node.sockets.spawn(for_same_request(async move {
        append.await;
        // A session that panicked does not wait for it.
        let _ = appended.send(());
    }));
    // If nothing of the log has arrived yet, everything is still to come.
    let cursor = beginning.cursor.unwrap_or_else(|| node.log.timelines().beginning(presenter));
    let recovered = beginning.whole;
    let acknowledged_after = acknowledged_after(&reader, known.filter(|_| recovered), cursor);
    // Saved even if nothing is said: otherwise the presenter could leave now and miss, without a gap, what the window
    // drops meanwhile. After a gap the cursor stays at the beginning, so that every node reports the gap until the
    // presenter acknowledges.
    let reached = if recovered { cursor } else { node.log.timelines().beginning(presenter) };
    if node.cursors.get(presenter).is_none() && reader.has_come(reached) {
        // A page that acknowledges has acknowledged nothing up to here.
        let acknowledged_after = dialect.acknowledges().then_some(reached);
        node.cursors.advance(presenter, Cursor { position: reached, acknowledged_after });
    }
    node.metrics.began(ask, recovered);
    tracing::info!(%presenter, %session, recovered, "presenter {presenter} connected");
    let welcome = Welcome {
        session,
        position: cursor,
        recovered,
        expires_in: expires_in(dialect, bearer.until),
        pinned: node.readers.access.pinned(presenter),
    };
    let pinged = Instant::now();
    let timer = Box::pin(sleep_until(pinged));
    let session = Session {
        node,
        dialect,
        fence,
        reader,
        cursor,
        acknowledged_after,
        written: None,
        unacknowledged: Vec::new(),
        began: Timestamp::now(),
        bearer,
        pinged,
        timer,
        warned: false,
        connected,
    };
    Ok((session, welcome))
}

/// Where the part of the room begins that the page will have received without a gap, once it acknowledges. `known`: the
/// saved cursor, unless the session begins with a gap. What was acknowledged before counts if the window still holds
/// everything since: then no session in between began with a gap, and the page's own position is its word that it
/// received what is before.
fn acknowledged_after(reader: &RoomReader, known: Option<Cursor>, cursor: Position) -> Position {
    let known = known.and_then(|known| Some((known.position, known.acknowledged_after?)));
    match known {
        Some((position, after))
            if (position.epoch, after.epoch) == (cursor.epoch, cursor.epoch)
                && after <= cursor
                && reader.begin(Ask::After(position)).whole =>
        {
            after
        }
        _ => cursor,
    }
}

/// What a position asks for, sent by a client or saved. It may be of another log, of a lost part of this log, or
/// invented. A position ahead of this node may still be one that the log has reached.
pub(crate) async fn ask(
    node: &Node,
    reader: &RoomReader,
    presenter: PresenterIdx,
    position: Position,
) -> Result<Ask, CloseReason> {
    let timelines = node.log.timelines();
    match timelines.standing(presenter, position) {
        // The end of an earlier epoch may be lost: accepted events that an absent presenter never received.
        Standing::Here(position) if position.epoch != timelines.epoch(presenter) => Ok(Ask::Lost(position)),
        Standing::Here(position) if reader.has_come(position) => Ok(Ask::After(position)),
        Standing::Here(position) => match node.log.has_reached(presenter, position).await {
            Ok(true) => Ok(Ask::After(position)),
            Ok(false) => Ok(Ask::Unknown),
            Err(error) => {
                tracing::warn!(%presenter, %error, "could not determine whether the log has reached a position: {error}");
                Err(CloseReason::Unavailable)
            }
        },
        Standing::Lost(end) => Ok(Ask::Lost(end)),
        Standing::Elsewhere => Ok(Ask::Unknown),
    }
}
