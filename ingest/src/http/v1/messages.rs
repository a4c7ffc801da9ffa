//! The endpoints of messages: post one, delete one, restore one, clear a room.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use chat::{EventId, Position, PresenterIdx};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::decisions::{DecidedBody, decide};
use crate::http::answer::answer;
use crate::http::body::Shape;
use crate::http::extract::{self, Key, MessagePath, Moderator, NoBody, Query, ReasonQuery, RoomPath};
use crate::http::openapi::schemas;
use crate::http::post::{self, Message, Posted};
use crate::http::quota::with_quota;
use crate::http::refused::warned;
use crate::http::trace;
use crate::moderation::decide::Decision;
use crate::moderation::warnings::WarningText;
use crate::posting::accept::Accepted;
use crate::posting::extras::{Extras, Sent};
use crate::refusal::Refusal;
use crate::sender::Sender;
use crate::state::Ingest;

pub(super) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new().routes(routes!(clear)).routes(routes!(delete_message)).routes(routes!(restore_message))
}

pub(crate) fn posting() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new().routes(routes!(post_message))
}

/// A message. Unlisted members are ignored.
// Members are parsed as any value, so that each is refused with its own code.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(examples(json!({ "text": "안녕하세요" })))]
pub(crate) struct NewMessage {
    #[serde(default)]
    #[schema(value_type = schemas::Text, required)]
    text: Value,
    /// The message of the room that this one answers. Whether there is one is not checked.
    #[serde(default)]
    #[schema(value_type = Option<schemas::EventId>)]
    reply_to: Value,
    /// In place of those of the sender's token. Only with the scope `chat:attributes`.
    #[serde(default)]
    #[schema(value_type = Option<schemas::Attributes>)]
    attributes: Value,
    /// Which parts of the text are emotes. The token's claim `chat_emotes` names them, or it has the scope
    /// `chat:attributes`.
    #[serde(default)]
    #[schema(value_type = Option<schemas::Emotes>)]
    emotes: Value,
}

impl Shape for NewMessage {
    const PAGE: &'static str = "reference/ingest-api.md#post-v1roomspresenteridxmessages";
}

impl Message for NewMessage {
    const TEXT: &'static str = "text";

    fn into_text(self) -> Value {
        self.text
    }

    fn extras(&self, sender: &Sender) -> Result<Option<Box<Extras>>, Refusal> {
        let NewMessage { reply_to, attributes, emotes, text } = self;
        Extras::parse(&Sent { reply_to, attributes, emotes, text }, sender)
    }

    fn room(&self, path: Option<PresenterIdx>, _sender: &Sender) -> Result<PresenterIdx, Refusal> {
        path.ok_or(Refusal::PresenterIdxInvalid)
    }
}

/// The message is in the log.
#[derive(Serialize, ToSchema)]
struct AcceptedBody {
    #[schema(value_type = schemas::EventId)]
    id: EventId,
    #[schema(value_type = schemas::Position)]
    position: Position,
    /// `reconnecting`: the presenter has no session, has been asked to reconnect, and gets the message after it does.
    #[schema(value_type = schemas::PresenterState)]
    presenter: &'static str,
    /// The message waits for a moderator. The position is that of its hold. Absent: it does not wait.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    held: bool,
    /// A moderator of the room warns the author. Absent: nothing to say, or an earlier answer said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    warning: Option<AuthorWarning>,
}

/// What a moderator of the room tells the author of a message.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuthorWarning {
    /// The same in each answer that carries the warning, so that a client shows it once.
    #[schema(value_type = schemas::EventId)]
    id: EventId,
    #[schema(value_type = schemas::Time)]
    at: String,
    reason: String,
}

impl From<&WarningText> for AuthorWarning {
    fn from(WarningText { id, at, reason }: &WarningText) -> AuthorWarning {
        AuthorWarning { id: *id, at: format!("{at:.3}"), reason: reason.clone() }
    }
}

