//! Cross-origin requests: pages ask from wherever they were loaded, and a token is what counts.

use std::time::Duration;

use tower_http::cors::{AllowHeaders, CorsLayer};

/// 2 h: browsers keep no answer to a preflight for longer.
const KEPT_FOR: Duration = Duration::from_secs(2 * 60 * 60);

/// Open for every origin, method and header. A preflight names the headers that it wants; `*` would not cover
/// `Authorization`.
pub(crate) fn open() -> CorsLayer {
    CorsLayer::permissive().allow_headers(AllowHeaders::mirror_request()).max_age(KEPT_FOR)
}
