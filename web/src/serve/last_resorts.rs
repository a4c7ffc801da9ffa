//! The answers that a listener gives itself, on any path, where a role's handler cannot or must not answer.

use std::any::Any;
use std::time::Duration;

use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::private;
use crate::problem::Problem;

/// The answers of [`serve`](crate::serve) itself, on any path: status, code and sentence of the problem.
pub const LAST_RESORTS: [(StatusCode, &str, &str); 5] = [PANICKED, TIMED_OUT, UNREAD, STALE, HOST_INVALID];

const PANICKED: (StatusCode, &str, &str) =
    (StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong on our side.");

const TIMED_OUT: (StatusCode, &str, &str) =
    (StatusCode::SERVICE_UNAVAILABLE, "timeout", "The answer took too long; it may have had an effect.");

const UNREAD: (StatusCode, &str, &str) = (
    StatusCode::SERVICE_UNAVAILABLE,
    "answers_unread",
    "Too much of what others asked for is not read yet; it may have had an effect.",
);

const STALE: (StatusCode, &str, &str) = (
    StatusCode::SERVICE_UNAVAILABLE,
    "request_stale",
    "The node stood still while the request waited, and did nothing with it. Send it again.",
);

const HOST_INVALID: (StatusCode, &str, &str) =
    (StatusCode::BAD_REQUEST, "host_invalid", "The header Host is missing: HTTP/1.1 requires it.");

pub(super) fn host_invalid(wrong: &'static str) -> Response {
    Problem::new(HOST_INVALID.0, HOST_INVALID.1, wrong).into_response()
}

pub(super) fn unread() -> Response {
    let (status, code, detail) = UNREAD;
    let problem = Problem::new(status, code, detail).with("outcome", "unknown");
    private::marked(problem.retry_after(Duration::from_secs(1)).into_response(), || false)
}

/// The connection ends with it: what else its peer has sent is as old.
pub(super) fn stale() -> Response {
    let (status, code, detail) = STALE;
    let problem = Problem::new(status, code, detail).with("outcome", "not_stored").retry_after(Duration::from_secs(1));
    let mut response = problem.into_response();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The last resort: handlers have deadlines of their own, and know the outcome.
pub(super) fn timed_out() -> Response {
    tracing::error!("a request was given up at the last deadline");
    let (status, code, detail) = TIMED_OUT;
    let problem = Problem::new(status, code, detail).with("outcome", "unknown");
    problem.retry_after(Duration::from_secs(1)).into_response()
}

pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic.downcast_ref::<&str>().copied();
    let message = message.or(panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    tracing::error!(panic = message, "a request handler panicked: {message}");
    let (status, code, detail) = PANICKED;
    Problem::new(status, code, detail).with("outcome", "unknown").into_response()
}
