//! The moderation log: who decided what, when, why, and about whom. A deletion or restoration comes with its message,
//! for as long as the archive keeps it.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use chat::{PresenterIdx, UserIdx};
use mongodb::bson::{Document, deserialize_from_document};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{Moderator, RoomModerator, Sight};
use super::bodies::{MessageBody, UserBody};
use super::parameters::{OrderParameter, PageQuery, Query, SpanQuery, strict_id};
use super::path::RoomPath;
use super::refusal::Refusal;
use super::schemas;
use super::state::{App, AppState};
use super::time_format::time;
use crate::mongo::documents::{DecisionDocument, MessageDocument};
use crate::query::cursor::Cursor;
use crate::query::decisions;
use crate::query::decisions::{DecisionPage, DecisionSelection, Reporters};
use crate::query::sequence::Order;

pub(super) fn routes() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new().routes(routes!(list_decisions)).routes(routes!(list_decisions_everywhere))
}

/// Which decisions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DecisionsQuery {
    /// Only decisions of this type.
    #[serde(rename = "type")]
    #[param(inline, nullable = false)]
    kind: Option<DecisionType>,
    /// Only decisions about this user, or about one of the user's latest 50,000 deleted, restored or pinned messages
    /// and notices.
    #[serde(default, deserialize_with = "strict_id")]
    #[param(value_type = Option<schemas::UserIdx>, inline, nullable = false)]
    user: Option<UserIdx>,
    /// Only decisions by this user.
    #[serde(default, deserialize_with = "strict_id")]
    #[param(value_type = Option<schemas::UserIdx>, inline, nullable = false)]
    by: Option<UserIdx>,
    /// The oldest first (`asc`, the default) or the newest first (`desc`).
    #[param(inline, nullable = false)]
    order: Option<OrderParameter>,
}

/// The type of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
enum DecisionType {
    #[serde(rename = "message.deleted")]
    MessageDeleted,
    #[serde(rename = "message.restored")]
    MessageRestored,
    #[serde(rename = "message.held")]
    MessageHeld,
    #[serde(rename = "message.released")]
    MessageReleased,
    #[serde(rename = "message.denied")]
    MessageDenied,
    #[serde(rename = "message.pinned")]
    MessagePinned,
    #[serde(rename = "message.unpinned")]
    MessageUnpinned,
    #[serde(rename = "notice.posted")]
    NoticePosted,
    #[serde(rename = "report.closed")]
    ReportClosed,
    #[serde(rename = "moderator.added")]
    ModeratorAdded,
    #[serde(rename = "moderator.removed")]
    ModeratorRemoved,
    #[serde(rename = "user.warned")]
    UserWarned,
    #[serde(rename = "warning.withdrawn")]
    WarningWithdrawn,
    #[serde(rename = "warning.sent")]
    WarningSent,
    #[serde(rename = "note.added")]
    NoteAdded,
    #[serde(rename = "note.deleted")]
    NoteDeleted,
    #[serde(rename = "room.cleared")]
    RoomCleared,
    #[serde(rename = "room.updated")]
    RoomUpdated,
    #[serde(rename = "room.swept")]
    RoomSwept,
    #[serde(rename = "sweep.undone")]
    SweepUndone,
    #[serde(rename = "user.banned")]
    UserBanned,
    #[serde(rename = "user.unbanned")]
    UserUnbanned,
}

/// A page of decisions.
#[derive(Debug, Serialize, ToSchema)]
struct DecisionsBody {
    decisions: Vec<DecisionBody>,
    /// The value of `after` for the next page. Absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<String>,
}

/// A decision.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DecisionBody {
    #[schema(value_type = schemas::EventId)]
    id: String,
    /// The type of the decision. New types may come.
    #[serde(rename = "type")]
    kind: String,
    /// The room. Absent: every room.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::PresenterIdx>, nullable = false)]
    presenter_idx: Option<i64>,
    #[schema(value_type = schemas::Time)]
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    by: Option<UserBody>,
    /// Of `user.warned`: what the user is told. Of `note.added`: the note.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
    /// Of decisions about a message, and of `message.held`: the message's id. Of `notice.posted`: its own, which is the
    /// notice's. Of `sweep.undone`, `warning.sent` and `note.deleted`: that of the sweep, the warning or the note.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::EventId>, nullable = false)]
    target: Option<String>,
    /// The message itself, if the archive has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message: Option<MessageBody>,
    /// How many users had reported the message before the decision. Absent: nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reports: Option<usize>,
    /// Of bans, moderators, warnings and notes: the user. Of held messages: the author. A negative number is the pseudonym of an erased
    /// user.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    user: Option<i64>,
    /// `user.banned`: when the ban ends. Absent: never. `message.held`: when the hold ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Time>, nullable = false)]
    until: Option<String>,
    /// `user.banned`: the ban deleted the user's messages in the room that were sent from then on. Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Time>, nullable = false)]
    purge_from: Option<String>,
    /// `room.swept`: messages of the room that match its rule and were sent from then on were deleted. The search for
    /// messages with this `decision` finds them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Time>, nullable = false)]
    swept_from: Option<String>,
    /// `room.swept`: what became of later posts of viewers that match its rule. Absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ForwardAction>, nullable = false)]
    forward: Option<String>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Time>, nullable = false)]
    forward_until: Option<String>,
    /// `room.updated`: all settings of the room that differ from the deployment's defaults afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    settings: Option<Map<String, Value>>,
    /// The settings that this decision changed. Absent: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    settings_changed: Vec<String>,
    /// When settings that expire do so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    settings_until: Option<Map<String, Value>>,
}

