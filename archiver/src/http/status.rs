//! `GET /v1/status`: how the archiving is doing, for monitoring. It has only numbers, so it requires no token.
//! Answering it asks no other server.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use jiff::Timestamp;
use nats::Backlog;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::schemas;
use super::state::{App, AppState};
use super::time_format;
use crate::query::gaps::Missing;
use crate::status;
use crate::status::{Counts, Health, Recent, Status, StreamProgress, Waiting};

pub(super) fn routes() -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new().routes(routes!(get_status))
}

/// How this archiver is doing.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StatusBody {
    /// When this archiver started. Counters start here.
    #[schema(value_type = schemas::Time)]
    started_at: String,
    mongodb: MongodbBody,
    archived: ArchivedBody,
    /// The age of the newest event of the last write when it became durable, in milliseconds. Absent before the first
    /// write.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    lag_ms: Option<u64>,
    writes: WritesBody,
    /// The backlog: batches in the log that are not archived yet, of all archivers together. Absent until the log
    /// answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    log: Option<LogBody>,
    missing: MissingBody,
}

/// Batches that left the log before they were archived, since this archive began: the collection `archive_gaps`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MissingBody {
    /// Runs of neighbouring batches.
    gaps: u64,
    batches: u64,
    /// When the latest gap was noticed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Time>, nullable = false)]
    noticed_at: Option<String>,
}

/// Whether MongoDB accepts writes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MongodbBody {
    writable: bool,
    /// Since when `writable` has this value.
    #[schema(value_type = schemas::Time)]
    since: String,
    /// Why MongoDB accepts no writes. For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
}

/// What this archiver has done since it started.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ArchivedBody {
    /// New messages.
    messages: u64,
    /// New decisions.
    decisions: u64,
    /// Starts and ends of presenters' sessions.
    session_ends: u64,
    /// Messages and decisions that were archived already.
    duplicates: u64,
    /// Duplicates whose content differs from the archived one.
    contradictions: u64,
    /// Lines that were put into quarantine.
    quarantined: u64,
}

/// Writes to MongoDB. Each has the events of some batches of the log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WritesBody {
    /// Since the start.
    total: u64,
    /// The number of latest writes that the members below describe: at most 1,000.
    recent: usize,
    /// Events per write.
    events: SpreadBody,
    /// Milliseconds until a write was durable, outages of MongoDB included.
    commit_ms: SpreadBody,
}

/// Percentiles and the maximum.
#[derive(Debug, Serialize, ToSchema)]
struct SpreadBody {
    p50: u64,
    p99: u64,
    max: u64,
}

/// The backlog of the log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LogBody {
    /// When the log was asked: every two seconds, while it answers.
    #[schema(value_type = schemas::Time)]
    as_of: String,
    streams: Vec<StreamBody>,
}

/// A stream of the log. A batch has up to 1,000 events.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StreamBody {
    name: String,
    /// Batches that have not been delivered to an archiver yet.
    waiting_batches: u64,
    /// Batches that have been delivered to an archiver and are not acknowledged.
    held_batches: u64,
    /// Held batches that are redeliveries: an archiver was killed, or took more than 30 s.
    held_again_batches: u64,
    /// Every batch up to this sequence is acknowledged, or has left the log.
    acknowledged_sequence: u64,
    /// Every batch up to this sequence is archived, or recorded as missing. Absent until MongoDB answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    archived_sequence: Option<i64>,
    /// The first and the last batch of the stream.
    first_sequence: u64,
    last_sequence: u64,
    /// When the first batch was stored. Absent if the stream is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Time>, nullable = false)]
    oldest_at: Option<String>,
    /// The size of the stream, and its limit. When it is nearly full, new messages are refused.
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    max_bytes: Option<u64>,
    /// Whether archived batches may leave the stream before their age to make room.
    can_give_room: bool,
}

/// Get the status
///
/// Requires no token: it has only numbers. Each archiver answers for itself; only `log` covers all of them.
#[utoipa::path(
    get,
    path = "/v1/status",
    tag = "service",
    security(()),
    responses((status = 200, description = "The status.", body = StatusBody)),
)]
async fn get_status(State(app): App) -> impl IntoResponse {
    Json(StatusBody::from(app.status.as_ref()))
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

impl From<StreamProgress> for StreamBody {
    fn from(StreamProgress { backlog, fill, archived }: StreamProgress) -> StreamBody {
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
