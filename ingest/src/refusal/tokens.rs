//! How the original answers a token that is refused.

use web::auth::TokenError;

use super::table::{JWT_EXCEPTION, NOT_SENT};

/// The message of the original, by its catalogue.
pub(super) fn original_message(error: TokenError) -> &'static str {
    match error {
        TokenError::Missing => "Token null",
        TokenError::Malformed => "토큰의 유형이 아닙니다.",
        TokenError::Signature => "토큰이 변조되었습니다.",
        TokenError::Expired => "토큰이 만료되었습니다.",
        TokenError::KeysUnavailable => NOT_SENT,
        TokenError::Ambiguous | TokenError::Claims | TokenError::Type | TokenError::Lifetime | TokenError::UserIdx => {
            JWT_EXCEPTION
        }
    }
}

/// The original answered 400 without a token.
pub(super) fn original_status(error: TokenError) -> u16 {
    if error == TokenError::Missing { 400 } else { error.status().as_u16() }
}
