//! The OpenAPI document of ingest's HTTP interface, made from the handlers and their bodies: a route that is not
//! documented cannot be added, and the answers to refused requests follow from [`Refusal`] itself. It is served as
//! `GET /v1/openapi.json`, and `docs/reference/openapi/ingest.json` in the tree is the same text.
//!
//! [`Refusal`]: crate::refusal::Refusal

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Ingest;
use crate::http::{legacy, v1};

mod refused;
pub(crate) mod schemas;

#[cfg(test)]
mod tests;

/// What no handler names.
#[derive(OpenApi)]
#[openapi(components(schemas(schemas::Problem)))]
struct Components;

/// The document's own route.
pub(crate) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new().routes(routes!(openapi))
}

/// Every documented path. Health is not among them: it is the same for all roles.
fn documented() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::with_openapi(Components::openapi())
        .merge(v1::posting())
        .merge(v1::routes())
        .merge(legacy::routes())
        .merge(routes())
}

/// The document, as JSON for people.
pub fn document() -> String {
    let (_, openapi) = documented().split_for_parts();
    let mut openapi = serde_json::to_value(openapi).expect("a document has only strings for keys");
    let mut paths = openapi["paths"].take();
    refused::add(&mut paths);
    let mut components = openapi["components"].take();
    // What derives cannot say: only who calls itself a presenter may leave out the room.
    components["schemas"]["SendMessage"]["anyOf"] = json!([
        { "properties": { "userType": { "const": "presenter" } } },
        { "properties": { "presenterIdx": { "type": "integer" } }, "required": ["presenterIdx"] },
    ]);
    let document = web::openapi::Document {
        role: "ingest",
        description: include_str!("openapi/description.md"),
        scopes: "moderating any room takes the scope `chat:moderate`.",
        tags: json!([
            { "name": "messages", "description": "Posting, and taking away what was posted." },
            { "name": "bans", "description": "Who may not write, in a room or in every room." },
            { "name": "settings", "description": "What may be said in a room, and how often." },
            { "name": "original", "description": "The interface of the system that this one replaces." },
            { "name": "service", "description": "The service itself." },
        ]),
        paths,
        components,
        not_ready: "not connected to the log",
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
async fn openapi(State(ingest): State<Arc<Ingest>>) -> Response {
    // For a few minutes: it changes with a deployment.
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")];
    (headers, Extension(web::Shared), ingest.openapi.clone()).into_response()
}
