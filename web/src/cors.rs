//! Cross-origin requests are open: pages of every origin may call, and the token decides.

use std::time::Duration;

use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, VARY};
use axum::http::{HeaderMap, HeaderValue};
use tower_http::cors::{AllowHeaders, CorsLayer};

/// 2 h: browsers cache the answer to a preflight no longer.
const KEPT_FOR: Duration = Duration::from_secs(2 * 60 * 60);

/// Open for every origin, method and header. The answer repeats the headers of a preflight, because `*` does not cover
/// `Authorization`.
pub(crate) fn open() -> CorsLayer {
    CorsLayer::permissive().allow_headers(AllowHeaders::mirror_request()).max_age(KEPT_FOR)
}

/// Adds what the layer adds to an answer that is none to a preflight, in the same order.
pub(crate) fn add(headers: &mut HeaderMap) {
    headers.append(VARY, HeaderValue::from_static("access-control-request-headers"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
}
