//! The OpenAPI document of ingest, generated from the handlers, their extractors and bodies. A route cannot be added
//! without its documentation, and the error responses follow from [`Refusal`]. `GET /v1/openapi.json` serves the
//! document, and `docs/reference/openapi/ingest.json` in the tree is the same text.
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

use crate::http::{legacy, v1};
use crate::state::Ingest;

mod attributes;
mod refused;
pub(crate) mod schemas;
pub(crate) mod settings;

#[cfg(test)]
mod tests;

/// The schemas that no handler names.
#[derive(OpenApi)]
#[openapi(components(schemas(schemas::Problem)))]
struct Components;

/// The document's own route.
pub(crate) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new().routes(routes!(openapi))
}

/// All paths of ingest. The health endpoints are not among them: they are the same for all roles.
fn documented() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::with_openapi(Components::openapi())
        .merge(v1::posting())
        .merge(v1::routes())
        .merge(legacy::routes())
        .merge(routes())
}

/// The document, as indented JSON.
pub fn document() -> String {
    let (_, openapi) = documented().split_for_parts();
    let mut openapi = serde_json::to_value(openapi).expect("a document has only strings for keys");
    let mut paths = openapi["paths"].take();
    refused::add(&mut paths);
    let mut components = openapi["components"].take();
    components["schemas"]["Attributes"] = attributes::schema();
    // A derive cannot express this: only a sender that claims to be a presenter may leave out the room.
    components["schemas"]["SendMessage"]["anyOf"] = json!([
        { "properties": { "userType": { "const": "presenter" } } },
        { "properties": { "presenterIdx": { "type": "integer" } }, "required": ["presenterIdx"] },
    ]);
    let document = web::openapi::Document {
        role: "ingest",
        description: include_str!("openapi/description.md"),
        scopes: "moderating any room takes the scope `chat:moderate`; the room's presenter and moderators need none. A post with \
                 attributes takes `chat:attributes`, and so does one with emotes that the token does not name.",
        tags: json!([
            { "name": "messages", "description": "Post and delete messages, and look up requests." },
            { "name": "holds", "description": "Release or deny messages that wait for a moderator." },
            { "name": "sweeps", "description": "Delete what a raid wrote by one decision, and undo it by one." },
            { "name": "bans", "description": "Ban users from a room or from every room." },
            { "name": "moderators", "description": "Appoint moderators of a room, and remove them." },
            { "name": "warnings", "description": "Warn users, and see whether they were told." },
            { "name": "notes", "description": "Notes on users, for the moderators of a room." },
            { "name": "reports", "description": "Report messages to a room's moderators, and close reports." },
            { "name": "settings", "description": "Room settings: slow mode, rates, word filter, length of messages." },
            { "name": "original", "description": "The interface of the original system." },
            { "name": "service", "description": "Health and this document." },
        ]),
        paths,
        components,
        not_ready: "not connected to the log",
    };
    document.text()
}

/// Get this document
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    tag = "service",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1.", body = Object)),
)]
async fn openapi(State(ingest): State<Arc<Ingest>>) -> Response {
    // Cached for five minutes: it changes only with a deployment.
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")];
    let document = ingest.openapi.get_or_init(|| document().into());
    (headers, Extension(web::Shared), document.clone()).into_response()
}
