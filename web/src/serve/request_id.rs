//! The id of a request, header `X-Request-Id`: the caller's own, or else one of this listener. The answer repeats it.

use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// 128 bytes: a `traceparent` or two UUIDs fit, and an answer cannot be made large with it.
const LONGEST_BYTES: usize = 128;

/// Makes the ids of requests that bring none.
#[derive(Debug)]
pub(super) struct RequestIds {
    /// Random, so that the ids of two nodes, or of two starts of one node, differ.
    prefix: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> RequestIds {
        RequestIds { prefix: std::hash::RandomState::new().hash_one(std::process::id()), next: AtomicU64::new(0) }
    }

    /// The id of a request with these headers. Several ids, or one that is empty, too long or not visible ASCII, count as
    /// none.
    pub(super) fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let mut own = headers.get_all(X_REQUEST_ID).iter();
        match (own.next(), own.next()) {
            (Some(id), None) if is_sane(id.as_bytes()) => id.clone(),
            _ => self.another(),
        }
    }

    fn another(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:016x}-{number:x}", self.prefix);
        HeaderValue::from_maybe_shared(Bytes::from(id)).expect("hexadecimal digits are visible ASCII")
    }
}

fn is_sane(id: &[u8]) -> bool {
    (1..=LONGEST_BYTES).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ids: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for id in ids {
            headers.append(X_REQUEST_ID, id.parse().unwrap());
        }
        RequestIds { prefix: 0xabc, next: AtomicU64::new(31) }.of(&headers).to_str().unwrap().to_owned()
    }

    #[test]
    fn the_callers_id_is_kept_if_it_is_bounded_and_visible() {
        let longest = "x".repeat(LONGEST_BYTES);
        for id in ["1", "req-1.a/b:c=d", longest.as_str()] {
            assert_eq!(of(&[id]), id);
        }
        let too_long = "x".repeat(LONGEST_BYTES + 1);
        for ids in [&[][..], &[""], &["a b"], &[too_long.as_str()], &["a", "a"]] {
            assert_eq!(of(ids), "0000000000000abc-1f", "{ids:?}");
        }
    }

    #[test]
    fn ids_differ_within_a_listener_and_between_two() {
        let [one, other] = [RequestIds::new(), RequestIds::new()];
        assert_ne!(one.another(), one.another());
        assert_ne!(one.prefix, other.prefix);
    }
}
