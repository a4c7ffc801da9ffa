//! The way in: the WebSocket handshake and the token, in either dialect. A token comes in the handshake's header or in
//! the start frame; who shows none in time is shown out. Nothing here touches a room.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

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
use crate::socket::{self, Heard, Socket};
use crate::v1::SUBPROTOCOL;

/// What the handshake's header says of who comes: nothing, or whose room its token opens.
type Shown = Option<Result<Opened, TokenError>>;

/// What a token opens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opened {
    /// The presenter's own room.
    pub(crate) presenter: PresenterIdx,
    /// When the token ends, the leeway included.
    pub(crate) until: SystemTime,
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

/// Whose room the token opens, and for how long: a presenter's own.
pub(crate) async fn verify(node: &Node, token: &str) -> Result<Opened, TokenError> {
    let pass = node.auth.pass(token).await?;
    let user = UserIdx::try_from(pass.identity.user_idx).map_err(|_| TokenError::UserIdx)?;
    Ok(Opened { presenter: user.as_presenter(), until: pass.until })
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
        Some(Ok(Opened { presenter, until })) if !dialect.waits_for_start() => {
            return Ok(Entrant { presenter, until, position: None });
        }
        _ => {}
    }
    let started = tokio::select! {
        // The socket ends with any of these, so that nothing can be lost with a dropped branch.
        () = node.stop.cancelled() => return Err(End::Drain),
        started = timeout(node.config.authenticate_timeout(), started(dialect, socket)) => started,
    };
    let Started { token, position } = started.unwrap_or(Err(End::Unauthenticated))?;
    let opened = match token {
        Some(token) => verify(node, &token).await,
        None => shown.unwrap_or(Err(TokenError::Missing)),
    };
    if let (Some(Ok(shown)), Ok(opened)) = (shown, opened)
        && shown.presenter != opened.presenter
    {
        return Err(End::OtherPresenter);
    }
    match opened {
        Ok(Opened { presenter, until }) => Ok(Entrant { presenter, until, position }),
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
