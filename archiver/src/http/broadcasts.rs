//! A room's broadcasts: the list, and one with its numbers.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use chat::{PresenterIdx, SessionId};
use mongodb::bson::DateTime;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{RoomReader, Sight};
use super::parameters::{PageQuery, Query};
use super::path::{BroadcastPath, RoomPath};
use super::refusal::Refusal;
use super::schemas;
use super::state::{App, AppState};
use super::time_format::{QueryTime, time};
use crate::query::broadcasts::Broadcast;
use crate::query::cursor::Cursor;
use crate::query::replay::Scope;
use crate::query::sequence::Span;
use crate::query::sessions;
use crate::query::sessions::{BUDGET, BroadcastsPage, SessionKey};
use crate::query::timeline::{Timeline, TimelineKind};

pub(super) fn routes() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new().routes(routes!(list_broadcasts)).routes(routes!(get_broadcast))
}

/// The time span of the list.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct WhenQuery {
    /// Broadcasts that had not ended before this time.
    #[param(value_type = Option<schemas::Time>, inline, nullable = false)]
    from: Option<QueryTime>,
    /// Broadcasts that had started before this time. If it is not later than `from`: those that ran through both times.
    #[param(value_type = Option<schemas::Time>, inline, nullable = false)]
    to: Option<QueryTime>,
}

/// A page of broadcasts.
#[derive(Debug, Serialize, ToSchema)]
struct BroadcastsBody {
    broadcasts: Vec<BroadcastBody>,
    /// The value of `after` for the next page. Absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<String>,
}

/// A broadcast: neighbouring sessions of the presenter.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BroadcastBody {
    /// The id of its first session.
    #[schema(value_type = schemas::SessionId)]
    id: String,
    #[schema(value_type = schemas::Time)]
    started_at: String,
    /// `null`: it is running, or its end is unknown.
    #[schema(value_type = Option<schemas::Time>)]
    ended_at: Option<String>,
    /// The length of all segments together. `null`: the broadcast has not ended.
    duration_ms: Option<i64>,
    /// The times during which the presenter was connected.
    segments: Vec<SegmentBody>,
    /// The number of messages in a replay.
    messages: u64,
}

/// A time during which the presenter was connected.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SegmentBody {
    #[schema(value_type = schemas::Time)]
    started_at: String,
    #[schema(value_type = Option<schemas::Time>)]
    ended_at: Option<String>,
    /// Where it starts in a recording of the segments.
    offset_ms: i64,
}

/// A broadcast with its numbers.
#[derive(Debug, Serialize, ToSchema)]
struct OneBroadcastBody {
    #[serde(flatten)]
    broadcast: BroadcastBody,
    /// The number of people who wrote these messages.
    chatters: u64,
    /// The number of deleted messages, which `messages` does not count. For moderators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    deleted: Option<u64>,
}

/// List broadcasts
///
/// The newest first. Sessions of the presenter with pauses of at most two minutes are one broadcast.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/broadcasts",
    tag = "broadcasts",
    params(RoomPath, WhenQuery, PageQuery),
    responses((status = 200, description = "A page of broadcasts.", body = BroadcastsBody)),
)]
async fn list_broadcasts(
    State(app): App,
    RoomReader { room, .. }: RoomReader,
    Query(WhenQuery { from, to }): Query<WhenQuery>,
    Query(PageQuery { first, after }): Query<PageQuery>,
) -> Result<impl IntoResponse, Refusal> {
    let span = Span { from: from.map(QueryTime::date), to: to.map(QueryTime::date) };
    let after = after.parse(|after| Cursor::parse_session(after, room.get()))?;
    let started = Instant::now();
    let BroadcastsPage { broadcasts: found, mut more } =
        sessions::broadcasts(&app.database, room.get(), span, after, first.0).await?;
    let (mut broadcasts, mut last) = (Vec::with_capacity(found.len()), None);
    for broadcast in found {
        // Counting the messages of many long broadcasts can take long.
        if started.elapsed() > BUDGET && !broadcasts.is_empty() {
            more = true;
            break;
        }
        last = Some(SessionKey::first_of(&broadcast));
        broadcasts.push(body(&app, room, broadcast).await?);
    }
    let next = last.filter(|_| more).map(|key| Cursor::of_session(room.get(), &key).to_string());
    Ok(Json(BroadcastsBody { broadcasts, next }))
}

/// Get a broadcast
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/broadcasts/{broadcastId}",
    tag = "broadcasts",
    params(RoomPath, BroadcastPath),
    responses((status = 200, description = "The broadcast.", body = OneBroadcastBody)),
)]
async fn get_broadcast(
    State(app): App,
    RoomReader { caller, room, sight }: RoomReader,
    BroadcastPath { broadcast_id }: BroadcastPath,
) -> Result<impl IntoResponse, Refusal> {
    let broadcast = find(&app, room, broadcast_id).await?;
    let _turn = caller.turn(&app).await;
    let scope = Scope::new(room.get(), &broadcast);
    let chatters = scope.count_chatters(&app.database).await?;
    let deleted = match sight {
        Sight::Everything => Some(scope.count_deleted(&app.database).await?),
        Sight::Shown => None,
    };
    let broadcast = body(&app, room, broadcast).await?;
    Ok(Json(OneBroadcastBody { broadcast, chatters, deleted }))
}

/// The broadcast that has this session.
pub(super) async fn find(app: &AppState, room: PresenterIdx, id: SessionId) -> Result<Broadcast, Refusal> {
    let found = sessions::broadcast_of(&app.database, room.get(), &id.to_string()).await?;
    found.ok_or(Refusal::BroadcastNotFound)
}

async fn body(app: &AppState, room: PresenterIdx, broadcast: Broadcast) -> Result<BroadcastBody, Refusal> {
    let timeline = Timeline::new(&broadcast, TimelineKind::Segments);
    let date = |at: i64| time(DateTime::from_millis(at));
    let segments = timeline.pieces().iter().map(|piece| SegmentBody {
        started_at: date(piece.start),
        ended_at: piece.end.map(date),
        offset_ms: piece.offset,
    });
    Ok(BroadcastBody {
        started_at: date(broadcast.started()),
        ended_at: broadcast.ended().map(date),
        duration_ms: timeline.duration(),
        segments: segments.collect(),
        messages: Scope::new(room.get(), &broadcast).count(&app.database).await?,
        id: broadcast.id,
    })
}
