//! The OpenAPI document of ingest's HTTP interface, made from the handlers and their bodies: a route that is not
//! documented cannot be added, and the answers to refused requests follow from [`Refusal`] itself. It is served as
//! `GET /v1/openapi.json`, and `docs/openapi/ingest.json` in the tree is the same text.
//!
//! [`Refusal`]: crate::refusal::Refusal

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{Ingest, original, v1};

pub(crate) mod parameters;
mod refused;
pub(crate) mod schemas;

#[cfg(test)]
mod tests;

/// What no handler names.
#[derive(OpenApi)]
#[openapi(components(schemas(schemas::Problem)))]
struct Components;

/// The members of a document, in the order in which one reads it.
#[derive(Serialize)]
struct Document {
    openapi: &'static str,
    info: Value,
    tags: Value,
    security: Value,
    paths: Value,
    components: Value,
}

/// Every documented path. Health is not among them: it is the same for all roles.
pub(crate) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::with_openapi(Components::openapi())
        .merge(v1::routes())
        .merge(original::routes())
        .routes(routes!(openapi))
}

/// The document, as JSON for people.
pub fn document() -> String {
    let (_, openapi) = routes().split_for_parts();
    let mut openapi = serde_json::to_value(openapi).expect("a document has only strings for keys");
    let mut paths = openapi["paths"].take();
    refused::add(&mut paths);
    paths["/livez"] = health("livez", "Whether the process lives", json!({ "200": plain("It does.", "alive") }));
    paths["/readyz"] = health(
        "readyz",
        "Whether ingest should get traffic",
        json!({ "200": plain("It should.", "ready"), "503": plain("Why not, in a few words.", "not connected to the log") }),
    );
    let mut components = openapi["components"].take();
    components["securitySchemes"] = security_schemes();
    // What derives cannot say: only who calls itself a presenter may leave out the room.
    components["schemas"]["SendMessage"]["anyOf"] = json!([
        { "properties": { "userType": { "const": "presenter" } } },
        { "properties": { "presenterIdx": { "type": "integer" } }, "required": ["presenterIdx"] },
    ]);
    let document = Document {
        openapi: "3.1.0",
        info: json!({
            "title": "chatting-server ingest",
            "description": include_str!("openapi/description.md"),
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        }),
        tags: json!([
            { "name": "messages", "description": "Posting, and taking away what was posted." },
            { "name": "bans", "description": "Who may not write, in a room or in every room." },
            { "name": "settings", "description": "What may be said in a room, and how often." },
            { "name": "original", "description": "The interface of the system that this one replaces." },
            { "name": "service", "description": "The service itself." },
        ]),
        security: json!([{ "bearer": [] }, { "token": [] }]),
        paths,
        components,
    };
    serde_json::to_string_pretty(&document).expect("a document has only strings for keys") + "\n"
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
    ([(CONTENT_TYPE, "application/json")], ingest.openapi.clone()).into_response()
}

fn health(operation: &str, summary: &str, responses: Value) -> Value {
    json!({ "get": {
        "operationId": operation, "summary": summary, "tags": ["service"], "security": [{}], "responses": responses,
    }})
}

fn plain(description: &str, example: &str) -> Value {
    json!({
        "description": description,
        "content": { "text/plain": { "schema": { "type": "string" }, "example": example } },
    })
}

fn security_schemes() -> Value {
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The auth server's token. `user_idx` is who asks; moderating any room takes the scope `chat:moderate`.",
        },
        "token": {
            "type": "apiKey",
            "in": "header",
            "name": "token",
            "description": "The same token, as clients of the original send it.",
        },
    })
}
