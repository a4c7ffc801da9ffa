//! Delivery over HTTP: the routes, the WebSocket handshake, the stream of events for readers and their tickets, and the
//! JavaScript modules for pages. Sessions know no HTTP.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use web::Problem;

use crate::http::refusal::Refusal;
use crate::node::Node;

mod events;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod handshake;
mod modules;
mod refusal;
pub(crate) mod router;
mod tickets;

/// Whether readers can be served now.
fn ready(node: &Node) -> Result<(), Refusal> {
    if node.stop.is_cancelled() {
        return Err(Refusal::Stopping);
    }
    if node.feed.is_filled() && node.feed.is_current() { Ok(()) } else { Err(Refusal::NotReady) }
}

fn stopping() -> Response {
    unavailable("stopping", "This node is stopping. Reconnect to reach another node.")
}

/// A refusal that another attempt may not meet.
fn unavailable(code: &'static str, detail: impl Into<String>) -> Response {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(Duration::from_secs(1)).into_response()
}
