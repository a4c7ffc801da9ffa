//! Why a request of a reader is refused, and its answer.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use web::auth::TokenError;
use web::{IDX_BOUNDS, Problem};

use crate::http::{stopping, unavailable};
use crate::readers::tickets::TicketError;

/// Why there is neither a stream nor a ticket.
#[derive(Debug)]
pub(super) enum Refusal {
    Token(TokenError),
    Ticket(TicketError),
    PresenterIdxInvalid,
    TicketIdInvalid,
    QueryInvalid,
    /// What is wrong, in a sentence.
    BodyMalformed(String),
    BodyTooLarge,
    /// Nothing shows this room to the reader.
    Forbidden,
    /// Long-lived tickets are not this user's to give.
    TicketsForbidden,
    /// The scope `chat:moderate` alone gives no ticket with the view `own`.
    ViewForbidden,
    Stopping,
    NotReady,
    Overloaded,
}

impl From<TicketError> for Refusal {
    fn from(error: TicketError) -> Refusal {
        Refusal::Ticket(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, detail) = match self {
            Refusal::Stopping => return stopping(),
            Refusal::NotReady => {
                return unavailable(
                    "not_ready",
                    "This node is still replaying the latest messages, or cannot reach the log. Try again in a second.",
                );
            }
            Refusal::Overloaded => {
                return unavailable("overloaded", "Too many readers, of all users or of this one. Retry later.");
            }
            Refusal::Token(error) => return token(error),
            Refusal::Ticket(error) => return ticket(error),
            Refusal::PresenterIdxInvalid => {
                (StatusCode::BAD_REQUEST, "presenter_idx_invalid", format!("The presenterIdx must be {IDX_BOUNDS}."))
            }
            Refusal::TicketIdInvalid => (
                StatusCode::BAD_REQUEST,
                "ticket_id_invalid",
                "The ticket's id must be a UUID, as the list of tickets shows it.".to_owned(),
            ),
            Refusal::QueryInvalid => (
                StatusCode::BAD_REQUEST,
                "query_invalid",
                "The parameters are \"from\" (now, window, or a position) and \"ticket\". A request with a ticket has \
                 no token."
                    .to_owned(),
            ),
            Refusal::BodyMalformed(what) => (StatusCode::BAD_REQUEST, "body_malformed", what),
            Refusal::BodyTooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body is larger than 4 KiB.".to_owned())
            }
            Refusal::Forbidden => (
                StatusCode::FORBIDDEN,
                "forbidden",
                "This request needs the token of the room's presenter or of one of its moderators, or a token with the \
                 scope chat:read or chat:moderate. The room's setting \"readers\" admits nobody else."
                    .to_owned(),
            ),
            Refusal::TicketsForbidden => (
                StatusCode::FORBIDDEN,
                "forbidden",
                "Long-lived tickets are for the room's presenter, its moderators, and tokens with the scope \
                 chat:moderate."
                    .to_owned(),
            ),
            Refusal::ViewForbidden => (
                StatusCode::FORBIDDEN,
                "forbidden",
                "A long-lived ticket with the view \"own\" is for the room's presenter and its moderators. With the \
                 scope chat:moderate alone, ask for the view \"viewer\"."
                    .to_owned(),
            ),
        };
        Problem::new(status, code, detail).into_response()
    }
}

fn token(error: TokenError) -> Response {
    let (code, detail) = match error {
        TokenError::KeysUnavailable => {
            return unavailable("keys_unavailable", "The keys that verify tokens cannot be fetched. Retry later.");
        }
        TokenError::Missing => {
            ("token_missing", "The request has no token. Send one in the header Authorization or token.".to_owned())
        }
        TokenError::Expired => ("token_expired", "The token has expired. Get a new one.".to_owned()),
        error => ("token_invalid", format!("Invalid token: {error}.")),
    };
    Problem::new(StatusCode::UNAUTHORIZED, code, detail).into_response()
}

fn ticket(error: TicketError) -> Response {
    let (status, code, detail) = match error {
        TicketError::Unavailable => {
            return unavailable("log_unavailable", "The log, which keeps tickets, cannot be reached. Retry later.");
        }
        TicketError::TooOften => {
            let detail = "Too many tickets in a short time. Retry after the time in Retry-After.";
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "ticket_rate_limited", detail);
            return problem.retry_after(Duration::from_secs(1)).into_response();
        }
        TicketError::Invalid => (
            StatusCode::UNAUTHORIZED,
            "ticket_invalid",
            "The ticket was used, is too old, was revoked, or is of another room. Get a new one.",
        ),
        TicketError::TooMany => (
            StatusCode::CONFLICT,
            "too_many_tickets",
            "The room has 50 long-lived tickets. Revoke one that is not in use.",
        ),
        TicketError::NotFound => (StatusCode::NOT_FOUND, "ticket_not_found", "The room has no ticket with this id."),
    };
    Problem::new(status, code, detail).into_response()
}
