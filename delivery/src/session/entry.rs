//! The way in: the WebSocket handshake and the token, in either dialect. A token comes in the handshake's header or in
//! the start frame; who shows none in time is shown out, and earlier where others need the place. Nothing here touches a
//! room.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chat::{PresenterIdx, UserIdx};
use tokio::time::timeout;
use web::Problem;
use web::auth::{Pass, TokenError};
use web::places::{Place, Source};

use crate::dialects::v1::SUBPROTOCOL;
use crate::dialects::{Complaint, Dialect, Said};
use crate::http::handshake::Handshake;
use crate::node::Node;
use crate::session;
use crate::session::Entrant;
use crate::session::close_codes::End;
use crate::session::socket::{Heard, Socket};
use crate::visibility::Sight;

/// What the handshake's header says of who comes: nothing, or what its token opens.
type Shown = Option<Result<Bearer, TokenError>>;

/// What a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bearer {
    /// The bearer's own room.
    pub(crate) presenter: PresenterIdx,
    pub(crate) sight: Sight,
    /// When the token ends, the leeway included.
    pub(crate) until: SystemTime,
}

/// `GET /chatting`: the original's dialect. Every origin is welcome: it is the token that counts, and no cookie is
/// read.
pub(crate) async fn chatting(
    State(node): State<Arc<Node>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    handshake: Handshake,
) -> Response {
    admit(node, peer, &headers, handshake, |node| &node.original).await
}

/// `GET /v1/presenter`: our own dialect, to every origin for the same reason.
pub(crate) async fn presenter(
    State(node): State<Arc<Node>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    mut handshake: Handshake,
) -> Response {
    if !handshake.agrees_on(SUBPROTOCOL) {
        let detail = "The handshake has to offer the subprotocol chat.v1.";
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
        return unavailable("stopping", "This node is stopping; another one takes over.");
    }
    if !node.feed.is_filled() {
        return unavailable("not_ready", "This node is still reading the latest messages.");
    }
    let shown = match web::auth::token(headers) {
        Ok(token) => Some(verify(&node, token).await),
        Err(TokenError::Missing) => None,
        Err(error) => Some(Err(error)),
    };
    let source = match shown {
        Some(Ok(bearer)) => of(bearer.presenter),
        _ => Source::of_peer(peer.ip(), &node.config.http.proxies),
    };
    let Some(place) = node.unstarted.enter(source) else {
        return unavailable("overload", "Too many sockets of this node begin their sessions.");
    };
    let (response, stream) = handshake.accept();
    // Counted from here on, so that a stop waits for it.
    let tasks = node.tasks.clone();
    tasks.spawn(async move {
        // Otherwise the client went away before it had the answer.
        if let Ok(stream) = stream.await {
            let place = Arc::new(place);
            let socket = Socket::new(stream, &node.config, place.clone()).await;
            begin(&node, dialect(&node), socket, shown, place).await;
        }
    });
    response
}

/// A presenter who has shown a token, from wherever.
fn of(presenter: PresenterIdx) -> Source {
    Source::User(presenter.get())
}

async fn begin(node: &Arc<Node>, dialect: &dyn Dialect, mut socket: Socket, shown: Shown, place: Arc<Place>) {
    // Boxed, so that what only the door needs is given back before the session idles for hours.
    let entering = Box::pin(enter(node, dialect, &mut socket, shown));
    let entrant = tokio::select! {
        entrant = entering => entrant,
        // What it may have said is said again by whoever comes back.
        () = place.lost() => Err(End::Overload),
    };
    match entrant {
        Ok(entrant) => {
            // Among its own from now on, however many others are at its address.
            let own = node.unstarted.enter(of(entrant.bearer.presenter)).map_or(place, Arc::new);
            socket.waits_in(Some(own.clone()));
            session::run(node, dialect, socket, entrant, own).await;
        }
        Err(end) => {
            tracing::debug!(end = end.word(), "a socket ended before it became a session");
            leave(socket, end, &place).await;
        }
    }
}

/// Closes a socket that gets no session.
pub(crate) async fn leave(socket: Socket, end: End, place: &Place) {
    if place.is_lost() { socket.make_room(end).await } else { socket.close(end).await }
}

fn unavailable(code: &'static str, detail: &str) -> Response {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(Duration::from_secs(1)).into_response()
}

/// What the token opens, and for how long.
pub(crate) async fn verify(node: &Node, token: &str) -> Result<Bearer, TokenError> {
    let Pass { identity, until } = node.auth.pass(token).await?;
    let presenter = UserIdx::try_from(identity.user_idx).map_err(|_| TokenError::UserIdx)?.as_presenter();
    Ok(Bearer { presenter, sight: Sight::of(&identity), until })
}

/// Tells the client what is wrong with its token.
pub(crate) async fn refuse(dialect: &dyn Dialect, socket: &mut Socket, error: TokenError) -> End {
    tracing::debug!(%error, "refused a token");
    let end = match error {
        TokenError::Missing => End::TokenMissing,
        TokenError::Expired => End::TokenExpired,
        TokenError::Ambiguous
        | TokenError::Malformed
        | TokenError::Signature
        | TokenError::Claims
        | TokenError::Type
        | TokenError::Lifetime
        | TokenError::UserIdx => End::TokenRefused,
        // It may be good: the client comes back with it.
        TokenError::KeysUnavailable => End::Unavailable,
    };
    match socket.say(dialect.token_refused(error)).await {
        Ok(()) => end,
        Err(broken) => broken,
    }
}

async fn enter(node: &Node, dialect: &dyn Dialect, socket: &mut Socket, shown: Shown) -> Result<Entrant, End> {
    match shown {
        Some(Err(error)) => return Err(refuse(dialect, socket, error).await),
        Some(Ok(bearer)) if !dialect.waits_for_start() => return Ok(Entrant { bearer, position: None }),
        _ => {}
    }
    let started = tokio::select! {
        // The socket ends with any of these, so that nothing can be lost with a dropped branch.
        () = node.stop.cancelled() => return Err(End::Drain),
        started = timeout(node.config.authenticate_timeout(), started(dialect, socket)) => started,
    };
    let Started { token, position } = started.unwrap_or(Err(End::Unauthenticated))?;
    let bearer = match token {
        Some(token) => verify(node, &token).await,
        None => shown.unwrap_or(Err(TokenError::Missing)),
    };
    if let (Some(Ok(shown)), Ok(bearer)) = (shown, bearer)
        && shown.presenter != bearer.presenter
    {
        return Err(End::OtherPresenter);
    }
    match bearer {
        Ok(bearer) => Ok(Entrant { bearer, position }),
        Err(error) => Err(refuse(dialect, socket, error).await),
    }
}

struct Started {
    token: Option<String>,
    position: Option<String>,
}

/// Waits for the start frame.
async fn started(dialect: &dyn Dialect, socket: &mut Socket) -> Result<Started, End> {
    loop {
        let Heard::Text(text) = socket.hear().await? else { continue };
        match dialect.hear(&text) {
            Said::Start { token, position } => return Ok(Started { token, position }),
            Said::Answered(answer) => socket.say(answer).await?,
            Said::Ack { .. } | Said::Keepalive | Said::Token { .. } => {
                if let Some(answer) = dialect.complaint(Complaint::NotStarted) {
                    socket.say(answer).await?;
                }
            }
        }
    }
}
