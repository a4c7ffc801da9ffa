//! Why a token is refused, and how every role answers that: status, code and sentence.

use axum::http::StatusCode;

use crate::idx::IDX_BOUNDS;

/// Why a request has no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No header carries a token.
    #[error("there is no token")]
    Missing,
    /// Two headers carry different tokens.
    #[error("there is more than one token")]
    Ambiguous,
    /// Not three parts of base64url JSON, or longer than 8 KB, or with critical header members.
    #[error("the token is not a JWT")]
    Malformed,
    /// Another key, another algorithm or none.
    #[error("the token is not signed as required")]
    Signature,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// A claim is missing, of the wrong type, or not what is configured.
    #[error("the token's claims are not as required")]
    Claims,
    /// It claims to be of another kind: a refresh token, an ID token, a proof of possession.
    #[error("the token is not an access token")]
    Type,
    /// It lives longer, from `iat` to `exp`, than configured, or was issued in the future.
    #[error("the token lives too long")]
    Lifetime,
    /// `user_idx` is missing or not an id.
    #[error("the token's claim user_idx must be {IDX_BOUNDS}")]
    UserIdx,
    /// The issuer's keys could not be fetched, so the token cannot be verified.
    #[error("the keys that verify the token cannot be fetched")]
    KeysUnavailable,
}

impl TokenError {
    /// Each of them.
    pub const ALL: [TokenError; 10] = [
        TokenError::Missing,
        TokenError::Ambiguous,
        TokenError::Malformed,
        TokenError::Signature,
        TokenError::Expired,
        TokenError::Claims,
        TokenError::Type,
        TokenError::Lifetime,
        TokenError::UserIdx,
        TokenError::KeysUnavailable,
    ];

    /// The code, which never changes its meaning: in the error body, and in frames to presenters.
    pub fn code(self) -> &'static str {
        match self {
            TokenError::Missing => "token_missing",
            TokenError::Expired => "token_expired",
            TokenError::KeysUnavailable => "keys_unavailable",
            TokenError::Ambiguous
            | TokenError::Malformed
            | TokenError::Signature
            | TokenError::Claims
            | TokenError::Type
            | TokenError::Lifetime
            | TokenError::UserIdx => "token_invalid",
        }
    }

    /// 401, or 503 where the token may be valid.
    pub fn status(self) -> StatusCode {
        match self {
            TokenError::KeysUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// A sentence for people: what is wrong, then what to do.
    pub fn detail(self) -> String {
        match self {
            TokenError::Missing => {
                "The request has no token. Send one in the header Authorization or token.".to_owned()
            }
            TokenError::Expired => "The token has expired. Get a new one.".to_owned(),
            TokenError::KeysUnavailable => "The keys that verify tokens cannot be fetched. Retry later.".to_owned(),
            invalid => {
                let words = invalid.to_string();
                let mut chars = words.chars();
                chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).chain(['.']).collect()
            }
        }
    }
}
