//! The endpoints of sweeps: to delete what a raid wrote by one decision, and to undo that by another.
//! `docs/reference/moderation.md` describes them for their clients.

use std::sync::Arc;

use axum::Json as JsonBody;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chat::{
    Body, Event, EventId, ForwardAction, Position, PresenterIdx, PreviewedMessage, SweepRule, User, UserIdx, now,
};
use futures_util::{StreamExt as _, stream};
use nats::Subject;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::decisions::{DecidedBody, decide};
use super::pages::words;
use crate::http::body::{self, Shape};
use crate::http::extract::{Json, Key, Moderator, NoBody, Query, ReasonQuery, RoomPath, SweepPath, reason};
use crate::http::openapi::schemas;
use crate::http::quota::with_quota;
use crate::moderation::decide::{Decided, Decision, DecisionRequest};
use crate::moderation::first_seen::Newcomers;
use crate::moderation::preview::Previewed;
use crate::moderation::sweep_order::SweepOrder;
use crate::moderation::sweeps::{UNDOABLE_FOR, UndoableSweep};
use crate::refusal::Refusal;
use crate::sender::Sender;
use crate::state::Ingest;

/// 100 messages and 100 users: enough to see whether the rule is right.
const MOST_SHOWN: usize = 100;

/// 8 sweeps of the list are read from the bucket concurrently.
const READ_AT_ONCE: usize = 8;

pub(super) fn routes() -> OpenApiRouter<Arc<Ingest>> {
    OpenApiRouter::new().routes(routes!(list_sweeps, post_sweep)).routes(routes!(delete_sweep))
}

/// A sweep to make. Unlisted members are ignored, but those of the rule are refused.
// Parsed as any value, so that each member is refused with its own code.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(examples(json!({ "rule": { "texts": ["come to my room"] }, "secondsBack": 600, "reason": "raid" })))]
struct NewSweep {
    #[serde(default)]
    #[schema(value_type = schemas::SweepRule, required)]
    rule: Value,
    #[serde(default)]
    #[schema(value_type = schemas::SecondsBack, required)]
    seconds_back: Value,
    /// Viewers' posts that match are refused or held for so many seconds from now on. Absent: they are not.
    #[serde(default)]
    #[schema(value_type = Option<schemas::SecondsForward>)]
    seconds_forward: Value,
    /// What becomes of them. Only beside `secondsForward`.
    #[serde(default)]
    #[schema(value_type = Option<schemas::ForwardAction>)]
    forward: Value,
    #[schema(value_type = Option<schemas::Text>)]
    reason: Option<String>,
    /// Whether to tell what the sweep would delete, in place of making it.
    dry_run: Option<bool>,
}

impl Shape for NewSweep {
    const PAGE: &'static str = "reference/moderation.md#sweeps";
}

/// A sweep that can be undone.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SweepBody {
    #[schema(value_type = schemas::EventId)]
    id: EventId,
    #[schema(value_type = schemas::Time)]
    at: String,
    rule: RuleBody,
    #[schema(value_type = schemas::SecondsBack)]
    seconds_back: u32,
    /// What becomes of later posts of viewers that match. Absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<schemas::ForwardAction>)]
    forward: Option<ForwardAction>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<schemas::Time>)]
    forward_until: Option<String>,
    /// Until then it can be undone.
    #[schema(value_type = schemas::Time)]
    undoable_until: String,
    #[schema(value_type = schemas::User)]
    by: User,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
}

/// The rule of a sweep, as it was given. Without texts and erased users once a user was erased after the sweep.
#[derive(Serialize, ToSchema)]
struct RuleBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    texts: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0.5, maximum = 1.0)]
    similarity: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Vec<schemas::UserIdx>>)]
    users: Option<Vec<UserIdx>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    label: Option<String>,
}

impl From<SweepRule> for RuleBody {
    fn from(SweepRule { texts, similarity, users, label }: SweepRule) -> RuleBody {
        let similarity = similarity.map(|similarity| f64::from(similarity.percent()) / 100.0);
        RuleBody { texts, similarity, users, label }
    }
}

