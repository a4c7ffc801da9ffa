//! A replay page by page: from a time in the recording on.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use chat::PresenterIdx;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Sight;
use super::bodies::MessageBody;
use super::broadcasts::find;
use super::call::Call;
use super::parameters::{BroadcastPath, FromQuery, PageQuery, RoomPath, TimelineQuery};
use super::{Reader, Shared, answer};
use crate::mongo::documents::MessageDocument;
use crate::query::broadcasts::Broadcast;
use crate::query::cursor::Cursor;
use crate::query::replay::{Limit, Part, Place, Rest, Scope};
use crate::query::timeline::Timeline;

/// 5 s: of a broadcast that runs, what was sent since is not given yet. Several archivers write, and what a slower one
/// adds before the place that a reader has reached would be passed over.
const SETTLING_MS: i64 = 5_000;

/// 60 s: what a killed archiver held comes again after 30 s. Until then nothing is given that stands behind a batch that is
/// not archived yet. Not for longer: an archiver of an older version does not note what it archives.
const HELD_MS: i64 = 60_000;

pub(super) fn routes() -> OpenApiRouter<Arc<Reader>> {
    OpenApiRouter::new().routes(routes!(replay))
}

/// A message and its time in the recording.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplayMessageBody {
    /// Milliseconds into the recording. It never descends.
    offset_ms: i64,
    #[serde(flatten)]
    message: MessageBody,
}

/// A part of a replay.
#[derive(Debug, Serialize, ToSchema)]
struct ReplayBody {
    messages: Vec<ReplayMessageBody>,
    /// What `after` has to be for what follows; absent at the end. A part may be short, or empty, and have one; while
    /// the broadcast runs every part has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next: Option<String>,
}

impl ReplayMessageBody {
    /// `latest`: the latest time up to it. Whoever reads it sees what everybody sees: nothing deleted is in a replay.
    pub(super) fn new(timeline: &Timeline, latest: i64, message: MessageDocument) -> ReplayMessageBody {
        ReplayMessageBody { offset_ms: timeline.offset(latest), message: MessageBody::new(message, Sight::Shown) }
    }
}

/// Replay a broadcast
///
/// What was said from a time in the recording on, in the order of the room. What was deleted, whenever that was, is not
/// in it, for nobody.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/broadcasts/{broadcastId}/replay",
    tag = "broadcasts",
    params(RoomPath, BroadcastPath, FromQuery, TimelineQuery, PageQuery),
    responses((status = 200, description = "A part of the replay.", body = ReplayBody)),
)]
async fn replay(State(reader): Shared, request: Request) -> Response {
    answer(async {
        let call = Call::begin(&reader, request).await?;
        let (room, _) = call.readable_room()?;
        let FromQuery { from } = call.query()?;
        let TimelineQuery { timeline: kind } = call.query()?;
        let PageQuery { first, after } = call.query()?;
        let (id, broadcast) = find(&reader, &call).await?;
        let timeline = Timeline::new(&broadcast, kind);
        let place = match after.parse(|after| Cursor::parse_place(after, room.get(), id))? {
            Some(place) => Some(place),
            None => timeline.at(from.0).map(Place::At),
        };
        let Some(place) = place else {
            return Ok(Json(ReplayBody { messages: Vec::new(), next: None }).into_response());
        };
        let scope = Scope::new(room.get(), &broadcast);
        let limit = settled(&reader, room, &broadcast);
        let Part { messages, place, rest } = scope.part(&reader.database, place, first.0, limit).await?;
        let messages = messages.into_iter().map(|(latest, message)| ReplayMessageBody::new(&timeline, latest, message));
        let messages = messages.collect();
        let goes_on = rest != Rest::Nothing || broadcast.ended().is_none();
        let next = goes_on.then(|| Cursor::of_place(room.get(), id, &place)).flatten();
        Ok(Json(ReplayBody { messages, next: next.map(|cursor| cursor.to_string()) }).into_response())
    })
    .await
}

/// Up to where a replay of the room's broadcast is complete.
pub(super) fn settled(reader: &Reader, room: PresenterIdx, broadcast: &Broadcast) -> Limit {
    if broadcast.ended().is_some() {
        return Limit::default();
    }
    let now = Timestamp::now().as_millisecond();
    let archived = reader.archived(room).map(|archived| (archived, now - HELD_MS));
    Limit { before: Some(now - SETTLING_MS), archived }
}
