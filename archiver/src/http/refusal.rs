//! The refusals, in one table. Answers, the OpenAPI document and the check of `docs/reference/archive-api.md` come from
//! it: a new refusal is one row.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use web::auth::TokenError;
use web::{IDX_BOUNDS, Problem};

use crate::mongo::failure::Failure;

/// Which operations refuse so, in the OpenAPI document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operations {
    /// All of them.
    All,
    /// Those that require a token.
    WithToken,
    /// Those with parameters in the path.
    WithPath,
    /// Those with parameters in the query.
    WithQuery,
    /// Those with one of these parameters.
    With(&'static [&'static str]),
    /// None: no operation answers this.
    None,
}

/// The error reference, for refusals without a page of their own.
const ERRORS: &str = "reference/archive-api.md#errors";
const NUMBERS: &str = "reference/ingest-api.md#user-and-room-numbers";
const BROADCASTS: &str = "reference/archive-api.md#broadcasts";

/// A row: variant (with its value and an example of it), status, code, sentence, page of the documentation, operations.
macro_rules! refusals {
    ($(
        $(#[$doc:meta])*
        $variant:ident $(($value:ident: $type:ty = $example:expr))?,
        $status:ident, $code:literal, $sentence:literal, $page:expr, $operations:expr;
    )*) => {
        /// Why a request is refused.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) enum Refusal {
            /// There is no token, or it is not accepted.
            Token(TokenError),
            $($(#[$doc])* $variant $(($type))?,)*
        }

        impl Refusal {
            /// An example of each.
            pub(super) fn all() -> Vec<Refusal> {
                let rows = [$(Refusal::$variant $(($example))?),*];
                TokenError::ALL.map(Refusal::Token).into_iter().chain(rows).collect()
            }

            /// Status and code on the wire. A code never changes its meaning.
            pub(crate) fn wire(&self) -> (StatusCode, &'static str) {
                match self {
                    Refusal::Token(error) => (error.status(), error.code()),
                    $(Refusal::$variant { .. } => (StatusCode::$status, $code),)*
                }
            }

            /// A plain sentence for people.
            pub(crate) fn detail(&self) -> String {
                match self {
                    Refusal::Token(error) => error.detail(),
                    $(Refusal::$variant $(($value))? => sentence(&format!($sentence)),)*
                }
            }

            /// Where the documentation explains it.
            fn page(&self) -> Option<&'static str> {
                match self {
                    Refusal::Token(_) => None,
                    $(Refusal::$variant { .. } => $page,)*
                }
            }

            /// Which operations of the OpenAPI document refuse so.
            pub(super) fn operations(&self) -> Operations {
                match self {
                    Refusal::Token(_) => Operations::WithToken,
                    $(Refusal::$variant { .. } => $operations,)*
                }
            }
        }
    };
}

refusals! {
    /// The value says what the request needs.
    Forbidden(needs: &'static str = "a token with the right scope"), FORBIDDEN, "forbidden",
        "This request needs {needs}",
        None, Operations::WithToken;
    PresenterIdxInvalid, BAD_REQUEST, "presenter_idx_invalid",
        "The presenterIdx must be {IDX_BOUNDS}",
        Some(NUMBERS), Operations::With(&["presenterIdx"]);
    UserIdxInvalid, BAD_REQUEST, "user_idx_invalid",
        "The userIdx must be {IDX_BOUNDS}",
        Some(NUMBERS), Operations::With(&["userIdx"]);
    MessageIdInvalid, BAD_REQUEST, "message_id_invalid",
        "The messageId must be a UUID",
        Some(ERRORS), Operations::With(&["messageId"]);
    BroadcastIdInvalid, BAD_REQUEST, "broadcast_id_invalid",
        "The broadcastId must be a UUID",
        Some(BROADCASTS), Operations::With(&["broadcastId"]);
    /// The value says what is wrong, and names the parameter.
    QueryInvalid(wrong: String = "a parameter of the query is invalid".to_owned()), BAD_REQUEST, "query_invalid",
        "{wrong}",
        Some(ERRORS), Operations::WithQuery;
    CursorInvalid, BAD_REQUEST, "cursor_invalid",
        "The parameter \"after\", or the header Last-Event-ID, must be a cursor from a page of the same list",
        Some(ERRORS), Operations::With(&["after", "Last-Event-ID"]);
    MessageNotFound, NOT_FOUND, "message_not_found",
        "The room has no message with this id",
        None, Operations::With(&["messageId"]);
    /// The message may be in the log: batches that are not archived are not all read.
    ArchiveBehind, SERVICE_UNAVAILABLE, "archive_behind",
        "The message is not archived yet, and too much of the log is not to look for it there. Send its position, or \
         retry later",
        None, Operations::With(&["position"]);
    LogUnreadable, SERVICE_UNAVAILABLE, "log_unavailable",
        "The message is not archived, and the log cannot be read. Retry later",
        None, Operations::With(&["position"]);
    BroadcastNotFound, NOT_FOUND, "broadcast_not_found",
        "The room has no broadcast with this id",
        None, Operations::With(&["broadcastId"]);
    NotFound, NOT_FOUND, "not_found",
        "There is nothing at this URL",
        None, Operations::WithPath;
    MethodNotAllowed, METHOD_NOT_ALLOWED, "method_not_allowed",
        "Method not allowed for this URL",
        None, Operations::None;
    Overloaded, SERVICE_UNAVAILABLE, "overloaded",
        "Too many requests are in flight, of all users or of this one. Retry later",
        None, Operations::WithToken;
    ArchiveUnavailable, SERVICE_UNAVAILABLE, "archive_unavailable",
        "MongoDB is unreachable or took too long. Retry, or ask for a shorter time span",
        None, Operations::WithToken;
    /// The binary answers this until the log is reached.
    Starting, SERVICE_UNAVAILABLE, "log_unavailable",
        "The archiver has not reached the log yet. Retry later",
        None, Operations::All;
    /// It is not known whether the user is a moderator of the room.
    RolesUnavailable, SERVICE_UNAVAILABLE, "log_unavailable",
        "The moderators of the room cannot be read from the log. Retry later",
        None, Operations::With(&["presenterIdx"]);
}

/// 1 s: the first retry after a 503.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = self.wire();
        // At debug only: the cause of a wave of refusals is logged once, where it is noticed.
        tracing::debug!(code, "refused a request: {code}");
        let detail = match self.page() {
            Some(page) => format!("{} See docs/{page}.", self.detail()),
            None => self.detail(),
        };
        let problem = Problem::new(status, code, detail);
        match status {
            StatusCode::SERVICE_UNAVAILABLE => problem.retry_after(RETRY_AFTER).into_response(),
            _ => problem.into_response(),
        }
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Refusal {
        Refusal::Token(error)
    }
}

impl From<nats::Error> for Refusal {
    fn from(error: nats::Error) -> Refusal {
        tracing::warn!(%error, "cannot read the moderators of a room: {error}");
        Refusal::RolesUnavailable
    }
}

impl From<Failure> for Refusal {
    /// MongoDB's own words go to the log: a client can do nothing with them.
    fn from(failure: Failure) -> Refusal {
        tracing::warn!(error = %failure, "a query failed: {failure}");
        Refusal::ArchiveUnavailable
    }
}

/// With a capital letter and a full stop.
fn sentence(words: &str) -> String {
    let mut chars = words.trim_end_matches('.').chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).chain(['.']).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_documentation_lists_every_refusal_with_its_status() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/archive-api.md");
        let page = fs::read_to_string(page).unwrap();
        for refusal in Refusal::all() {
            let (status, code) = refusal.wire();
            let row = format!("| {} |", status.as_u16());
            let is_listed = page.lines().any(|line| line.starts_with(&row) && line.contains(&format!("`{code}`")));
            assert!(is_listed, "docs/reference/archive-api.md has no row for {} {code}", status.as_u16());
        }
    }

    #[test]
    fn a_400_names_a_page_that_exists() {
        for refusal in Refusal::all() {
            let (status, code) = refusal.wire();
            assert_eq!(refusal.page().is_some(), status == StatusCode::BAD_REQUEST, "{code}");
            if let Some((page, _)) = refusal.page().and_then(|page| page.split_once('#')) {
                assert!(fs::exists(format!("{}/../docs/{page}", env!("CARGO_MANIFEST_DIR"))).unwrap(), "{page}");
            }
        }
    }

    #[test]
    fn the_detail_is_a_sentence() {
        assert_eq!(Refusal::Forbidden("a token").detail(), "This request needs a token.");
        assert_eq!(Refusal::QueryInvalid("`first` is wrong".to_owned()).detail(), "`first` is wrong.");
        assert_eq!(Refusal::from(TokenError::Signature).wire(), (StatusCode::UNAUTHORIZED, "token_invalid"));
    }
}
