//! The OpenAPI document of the reading side, made from the handlers and their bodies: a route that is not documented
//! cannot be added, and how an operation refuses follows from what it asks for. It is served as `GET /v1/openapi.json`,
//! and `docs/reference/openapi/archiver.json` in the tree is the same text.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Reader, Shared, broadcast_export, broadcasts, erasures, events, exports, messages, moderation, replay};
use super::{statistics, status};

mod refused;
pub(super) mod schemas;

#[cfg(test)]
mod tests;

/// What no handler names.
#[derive(OpenApi)]
#[openapi(components(schemas(web::openapi::Problem)))]
struct Components;

/// Every documented path. Health is not among them: it is the same for all roles.
pub(crate) fn routes() -> OpenApiRouter<Arc<Reader>> {
    OpenApiRouter::with_openapi(Components::openapi())
        .merge(messages::routes())
        .merge(exports::routes())
        .merge(moderation::routes())
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
        scopes: "reading any room takes the scope `chat:read`, seeing what was deleted `chat:moderate`, erasing a user `chat:erase`.",
        tags: json!([
            { "name": "messages", "description": "Finding messages." },
            { "name": "broadcasts", "description": "Which there were, and their chat beside the recorded video." },
            { "name": "exports", "description": "Taking them along." },
            { "name": "moderation", "description": "Who decided what." },
            { "name": "statistics", "description": "What a room was like, in numbers." },
            { "name": "erasure", "description": "Forgetting people." },
            { "name": "service", "description": "The service itself." },
        ]),
        paths,
        components: openapi["components"].take(),
        not_ready: "MongoDB was not reached yet",
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
async fn openapi(State(reader): Shared) -> Response {
    // For a few minutes: it changes with a deployment.
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")];
    (headers, Extension(web::Shared), reader.openapi.clone()).into_response()
}