/// The users that `firstSeenSeconds` was resolved into.
#[derive(Serialize, ToSchema)]
struct FirstSeenBody {
    /// How many.
    users: usize,
    /// From then on, none of them wrote anything in the room before their first message.
    #[schema(value_type = schemas::Time)]
    since: String,
    /// Whether they are all. False: there are more than 1,000, and these came last.
    complete: bool,
}

impl From<Newcomers> for FirstSeenBody {
    fn from(Newcomers { users, since, is_complete }: Newcomers) -> FirstSeenBody {
        FirstSeenBody { users, since: format!("{since:.3}"), complete: is_complete }
    }
}

/// The sweep is in the log.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SweptBody {
    #[schema(value_type = schemas::EventId)]
    id: EventId,
    #[schema(value_type = schemas::Position)]
    position: Position,
    /// With `firstSeenSeconds`, but not in the answer to a retry.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    first_seen: Option<FirstSeenBody>,
}

/// What a sweep would delete.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PreviewBody {
    /// How many messages.
    messages: usize,
    /// How many users wrote them.
    users: usize,
    /// Whether the whole time was read. False: it has too many events, and the sweep would delete more.
    complete: bool,
    /// The latest 100 of the messages, the latest first.
    latest: Vec<PreviewedMessageBody>,
    /// The 100 users with the most of the messages.
    authors: Vec<PreviewedAuthorBody>,
    /// With `firstSeenSeconds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    first_seen: Option<FirstSeenBody>,
}

/// A message that a sweep would delete.
#[derive(Serialize, ToSchema)]
struct PreviewedMessageBody {
    #[schema(value_type = schemas::EventId)]
    id: EventId,
    #[schema(value_type = schemas::Time)]
    at: String,
    #[schema(value_type = schemas::User)]
    user: User,
    text: String,
}

/// A user whose messages a sweep would delete.
#[derive(Serialize, ToSchema)]
struct PreviewedAuthorBody {
    #[schema(value_type = schemas::User)]
    user: User,
    /// How many of them.
    messages: usize,
}

/// The sweeps of a room that can be undone.
#[derive(Serialize, ToSchema)]
struct SweepsBody {
    /// The latest first.
    sweeps: Vec<SweepBody>,
}

/// Sweep a room
///
/// One decision deletes every message that was sent in the last `secondsBack` seconds and matches the rule. With
/// `dryRun` nothing is deleted, and the answer tells what would be. With `secondsForward`, later posts of viewers that
/// match are refused or held for a while.
#[utoipa::path(
    post,
    path = "/v1/rooms/{presenterIdx}/sweeps",
    tag = "sweeps",
    params(RoomPath, Key),
    request_body = NewSweep,
    responses((
        status = 200,
        description = "With `dryRun`: what the sweep would delete now.",
        body = PreviewBody,
    ), (
        status = 202,
        description = "The sweep is in the log, whether or not a message matches.",
        body = SweptBody,
        links(
            ("delete" = (operation_id = "delete_sweep", parameters(
                ("presenterIdx" = "$request.path.presenterIdx"),
                ("sweepId" = "$response.body#/id"),
            ))),
        ),
    )),
)]
async fn post_sweep(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    RoomPath { presenter_idx }: RoomPath,
    key: Key,
    Json { body: NewSweep { rule, seconds_back, seconds_forward, forward, reason: why, dry_run }, .. }: Json<NewSweep>,
) -> Result<Response, Refusal> {
    let order = SweepOrder::parse(&body::whole(rule), &body::whole(seconds_back))?;
    let order = order.ok_or(Refusal::SecondsBackInvalid)?;
    let order = order.with_forward(&body::whole(seconds_forward), &forward)?;
    let reason = reason(why.as_deref())?;
    if dry_run == Some(true) {
        return preview(&ingest, &moderator.sender, presenter_idx, &order).await;
    }
    let (Moderator { sender, room: presenter }, Key { idempotency_key: key }) = (moderator, key);
    let decision = Decision::Sweep(presenter_idx, Box::new(order));
    let swept = ingest.decide(DecisionRequest { sender, presenter, decision, reason, key }).await?;
    let Decided { id, position, quota, newcomers } = swept;
    let body = SweptBody { id, position, first_seen: newcomers.map(FirstSeenBody::from) };
    Ok(with_quota((StatusCode::ACCEPTED, JsonBody(body)).into_response(), quota))
}

