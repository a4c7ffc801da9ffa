//! The way in: the WebSocket handshake and the token, in either dialect. A token comes in the handshake's header or in
//! the start frame; who shows none in time is shown out. Nothing here touches a room.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use nats::{PresenterIdx, UserIdx};
use tokio::time::timeout;
use web::Problem;
use web::auth::TokenError;

use crate::close::End;
use crate::dialect::{Complaint, Dialect, Said};
use crate::node::Node;
use crate::session::{self, Entrant};
use crate::sight::Sight;
use crate::socket::{self, Heard, Socket};
use crate::v1::SUBPROTOCOL;

/// What the handshake's header says of who comes: nothing, or what its token opens.
type Shown = Option<Result<Bearer, TokenError>>;

/// What a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bearer {
    /// The bearer's own room.
    pub(crate) presenter: PresenterIdx,
    pub(crate) sight: Sight,
}

/// `GET /chatting`: the original's dialect. Every origin is welcome: it is the token that counts, and no cookie is
/// read.
pub(crate) async fn chatting(State(node): State<Arc<Node>>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    admit(node, &headers, upgrade, |node| &node.original).await
}

/// `GET /v1/presenter`: our own dialect, to every origin for the same reason.
pub(crate) async fn presenter(
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let upgrade = upgrade.protocols([SUBPROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        let detail = "The handshake has to offer the subprotocol chat.v1.";
        return Problem::new(StatusCode::BAD_REQUEST, "subprotocol_required", detail).into_response();
    }
    admit(node, &headers, upgrade, |node| &node.v1).await
}

async fn admit(
    node: Arc<Node>,
    headers: &HeaderMap,
    upgrade: WebSocketUpgrade,
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
    let Ok(permit) = node.unstarted.clone().try_acquire_owned() else {
        return unavailable("overload", "Too many sockets of this node wait for their start.");
    };
    // Counted from here on, so that a stop waits for it.
    let task = node.tasks.token();
    socket::bounded(upgrade, &node.config).on_upgrade(async move |socket| {
        let _task = task;
        let dialect = dialect(&node);
        let mut socket = Socket::new(socket, &node.config);
        // Boxed, so that what only the door needs is given back before the session idles for hours.
        let entrant = Box::pin(enter(&node, dialect, &mut socket, shown)).await;
        match entrant {
            Ok(entrant) => session::run(&node, dialect, socket, entrant, permit).await,
            Err(end) => {
                tracing::debug!(end = end.word(), "a socket ended before it became a session");
                socket.close(end).await;
            }
        }
    })
}

fn unavailable(code: &'static str, detail: &str) -> Response {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(Duration::from_secs(1)).into_response()
}

/// What the token opens.
pub(crate) async fn verify(node: &Node, token: &str) -> Result<Bearer, TokenError> {
    let identity = node.auth.verify(token).await?;
    let presenter = UserIdx::try_from(identity.user_idx).map_err(|_| TokenError::UserIdx)?.as_presenter();
    Ok(Bearer { presenter, sight: Sight::of(&identity) })
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
            Said::Ack { .. } | Said::Keepalive => {
                if let Some(answer) = dialect.complaint(Complaint::NotStarted) {
                    socket.say(answer).await?;
                }
            }
        }
    }
}
