//! The token of a session: verification, what it opens, and for how long. A token comes in the handshake's header, in
//! the start frame, or in a token frame.

use std::time::{Duration, SystemTime};

use chat::{PresenterIdx, UserIdx};
use web::auth::{Pass, TokenError};
use web::fair_slots::Source;

use crate::dialects::Dialect;
use crate::node::Node;
use crate::readers::rights::Rights;
use crate::session::close_codes::CloseReason;
use crate::session::socket::Socket;
use crate::visibility::Visibility;

/// What a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bearer {
    /// The bearer's own room.
    pub(crate) presenter: PresenterIdx,
    pub(crate) visibility: Visibility,
    /// Whether it reads the messages of every room.
    pub(crate) reads: bool,
    /// When the token expires, leeway included.
    pub(crate) until: SystemTime,
}

impl Bearer {
    /// The source that a socket with this token counts for, whatever its address.
    pub(crate) fn source(&self) -> Source {
        Source::User(self.presenter.get())
    }

    /// What it allows to read.
    pub(crate) fn rights(&self) -> Rights {
        Rights { user: self.presenter.get(), visibility: self.visibility, reads: self.reads }
    }
}

/// Verifies a token.
pub(crate) async fn verify(node: &Node, token: &str) -> Result<Bearer, TokenError> {
    let Pass { identity, until } = node.auth.pass(token).await?;
    let presenter = UserIdx::try_from(identity.user_idx).map_err(|_| TokenError::UserIdx)?.as_presenter();
    let Rights { visibility, reads, .. } = Rights::of(&identity);
    Ok(Bearer { presenter, visibility, reads, until })
}

/// Tells the client what is wrong with its token. Returns why the socket closes.
pub(crate) async fn refuse(dialect: &dyn Dialect, socket: &mut Socket, error: TokenError) -> CloseReason {
    tracing::debug!(%error, "refused a token");
    let reason = match error {
        TokenError::Missing => CloseReason::TokenMissing,
        TokenError::Expired => CloseReason::TokenExpired,
        TokenError::Ambiguous
        | TokenError::Malformed
        | TokenError::Signature
        | TokenError::Claims
        | TokenError::Type
        | TokenError::Lifetime
        | TokenError::UserIdx => CloseReason::TokenRefused,
        // The token may be valid: the client retries with it.
        TokenError::KeysUnavailable => CloseReason::Unavailable,
    };
    match socket.send_text(dialect.token_refused(error)).await {
        Ok(()) => reason,
        Err(broken) => broken,
    }
}

/// How long a session may continue with a token that expires then. Zero: not at all.
pub(crate) fn expires_in(dialect: &dyn Dialect, until: SystemTime) -> Duration {
    // A sum beyond the clock's range never ends.
    let Some(until) = until.checked_add(dialect.token_grace()) else { return Duration::MAX };
    until.duration_since(SystemTime::now()).unwrap_or_default()
}