/// List a room's decisions
///
/// In the order of time. Decisions about every room are not included.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/moderation",
    tag = "moderation",
    params(RoomPath, SpanQuery, DecisionsQuery, PageQuery),
    responses((status = 200, description = "A page of decisions.", body = DecisionsBody)),
)]
async fn list_decisions(
    State(app): App,
    moderator: RoomModerator,
    Query(span): Query<SpanQuery>,
    Query(paging): Query<PageQuery>,
    Query(query): Query<DecisionsQuery>,
) -> Result<impl IntoResponse, Refusal> {
    decisions_page(&app, Some(moderator.room), span, paging, query).await
}

/// List all decisions
///
/// About any room, and about every room.
#[utoipa::path(
    get,
    path = "/v1/moderation",
    tag = "moderation",
    params(SpanQuery, DecisionsQuery, PageQuery),
    responses((status = 200, description = "A page of decisions.", body = DecisionsBody)),
)]
async fn list_decisions_everywhere(
    State(app): App,
    _: Moderator,
    Query(span): Query<SpanQuery>,
    Query(paging): Query<PageQuery>,
    Query(query): Query<DecisionsQuery>,
) -> Result<impl IntoResponse, Refusal> {
    decisions_page(&app, None, span, paging, query).await
}

/// `room`: none for all decisions.
async fn decisions_page(
    app: &AppState,
    room: Option<PresenterIdx>,
    span: SpanQuery,
    PageQuery { first, after }: PageQuery,
    query: DecisionsQuery,
) -> Result<Json<DecisionsBody>, Refusal> {
    let selection = DecisionSelection {
        room: room.map(PresenterIdx::get),
        span: span.span(),
        kind: query.kind.map(DecisionType::name),
        user: query.user.map(UserIdx::get),
        by: query.by.map(UserIdx::get),
        order: query.order.map_or(Order::Asc, OrderParameter::order),
    };
    let after = after.parse(|after| Cursor::parse_decision(after, selection.room))?;
    let DecisionPage { decisions, messages, reporters, next } =
        decisions::page(&app.database, &selection, after, first.0).await?;
    let decisions = decisions.into_iter().map(|decision| body(decision, &messages, &reporters)).collect();
    let next = next.map(|key| Cursor::of_decision(selection.room, &key).to_string());
    Ok(Json(DecisionsBody { decisions, next }))
}

/// What a sweep does with later posts of viewers that match.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "documents `DecisionBody::forward`")]
enum ForwardAction {
    /// They were refused, and those that were accepted meanwhile are deleted.
    Refuse,
    /// They wait for a moderator.
    Hold,
}

/// `messages`: the messages that the page's decisions name, by id. `reporters`: who had reported them.
fn body(
    decision: DecisionDocument,
    messages: &HashMap<String, MessageDocument>,
    reporters: &Reporters,
) -> DecisionBody {
    let reports = reporters.before(&decision);
    let DecisionDocument { id, kind, presenter_idx, at, by, target, user_idx, until, reason, .. } = decision;
    let DecisionDocument { purge_from, swept_from, forward, forward_until, .. } = decision;
    let DecisionDocument { settings, settings_changed, settings_until, .. } = decision;
    let message = target.as_ref().and_then(|target| messages.get(target));
    // A moderator of one room must not read a message of another room by naming it.
    let message = message.filter(|message| Some(message.presenter_idx) == presenter_idx);
    DecisionBody {
        id,
        kind,
        presenter_idx,
        at: time(at),
        by: by.map(UserBody::from),
        reason,
        target,
        message: message.map(|message| MessageBody::new(message.clone(), Sight::Everything)),
        reports: (reports > 0).then_some(reports),
        user: user_idx,
        until: until.map(time),
        purge_from: purge_from.map(time),
        swept_from: swept_from.map(time),
        forward,
        forward_until: forward_until.map(time),
        settings: settings.and_then(members),
        settings_changed,
        settings_until: settings_until.and_then(members),
    }
}

fn members(document: Document) -> Option<Map<String, Value>> {
    deserialize_from_document(document).ok()
}

impl DecisionType {
    fn name(self) -> &'static str {
        match self {
            DecisionType::MessageDeleted => "message.deleted",
            DecisionType::MessageRestored => "message.restored",
            DecisionType::MessageHeld => "message.held",
            DecisionType::MessageReleased => "message.released",
            DecisionType::MessageDenied => "message.denied",
            DecisionType::MessagePinned => "message.pinned",
            DecisionType::MessageUnpinned => "message.unpinned",
            DecisionType::NoticePosted => "notice.posted",
            DecisionType::ReportClosed => "report.closed",
            DecisionType::ModeratorAdded => "moderator.added",
            DecisionType::ModeratorRemoved => "moderator.removed",
            DecisionType::UserWarned => "user.warned",
            DecisionType::WarningWithdrawn => "warning.withdrawn",
            DecisionType::WarningSent => "warning.sent",
            DecisionType::NoteAdded => "note.added",
            DecisionType::NoteDeleted => "note.deleted",
            DecisionType::RoomCleared => "room.cleared",
            DecisionType::RoomUpdated => "room.updated",
            DecisionType::RoomSwept => "room.swept",
            DecisionType::SweepUndone => "sweep.undone",
            DecisionType::UserBanned => "user.banned",
            DecisionType::UserUnbanned => "user.unbanned",
        }
    }
}
