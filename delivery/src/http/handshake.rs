//! The WebSocket handshake of RFC 6455, section 4.2.1. axum's own accepts a key of any length, and does not hand out
//! the stream, whose frames must be counted.

use axum::extract::FromRequestParts;
use axum::http::header::{
    ALLOW, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use web::Problem;

use crate::session::socket::Stream;

/// The version of RFC 6455, the only one in use.
const VERSION: &str = "13";

/// A client's request for a WebSocket.
#[derive(Debug)]
pub(crate) struct Handshake {
    accept: String,
    offered: Vec<String>,
    protocol: Option<&'static str>,
    upgrade: OnUpgrade,
}

impl Handshake {
    /// Agrees on the subprotocol if the client offers it. Subprotocols are case-sensitive.
    pub(crate) fn agrees_on(&mut self, protocol: &'static str) -> bool {
        let is_offered = self.offered.iter().any(|offered| offered == protocol);
        self.protocol = is_offered.then_some(protocol);
        is_offered
    }

    /// The response, and the stream once the client has received it.
    pub(crate) fn accept(self) -> (Response, impl Future<Output = hyper::Result<Stream>>) {
        let Handshake { accept, protocol, upgrade, .. } = self;
        let accept = HeaderValue::try_from(accept).expect("base64 is visible ASCII");
        let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        if let Some(protocol) = protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        }
        (response, async { Ok(TokioIo::new(upgrade.await?)) })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Handshake {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Handshake, Response> {
        if parts.method != Method::GET {
            let detail = "A WebSocket handshake uses GET.";
            let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
            return Err(([(ALLOW, "GET")], problem).into_response());
        }
        let headers = &parts.headers;
        if !lists(headers, CONNECTION, "upgrade") || !lists(headers, UPGRADE, "websocket") {
            return Err(invalid(
                "This URL serves WebSockets only. Send the headers Connection: Upgrade and Upgrade: websocket.",
            ));
        }
        if only(headers, SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
            let detail = "The header Sec-WebSocket-Version must be 13.";
            let problem = Problem::new(StatusCode::UPGRADE_REQUIRED, "handshake_invalid", detail);
            let headers = [(SEC_WEBSOCKET_VERSION, VERSION), (UPGRADE, "websocket")];
            return Err((headers, problem).into_response());
        }
        let key = only(headers, SEC_WEBSOCKET_KEY).filter(|key| is_key(key));
        let Some(key) = key else {
            return Err(invalid("Send the header Sec-WebSocket-Key exactly once: 16 bytes in base64, 24 characters."));
        };
        let accept = derive_accept_key(key.as_bytes());
        let protocols = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
        let offered = protocols.flat_map(|value| value.split(',')).map(|offered| offered.trim().to_owned()).collect();
        let Some(upgrade) = parts.extensions.remove::<OnUpgrade>() else {
            return Err(invalid("This connection cannot become a WebSocket: HTTP/1.1 is required."));
        };
        Ok(Handshake { accept, offered, protocol: None, upgrade })
    }
}

fn invalid(detail: &'static str) -> Response {
    Problem::new(StatusCode::BAD_REQUEST, "handshake_invalid", detail).into_response()
}

/// Whether the key is 16 bytes in base64.
fn is_key(key: &HeaderValue) -> bool {
    BASE64_STANDARD.decode(key.as_bytes()).is_ok_and(|bytes| bytes.len() == 16)
}

fn only(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Whether the header lists the token, in any case.
fn lists(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let mut values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.any(|value| value.split(',').any(|listed| listed.trim().eq_ignore_ascii_case(token)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_16_bytes_in_base64() {
        let is_key = |key: &'static str| is_key(&HeaderValue::from_static(key));
        assert!(is_key("dGhlIHNhbXBsZSBub25jZQ=="));
        for bad in [
            "",
            "x",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25j",
            "dGhlIHNhbXBsZSBub25jZQECAw==",
            "?GhlIHNhbXBsZSBub25jZQ==",
        ] {
            assert!(!is_key(bad), "{bad}");
        }
    }

    #[test]
    fn a_list_of_tokens_has_no_case_and_no_order() {
        let mut headers = HeaderMap::new();
        headers.append(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
        assert!(lists(&headers, CONNECTION, "upgrade") && !lists(&headers, CONNECTION, "up"));
        assert!(!lists(&headers, UPGRADE, "websocket"));
    }
}
