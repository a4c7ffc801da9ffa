//! The audit: who decided what, when and why, and about whom. With a deleted message comes what it said, for as long as
//! the archive keeps that.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use chat::{PresenterIdx, UserIdx};
use mongodb::bson::{Document, deserialize_from_document, doc};
use mongodb::options::{FindOptions, Hint};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{self, Sight};
use super::bodies::{MessageBody, UserBody};
use super::call::Call;
use super::openapi::schemas;
use super::parameters::{PageQuery, RoomPath, SpanQuery, asked_for};
use super::refusal::Refusal;
use super::time_format::time;
use super::{Reader, Shared, answer};
use crate::mongo::documents::{DecisionDocument, MessageDocument};
use crate::mongo::schema::{DECISION_TIMES, ROOM_TIMES, USER_TIMES};
use crate::query::cursor::{Cursor, of_time, to_time};
use crate::query::read_each;
use crate::query::sequence::{Order, by_time};
use crate::write::deduplicate;

/// 50,000: of more deleted messages of one user only the latest are looked for, some 2 MB of ids in a question.
const MOST_TARGETS: i64 = 50_000;

pub(super) fn routes() -> OpenApiRouter<Arc<Reader>> {
    OpenApiRouter::new().routes(routes!(list_decisions)).routes(routes!(list_decisions_everywhere))
}

/// Which decisions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DecisionsQuery {
    /// Of this type only.
    #[serde(rename = "type")]
    #[param(inline, nullable = false)]
    kind: Option<Kind>,
    /// About this user, or about one of the latest 50,000 messages of theirs that were taken away.
    #[serde(default, deserialize_with = "asked_for")]
    #[param(value_type = Option<schemas::UserIdx>, inline, nullable = false)]
    user: Option<UserIdx>,
    /// Decided by this user.
    #[serde(default, deserialize_with = "asked_for")]
    #[param(value_type = Option<schemas::UserIdx>, inline, nullable = false)]
    by: Option<UserIdx>,
    /// From the oldest to the newest (`asc`, where nothing is said) or the other way.
    #[param(inline, nullable = false)]
    order: Option<Order>,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
enum Kind {
    #[serde(rename = "message.deleted")]
    MessageDeleted,
    #[serde(rename = "room.cleared")]
    RoomCleared,
    #[serde(rename = "room.updated")]
    RoomUpdated,
    #[serde(rename = "user.banned")]
    UserBanned,
    #[serde(rename = "user.unbanned")]
    UserUnbanned,
}

/// A page of decisions.
#[derive(Debug, Serialize, ToSchema)]
struct DecisionsBody {
    decisions: Vec<DecisionBody>,
    /// What `after` has to be for what follows; absent at the end.
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
    /// What it is; new types may come.
    #[serde(rename = "type")]
    kind: String,
    /// The room; absent: every room.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::PresenterIdx>, nullable = false)]
    presenter_idx: Option<i64>,
    #[schema(value_type = schemas::Time)]
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    by: Option<UserBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
    /// Of `message.deleted`: the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::EventId>, nullable = false)]
    target: Option<String>,
    /// The message itself, if the archive has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message: Option<MessageBody>,
    /// Of a ban and its end: whose. A negative number is the pseudonym of somebody who was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    user: Option<i64>,
    /// Of a ban: until when; absent: for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Time>, nullable = false)]
    until: Option<String>,
    /// Of `room.updated`: every setting that was not the deployment's from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    settings: Option<Map<String, Value>>,
    /// Which of them were decided on; absent: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    settings_changed: Vec<String>,
    /// Of those that end by themselves, when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    settings_until: Option<Map<String, Value>>,
}

/// The decisions about a room
///
/// In the order of time. Decisions about every room are not among them.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/moderation",
    tag = "moderation",
    params(RoomPath, SpanQuery, DecisionsQuery, PageQuery),
    responses((status = 200, description = "A page of decisions.", body = DecisionsBody)),
)]
async fn list_decisions(State(reader): Shared, request: Request) -> Response {
    answer(async {
        let call = Call::begin(&reader, request).await?;
        let room = call.room()?;
        decisions(&reader, &call, Some(room)).await
    })
    .await
}

/// All decisions
///
/// About whichever room, and about every room.
#[utoipa::path(
    get,
    path = "/v1/moderation",
    tag = "moderation",
    params(SpanQuery, DecisionsQuery, PageQuery),
    responses((status = 200, description = "A page of decisions.", body = DecisionsBody)),
)]
async fn list_decisions_everywhere(State(reader): Shared, request: Request) -> Response {
    answer(async {
        let call = Call::begin(&reader, request).await?;
        decisions(&reader, &call, None).await
    })
    .await
}