async fn preview(
    ingest: &Ingest,
    sender: &Sender,
    room: PresenterIdx,
    order: &SweepOrder,
) -> Result<Response, Refusal> {
    let Previewed { preview, is_complete, quota, newcomers } = ingest.preview(sender, room, order).await?;
    let latest = preview.messages().rev().take(MOST_SHOWN).map(|PreviewedMessage { id, at, user, text, .. }| {
        PreviewedMessageBody { id: *id, at: format!("{at:.3}"), user: user.clone(), text: text.clone() }
    });
    let authors = preview.authors();
    let body = PreviewBody {
        messages: preview.messages().count(),
        users: authors.len(),
        complete: is_complete,
        latest: latest.collect(),
        authors: authors
            .into_iter()
            .take(MOST_SHOWN)
            .map(|(user, messages)| PreviewedAuthorBody { user: user.clone(), messages })
            .collect(),
        first_seen: newcomers.map(FirstSeenBody::from),
    };
    Ok(with_quota(JsonBody(body).into_response(), Some(quota)))
}

/// Undo a sweep
///
/// Its messages are shown again, unless another decision deleted them too.
#[utoipa::path(
    delete,
    path = "/v1/rooms/{presenterIdx}/sweeps/{sweepId}",
    tag = "sweeps",
    params(RoomPath, SweepPath, ReasonQuery, Key),
    responses((status = 202, description = "The decision is in the log.", body = DecidedBody)),
)]
async fn delete_sweep(
    State(ingest): State<Arc<Ingest>>,
    moderator: Moderator,
    RoomPath { presenter_idx }: RoomPath,
    SweepPath { sweep_id }: SweepPath,
    Query(query): Query<ReasonQuery>,
    key: Key,
    _body: NoBody,
) -> Result<Response, Refusal> {
    decide(&ingest, moderator, key, Decision::Unsweep(presenter_idx, sweep_id), query.reason()?).await
}

/// List the sweeps that can be undone
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/sweeps",
    tag = "sweeps",
    params(RoomPath),
    responses((status = 200, description = "The sweeps, the latest first.", body = SweepsBody)),
)]
async fn list_sweeps(
    State(ingest): State<Arc<Ingest>>,
    Moderator { sender, .. }: Moderator,
    RoomPath { presenter_idx: room }: RoomPath,
    _body: NoBody,
) -> Result<Response, Refusal> {
    let ingest: &Ingest = &ingest;
    ingest.check_caught_up()?;
    let _permit = ingest.lists.take(sender.idx.get()).ok_or(Refusal::Overloaded)?;
    let undoable = ingest.replay.rules.undoable_sweeps(room, now());
    let mut reading = stream::iter(undoable).map(|sweep| sweep_body(ingest, room, sweep)).buffered(READ_AT_ONCE);
    let mut sweeps = Vec::new();
    while let Some(sweep) = reading.next().await {
        sweeps.extend(sweep?);
    }
    Ok(JsonBody(SweepsBody { sweeps }).into_response())
}

/// The sweep with its rule, author and reason, which are not in the node's memory. None: it was undone meanwhile.
async fn sweep_body(ingest: &Ingest, room: PresenterIdx, sweep: UndoableSweep) -> Result<Option<SweepBody>, Refusal> {
    let UndoableSweep { id, position } = sweep;
    let decision = words(ingest, Subject::Sweep(room, id), position).await?;
    let Some(Event { at, body: Body::RoomSwept(swept), .. }) = decision else { return Ok(None) };
    Ok(Some(SweepBody {
        id,
        at: format!("{at:.3}"),
        rule: swept.rule.into(),
        seconds_back: swept.seconds_back,
        forward: swept.forward.map(|forward| forward.action),
        forward_until: swept.forward.map(|forward| format!("{:.3}", forward.until)),
        undoable_until: format!("{:.3}", at + UNDOABLE_FOR),
        by: swept.by,
        reason: swept.reason,
    }))
}