/// Post a message
///
/// All posts of a user to a room under one `Idempotency-Key` are one message, through any node.
#[utoipa::path(
    post,
    path = "/v1/rooms/{presenterIdx}/messages",
    tag = "messages",
    params(RoomPath, Key),
    request_body = NewMessage,
    responses((
        status = 202,
        description = "The message is in the log, fsynced, and will reach the presenter and the archive. If it is held: \
                       once a moderator releases it.",
        body = AcceptedBody,
        headers(
            ("RateLimit" = inline(schemas::RateLimit)),
            ("RateLimit-Policy" = inline(schemas::RateLimitPolicy)),
        ),
        links(("delete" = (
            operation_id = "delete_message",
            parameters(
                ("presenterIdx" = "$request.path.presenterIdx"),
                ("messageId" = "$response.body#/id"),
            ),
        ))),
    )),
)]
async fn post_message(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let room = extract::room(&mut parts).await;
    let peer = extract::peer(&parts);
    let posted = async { post(&ingest, &parts, body, peer, room).await.into_response() };
    trace::answer(&ingest, &parts.headers, trace::V1, posted).await
}

/// The answer to a post. `room` is the room in the path, or how the path is refused.
pub(crate) async fn post(
    ingest: &Ingest,
    parts: &Parts,
    body: Body,
    peer: Option<SocketAddr>,
    room: Result<Option<PresenterIdx>, Refusal>,
) -> Result<Response, Refusal> {
    let Posted { outcome, author } = post::post::<NewMessage>(ingest, parts, body, peer, room).await;
    let warning = match author {
        Some((room, user)) if ingest.replay.rules.is_warned(room, user) => {
            // Boxed, as everything that few posts need.
            Box::pin(ingest.warning_to_send(room, user)).await
        }
        _ => None,
    };
    let warning = warning.as_deref().map(AuthorWarning::from);
    let (accepted, warning) = match (outcome, warning) {
        (Ok(accepted), warning) => (accepted, warning),
        (Err(refusal), None) => return Err(refusal),
        (Err(refusal), Some(warning)) => return Ok(warned(&refusal, &warning)),
    };
    let Accepted { id, position, is_held, is_presenter_connected, quota, .. } = accepted;
    let presenter = if is_presenter_connected { "connected" } else { "reconnecting" };
    let body = serde_json::to_vec(&AcceptedBody { id, position, presenter, held: is_held, warning });
    let body = body.expect("a body has only strings and flags");
    let mut response = answer(StatusCode::ACCEPTED, Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(with_quota(response, quota))
}

/// Delete a message
#[utoipa::path(
    delete,
    path = "/v1/rooms/{presenterIdx}/messages/{messageId}",
    tag = "messages",
    params(RoomPath, MessagePath, ReasonQuery, Key),
    responses((status = 202, description = "The deletion is in the log, whether or not the message exists.", body = DecidedBody)),
)]
async fn delete_message(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    MessagePath { message_id }: MessagePath,
    Query(query): Query<ReasonQuery>,
    key: Key,
    _body: NoBody,
) -> Result<Response, Refusal> {
    decide(&ingest, moderator, key, Decision::Delete(message_id), query.reason()?).await
}

/// Restore a message
///
/// It undoes the message's deletion, by whichever decision. A message of an erased user cannot be restored.
#[utoipa::path(
    delete,
    path = "/v1/rooms/{presenterIdx}/messages/{messageId}/deletion",
    tag = "messages",
    params(RoomPath, MessagePath, ReasonQuery, Key),
    responses((
        status = 202,
        description = "The restoration is in the log, whether or not the message exists and was deleted.",
        body = DecidedBody,
    )),
)]
async fn restore_message(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    RoomPath { presenter_idx }: RoomPath,
    MessagePath { message_id }: MessagePath,
    Query(query): Query<ReasonQuery>,
    key: Key,
    _body: NoBody,
) -> Result<Response, Refusal> {
    decide(&ingest, moderator, key, Decision::Restore(presenter_idx, message_id), query.reason()?).await
}

/// Clear a room
///
/// It deletes every message of the room so far.
#[utoipa::path(
    delete,
    path = "/v1/rooms/{presenterIdx}/messages",
    tag = "messages",
    params(RoomPath, ReasonQuery, Key),
    responses((status = 202, description = "The decision is in the log.", body = DecidedBody)),
)]
async fn clear(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    Query(query): Query<ReasonQuery>,
    key: Key,
    _body: NoBody,
) -> Result<Response, Refusal> {
    decide(&ingest, moderator, key, Decision::Clear, query.reason()?).await
}
