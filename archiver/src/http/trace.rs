//! The trace of a message: what is known of its way from the log to the presenter and into the archive, and what was
//! decided about it. It says "acknowledged" only of what the presenter's page acknowledged.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use chat::{Body, EventId, Position, PresenterIdx};
use jiff::Timestamp;
use mongodb::bson::DateTime;
use nats::{LookedUp, Lookup, SavedCursor};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{MessageTracer, Sight};
use super::bodies::UserBody;
use super::parameters::{Query, strict_id};
use super::path::{MessagePath, RoomPath};
use super::refusal::Refusal;
use super::schemas;
use super::state::{App, AppState};
use super::time_format::time;
use crate::acknowledgements::Shown;
use crate::mongo::documents::{DecisionDocument, MessageDocument, PositionDocument};
use crate::query::trace;

/// 1 s: the wait for a batch of the log. A trace without it lacks only the time at which the message was stored.
const BATCH_WITHIN: Duration = Duration::from_secs(1);

/// 2,000: the unarchived batches in which a message without a position is looked for. The archive is usually a few
/// behind.
const MOST_BATCHES: usize = 2_000;

pub(super) fn routes() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new().routes(routes!(trace_message))
}

/// Where the message is in the log.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PlaceQuery {
    /// The message's position, as ingest answered it. It is needed only for a message that is not archived while the
    /// archive is far behind the log.
    #[serde(default, deserialize_with = "strict_id")]
    #[param(value_type = Option<schemas::Position>, inline, nullable = false)]
    position: Option<Position>,
}

/// What is known of a message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TraceBody {
    #[schema(value_type = schemas::EventId)]
    id: String,
    #[schema(value_type = schemas::PresenterIdx)]
    presenter_idx: i64,
    accepted: AcceptedBody,
    presenter: PresenterBody,
    archived: TracedArchiveBody,
    /// The deletion that hides the message now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    deleted: Option<TracedDeletionBody>,
    /// For moderators: the decisions about the message, in the order of the log, at most 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    decisions: Option<Vec<TracedDecisionBody>>,
}

/// The message in the log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AcceptedBody {
    #[schema(value_type = schemas::Position)]
    position: String,
    /// When ingest accepted it, by the clock of its node.
    #[schema(value_type = schemas::Time)]
    sent_at: String,
    /// When the log stored it, by the clock of the log. Absent: the log no longer has it, or does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Time>, nullable = false)]
    stored_at: Option<String>,
    /// For the scopes `chat:read` and `chat:moderate`: the node of ingest that accepted it, by its `node.name`. Absent:
    /// as `storedAt`, or a node of an earlier version accepted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    node: Option<String>,
}

/// The message on its way to the presenter.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PresenterBody {
    #[schema(inline)]
    state: PresenterState,
    /// The room's saved cursor, on which `state` rests: the last event that reached the presenter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Position>, nullable = false)]
    position: Option<String>,
    /// When that cursor was saved. Cursors are saved every `delivery.save_interval`, so an acknowledgement is
    /// at most so much older than its save.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Time>, nullable = false)]
    saved_at: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PresenterState {
    /// The page received the message and acknowledged it, or a later one of the same unbroken stream.
    Acknowledged,
    /// Delivery has passed the message for a page of the original's dialect, which acknowledges nothing.
    Written,
    /// The saved cursor is before the message.
    NotYet,
    /// The message is before the unbroken stream that the cursor speaks of, or the cursor cannot be read or believed.
    Unknown,
}

/// The message in the archive.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TracedArchiveBody {
    #[schema(inline)]
    state: ArchivedState,
    /// When an archiver stored it, by that archiver's clock. Absent: not yet, or an earlier version stored it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Time>, nullable = false)]
    at: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ArchivedState {
    Archived,
    NotYet,
}

