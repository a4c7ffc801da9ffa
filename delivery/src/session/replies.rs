//! Replies to frames that change no cursor: another token, a second start, and frames at the wrong time. They are the
//! same while a session waits for its claim and while it delivers.

use chat::PresenterIdx;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use web::auth::TokenError;

use crate::dialects::{Complaint, Dialect};
use crate::node::Node;
use crate::session::close_codes::CloseReason;
use crate::session::socket::Socket;
use crate::session::token::{Bearer, expires_in, refuse, verify};

/// Verifies another token for the session. Returns what it opens if it is valid, and the reply. An invalid token
/// changes nothing.
pub(super) async fn renewed(
    node: &Node,
    dialect: &dyn Dialect,
    expected: PresenterIdx,
    token: &str,
) -> (Option<Bearer>, Option<Utf8Bytes>) {
    match verify(node, token).await {
        Ok(bearer) if bearer.presenter == expected => {
            (Some(bearer), dialect.renewed(Ok(expires_in(dialect, bearer.until))))
        }
        Ok(_) => (None, dialect.renewed(Err(TokenError::UserIdx))),
        Err(error) => (None, dialect.renewed(Err(error))),
    }
}

/// Replies to a second start. Pages of the original's dialect renew their token with it: returns what it opens.
pub(super) async fn started_again(
    node: &Node,
    dialect: &dyn Dialect,
    socket: &mut Socket,
    expected: PresenterIdx,
    token: Option<String>,
) -> Result<Option<Bearer>, CloseReason> {
    if dialect.complaint(Complaint::AlreadyStarted).is_some() {
        complain(dialect, socket, Complaint::AlreadyStarted).await?;
        return Ok(None);
    }
    // The original's pages send it whatever the handshake's header had.
    let bearer = match token {
        Some(token) => verify(node, &token).await,
        None => Err(TokenError::Missing),
    };
    match bearer {
        Ok(bearer) if bearer.presenter == expected => Ok(Some(bearer)),
        Ok(_) => Err(CloseReason::OtherPresenter),
        Err(error) => Err(refuse(dialect, socket, error).await),
    }
}

/// Replies to a frame at the wrong time, where the dialect has a reply.
pub(super) async fn complain(dialect: &dyn Dialect, socket: &mut Socket, about: Complaint) -> Result<(), CloseReason> {
    match dialect.complaint(about) {
        Some(complaint) => socket.send_text(complaint).await,
        None => Ok(()),
    }
}
