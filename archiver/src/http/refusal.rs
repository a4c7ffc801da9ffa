//! Every reason for which a reader is refused, once: status, stable code and plain sentence. `docs/reference/archive-api.md` lists
//! the same table.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use web::auth::TokenError;
use web::{IDX_BOUNDS, Problem};

use crate::mongo::database::Failure;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    Token(TokenError),
    /// Who may, as the subject of a sentence.
    Forbidden(&'static str),
    PresenterIdxInvalid,
    UserIdxInvalid,
    MessageIdInvalid,
    BroadcastIdInvalid,
    /// What is wrong, the parameter named.
    QueryInvalid(String),
    /// `after` is not what a page of this list gave.
    CursorInvalid,
    MessageNotFound,
    BroadcastNotFound,
    NotFound,
    MethodNotAllowed,
    Overloaded,
    ArchiveUnavailable,
    /// The binary says so, before the log was reached.
    Starting,
}

impl Refusal {
    /// Status and code on the wire. A code never changes its meaning.
    pub(crate) fn wire(&self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Refusal::Token(TokenError::Missing) => (S::UNAUTHORIZED, "token_missing"),
            Refusal::Token(TokenError::Expired) => (S::UNAUTHORIZED, "token_expired"),
            Refusal::Token(TokenError::KeysUnavailable) => (S::SERVICE_UNAVAILABLE, "keys_unavailable"),
            Refusal::Token(_) => (S::UNAUTHORIZED, "token_invalid"),
            Refusal::Forbidden(_) => (S::FORBIDDEN, "forbidden"),
            Refusal::PresenterIdxInvalid => (S::BAD_REQUEST, "presenter_idx_invalid"),
            Refusal::UserIdxInvalid => (S::BAD_REQUEST, "user_idx_invalid"),
            Refusal::MessageIdInvalid => (S::BAD_REQUEST, "message_id_invalid"),
            Refusal::BroadcastIdInvalid => (S::BAD_REQUEST, "broadcast_id_invalid"),
            Refusal::QueryInvalid(_) => (S::BAD_REQUEST, "query_invalid"),
            Refusal::CursorInvalid => (S::BAD_REQUEST, "cursor_invalid"),
            Refusal::MessageNotFound => (S::NOT_FOUND, "message_not_found"),
            Refusal::BroadcastNotFound => (S::NOT_FOUND, "broadcast_not_found"),
            Refusal::NotFound => (S::NOT_FOUND, "not_found"),
            Refusal::MethodNotAllowed => (S::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Refusal::Overloaded => (S::SERVICE_UNAVAILABLE, "overloaded"),
            Refusal::ArchiveUnavailable => (S::SERVICE_UNAVAILABLE, "archive_unavailable"),
            Refusal::Starting => (S::SERVICE_UNAVAILABLE, "log_unavailable"),
        }
    }

    /// A plain sentence for whoever reads the answer.
    pub(crate) fn detail(&self) -> String {
        match self {
            Refusal::Token(error) => sentence(&error.to_string()),
            Refusal::Forbidden(who) => format!("Only {who} may do this."),
            Refusal::PresenterIdxInvalid => format!("The presenterIdx must be {IDX_BOUNDS}."),
            Refusal::UserIdxInvalid => format!("The userIdx must be {IDX_BOUNDS}."),
            Refusal::MessageIdInvalid => "The messageId must be a UUID.".to_owned(),
            Refusal::BroadcastIdInvalid => "The broadcastId must be a UUID.".to_owned(),
            Refusal::QueryInvalid(what) => sentence(what),
            Refusal::CursorInvalid => {
                "The parameter \"after\", or the header Last-Event-ID, must be what the page before of the same list gave.".to_owned()
            }
            Refusal::MessageNotFound => "The room has no such message.".to_owned(),
            Refusal::BroadcastNotFound => "The room has no such broadcast.".to_owned(),
            Refusal::NotFound => "There is nothing at this address.".to_owned(),
            Refusal::MethodNotAllowed => "This address has other methods.".to_owned(),
            Refusal::Overloaded => "Too many are reading at the moment, or this user reads too much at once.".to_owned(),
            Refusal::Starting => "The log cannot be reached yet.".to_owned(),
            Refusal::ArchiveUnavailable => {
                "The archive cannot be reached, or took too long; a shorter time may do.".to_owned()
            }
        }
    }

    /// Of a 400: where in the documentation it says what would have been right.
    fn page(&self) -> &'static str {
        match self {
            Refusal::PresenterIdxInvalid | Refusal::UserIdxInvalid => "reference/ingest-api.md#user-and-room-numbers",
            Refusal::BroadcastIdInvalid => "reference/archive-api.md#broadcasts",
            _ => "reference/archive-api.md#errors",
        }
    }

    /// Quietly: what is behind a wave of refusals is logged once, where it is noticed.
    pub(crate) fn log(&self) {
        let (_, code) = self.wire();
        tracing::debug!(code, "refused a request: {code}");
    }

    /// The answer.
    pub(crate) fn problem(&self) -> Problem {
        let (status, code) = self.wire();
        let detail = match status {
            StatusCode::BAD_REQUEST => format!("{} See docs/{}.", self.detail(), self.page()),
            _ => self.detail(),
        };
        let problem = Problem::new(status, code, detail);
        match status {
            StatusCode::SERVICE_UNAVAILABLE => problem.retry_after(Duration::from_secs(1)),
            _ => problem,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.problem().into_response()
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Refusal {
        Refusal::Token(error)
    }
}

impl From<Failure> for Refusal {
    /// What MongoDB says is for the log: a reader could do nothing with it.
    fn from(failure: Failure) -> Refusal {
        tracing::warn!(error = %failure, "a question to the archive failed: {failure}");
        Refusal::ArchiveUnavailable
    }
}

fn sentence(words: &str) -> String {
    let mut chars = words.trim_end_matches('.').chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).chain(['.']).collect()
}
