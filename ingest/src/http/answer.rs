//! Answers that begin with room for all of their headers: a map of headers that grows is allocated twice.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

/// A post's own four or three headers, the two of its quota, and those that [`web`] adds to every answer.
const HEADERS: usize = 12;

pub(crate) fn answer(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = HeaderMap::with_capacity(HEADERS);
    response
}
