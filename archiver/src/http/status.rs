//! `GET /v1/status`: how the writing is doing, for whoever watches it. Numbers only, so it takes no token; nothing is
//! asked of a server to answer it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use nats::Backlog;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::openapi::schemas;
use super::{Reader, Shared, time_format};
use crate::status;
use crate::status::{Counts, Health, Recent, Status, Stream, Waiting};
use crate::write::gaps::Missing;

pub(super) fn routes() -> OpenApiRouter<Arc<Reader>> {
    OpenApiRouter::new().routes(routes!(get_status))
}

/// How this archiver is doing.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StatusBody {
    /// When it started; what is counted is counted from then on.
    #[schema(value_type = schemas::Time)]
    started_at: String,
    mongodb: MongodbBody,
    archived: ArchivedBody,
    /// How old the newest event of the last write was when it was durable, in milliseconds. Absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    lag_ms: Option<u64>,
    writes: WritesBody,
    /// What is in the log and not in the archive, of all archivers together. Absent before the log said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    log: Option<LogBody>,
    missing: MissingBody,
}

/// What left the log before it was archived, since this archive began: the collection `archive_gaps`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MissingBody {
    /// Stretches of neighbouring batches.
    gaps: u64,
    batches: u64,
    /// When the last of them was noticed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Time>, nullable = false)]
    noticed_at: Option<String>,
}

/// Whether MongoDB can be written.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MongodbBody {
    writable: bool,
    /// Since when that is so.
    #[schema(value_type = schemas::Time)]
    since: String,
    /// Why it cannot be written. For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
}

/// What this archiver did since it started.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ArchivedBody {
    /// New messages.
    messages: u64,
    /// New decisions.
    decisions: u64,
    /// Ends of presenters' sessions.
    session_ends: u64,
    /// Messages and decisions that were there already.
    duplicates: u64,
    /// Those of them that said something else than what was there.
    contradictions: u64,
    /// Lines that have no place in the archive.
    quarantined: u64,
}

/// Writes to MongoDB, each with the events of some batches of the log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WritesBody {
    /// Since the start.
    total: u64,
    /// What the members below are about: the last so many, 1,000 at most.
    recent: usize,
    /// Events in one write.
    events: SpreadBody,
    /// Milliseconds until one was durable, through outages of MongoDB too.
    commit_ms: SpreadBody,
}

/// Half are at most `p50`, 99 % at most `p99`.
#[derive(Debug, Serialize, ToSchema)]
struct SpreadBody {
    p50: u64,
    p99: u64,
    max: u64,
}

/// What the log holds beyond the archive.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LogBody {
    /// When the log said so: every two seconds, while it answers.
    #[schema(value_type = schemas::Time)]
    as_of: String,
    streams: Vec<StreamBody>,
}

/// One stream of the log. A batch holds up to 1,000 events.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StreamBody {
    name: String,
    /// Batches that no archiver was given yet.
    waiting_batches: u64,
    /// Batches that an archiver has and did not acknowledge.
    held_batches: u64,
    /// Those of them that were given out before: whoever had them was killed, or took more than 30 s.
    held_again_batches: u64,
    /// Every batch up to this sequence is acknowledged, or has left the log.
    acknowledged_sequence: u64,
    /// Every batch up to this sequence is archived, or on record as missing. Absent before MongoDB said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    archived_sequence: Option<i64>,
    /// The first batch that it holds, and the last.
    first_sequence: u64,
    last_sequence: u64,
    /// When the first was stored. Absent where it holds none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Time>, nullable = false)]
    oldest_at: Option<String>,
    /// Bytes that it holds, and how many it may. When it is nearly full messages are refused.
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    max_bytes: Option<u64>,
    /// Whether what is archived leaves it before its age where room is needed.
    can_give_room: bool,
}

/// How the archiver is doing
///
/// It takes no token: there are only numbers in it. Each archiver answers for itself, but for `log`.
#[utoipa::path(
    get,
    path = "/v1/status",
    tag = "service",
    security(()),
    responses((status = 200, description = "The status.", body = StatusBody)),
)]
async fn get_status(State(reader): Shared) -> Response {
    Json(StatusBody::from(reader.status.as_ref())).into_response()
}

impl From<&Status> for StatusBody {
    fn from(status: &Status) -> StatusBody {
        let Counts { archived, duplicates, contradictions, decisions, sessions, quarantined, writes } = status.counts();
        let Health { trouble, since } = status.health();
        let Recent { writes: recent, events, commit_ms } = status.recent();
        StatusBody {
            started_at: time(status.started()),
            mongodb: MongodbBody { writable: trouble.is_none(), since: time(since), reason: trouble },
            archived: ArchivedBody {
                messages: archived,
                decisions,
                session_ends: sessions,
                duplicates,
                contradictions,
                quarantined,
            },
            lag_ms: status.lag().map(status::milliseconds),
            writes: WritesBody { total: writes, recent, events: events.into(), commit_ms: commit_ms.into() },
            log: status.waiting().map(LogBody::from),
            missing: status.missing().into(),
        }
    }
}

impl From<status::Spread> for SpreadBody {
    fn from(status::Spread { p50, p99, max }: status::Spread) -> SpreadBody {
        SpreadBody { p50, p99, max }
    }
}

impl From<Waiting> for LogBody {
    fn from(Waiting { as_of, streams }: Waiting) -> LogBody {
        LogBody { as_of: time(as_of), streams: streams.into_iter().map(StreamBody::from).collect() }
    }
}

impl From<Missing> for MissingBody {
    fn from(Missing { gaps, batches, noticed_at }: Missing) -> MissingBody {
        MissingBody { gaps, batches, noticed_at: noticed_at.map(time_format::time) }
    }
}

impl From<Stream> for StreamBody {
    fn from(Stream { backlog, fill, archived }: Stream) -> StreamBody {
        let Backlog { stream, waiting, held, held_again, acknowledged } = backlog;
        StreamBody {
            name: stream,
            waiting_batches: waiting,
            held_batches: held,
            held_again_batches: held_again,
            acknowledged_sequence: acknowledged,
            archived_sequence: archived,
            first_sequence: fill.first,
            last_sequence: fill.last,
            oldest_at: fill.oldest.map(time),
            bytes: fill.bytes,
            max_bytes: fill.max_bytes,
            can_give_room: fill.can_forget,
        }
    }
}

fn time(at: Timestamp) -> String {
    format!("{at:.3}")
}