/// The deletion of a message. Only moderators see who decided it, and why.
#[derive(Debug, Serialize, ToSchema)]
struct TracedDeletionBody {
    #[schema(value_type = schemas::Time)]
    at: String,
    /// The decision: the id of a `message.deleted`, a `room.cleared`, a `room.swept` or a `user.banned` that
    /// purged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::EventId>, nullable = false)]
    decision: Option<String>,
}

/// A decision about the message.
#[derive(Debug, Serialize, ToSchema)]
struct TracedDecisionBody {
    #[schema(value_type = schemas::EventId)]
    id: String,
    /// The type of the decision. New types may come.
    #[serde(rename = "type")]
    kind: String,
    #[schema(value_type = schemas::Time)]
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    by: Option<UserBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
}

/// Trace a message
///
/// Where the message is: in the log, acknowledged by the presenter's page, in the archive, deleted. For its author, for
/// the room's presenter and moderators, and for the scopes `chat:read` and `chat:moderate`.
#[utoipa::path(
    get,
    path = "/v1/rooms/{presenterIdx}/messages/{messageId}/trace",
    tag = "messages",
    params(RoomPath, MessagePath, PlaceQuery),
    responses((status = 200, description = "What is known of the message.", body = TraceBody)),
)]
async fn trace_message(
    State(app): App,
    tracer: MessageTracer,
    MessagePath { message_id }: MessagePath,
    Query(PlaceQuery { position }): Query<PlaceQuery>,
) -> Result<impl IntoResponse, Refusal> {
    let room = tracer.room;
    // Before the message is read: whatever is archived by then is in what is read.
    let archived = app.archived(room);
    let mut trace = match trace::message(&app.database, room.get(), message_id).await? {
        Some(message) => {
            let sight = tracer.sight(message.user_idx)?;
            let position = first_place(&app, room, message_id, &message, archived).await?;
            of_archived(&app, room, message, position, sight).await?
        }
        None => {
            let found = in_log(&app, room, message_id, position).await?;
            let author = match found.entry.body() {
                Ok(Body::MessagePosted(posted)) => posted.user.idx,
                Ok(Body::MessageReleased(released)) => released.posted.user.idx,
                _ => return Err(Refusal::MessageNotFound),
            };
            tracer.sight(author.get())?;
            of_unarchived(&app, room, found).await
        }
    };
    if !tracer.is_of_platform() {
        trace.accepted.node = None;
    }
    Ok(Json(trace))
}

async fn of_archived(
    app: &AppState,
    room: PresenterIdx,
    message: MessageDocument,
    position: Position,
    sight: Sight,
) -> Result<TraceBody, Refusal> {
    let sent = Timestamp::from_millisecond(message.sent_at.timestamp_millis()).unwrap_or(Timestamp::MIN);
    let decisions = async {
        match sight {
            Sight::Everything => trace::decisions(&app.database, &message).await.map(Some),
            Sight::Shown => Ok(None),
        }
    };
    let (stored, shown, decisions) =
        tokio::join!(stored(app, position, &message.id), app.acknowledgements.of(room, position, sent), decisions);
    let deleted = message.deleted.map(|deleted| TracedDeletionBody {
        at: time(deleted.at),
        decision: (sight == Sight::Everything).then_some(deleted.decision),
    });
    Ok(TraceBody {
        id: message.id,
        presenter_idx: message.presenter_idx,
        accepted: AcceptedBody {
            position: position.to_string(),
            sent_at: time(message.sent_at),
            stored_at: stored.as_ref().map(|found| millis(found.entry.stored)),
            node: stored.and_then(|found| found.node).map(|node| node.to_string()),
        },
        presenter: PresenterBody::from(shown),
        archived: TracedArchiveBody { state: ArchivedState::Archived, at: message.archived_at.map(time) },
        deleted,
        decisions: decisions?.map(|decisions| decisions.into_iter().map(TracedDecisionBody::from).collect()),
    })
}

