//! The id of a request, header `X-Request-Id`: the caller's own, or else one of this listener. The answer repeats it.

use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use runtime::RequestId;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Makes the ids of requests that bring none.
#[derive(Debug)]
pub(super) struct RequestIds {
    /// Random, so that the ids of two nodes, or of two starts of one node, differ.
    origin: u32,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> RequestIds {
        let hash = std::hash::RandomState::new().hash_one(std::process::id());
        RequestIds { origin: (hash >> 32) as u32, next: AtomicU64::new(0) }
    }

    /// The id of a request with these headers. Several ids, or one that is empty, too long or not visible ASCII, count
    /// as none.
    pub(super) fn of(&self, headers: &HeaderMap) -> RequestId {
        let given = headers.get(X_REQUEST_ID).and_then(|id| {
            let is_only = headers.get_all(X_REQUEST_ID).iter().nth(1).is_none();
            if is_only { RequestId::given(id.as_bytes()) } else { None }
        });
        given.unwrap_or_else(|| self.another())
    }

    fn another(&self) -> RequestId {
        RequestId::made(self.origin, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Adds the id to an answer.
pub(super) fn add(id: &RequestId, headers: &mut HeaderMap) {
    let id = HeaderValue::from_maybe_shared(id.to_bytes()).expect("an id is visible ASCII");
    headers.insert(X_REQUEST_ID, id);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ids: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for id in ids {
            headers.append(X_REQUEST_ID, id.parse().unwrap());
        }
        let mut answer = HeaderMap::new();
        add(&RequestIds { origin: 0xabc, next: AtomicU64::new(31) }.of(&headers), &mut answer);
        answer[X_REQUEST_ID].to_str().unwrap().to_owned()
    }

    #[test]
    fn the_callers_id_is_kept_if_it_is_the_only_one_and_sane() {
        assert_eq!(of(&["req-1.a/b:c=d"]), "req-1.a/b:c=d");
        for ids in [&[][..], &[""], &["a b"], &["a", "a"]] {
            assert_eq!(of(ids), "00000abc-1f", "{ids:?}");
        }
    }

    #[test]
    fn ids_differ_within_a_listener_and_between_two() {
        let [one, other] = [RequestIds::new(), RequestIds::new()];
        assert_ne!(one.another().to_string(), one.another().to_string());
        assert_ne!(one.origin, other.origin);
    }
}
