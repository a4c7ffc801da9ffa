//! What became of a request: whoever was told that the outcome is unknown, or heard no answer, asks by the key.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer;
use super::call::Call;
use super::moderation::DecidedBody;
use crate::Ingest;
use crate::http::openapi::parameters::{RequestKey, RoomPath};
use crate::memory::idempotency::Earlier;

pub(super) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new().routes(routes!(get_request)).routes(routes!(get_request_everywhere))
}

/// What was accepted under a key
///
/// A message or a decision of the sender, for as long as the key is remembered. 404: nothing was, and no try that was
/// answered before will be.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/requests",
    tag = "messages",
    params(RoomPath, RequestKey),
    responses((status = 200, description = "It is in the log.", body = DecidedBody)),
)]
async fn get_request(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    find(&ingest, request).await
}

/// What was accepted under a key, of every room
///
/// As of a room.
#[utoipa::path(
    get,
    path = "/v1/requests",
    tag = "bans",
    params(RequestKey),
    responses((status = 200, description = "It is in the log.", body = DecidedBody)),
)]
async fn get_request_everywhere(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    find(&ingest, request).await
}

async fn find(ingest: &Ingest, request: Request) -> Response {
    answer(async {
        let call = Call::without_body(ingest, request).await?;
        let Earlier { id, position, .. } = ingest.accepted_under(call.place.room(), &call.sender, call.key()?).await?;
        Ok(Json(DecidedBody { id, position }).into_response())
    })
    .await
}
