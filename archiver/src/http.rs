//! The read API over HTTP, `/v1`: who may read what, the parameters, and the answers. Errors follow RFC 9457.
//!
//! A handler takes typed extractors: permissions from `access`, ids from `path`, the rest from `parameters`. What is
//! asked of MongoDB is the business of `query`.

use std::sync::Arc;

use axum::Router;
use tokio_util::sync::CancellationToken;

mod access;
mod attribute;
mod bodies;
mod broadcast_export;
mod broadcasts;
mod emote;
mod erasures;
mod events;
mod exports;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod incomplete;
mod messages;
mod moderation;
pub(crate) mod openapi;
mod parameters;
mod path;
mod refusal;
mod replay;
mod reports;
mod role;
mod schemas;
mod state;
mod statistics;
mod status;
mod stream;
mod time_format;
mod trace;
mod turns;
mod values;

use refusal::Refusal;
pub(crate) use state::AppState;

/// Everything that the archiver serves.
pub(crate) fn router(
    app: Arc<AppState>,
    console: &console::Config,
    ready: web::Readiness,
    notice: web::Notice,
    stop: CancellationToken,
) -> Router {
    Router::new()
        .merge(openapi::routes())
        .merge(web::health_with_notice(ready, notice, stop).with_state(()))
        .merge(console::router(console).with_state(()))
        .fallback(async || Refusal::NotFound)
        .method_not_allowed_fallback(async || Refusal::MethodNotAllowed)
        .with_state(app)
}
