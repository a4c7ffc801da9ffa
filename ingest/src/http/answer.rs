//! Answers that begin with room for all of their headers.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;

pub(crate) fn answer(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = web::header_map();
    response
}