async fn decisions(reader: &Reader, call: &Call, room: Option<PresenterIdx>) -> Result<Response, Refusal> {
    access::moderates(&call.identity, room)?;
    let span = call.query::<SpanQuery>()?.span();
    let PageQuery { first, after } = call.query()?;
    let query: DecisionsQuery = call.query()?;
    let (list, index) = match room {
        Some(room) => (format!("m{room}"), ROOM_TIMES),
        None => ("m".to_owned(), DECISION_TIMES),
    };
    let (direction, beyond) = match query.order {
        Some(Order::Desc) => (-1, "$lt"),
        _ => (1, "$gt"),
    };
    let mut all: Vec<Document> = room.into_iter().map(|room| doc! { "presenterIdx": room.get() }).collect();
    all.extend(span.filter().map(|range| doc! { "at": range }));
    all.extend(query.kind.map(|kind| doc! { "type": kind.name() }));
    all.extend(query.by.map(|by| doc! { "by.userIdx": by.get() }));
    if let Some(user) = query.user {
        all.push(about(reader, user, room).await?);
    }
    if let Some((at, id)) = after.parse(|after| to_time(&Cursor::place(after, &list)?))? {
        all.extend(by_time("at", beyond, at, &id));
    }
    let filter = if all.is_empty() {
        doc! {}
    } else {
        doc! { "$and": all }
    };
    let options = FindOptions::builder()
        .sort(doc! { "at": direction, "_id": direction })
        .hint(Hint::Name(index.to_owned()))
        // One more tells whether there are more.
        .limit(first.0 as i64 + 1)
        .build();
    let mut found: Vec<Document> = reader.database.select(&reader.database.decisions(), filter, options).await?;
    let is_last = found.len() <= first.0;
    found.truncate(first.0);
    // Also where somebody changed that one by hand: it is left out, and hides nothing of what follows.
    let next = found.last().filter(|_| !is_last).and_then(place).map(|place| Cursor::at(&list, &place).to_string());
    let found: Vec<DecisionDocument> = read_each("moderation_log", found);
    let targets = found.iter().filter_map(|decision| decision.target.clone()).collect();
    let messages = deduplicate::find(&reader.database, &reader.database.messages(), targets).await?;
    let decisions = found.into_iter().map(|decision| body(decision, &messages)).collect();
    Ok(Json(DecisionsBody { decisions, next }).into_response())
}

/// Where a decision stands in the order of time.
fn place(decision: &Document) -> Option<String> {
    Some(of_time(*decision.get_datetime("at").ok()?, decision.get_str("_id").ok()?))
}

/// What matches decisions about that user: bans, and deletions of what they wrote.
async fn about(reader: &Reader, user: UserIdx, room: Option<PresenterIdx>) -> Result<Document, Refusal> {
    #[derive(Deserialize)]
    struct Id {
        #[serde(rename = "_id")]
        id: String,
    }
    let mut theirs = doc! { "userIdx": user.get(), "deleted": { "$exists": true } };
    theirs.extend(room.map(|room| ("presenterIdx".to_owned(), room.get().into())));
    let options = FindOptions::builder()
        .projection(doc! { "_id": 1 })
        .hint(Hint::Name(USER_TIMES.to_owned()))
        .sort(doc! { "sentAt": -1 })
        .limit(MOST_TARGETS)
        .build();
    let ids: Vec<Id> = reader.database.select(&reader.database.messages(), theirs, options).await?;
    let ids: Vec<String> = ids.into_iter().map(|Id { id }| id).collect();
    Ok(doc! { "$or": [{ "userIdx": user.get() }, { "target": { "$in": ids } }] })
}

/// `messages`: those that the page's decisions are about. Several decisions may be about one.
fn body(decision: DecisionDocument, messages: &HashMap<String, MessageDocument>) -> DecisionBody {
    let DecisionDocument { id, kind, presenter_idx, at, by, target, user_idx, until, reason, .. } = decision;
    let DecisionDocument { settings, settings_changed, settings_until, .. } = decision;
    let message = target.as_ref().and_then(|target| messages.get(target));
    // A moderator of one room learns nothing of another by naming its message.
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
        user: user_idx,
        until: until.map(time),
        settings: settings.and_then(members),
        settings_changed,
        settings_until: settings_until.and_then(members),
    }
}

fn members(document: Document) -> Option<Map<String, Value>> {
    deserialize_from_document(document).ok()
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::MessageDeleted => "message.deleted",
            Kind::RoomCleared => "room.cleared",
            Kind::RoomUpdated => "room.updated",
            Kind::UserBanned => "user.banned",
            Kind::UserUnbanned => "user.unbanned",
        }
    }
}
