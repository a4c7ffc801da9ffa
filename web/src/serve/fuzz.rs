//! What holds for the headers that every request may have. A check panics where it does not.

use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Version};
use runtime::{RequestId, TraceParent};

use super::head::{check_host, is_any_host, is_usual_host};
use super::request_id::{self, RequestIds};
use crate::auth;

/// Lines of a name, a colon and a value.
pub fn head(lines: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) else { continue };
        host(&value);
        trace_parent(&value);
        headers.append(name, value);
    }
    request_id(&headers);
    token(&headers);
}

/// The host's fast check lets nothing through that the slow one refuses.
fn host(value: &HeaderValue) {
    assert!(!is_usual_host(value.as_bytes()) || is_any_host(value.as_bytes()));
    let mut headers = HeaderMap::new();
    headers.append(HOST, value.clone());
    if check_host(Version::HTTP_11, &headers).is_ok() {
        let host = value.to_str().expect("a host is ASCII");
        let address = format!("http://{host}/").parse::<axum::http::Uri>();
        assert_eq!(address.expect("a host makes an address").authority().map(|found| found.as_str()), Some(host));
        headers.append(HOST, value.clone());
        assert!(check_host(Version::HTTP_11, &headers).is_err(), "one host is enough");
    }
}

/// A sampled `traceparent` is passed on with the same ids.
fn trace_parent(value: &HeaderValue) {
    let Some(parent) = value.to_str().ok().and_then(TraceParent::parse) else { return };
    let written = TraceParent::parse(&parent.context.to_string()).expect("ours is one");
    assert_eq!(written, TraceParent { is_sampled: true, ..parent });
}

/// Whatever a request brings, it has an id that is told back and is kept from there on.
fn request_id(headers: &HeaderMap) {
    let ids = RequestIds::new();
    let (given, mut answer) = (ids.of(headers), HeaderMap::new());
    request_id::add(&given, &mut answer);
    let told = answer.values().next().expect("an answer has the id").as_bytes();
    assert!((1..=RequestId::LONGEST_BYTES).contains(&told.len()) && told.iter().all(u8::is_ascii_graphic));
    assert_eq!(ids.of(&answer).to_bytes(), told);
}

/// The token of a request is the same in each of its two places.
fn token(headers: &HeaderMap) {
    let Ok(token) = auth::token(headers) else { return };
    assert_eq!(token, token.trim());
    for (name, value) in
        [(HeaderName::from_static("token"), token.to_owned()), (AUTHORIZATION, format!("Bearer {token}"))]
    {
        let mut moved = HeaderMap::new();
        moved.insert(name, value.parse().expect("a token is a value of a header"));
        match auth::token(&moved) {
            Ok(again) => assert_eq!(again, token),
            Err(refused) => assert!(token.is_empty(), "{refused}"),
        }
    }
}
