//! Maps of headers that are used again. A new one with room for a usual answer takes two large allocations. The map of a
//! request becomes that of a later answer of the same thread, and the server keeps the map of an answer for the
//! connection's next request.

use std::cell::RefCell;

use axum::http::HeaderMap;

/// A post's own five headers, and those of every answer.
const HEADERS: usize = 12;

/// 48 headers of about 100 bytes. A larger map, for a request with more of them, is not kept.
const MOST_HEADERS: usize = 48;

/// As many as a thread has answers in the making at one moment, and some.
const MOST_KEPT: usize = 8;

thread_local! {
    static KEPT: RefCell<Vec<HeaderMap>> = const { RefCell::new(Vec::new()) };
}

/// An empty map with room for the headers of a usual answer.
pub fn header_map() -> HeaderMap {
    KEPT.with_borrow_mut(Vec::pop).unwrap_or_else(|| HeaderMap::with_capacity(HEADERS))
}

/// Keeps a map that is not needed any more, without its headers.
pub(super) fn keep(mut headers: HeaderMap) {
    if (HEADERS..=MOST_HEADERS).contains(&headers.capacity()) {
        KEPT.with_borrow_mut(|kept| {
            if kept.len() < MOST_KEPT {
                headers.clear();
                kept.push(headers);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use axum::http::header::{AUTHORIZATION, COOKIE};

    use super::*;

    #[test]
    fn a_map_that_is_used_again_is_empty() {
        let mut headers = header_map();
        let room = headers.capacity();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        headers.append(COOKIE, HeaderValue::from_static("a=1"));
        headers.append(COOKIE, HeaderValue::from_static("b=2"));
        keep(headers);
        let again = header_map();
        assert!(again.is_empty() && again.capacity() == room, "{again:?}");
    }

    #[test]
    fn only_a_few_maps_of_a_usual_size_are_kept() {
        for _ in 0..100 {
            keep(HeaderMap::with_capacity(HEADERS));
        }
        keep(HeaderMap::with_capacity(1_000));
        keep(HeaderMap::new());
        let kept = KEPT.with_borrow(|kept| kept.iter().map(HeaderMap::capacity).collect::<Vec<_>>());
        assert!(kept.len() == MOST_KEPT && kept.iter().all(|room| (HEADERS..=MOST_HEADERS).contains(room)), "{kept:?}");
    }
}
