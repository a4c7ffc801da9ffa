//! The modules for browsers: `GET /presenter.js`, `/relay.js`, `/viewer.js` and `/reader.js`. They are embedded in the
//! binary, so that a page and its server speak the same protocol.

use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Extension, Router};

pub(crate) fn modules() -> Router {
    Router::new()
        .route("/presenter.js", get(async || module(include_str!("../../js/presenter.js"))))
        .route("/relay.js", get(async || module(include_str!("../../js/relay.js"))))
        .route("/reader.js", get(async || module(include_str!("../../js/reader.js"))))
        .route("/viewer.js", get(async || module(include_str!("../../js/viewer.js"))))
}

/// Any page may import a module. Browsers revalidate it each time, so that an old one does not outlive a deployment.
fn module(source: &'static str) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (headers, Extension(web::Shared), source)
}
