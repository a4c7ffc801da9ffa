//! Cross-origin requests are open: pages of every origin may call, and the token decides.

use std::time::Duration;

use tower_http::cors::{AllowHeaders, CorsLayer};

/// 2 h: browsers cache the answer to a preflight no longer.
const KEPT_FOR: Duration = Duration::from_secs(2 * 60 * 60);

/// Open for every origin, method and header. The answer repeats the headers of a preflight, because `*` does not cover
/// `Authorization`.
pub(crate) fn open() -> CorsLayer {
    CorsLayer::permissive().allow_headers(AllowHeaders::mirror_request()).max_age(KEPT_FOR)
}
