//! What left the log before it was archived: all of it in numbers, and what of it a stretch of time may miss.

use futures_util::TryStreamExt;
use mongodb::bson::{Bson, DateTime, Document, doc};
use serde::Deserialize;

use crate::mongo::database::Database;
use crate::mongo::documents::GapDocument;
use crate::mongo::failure::Failure;

/// 100: the gaps that one answer names.
const MOST_NAMED: i64 = 100;

/// 8 s: an event is stored at most so long after its own time (`nats::MOST_BEHIND`).
const BEHIND_MS: i64 = 8_000;
/// 2 s: an event is stored at most so long before its own time (`nats::MOST_AHEAD`).
const AHEAD_MS: i64 = 2_000;

/// All gaps together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) gaps: u64,
    pub(crate) batches: u64,
    /// When the latest one was noticed.
    pub(crate) noticed_at: Option<DateTime>,
}

/// How much is missing in all.
pub(crate) async fn all(database: &Database) -> Result<Missing, Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Sum {
        gaps: i64,
        batches: i64,
        noticed_at: Option<DateTime>,
    }
    let stages = vec![
        doc! { "$match": { "batches": { "$gt": 0 } } },
        doc! { "$group": {
            "_id": Bson::Null,
            "gaps": { "$sum": 1_i64 },
            "batches": { "$sum": "$batches" },
            "noticedAt": { "$max": "$noticedAt" },
        } },
    ];
    let sums: Vec<Sum> = database.aggregate(&database.gaps(), stages, None).await?;
    Ok(sums.into_iter().next().map_or(Missing::default(), |Sum { gaps, batches, noticed_at }| Missing {
        gaps: u64::try_from(gaps).unwrap_or(0),
        batches: u64::try_from(batches).unwrap_or(0),
        noticed_at,
    }))
}

/// The gaps in which events of that span may be missing, the oldest first, of one stream or of all. Milliseconds since
/// 1970; the end is excluded.
pub(crate) async fn within(
    database: &Database,
    stream: Option<&str>,
    from: Option<i64>,
    to: Option<i64>,
) -> Result<Vec<GapDocument>, Failure> {
    let bound = |member: &str, bound: Option<Document>| {
        bound.map(|bound| doc! { "$or": [{ member: { "$exists": false } }, { member: bound }] })
    };
    let ends = from.map(|from| doc! { "$gte": DateTime::from_millis(from.saturating_sub(AHEAD_MS)) });
    let begins = to.map(|to| doc! { "$lt": DateTime::from_millis(to.saturating_add(BEHIND_MS)) });
    let mut all = vec![doc! { "batches": { "$gt": 0 } }];
    all.extend(bound("before", ends));
    all.extend(bound("after", begins));
    all.extend(stream.map(|stream| doc! { "stream": stream }));
    let collection = database.gaps();
    let found = async move {
        let find = collection.find(doc! { "$and": all }).sort(doc! { "epoch": 1, "first": 1 });
        find.limit(MOST_NAMED).await?.try_collect().await
    };
    database.ask(found).await
}
