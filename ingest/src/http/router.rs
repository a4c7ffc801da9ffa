//! The router: all routes, health, and the answers to unknown paths and methods.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use tokio_util::sync::CancellationToken;

use crate::http::{body, legacy, openapi, refused, unread, v1};
use crate::refusal::Refusal;
use crate::state::Ingest;

pub(crate) fn app(ingest: Arc<Ingest>, ready: web::Readiness, notice: web::Notice, stop: CancellationToken) -> Router {
    let handlers = Router::from(v1::routes()).route_layer(from_fn_with_state(ingest.clone(), unread::drained));
    Router::new()
        .merge(Router::from(v1::posting()))
        .merge(handlers)
        .merge(Router::from(legacy::routes()))
        .merge(Router::from(openapi::routes()))
        .merge(web::health_with_notice(ready, notice, stop).with_state(()))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(ingest)
}

async fn not_found(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    refused_unread(&ingest, request, Refusal::NotFound).await
}

/// The router adds `Allow`.
async fn method_not_allowed(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    refused_unread(&ingest, request, Refusal::MethodNotAllowed).await
}

/// Each surface has its own error body. A path of neither surface gets the original's.
async fn refused_unread(ingest: &Ingest, request: Request, refusal: Refusal) -> Response {
    let (parts, body) = request.into_parts();
    body::discard(&parts, body).await;
    let path = parts.uri.path();
    if path == "/v1" || path.starts_with("/v1/") {
        refusal.into_response()
    } else {
        refused::original(&ingest.time_zone, path, &refusal)
    }
}
