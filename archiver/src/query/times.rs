//! From times to places. A room's order is the log's, and its times come from the clocks of several ingest nodes, so they
//! do not quite ascend. The first message in the room's order that was sent at a time or later is found among those sent
//! shortly after it, from an index that has nothing but times and positions.

use mongodb::bson::{DateTime, Document, doc};
use serde::Deserialize;

use super::sequence::{Bounds, Span};
use crate::mongo::database::{Database, Failure};
use crate::mongo::documents::PositionDocument;
use crate::mongo::schema::ROOM_TIMES;

/// 10 s: how much later than another a message was sent that stands before it, at most. The log's own times ascend, and no
/// message's is further from when it was stored. Of a recording that was brought into the log it is asked that its
/// times are no further out of order.
const DISORDER_MS: i64 = (nats::MOST_AHEAD.as_secs() + nats::MOST_BEHIND.as_secs()) * 1_000;

/// Which end of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    First,
    Last,
}

/// The positions between which lies what was sent in that time; none if nothing was. Messages that were not are among
/// them.
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

/// The first message in the room's order that was sent then or later.
pub(crate) async fn first_since(
    database: &Database,
    presenter_idx: i64,
    from: DateTime,
) -> Result<Option<PositionDocument>, Failure> {
    first_between(database, presenter_idx, from, DateTime::MAX).await
}

/// The first message in the room's order that was sent in that time, the end excluded.
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

/// The last message in the room's order that was sent before.
pub(crate) async fn last_before(
    database: &Database,
    presenter_idx: i64,
    to: DateTime,
) -> Result<Option<PositionDocument>, Failure> {
    let Some(at) = nearest(database, presenter_idx, doc! { "$lt": to }, End::Last).await? else { return Ok(None) };
    extreme(database, presenter_idx, doc! { "$gte": later(at, -DISORDER_MS), "$lte": at }, End::Last).await
}

/// When the last message was sent after that time and before the other.
pub(crate) async fn last_said_between(
    database: &Database,
    presenter_idx: i64,
    after: DateTime,
    to: DateTime,
) -> Result<Option<DateTime>, Failure> {
    nearest(database, presenter_idx, doc! { "$gt": after, "$lt": to }, End::Last).await
}

/// The first or last position among what was sent in that time.
async fn extreme(
    database: &Database,
    presenter_idx: i64,
    sent_at: Document,
    end: End,
) -> Result<Option<PositionDocument>, Failure> {
    #[derive(Deserialize)]
    struct Found {
        position: PositionDocument,
    }
    let operator = if end == End::First { "$min" } else { "$max" };
    let stages = vec![
        doc! { "$match": { "presenterIdx": presenter_idx, "sentAt": sent_at } },
        // What the index has, and nothing else: no message is read.
        doc! { "$project": { "_id": 0, "position": 1 } },
        doc! { "$group": { "_id": null, "position": { operator: "$position" } } },
    ];
    let found: Vec<Found> = database.aggregate(&database.messages(), stages, Some(ROOM_TIMES)).await?;
    Ok(found.into_iter().next().map(|found| found.position))
}

/// When the first or last message of that time was sent.
async fn nearest(
    database: &Database,
    presenter_idx: i64,
    sent_at: Document,
    end: End,
) -> Result<Option<DateTime>, Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Found {
        sent_at: DateTime,
    }
    let direction = if end == End::First { 1 } else { -1 };
    let stages = vec![
        doc! { "$match": { "presenterIdx": presenter_idx, "sentAt": sent_at } },
        doc! { "$sort": { "sentAt": direction } },
        doc! { "$limit": 1 },
        doc! { "$project": { "_id": 0, "sentAt": 1 } },
    ];
    let found: Vec<Found> = database.aggregate(&database.messages(), stages, Some(ROOM_TIMES)).await?;
    Ok(found.into_iter().next().map(|found| found.sent_at))
}

/// So many milliseconds after that.
pub(crate) fn later(at: DateTime, ms: i64) -> DateTime {
    DateTime::from_millis(at.timestamp_millis().saturating_add(ms))
}
