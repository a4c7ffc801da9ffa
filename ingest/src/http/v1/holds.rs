//! The endpoints of held messages: the queue of a room, and the decisions about its messages.
//! `docs/reference/moderation.md` describes them for their clients.

use std::sync::Arc;

use axum::Json as JsonBody;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chat::{Attributes, Emotes, EventId, LONGEST_EMOTE_ID, MessagePosted, Position, User};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::decisions::DecidedBody;
use crate::http::extract::{AFTER, FIRST, Key, MessagePath, Moderator, NoBody, Query, ReasonQuery, RoomPath};
use crate::http::openapi::schemas;
use crate::http::quota::with_quota;
use crate::moderation::decide::Decided;
use crate::moderation::decide_hold::{HoldDecision, HoldRequest};
use crate::moderation::holds::Waiting;
use crate::refusal::Refusal;
use crate::state::Ingest;

/// The default number of messages in a page, and the largest.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1_000;

/// 256 KB: a page ends with the message that exceeds this, even if more were requested. A text may have 8 KB.
const LARGEST_ANSWER_BYTES: usize = 256 * 1024;

/// The bytes of a message in a response without its text, its attributes and emotes and its author's nickname, with
/// room to spare.
const ITEM_BYTES: usize = 400;

/// The bytes of an emote in a response, at most.
const EMOTE_BYTES: usize = LONGEST_EMOTE_ID + 40;

pub(super) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new().routes(routes!(list_holds)).routes(routes!(release_message)).routes(routes!(deny_message))
}

/// A page of a queue.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct HoldsQuery {
    /// The maximum number of messages in the page.
    #[param(minimum = 1, maximum = 1000, default = 100, nullable = false)]
    first: Option<usize>,
    /// The value of `next` from the previous page.
    #[param(inline, value_type = Option<schemas::Position>, nullable = false)]
    after: Option<String>,
}

/// A message that waits for a moderator.
#[derive(Serialize, ToSchema)]
struct HoldBody {
    /// The message's id, before its release and after it.
    #[schema(value_type = schemas::EventId)]
    id: EventId,
    /// The position of the hold.
    #[schema(value_type = schemas::Position)]
    position: Position,
    /// When the message was held.
    #[schema(value_type = schemas::Time)]
    at: String,
    /// When the hold ends. Then the message is denied.
    #[schema(value_type = schemas::Time)]
    until: String,
    #[schema(value_type = schemas::User)]
    user: User,
    text: String,
    /// The findings of the word filter and of the review hook. Absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    flags: Vec<String>,
    /// The message of the room that this one answers.
    #[serde(rename = "replyTo", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::EventId>, nullable = false)]
    reply_to: Option<EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Attributes>, nullable = false)]
    attributes: Option<Attributes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Emotes>, nullable = false)]
    emotes: Option<Emotes>,
}

/// A page of a queue.
#[derive(Serialize, ToSchema)]
struct HoldsBody {
    holds: Vec<HoldBody>,
    /// The value of `after` for the next page. Absent on the last page. A page with long texts may be short without
    /// being the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Position>, nullable = false)]
    next: Option<Position>,
}

/// List a room's held messages
///
/// The messages that wait for a moderator, the oldest first.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/holds",
    tag = "holds",
    params(RoomPath, HoldsQuery),
    responses((status = 200, description = "The messages, in the order in which they were held.", body = HoldsBody)),
)]
async fn list_holds(
    State(ingest): State<Arc<Ingest>>,
    _moderator: Moderator,
    RoomPath { presenter_idx }: RoomPath,
    Query(HoldsQuery { first, after }): Query<HoldsQuery>,
    _body: NoBody,
) -> Result<Response, Refusal> {
    ingest.check_caught_up()?;
    let first = first.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&first) {
        return Err(Refusal::QueryInvalid(FIRST.to_owned()));
    }
    let after: Result<Option<Position>, _> = after.map(|after| after.parse()).transpose();
    let after = after.map_err(|_| Refusal::QueryInvalid(AFTER.to_owned()))?;
    // One more than requested, to know whether there is a next page.
    let queue = ingest.replay.holds.queue(presenter_idx, after, first + 1, ingest.log.now());
    let count = queue.len();
    let (mut holds, mut bytes) = (Vec::new(), 0);
    for Waiting { position, at, held } in queue.into_iter().take(first) {
        let (id, until) = (held.target, format!("{:.3}", held.until));
        let MessagePosted { user, text, flags, reply_to, attributes, emotes } = held.posted;
        bytes += ITEM_BYTES + user.nickname.len() + text.len();
        bytes += attributes.as_ref().map_or(0, |attributes| attributes.as_json().len());
        bytes += emotes.as_ref().map_or(0, |emotes| emotes.len() * EMOTE_BYTES);
        let at = format!("{at:.3}");
        holds.push(HoldBody { id, position, at, until, user, text, flags, reply_to, attributes, emotes });
        if bytes > LARGEST_ANSWER_BYTES {
            break;
        }
    }
    let next = holds.last().filter(|_| holds.len() < count).map(|last| last.position);
    Ok(JsonBody(HoldsBody { holds, next }).into_response())
}

/// Release a held message
///
/// The message takes its place in the room now, with the id that it has since it was posted. Repeating it changes
/// nothing.
#[utoipa::path(
    post,
    path = "/v1/rooms/{presenterIdx}/holds/{messageId}/release",
    tag = "holds",
    params(RoomPath, MessagePath, ReasonQuery, Key),
    responses((
        status = 202,
        description = "The message is in the room: its id, and its position there.",
        body = DecidedBody,
    )),
)]
async fn release_message(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    room: RoomPath,
    message: MessagePath,
    Query(query): Query<ReasonQuery>,
    key: Key,
    _body: NoBody,
) -> Result<Response, Refusal> {
    decide(&ingest, HoldDecision::Release, moderator, room, message, query, key).await
}

/// Deny a held message
///
/// The message never comes into the room. Repeating it changes nothing.
#[utoipa::path(
    post,
    path = "/v1/rooms/{presenterIdx}/holds/{messageId}/deny",
    tag = "holds",
    params(RoomPath, MessagePath, ReasonQuery, Key),
    responses((
        status = 202,
        description = "The denial is in the log: the message's id, and the denial's position.",
        body = DecidedBody,
    )),
)]
async fn deny_message(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    room: RoomPath,
    message: MessagePath,
    Query(query): Query<ReasonQuery>,
    key: Key,
    _body: NoBody,
) -> Result<Response, Refusal> {
    decide(&ingest, HoldDecision::Deny, moderator, room, message, query, key).await
}

async fn decide(
    ingest: &Ingest,
    decision: HoldDecision,
    Moderator { sender, .. }: Moderator,
    RoomPath { presenter_idx: room }: RoomPath,
    MessagePath { message_id: message }: MessagePath,
    query: ReasonQuery,
    Key { idempotency_key: key }: Key,
) -> Result<Response, Refusal> {
    let request = HoldRequest { sender, room, message, decision, reason: query.reason()?, key };
    let Decided { id, position, quota, .. } = ingest.decide_hold(request).await?;
    Ok(with_quota((StatusCode::ACCEPTED, JsonBody(DecidedBody { id, position })).into_response(), quota))
}
