//! What holds for any headers of a handshake. A check panics where it does not.

use axum::extract::FromRequestParts as _;
use axum::http::{HeaderName, HeaderValue, Request};
use futures_util::FutureExt as _;

use super::handshake::Handshake;
use crate::readers::tickets::is_ticket;

/// Lines of a name, a colon and a value. Without a connection that can be upgraded each is refused, with a code.
pub fn handshake(lines: &[u8]) {
    let mut request = Request::new(());
    for line in lines.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if let Ok(value) = str::from_utf8(value) {
            assert!(!is_ticket(value) || value.len() == 48, "a ticket has one length: {value}");
        }
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            request.headers_mut().append(name, value);
        }
    }
    let (mut parts, ()) = request.into_parts();
    let refused = Handshake::from_request_parts(&mut parts, &()).now_or_never().expect("nothing is waited for");
    let refused = refused.expect_err("there is no connection to upgrade");
    assert!(matches!(refused.status().as_u16(), 400 | 426));
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
}
