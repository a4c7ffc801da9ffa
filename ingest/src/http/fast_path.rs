//! The fast path: the two routes that post, which nearly every request takes. Both are answered by the functions behind
//! the router's handlers. A path that is spelled in another way than a client would is left to the router.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Method, Uri};
use axum::response::{IntoResponse as _, Response};
use chat::PresenterIdx;
use web::FastPath;

use crate::http::trace::{self, Endpoint};
use crate::http::{legacy, v1};
use crate::state::Ingest;

/// The routes that post.
#[derive(Debug, Clone)]
pub(crate) struct Posts(pub(crate) Arc<Ingest>);

/// The surface of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Surface {
    /// `/v1`, with the room in the path.
    V1(PresenterIdx),
    Original,
}

impl Surface {
    pub(super) fn of(method: &Method, path: &str) -> Option<Surface> {
        match path {
            _ if method != Method::POST => None,
            "/send/message" => Some(Surface::Original),
            path => {
                let room = path.strip_prefix("/v1/rooms/")?.strip_suffix("/messages")?;
                // Digits alone: they cannot be encoded, nor belong to two segments.
                room.parse().ok().map(Surface::V1)
            }
        }
    }

    fn endpoint(self) -> Endpoint {
        match self {
            Surface::V1(_) => trace::V1,
            Surface::Original => trace::ORIGINAL,
        }
    }
}

impl FastPath for Posts {
    type Route = Surface;

    fn route(&self, method: &Method, uri: &Uri) -> Option<Surface> {
        Surface::of(method, uri.path())
    }

    async fn answer(&self, surface: Surface, parts: &Parts, body: Body, peer: SocketAddr) -> Response {
        let Posts(ingest) = self;
        // Not `trace::answer`, which would keep the future of the post twice.
        match trace::begin(ingest, &parts.headers, surface.endpoint()) {
            None => post(ingest, surface, parts, body, peer).await,
            Some(span) => Box::pin(trace::traced(ingest, span, post(ingest, surface, parts, body, peer))).await,
        }
    }
}

async fn post(ingest: &Ingest, surface: Surface, parts: &Parts, body: Body, peer: SocketAddr) -> Response {
    match surface {
        Surface::V1(room) => v1::post(ingest, parts, body, Some(peer), Ok(Some(room))).await.into_response(),
        Surface::Original => legacy::post(ingest, parts, body, Some(peer)).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_path_takes_posts_whose_path_is_as_it_is_documented() {
        let surface = |method: &str, path: &str| Surface::of(&method.parse().unwrap(), path);
        let room = |idx: i64| Some(Surface::V1(idx.try_into().unwrap()));
        assert_eq!(surface("POST", "/send/message"), Some(Surface::Original));
        assert_eq!(surface("POST", "/v1/rooms/42/messages"), room(42));
        assert_eq!(surface("POST", "/v1/rooms/1/messages"), room(1));
        for (method, path) in [
            ("GET", "/send/message"),
            ("DELETE", "/v1/rooms/42/messages"),
            ("OPTIONS", "/v1/rooms/42/messages"),
            ("POST", "/send/message/"),
            ("POST", "//send/message"),
            ("POST", "/send/messages"),
            ("POST", "/v1/rooms//messages"),
            ("POST", "/v1/rooms/messages"),
            ("POST", "/v1/rooms/0/messages"),
            ("POST", "/v1/rooms/042/messages"),
            ("POST", "/v1/rooms/+42/messages"),
            ("POST", "/v1/rooms/%34%32/messages"),
            ("POST", "/v1/rooms/42/x/messages"),
            ("POST", "/v1/rooms/42/messages/"),
            ("POST", "/v1/rooms/42/bans"),
            ("POST", "*"),
            ("POST", ""),
        ] {
            assert_eq!(surface(method, path), None, "{method} {path}");
        }
    }
}
