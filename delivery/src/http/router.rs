//! The routes of delivery: `GET /v1/presenter` and `GET /chatting` upgrade to a presenter's socket, in one dialect
//! each, and `/v1/rooms/{presenterIdx}/events` and `/tickets` are for readers. A handshake may bring the token in a
//! header. A session's own rules are in [`crate::session`].

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use runtime::for_same_request;
use web::Problem;
use web::auth::TokenError;
use web::fair_slots::Source;

use crate::dialects::Dialect;
use crate::dialects::v1::SUBPROTOCOL;
use crate::http::events;
use crate::http::handshake::Handshake;
use crate::http::{modules, stopping, tickets, unavailable};
use crate::node::Node;
use crate::session;
use crate::session::token;

pub(crate) fn router(node: Arc<Node>) -> Router {
    Router::new()
        .route("/v1/presenter", get(presenter))
        .route("/chatting", get(chatting))
        .route("/v1/rooms/{presenterIdx}/events", get(events::events))
        .route("/v1/rooms/{presenterIdx}/tickets", post(tickets::make).get(tickets::list))
        .route("/v1/rooms/{presenterIdx}/tickets/{ticketId}", delete(tickets::revoke))
        .layer(DefaultBodyLimit::max(tickets::LARGEST_BODY_BYTES))
        .with_state(node)
        .merge(modules::modules())
}

/// `GET /chatting`: the original's dialect. Every origin may connect: the token counts, and no cookie is read.
async fn chatting(
    State(node): State<Arc<Node>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    handshake: Handshake,
) -> Response {
    admit(node, peer, &headers, handshake, |node| &node.legacy).await
}

/// `GET /v1/presenter`: `chat.v1`. Every origin may connect, for the same reason.
async fn presenter(
    State(node): State<Arc<Node>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    mut handshake: Handshake,
) -> Response {
    if !handshake.agrees_on(SUBPROTOCOL) {
        let detail = "The handshake must offer the subprotocol chat.v1.";
        return Problem::new(StatusCode::BAD_REQUEST, "subprotocol_required", detail).into_response();
    }
    admit(node, peer, &headers, handshake, |node| &node.v1).await
}

async fn admit(
    node: Arc<Node>,
    peer: SocketAddr,
    headers: &HeaderMap,
    handshake: Handshake,
    dialect: fn(&Node) -> &dyn Dialect,
) -> Response {
    if node.stop.is_cancelled() {
        return stopping();
    }
    if !node.feed.is_filled() {
        return unavailable("not_ready", "This node is still replaying the latest messages. Try again in a second.");
    }
    let handshake_token = match web::auth::token(headers) {
        Ok(token) => Some(token::verify(&node, token).await),
        Err(TokenError::Missing) => None,
        Err(error) => Some(Err(error)),
    };
    let source = match handshake_token {
        Some(Ok(bearer)) => bearer.source(),
        _ => Source::of_peer(peer.ip(), &node.config.http.proxies),
    };
    let Some(slot) = node.unstarted.acquire(source) else {
        return unavailable("overload", "Too many sockets on this node have no session yet. Try again in a second.");
    };
    let (response, stream) = handshake.accept();
    // Tracked from here on, so that a stop waits for it.
    let sockets = node.sockets.clone();
    sockets.spawn(for_same_request(async move {
        // On an error the client left before it received the response.
        if let Ok(stream) = stream.await {
            session::serve(&node, dialect(&node), stream, handshake_token, slot).await;
        }
    }));
    response
}
