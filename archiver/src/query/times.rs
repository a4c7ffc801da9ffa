//! Finds positions by time. A room is in the order of the log, and its times come from the clocks of several ingest
//! nodes, so they do not quite ascend. The first message in the room's order that was sent at a time or later is among
//! those sent shortly after that time. An index of times and positions alone finds it.

use mongodb::bson::{DateTime, Document, doc};
use serde::Deserialize;

use super::sequence::{Bounds, Span};
use crate::mongo::database::Database;
use crate::mongo::documents::PositionDocument;
use crate::mongo::failure::Failure;
use crate::mongo::schema::ROOM_TIMES;

/// 10 s: how much later than its successor a message can have been sent, at most. The times at which the log stores
/// messages ascend, and the time of a message is no further from that. Recordings that are imported into the log must
/// keep the same bound.
const DISORDER_MS: i64 = (nats::MOST_AHEAD.as_secs() + nats::MOST_BEHIND.as_secs()) * 1_000;

/// An end of a range of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    First,
    Last,
}

/// The range of positions of the messages in that span. Messages of other times may be among them. None: there are no
/// messages.
pub(crate) async fn bounds(database: &Database, presenter_idx: i64, span: Span) -> Result<Option<Bounds>, Failure> {
    if let (Some(from), Some(to)) = (span.from, span.to)
        && to <= from
    {
        return Ok(None);
    }
    let mut bounds = Bounds::default();
    if let Some(from) = span.from {
        let Some(first) = first_since(database, presenter_idx, from).await? else { return Ok(None) };
        bounds.lower = Some(first);
    }
    if let Some(to) = span.to {
        let Some(last) = last_before(database, presenter_idx, to).await? else { return Ok(None) };
        bounds.upper = Some(last);
    }
    Ok(Some(bounds))
}

/// The first message in the room's order that was sent at that time or later.
pub(crate) async fn first_since(
    database: &Database,
    presenter_idx: i64,
    from: DateTime,
) -> Result<Option<PositionDocument>, Failure> {
    first_between(database, presenter_idx, from, DateTime::MAX).await
}

/// The first message in the room's order that was sent in that span, the end excluded.
pub(crate) async fn first_between(
    database: &Database,
    presenter_idx: i64,
    from: DateTime,
    to: DateTime,
) -> Result<Option<PositionDocument>, Failure> {
    let Some(at) = nearest(database, presenter_idx, doc! { "$gte": from, "$lt": to }, End::First).await? else {
        return Ok(None);
    };
    let around = doc! { "$gte": at, "$lte": later(at, DISORDER_MS), "$lt": to };
    extreme(database, presenter_idx, around, End::First).await
}

/// The last message in the room's order that was sent before that time.
pub(crate) async fn last_before(
    database: &Database,
    presenter_idx: i64,
    to: DateTime,
) -> Result<Option<PositionDocument>, Failure> {
    let Some(at) = nearest(database, presenter_idx, doc! { "$lt": to }, End::Last).await? else { return Ok(None) };
    extreme(database, presenter_idx, doc! { "$gte": later(at, -DISORDER_MS), "$lte": at }, End::Last).await
}

/// The time of the last message after the one time and before the other.
pub(crate) async fn last_said_between(
    database: &Database,
    presenter_idx: i64,
    after: DateTime,
    to: DateTime,
) -> Result<Option<DateTime>, Failure> {
    nearest(database, presenter_idx, doc! { "$gt": after, "$lt": to }, End::Last).await
}

/// The first or last position of the messages in that span.
async fn extreme(
    database: &Database,
    presenter_idx: i64,
    sent_at: Document,
    end: End,
) -> Result<Option<PositionDocument>, Failure> {
    #[derive(Deserialize)]
    struct PositionFound {
        position: PositionDocument,
    }
    let operator = if end == End::First { "$min" } else { "$max" };
    let stages = vec![
        doc! { "$match": { "presenterIdx": presenter_idx, "sentAt": sent_at } },
        // The index alone has these members: no message is read.
        doc! { "$project": { "_id": 0, "position": 1 } },
        doc! { "$group": { "_id": null, "position": { operator: "$position" } } },
    ];
    let found: Vec<PositionFound> = database.aggregate(&database.messages(), stages, Some(ROOM_TIMES)).await?;
    Ok(found.into_iter().next().map(|found| found.position))
}

/// The time of the first or last message in that span.
async fn nearest(
    database: &Database,
    presenter_idx: i64,
    sent_at: Document,
    end: End,
) -> Result<Option<DateTime>, Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct TimeFound {
        sent_at: DateTime,
    }
    let direction = if end == End::First { 1 } else { -1 };
    let stages = vec![
        doc! { "$match": { "presenterIdx": presenter_idx, "sentAt": sent_at } },
        doc! { "$sort": { "sentAt": direction } },
        doc! { "$limit": 1 },
        doc! { "$project": { "_id": 0, "sentAt": 1 } },
    ];
    let found: Vec<TimeFound> = database.aggregate(&database.messages(), stages, Some(ROOM_TIMES)).await?;
    Ok(found.into_iter().next().map(|found| found.sent_at))
}

/// The time so many milliseconds later.
pub(crate) fn later(at: DateTime, ms: i64) -> DateTime {
    DateTime::from_millis(at.timestamp_millis().saturating_add(ms))
}
