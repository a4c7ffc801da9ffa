//! A replay, page by page, from any time in the recording.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use chat::PresenterIdx;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{RoomReader, Sight};
use super::bodies::MessageBody;
use super::broadcasts::find;
use super::parameters::{FromQuery, PageQuery, Query, TimelineQuery};
use super::path::{BroadcastPath, RoomPath};
use super::refusal::Refusal;
use super::state::{App, AppState};
use crate::mongo::documents::MessageDocument;
use crate::query::broadcasts::Broadcast;
use crate::query::cursor::Cursor;
use crate::query::replay::{Limit, Part, ReplayPlace, Rest, Scope};
use crate::query::timeline::Timeline;

/// 5 s: the replay of a running broadcast leaves out younger messages. Several archivers write, and a client must not
/// page past the place where a slower one still inserts.
const SETTLING_MS: i64 = 5_000;

/// 60 s: the log redelivers the batches of a killed archiver after 30 s. Until then, the replay ends before a batch
/// that is not archived yet. The bound is needed because archivers of older versions do not record their progress.
const HELD_MS: i64 = 60_000;

pub(super) fn routes() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new().routes(routes!(replay))
}

/// A message and its time in the recording.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplayMessageBody {
    /// Milliseconds into the recording. It never decreases from one message to the next.
    offset_ms: i64,
    #[serde(flatten)]
    message: MessageBody,
}

/// A part of a replay.
#[derive(Debug, Serialize, ToSchema)]
struct ReplayBody {
    messages: Vec<ReplayMessageBody>,
    /// The value of `after` for the next part. Absent at the end. A short or empty part may have one; while the
    /// broadcast is running, every part has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<String>,
}

impl ReplayMessageBody {
    /// `latest`: the latest time so far. A replay is the same for every caller: it has no deleted messages.
    pub(super) fn new(timeline: &Timeline, latest: i64, message: MessageDocument) -> ReplayMessageBody {
        ReplayMessageBody { offset_ms: timeline.offset(latest), message: MessageBody::new(message, Sight::Shown) }
    }
}

/// Replay a broadcast
///
/// The messages from a time in the recording on, in the order of the room. Deleted messages are left out for every
/// caller, whenever they were deleted.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/broadcasts/{broadcastId}/replay",
    tag = "broadcasts",
    params(RoomPath, BroadcastPath, FromQuery, TimelineQuery, PageQuery),
    responses((status = 200, description = "A part of the replay.", body = ReplayBody)),
)]
async fn replay(
    State(app): App,
    RoomReader { room, .. }: RoomReader,
    Query(FromQuery { from }): Query<FromQuery>,
    Query(timeline): Query<TimelineQuery>,
    Query(PageQuery { first, after }): Query<PageQuery>,
    BroadcastPath { broadcast_id: id }: BroadcastPath,
) -> Result<impl IntoResponse, Refusal> {
    let broadcast = find(&app, room, id).await?;
    let timeline = Timeline::new(&broadcast, timeline.kind());
    let place = match after.parse(|after| Cursor::parse_place(after, room.get(), id))? {
        Some(place) => Some(place),
        None => timeline.at(from.0).map(ReplayPlace::At),
    };
    let Some(place) = place else {
        return Ok(Json(ReplayBody { messages: Vec::new(), next: None }));
    };
    let scope = Scope::new(room.get(), &broadcast);
    let limit = settled(&app, room, &broadcast);
    let Part { messages, place, rest } = scope.part(&app.database, place, first.0, limit).await?;
    let messages = messages.into_iter().map(|(latest, message)| ReplayMessageBody::new(&timeline, latest, message));
    let messages = messages.collect();
    let goes_on = rest != Rest::Nothing || broadcast.ended().is_none();
    let next = goes_on.then(|| Cursor::of_place(room.get(), id, &place)).flatten();
    Ok(Json(ReplayBody { messages, next: next.map(|cursor| cursor.to_string()) }))
}

/// The limit up to which a replay of the broadcast is complete.
pub(super) fn settled(app: &AppState, room: PresenterIdx, broadcast: &Broadcast) -> Limit {
    if broadcast.ended().is_some() {
        return Limit::default();
    }
    let now = Timestamp::now().as_millisecond();
    let archived = app.archived(room).map(|archived| (archived, now - HELD_MS));
    Limit { before: Some(now - SETTLING_MS), archived }
}
