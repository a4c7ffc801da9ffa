//! The endpoints of a room's pinned message, and of its notices. `docs/reference/moderation.md` describes them for
//! their clients.

use std::sync::Arc;

use axum::Json as JsonBody;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chat::{Body, Event, EventId, User};
use nats::Subject;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::decisions::{DecidedBody, decide};
use super::pages::words;
use crate::http::body::{self, Shape};
use crate::http::extract::{Json, Key, Moderator, NoBody, RoomPath};
use crate::http::openapi::schemas;
use crate::moderation::decide::Decision;
use crate::posting::text::Text;
use crate::refusal::Refusal;
use crate::state::Ingest;

pub(super) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new().routes(routes!(post_notice)).routes(routes!(get_pin, put_pin, delete_pin))
}

/// A notice to everybody in the room. Unlisted members are ignored.
// Parsed as any value, so that it is refused with its own code.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({ "text": "The quiz starts in five minutes." })))]
struct NewNotice {
    #[serde(default)]
    #[schema(value_type = schemas::Text, required)]
    text: Value,
}

impl Shape for NewNotice {
    const PAGE: &'static str = "reference/moderation.md#notices";
}

/// A message to pin. Unlisted members are ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NewPin {
    #[serde(default)]
    #[schema(value_type = schemas::EventId, required)]
    message_id: Value,
}

impl Shape for NewPin {
    const PAGE: &'static str = "reference/moderation.md#the-pinned-message";
}

/// The room's pinned message.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PinBody {
    #[schema(value_type = schemas::EventId)]
    message_id: EventId,
    /// When it was pinned.
    #[schema(value_type = schemas::Time)]
    at: String,
    #[schema(value_type = schemas::User)]
    by: User,
}

/// Post a notice
///
/// A text that everybody in the room sees, apart from the messages. It is deleted and restored as a message is.
#[utoipa::path(
    post,
    path = "/v1/rooms/{presenterIdx}/notices",
    tag = "messages",
    params(RoomPath, Key),
    request_body = NewNotice,
    responses((status = 202, description = "The notice is in the log.", body = DecidedBody)),
)]
async fn post_notice(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    key: Key,
    Json { body: NewNotice { text }, .. }: Json<NewNotice>,
) -> Result<Response, Refusal> {
    let text = match text {
        Value::Null => return Err(Refusal::TextMissing("text")),
        Value::String(text) => Text::from_string(text)?,
        _ => return Err(body::malformed_member::<NewNotice>("text").into()),
    };
    decide(&ingest, moderator, key, Decision::Notice(text), None).await
}

/// Pin a message
///
/// In place of the room's pinned message, if there is one. A deletion of the message unpins it.
#[utoipa::path(
    put,
    path = "/v1/rooms/{presenterIdx}/pin",
    tag = "messages",
    params(RoomPath, Key),
    request_body = NewPin,
    responses((
        status = 202,
        description = "The decision is in the log, whether or not the message exists.",
        body = DecidedBody,
        links(
            ("get" = (
                operation_id = "get_pin",
                parameters(("presenterIdx" = "$request.path.presenterIdx")),
            )),
            ("delete" = (
                operation_id = "delete_pin",
                parameters(("presenterIdx" = "$request.path.presenterIdx")),
            )),
        ),
    )),
)]
async fn put_pin(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    RoomPath { presenter_idx }: RoomPath,
    key: Key,
    Json { body: NewPin { message_id }, .. }: Json<NewPin>,
) -> Result<Response, Refusal> {
    let message = message_id.as_str().and_then(|id| id.parse().ok()).ok_or(Refusal::MessageIdInvalid)?;
    decide(&ingest, moderator, key, Decision::Pin(presenter_idx, message), None).await
}

/// Unpin the pinned message
#[utoipa::path(
    delete,
    path = "/v1/rooms/{presenterIdx}/pin",
    tag = "messages",
    params(RoomPath, Key),
    responses((status = 202, description = "The decision is in the log.", body = DecidedBody)),
)]
async fn delete_pin(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    RoomPath { presenter_idx }: RoomPath,
    key: Key,
    _body: NoBody,
) -> Result<Response, Refusal> {
    decide(&ingest, moderator, key, Decision::Unpin(presenter_idx), None).await
}

/// Get the pinned message
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/pin",
    tag = "messages",
    params(RoomPath),
    responses((status = 200, description = "The pinned message.", body = PinBody)),
)]
async fn get_pin(
    State(ingest): State<Arc<Ingest>>,
    _moderator: Moderator,
    RoomPath { presenter_idx: room }: RoomPath,
    _body: NoBody,
) -> Result<Response, Refusal> {
    ingest.check_caught_up()?;
    let (_, position) = ingest.replay.rules.pinned(room).ok_or(Refusal::NotPinned)?;
    match words(&ingest, Subject::Pin(room), position).await? {
        Some(Event { at, body: Body::MessagePinned(pin), .. }) => {
            let body = PinBody { message_id: pin.target, at: format!("{at:.3}"), by: pin.by };
            Ok(JsonBody(body).into_response())
        }
        _ => Err(Refusal::NotPinned),
    }
}
