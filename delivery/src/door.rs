//! The way in: the WebSocket handshake and the token, in the original's dialect. A token comes in the handshake's
//! header or in the start frame; who shows none in time is shown out. Nothing here touches a room.

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
use crate::node::Node;
use crate::original::{self, Said};
use crate::session;
use crate::socket::{self, Heard, Socket};

/// `GET /chatting`: the original's dialect. Every origin is welcome: it is the token that counts, and no cookie is
/// read.
pub(crate) async fn chatting(State(node): State<Arc<Node>>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    if node.stop.is_cancelled() {
        return unavailable("stopping", "This node is stopping; another one takes over.");
    }
    if !node.feed.is_filled() {
        return unavailable("not_ready", "This node is still reading the latest messages.");
    }
    let shown = match web::auth::token(&headers) {
        Ok(token) => Some(verify(&node, token)),
        Err(TokenError::Missing) => None,
        Err(error) => Some(Err(error)),
    };
    // A storm of presenters who show their token at once is not held up by this bound.
    let permit = match shown {
        Some(Ok(_)) => None,
        _ => match node.unauthenticated.clone().try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => return unavailable("overload", "Too many sockets of this node wait for their token."),
        },
    };
    // Counted from here on, so that a stop waits for it.
    let task = node.tasks.token();
    socket::bounded(upgrade, &node.config).on_upgrade(async move |socket| {
        let _task = task;
        let mut socket = Socket::new(socket, &node.config);
        let presenter = enter(&node, &mut socket, shown).await;
        drop(permit);
        match presenter {
            Ok(presenter) => session::run(&node, socket, presenter).await,
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

/// Whose room the token opens: a presenter's own.
pub(crate) fn verify(node: &Node, token: &str) -> Result<PresenterIdx, TokenError> {
    let identity = node.auth.verify(token)?;
    UserIdx::try_from(identity.user_idx).map(UserIdx::as_presenter).map_err(|_| TokenError::Claims)
}

/// Tells the client what is wrong with its token, as the original does.
pub(crate) async fn refuse(socket: &mut Socket, error: TokenError) -> End {
    let (answer, end) = match error {
        TokenError::Missing => (original::token_missing(), End::TokenMissing),
        _ => (original::token_refused(), End::TokenRefused),
    };
    tracing::debug!(%error, "refused a token");
    match socket.say(answer).await {
        Ok(()) => end,
        Err(broken) => broken,
    }
}

async fn enter(
    node: &Node,
    socket: &mut Socket,
    shown: Option<Result<PresenterIdx, TokenError>>,
) -> Result<PresenterIdx, End> {
    let shown = match shown {
        Some(shown) => shown,
        None => tokio::select! {
            // The socket ends with any of these, so that nothing can be lost with a dropped branch.
            () = node.stop.cancelled() => return Err(End::Drain),
            started = timeout(node.config.authenticate_timeout(), started(node, socket)) => match started {
                Ok(shown) => shown?,
                Err(_) => return Err(End::Unauthenticated),
            },
        },
    };
    match shown {
        Ok(presenter) => Ok(presenter),
        Err(error) => Err(refuse(socket, error).await),
    }
}

/// Waits for the start frame.
async fn started(node: &Node, socket: &mut Socket) -> Result<Result<PresenterIdx, TokenError>, End> {
    loop {
        let Heard::Text(text) = socket.hear().await? else { continue };
        match Said::parse(&text) {
            Said::Ping => socket.say(original::pong()).await?,
            Said::Start { token } => {
                return Ok(token.ok_or(TokenError::Missing).and_then(|token| verify(node, &token)));
            }
            Said::Other { id } => socket.say(original::invalid_id(&id)).await?,
        }
    }
}
