//! Turns a refusal into a response: a problem (RFC 9457) on `/v1`, the original's error body on its surface.

use axum::Json;
use axum::http::header::{ACCEPT_ENCODING, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::ToSchema;
use web::Problem;

use crate::http::quota::with_quota;
use crate::http::v1::AuthorWarning;
use crate::refusal::{Refusal, Row};

#[cfg(test)]
mod tests;

/// The original's error body.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody<'a> {
    /// In the server's time zone.
    #[schema(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$", example = "2026-01-02 12:34:56")]
    timestamp: String,
    status: u16,
    message: &'a str,
    path: &'a str,
}

impl<'a> ErrorBody<'a> {
    pub(crate) fn now(time_zone: &TimeZone, path: &'a str, status: StatusCode, message: &'a str) -> ErrorBody<'a> {
        let timestamp = Timestamp::now().to_zoned_datetime(time_zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        ErrorBody { timestamp, status: status.as_u16(), message, path }
    }
}

/// The response on `/v1`.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let row = self.row();
        log(&row);
        with_headers(problem(&self, row).into_response(), &self)
    }
}

/// The response on `/v1` that also tells the author of a refused message what a moderator of the room says.
pub(crate) fn warned(refusal: &Refusal, warning: &AuthorWarning) -> Response {
    let row = refusal.row();
    log(&row);
    let warning = serde_json::to_value(warning).expect("a warning has only strings");
    with_headers(problem(refusal, row).with("warning", warning).into_response(), refusal)
}

fn problem(refusal: &Refusal, row: Row) -> Problem {
    let (is_outage, retry_after) = (row.is_outage(), row.retry_after);
    let detail = match row.page.filter(|_| row.status == 400) {
        Some(page) => format!("{} See docs/{page}.", row.detail),
        None => row.detail,
    };
    let mut problem = Problem::new(status(row.status), row.code, detail);
    if let Refusal::Banned { until: Some(until) } = refusal {
        problem = problem.with("until", format!("{until:.3}"));
    }
    if is_outage {
        problem = problem.with("outcome", refusal.outcome());
    }
    match retry_after {
        Some(delay) => problem.retry_after(delay),
        None => problem,
    }
}

/// The response on the original's surface. Headers carry what its body has no member for.
pub(crate) fn original(time_zone: &TimeZone, path: &str, refusal: &Refusal) -> Response {
    let row = refusal.row();
    log(&row);
    let status = status(row.original_status);
    let mut response = (status, Json(ErrorBody::now(time_zone, path, status, row.original_message))).into_response();
    let headers = response.headers_mut();
    // The original has one sentence for a dozen refusals.
    headers.insert("message-code", HeaderValue::from_static(row.code));
    if let Some(delay) = row.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(delay.as_secs()));
    }
    if row.is_outage() {
        headers.insert("message-outcome", HeaderValue::from_static(refusal.outcome()));
    }
    with_headers(response, refusal)
}

/// Adds the headers that both surfaces have.
fn with_headers(mut response: Response, refusal: &Refusal) -> Response {
    if *refusal == Refusal::UnsupportedEncoding {
        // RFC 7694: which encoding is accepted.
        response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    with_quota(response, refusal.quota())
}

/// A status of the table.
pub(crate) fn status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("the table has valid HTTP statuses")
}

/// At debug: the cause of a wave of refusals is logged once, where it is detected.
fn log(row: &Row) {
    let code = row.code;
    tracing::debug!(code, "refused a request: {code}");
}
