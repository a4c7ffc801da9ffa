//! Looks up the outcome of a request by its key, for a client that got the outcome "unknown" or no response.

use std::sync::Arc;

use axum::Json as JsonBody;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chat::PresenterIdx;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::decisions::DecidedBody;
use crate::http::extract::{Caller, NoBody, RequestKey, RoomPath};
use crate::memory::idempotency::Earlier;
use crate::refusal::Refusal;
use crate::state::Ingest;

pub(super) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new().routes(routes!(get_request)).routes(routes!(get_request_everywhere))
}

/// Look up a request by its key
///
/// It finds a message or a decision of the sender in the room, for as long as the key is remembered. After a 404, no
/// earlier try that has been answered will be accepted.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/requests",
    tag = "messages",
    params(RoomPath, RequestKey),
    responses((status = 200, description = "The message or the decision is in the log.", body = DecidedBody)),
)]
async fn get_request(
    State(ingest): State<Arc<Ingest>>,
    caller: Caller,
    RoomPath { presenter_idx }: RoomPath,
    key: RequestKey,
    _body: NoBody,
) -> Result<Response, Refusal> {
    find(&ingest, caller, Some(presenter_idx), key).await
}

/// Look up a request about every room by its key
///
/// It finds a decision of the sender about every room, as the lookup in a room does.
#[utoipa::path(
    get,
    path = "/v1/requests",
    tag = "bans",
    params(RequestKey),
    responses((status = 200, description = "The decision is in the log.", body = DecidedBody)),
)]
async fn get_request_everywhere(
    State(ingest): State<Arc<Ingest>>,
    caller: Caller,
    key: RequestKey,
    _body: NoBody,
) -> Result<Response, Refusal> {
    find(&ingest, caller, None, key).await
}

async fn find(
    ingest: &Ingest,
    Caller(sender): Caller,
    room: Option<PresenterIdx>,
    RequestKey { idempotency_key }: RequestKey,
) -> Result<Response, Refusal> {
    let Earlier { id, position, .. } = ingest.accepted_under(room, &sender, &idempotency_key).await?;
    Ok(JsonBody(DecidedBody { id, position }).into_response())
}
