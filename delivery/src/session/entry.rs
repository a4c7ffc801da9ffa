//! From a socket to a token: waits for the start frame where the dialect has one, and verifies the token. Claims
//! nothing yet.

use chat::PresenterIdx;
use tokio::time::timeout;
use web::auth::TokenError;

use crate::dialects::{ClientFrame, Complaint, Dialect};
use crate::node::Node;
use crate::session::close_codes::CloseReason;
use crate::session::socket::{Received, Socket};
use crate::session::token::{Bearer, refuse, verify};

/// The token in the handshake's header: none, or what it opens.
pub(crate) type HandshakeToken = Option<Result<Bearer, TokenError>>;

/// A client with a valid token, and its request.
#[derive(Debug)]
pub(crate) struct Entrant {
    pub(crate) bearer: Bearer,
    /// The last event that the client has handled, as it sent it.
    pub(crate) position: Option<String>,
    /// The room to read, without claiming it. None: the bearer's own, as its presenter.
    pub(crate) room: Option<PresenterIdx>,
}

/// Returns once the client has shown a valid token.
pub(crate) async fn enter(
    node: &Node,
    dialect: &dyn Dialect,
    socket: &mut Socket,
    handshake_token: HandshakeToken,
) -> Result<Entrant, CloseReason> {
    match handshake_token {
        Some(Err(error)) => return Err(refuse(dialect, socket, error).await),
        Some(Ok(bearer)) if !dialect.waits_for_start() => {
            return Ok(Entrant { bearer, position: None, room: None });
        }
        _ => {}
    }
    let started = tokio::select! {
        // Every branch but a start closes the socket: nothing is lost with a dropped branch.
        () = node.stop.cancelled() => return Err(CloseReason::Drain),
        started = timeout(node.config.authenticate_timeout(), started(dialect, socket)) => started,
    };
    let Started { token, position, room } = started.unwrap_or(Err(CloseReason::Unauthenticated))?;
    let bearer = match token {
        Some(token) => verify(node, &token).await,
        None => handshake_token.unwrap_or(Err(TokenError::Missing)),
    };
    if let (Some(Ok(in_handshake)), Ok(bearer)) = (handshake_token, bearer)
        && in_handshake.presenter != bearer.presenter
    {
        return Err(CloseReason::OtherPresenter);
    }
    match bearer {
        Ok(bearer) => Ok(Entrant { bearer, position, room }),
        Err(error) => Err(refuse(dialect, socket, error).await),
    }
}

struct Started {
    token: Option<String>,
    position: Option<String>,
    room: Option<PresenterIdx>,
}

/// Waits for the start frame.
async fn started(dialect: &dyn Dialect, socket: &mut Socket) -> Result<Started, CloseReason> {
    loop {
        let Received::Text(text) = socket.receive().await? else { continue };
        match dialect.parse(&text) {
            ClientFrame::Start { token, position, room } => return Ok(Started { token, position, room }),
            ClientFrame::Answered(answer) => socket.send_text(answer).await?,
            ClientFrame::Ack { .. } | ClientFrame::Keepalive | ClientFrame::Token { .. } => {
                if let Some(answer) = dialect.complaint(Complaint::NotStarted) {
                    socket.send_text(answer).await?;
                }
            }
        }
    }
}
