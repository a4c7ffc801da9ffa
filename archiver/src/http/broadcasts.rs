//! Broadcasts of a room: which there were, and how one was made up.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use chat::{PresenterIdx, SessionId};
use mongodb::bson::DateTime;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Sight;
use super::call::Call;
use super::openapi::schemas;
use super::parameters::{BroadcastPath, PageQuery, RoomPath};
use super::refusal::Refusal;
use super::time_format::{Moment, time};
use super::{Reader, Shared, answer};
use crate::query::broadcasts::Broadcast;
use crate::query::cursor::Cursor;
use crate::query::replay::Scope;
use crate::query::sequence::Span;
use crate::query::sessions;
use crate::query::sessions::{BUDGET, BroadcastsPage, SessionKey};
use crate::query::timeline::{Kind, Timeline};

pub(super) fn routes() -> OpenApiRouter<Arc<Reader>> {
    OpenApiRouter::new().routes(routes!(list_broadcasts)).routes(routes!(get_broadcast))
}

/// When they were on.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct WhenQuery {
    /// Broadcasts that had not ended before.
    #[param(value_type = Option<schemas::Time>, inline, nullable = false)]
    from: Option<Moment>,
    /// Broadcasts that had begun before. Not later than `from`: those that were on all that time.
    #[param(value_type = Option<schemas::Time>, inline, nullable = false)]
    to: Option<Moment>,
}

/// A page of broadcasts.
#[derive(Debug, Serialize, ToSchema)]
struct BroadcastsBody {
    broadcasts: Vec<BroadcastBody>,
    /// What `after` has to be for what follows; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<String>,
}

/// A broadcast, made of the presenter's sessions.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BroadcastBody {
    /// The id of its first session.
    #[schema(value_type = schemas::SessionId)]
    id: String,
    #[schema(value_type = schemas::Time)]
    started_at: String,
    /// `null`: it runs, or its end is not known.
    #[schema(value_type = Option<schemas::Time>)]
    ended_at: Option<String>,
    /// How long the segments are together; `null`: it has not ended.
    duration_ms: Option<i64>,
    /// The times in which the presenter was there.
    segments: Vec<SegmentBody>,
    /// How many messages a replay shows.
    messages: u64,
}

/// A time in which the presenter was there.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SegmentBody {
    #[schema(value_type = schemas::Time)]
    started_at: String,
    #[schema(value_type = Option<schemas::Time>)]
    ended_at: Option<String>,
    /// How far into a recording of the segments it begins.
    offset_ms: i64,
}

/// A broadcast, with what can be counted in it.
#[derive(Debug, Serialize, ToSchema)]
struct OneBroadcastBody {
    #[serde(flatten)]
    broadcast: BroadcastBody,
    /// How many people wrote them.
    chatters: u64,
    /// How many more messages were deleted; for moderators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    deleted: Option<u64>,
}

/// Broadcasts of a room
///
/// The newest first. Sessions of the presenter with less than two minutes between them are one broadcast.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/broadcasts",
    tag = "broadcasts",
    params(RoomPath, WhenQuery, PageQuery),
    responses((status = 200, description = "A page of broadcasts.", body = BroadcastsBody)),
)]
async fn list_broadcasts(State(reader): Shared, request: Request) -> Response {
    answer(async {
        let call = Call::begin(&reader, request).await?;
        let (room, _) = call.readable_room()?;
        let WhenQuery { from, to } = call.query()?;
        let span = Span { from: from.map(Moment::date), to: to.map(Moment::date) };
        let PageQuery { first, after } = call.query()?;
        let after = after.parse(|after| Cursor::parse_session(after, room.get()))?;
        let started = Instant::now();
        let BroadcastsPage { broadcasts: found, mut more } =
            sessions::broadcasts(&reader.database, room.get(), span, after, first.0).await?;
        let (mut broadcasts, mut last) = (Vec::with_capacity(found.len()), None);
        for broadcast in found {
            // Counting the messages of many long broadcasts may take long.
            if started.elapsed() > BUDGET && !broadcasts.is_empty() {
                more = true;
                break;
            }
            last = Some(SessionKey::first_of(&broadcast));
            broadcasts.push(body(&reader, room, broadcast).await?);
        }
        let next = last.filter(|_| more).map(|key| Cursor::of_session(room.get(), &key).to_string());
        Ok(Json(BroadcastsBody { broadcasts, next }).into_response())
    })
    .await
}

/// A broadcast
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/broadcasts/{broadcastId}",
    tag = "broadcasts",
    params(RoomPath, BroadcastPath),
    responses((status = 200, description = "The broadcast.", body = OneBroadcastBody)),
)]
async fn get_broadcast(State(reader): Shared, request: Request) -> Response {
    answer(async {
        let call = Call::begin(&reader, request).await?;
        let (room, sight) = call.readable_room()?;
        let (_, broadcast) = find(&reader, &call).await?;
        let scope = Scope::new(room.get(), &broadcast);
        let chatters = scope.count_chatters(&reader.database).await?;
        let deleted = match sight {
            Sight::Everything => Some(scope.count_deleted(&reader.database).await?),
            Sight::Shown => None,
        };
        let broadcast = body(&reader, room, broadcast).await?;
        Ok(Json(OneBroadcastBody { broadcast, chatters, deleted }).into_response())
    })
    .await
}

/// The broadcast that the path names, with the name.
pub(super) async fn find(reader: &Reader, call: &Call) -> Result<(SessionId, Broadcast), Refusal> {
    let (room, _) = call.readable_room()?;
    let id = call.broadcast()?;
    let found = sessions::broadcast_of(&reader.database, room.get(), &id.to_string()).await?;
    Ok((id, found.ok_or(Refusal::BroadcastNotFound)?))
}

async fn body(reader: &Reader, room: PresenterIdx, broadcast: Broadcast) -> Result<BroadcastBody, Refusal> {
    let timeline = Timeline::new(&broadcast, Kind::Segments);
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
        messages: Scope::new(room.get(), &broadcast).count(&reader.database).await?,
        id: broadcast.id,
    })
}