async fn of_unarchived(app: &AppState, room: PresenterIdx, found: LookedUp) -> TraceBody {
    let LookedUp { entry, node } = found;
    let shown = app.acknowledgements.of(room, entry.position, entry.at).await;
    TraceBody {
        id: entry.id.to_string(),
        presenter_idx: room.get(),
        accepted: AcceptedBody {
            position: entry.position.to_string(),
            sent_at: millis(entry.at),
            stored_at: Some(millis(entry.stored)),
            node: node.map(|node| node.to_string()),
        },
        presenter: PresenterBody::from(shown),
        archived: TracedArchiveBody { state: ArchivedState::NotYet, at: None },
        deleted: None,
        decisions: None,
    }
}

/// The message's first place in the log. The log can have it twice, if two tries of a post under one key were stored.
/// Until everything before the message is `archived`, the archive may know only the second of them.
async fn first_place(
    app: &AppState,
    room: PresenterIdx,
    id: EventId,
    message: &MessageDocument,
    archived: Option<PositionDocument>,
) -> Result<Position, Refusal> {
    let known = message.position.position().ok_or(Refusal::MessageNotFound)?;
    let Some(archived) = archived.filter(|archived| *archived < message.position) else { return Ok(known) };
    let finding = app.log.find_event(room, id, archived.sequence.unsigned_abs(), MOST_BATCHES);
    Ok(match timeout(BATCH_WITHIN, finding).await {
        Ok(Ok(Lookup::Found(found))) => known.min(found.entry.position),
        _ => known,
    })
}

/// The message in the log, if it still has it.
async fn stored(app: &AppState, position: Position, id: &str) -> Option<LookedUp> {
    let found = timeout(BATCH_WITHIN, app.log.event_at(position)).await.ok()?.ok()??;
    (found.entry.id.to_string() == id).then_some(found)
}

/// The message in the part of the log that is not archived. What is archived and has no document was erased, or has
/// outlived its retention.
async fn in_log(
    app: &AppState,
    room: PresenterIdx,
    id: EventId,
    position: Option<Position>,
) -> Result<LookedUp, Refusal> {
    let unreadable = |error: nats::Error| {
        tracing::warn!(%error, "cannot look for a message in the log: {error}");
        Refusal::LogUnreadable
    };
    let archived = app.archived(room).map_or(0, |archived| archived.sequence.unsigned_abs());
    let found = match position {
        Some(position) if position.sequence <= archived => None,
        Some(position) => app.log.event_at(position).await.map_err(unreadable)?,
        None => match app.log.find_event(room, id, archived, MOST_BATCHES).await.map_err(unreadable)? {
            Lookup::Found(found) => Some(*found),
            Lookup::Missing => None,
            Lookup::TooFar => return Err(Refusal::ArchiveBehind),
        },
    };
    let found = found.filter(|LookedUp { entry, .. }| entry.id == id && entry.presenter == Some(room));
    found.ok_or(Refusal::MessageNotFound)
}

fn millis(at: Timestamp) -> String {
    time(DateTime::from_millis(at.as_millisecond()))
}

impl From<Shown> for PresenterBody {
    fn from(shown: Shown) -> PresenterBody {
        let (state, saved) = match shown {
            Shown::Acknowledged(saved) => (PresenterState::Acknowledged, Some(saved)),
            Shown::Written(saved) => (PresenterState::Written, Some(saved)),
            Shown::NotYet(saved) => (PresenterState::NotYet, saved),
            Shown::Unknown => (PresenterState::Unknown, None),
        };
        PresenterBody {
            state,
            position: saved.map(|saved: SavedCursor| saved.cursor.position.to_string()),
            saved_at: saved.and_then(|saved| saved.stored).map(millis),
        }
    }
}

impl From<DecisionDocument> for TracedDecisionBody {
    fn from(decision: DecisionDocument) -> TracedDecisionBody {
        let DecisionDocument { id, kind, at, by, reason, .. } = decision;
        TracedDecisionBody { id, kind, at: time(at), by: by.map(UserBody::from), reason }
    }
}
