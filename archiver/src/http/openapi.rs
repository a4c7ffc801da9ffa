//! The OpenAPI document of the read API, made from the handlers and their bodies. Every route is documented, and the
//! refusals of an operation follow from its parameters. `GET /v1/openapi.json` serves it;
//! `docs/reference/openapi/archiver.json` is the same text.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use serde_json::json;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::state::{App, AppState};
use super::{
    broadcast_export, broadcasts, erasures, events, exports, messages, moderation, replay, reports, statistics, status,
    trace,
};

mod refused;

#[cfg(test)]
mod tests;

/// Schemas that no handler names.
#[derive(OpenApi)]
#[openapi(components(schemas(web::openapi::Problem)))]
struct Components;

/// All documented paths. Health is added later: it is the same for all roles.
pub(crate) fn routes() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::with_openapi(Components::openapi())
        .merge(messages::routes())
        .merge(trace::routes())
        .merge(exports::routes())
        .merge(moderation::routes())
        .merge(reports::routes())
        .merge(statistics::routes())
        .merge(erasures::routes())
        .merge(status::routes())
        .merge(broadcasts::routes())
        .merge(replay::routes())
        .merge(events::routes())
        .merge(broadcast_export::routes())
        .routes(routes!(openapi))
}

/// The document, as JSON for people.
pub fn document() -> String {
    let (_, openapi) = routes().split_for_parts();
    let mut openapi = serde_json::to_value(openapi).expect("a document has only strings for keys");
    let mut paths = openapi["paths"].take();
    refused::add(&mut paths);
    let document = web::openapi::Document {
        role: "archiver",
        description: include_str!("openapi/description.md"),
        scopes: "reading any room requires the scope `chat:read`, seeing deleted messages `chat:moderate`, erasing a user `chat:erase`.",
        tags: json!([
            { "name": "messages", "description": "Search messages." },
            { "name": "broadcasts", "description": "List broadcasts, and replay their chat beside the recorded video." },
            { "name": "exports", "description": "Download messages as files." },
            { "name": "moderation", "description": "Read the moderation log and the reports of messages." },
            { "name": "statistics", "description": "Measure a room's chat." },
            { "name": "erasure", "description": "Erase users." },
            { "name": "service", "description": "The service itself." },
        ]),
        paths,
        components: openapi["components"].take(),
        not_ready: "MongoDB has not been reached yet",
    };
    document.text()
}

/// This document
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    tag = "service",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1.", body = Object)),
)]
async fn openapi(State(app): App) -> impl IntoResponse {
    // 5 minutes: it changes with a deployment.
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")];
    let document = app.openapi.get_or_init(|| document().into());
    (headers, Extension(web::Shared), document.clone())
}
