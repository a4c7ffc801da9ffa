//! Delivery over HTTP: the routes, the WebSocket handshake, the stream of events for readers, and the JavaScript modules
//! for pages. Sessions know no HTTP.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use web::Problem;

mod events;
mod handshake;
mod modules;
pub(crate) mod router;

fn stopping() -> Response {
    unavailable("stopping", "This node is stopping. Reconnect to reach another node.")
}

/// A refusal that another attempt may not meet.
fn unavailable(code: &'static str, detail: impl Into<String>) -> Response {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(Duration::from_secs(1)).into_response()
}
