//! The console: pages for moderators and analysts at `/console/`. They use only the public API and the event streams,
//! with the signed-in user's token. The pages themselves hold no data and no secret, so serving them requires no token.
//!
//! The pages are files in `assets/`, embedded in the binary. `docs/guides/console.md` is their guide.

mod assets;
mod config;
mod policy;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY, VARY,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use web::Problem;

use assets::{Asset, Assets};

pub use config::{Config, InvalidUrl, PublicUrl};

/// The windows that a page opens, and those that open it, share nothing with it.
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

struct Console {
    assets: Assets,
    config: Config,
    policy: String,
}

/// The routes at and below `/console`. None while the console is off.
pub fn router(config: &Config) -> Router {
    if !config.enabled {
        return Router::new();
    }
    let policy = policy::content_security_policy(config);
    let console = Arc::new(Console { assets: Assets::embedded(), config: config.clone(), policy });
    Router::new()
        // Relative: a proxy may serve the archiver below a path of its own.
        .route("/console", get(async || Redirect::permanent("console/")))
        .route("/console/", get(index))
        .route("/console/config.json", get(settings))
        .route("/console/{*path}", get(file))
        .with_state(console)
}

async fn index(State(console): State<Arc<Console>>, headers: HeaderMap) -> Response {
    answer(&console, &headers, "index.html")
}

async fn file(State(console): State<Arc<Console>>, Path(path): Path<String>, headers: HeaderMap) -> Response {
    answer(&console, &headers, &path)
}

/// Where the page finds the other roles: `{"ingestUrl":"…","deliveryUrl":"…"}`. Empty: beside the archiver.
async fn settings(State(console): State<Arc<Console>>) -> impl IntoResponse {
    let Config { ingest_url, delivery_url, .. } = &console.config;
    let text = |url: &Option<PublicUrl>| url.as_ref().map(PublicUrl::to_string).unwrap_or_default();
    let body = serde_json::json!({ "ingestUrl": text(ingest_url), "deliveryUrl": text(delivery_url) });
    ([(CACHE_CONTROL, "no-cache")], Json(body))
}

fn answer(console: &Console, headers: &HeaderMap, path: &str) -> Response {
    let Some(asset) = console.assets.get(path) else {
        return Problem::new(StatusCode::NOT_FOUND, "not_found", "The console has no such file.").into_response();
    };
    let common = [
        // Browsers revalidate each time, so that no file outlives a deployment beside newer ones.
        (CACHE_CONTROL, "no-cache"),
        (ETAG, asset.etag()),
        (VARY, "accept-encoding"),
        (CONTENT_SECURITY_POLICY, &console.policy),
        (REFERRER_POLICY, "no-referrer"),
        (OPENER_POLICY, "same-origin"),
    ];
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known == asset.etag()) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(CONTENT_TYPE, asset.content_type())], Extension(web::Shared), body(&asset, headers)).into_response()
}

fn body(asset: &Asset, headers: &HeaderMap) -> Response {
    let accepts_gzip = headers.get(axum::http::header::ACCEPT_ENCODING).is_some_and(assets::accepts_gzip);
    if accepts_gzip {
        ([(CONTENT_ENCODING, "gzip")], asset.gzip()).into_response()
    } else {
        asset.plain().to_owned().into_response()
    }
}

#[cfg(test)]
mod tests;
