//! The presenter's module for browsers, `GET /presenter.js`: the same on every node, embedded in the binary, so that a
//! page and its server always speak the same protocol.

use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;

const PRESENTER_JS: &str = include_str!("../web/presenter.js");

/// Any page may import it. It is asked for anew each time, so that an old one does not outlive a deployment.
pub(crate) async fn presenter_js() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (headers, PRESENTER_JS)
}
