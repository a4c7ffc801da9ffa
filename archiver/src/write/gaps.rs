//! `archive_gaps`: what left the log before it was archived. It is lost to the archive; that it is missing is not.

use futures_util::TryStreamExt;
use mongodb::bson::{Bson, DateTime, Document, doc};
use serde::{Deserialize, Serialize};

use crate::mongo::database::{Database, Failure};

/// Gaps that one answer names.
const MOST_NAMED: i64 = 100;

/// An event is stored at most so long after the time that it bears, and hardly before it (`nats::MOST_BEHIND`,
/// `nats::MOST_AHEAD`).
const BEHIND_MS: i64 = 8_000;
const AHEAD_MS: i64 = 2_000;

/// Neighbouring batches that are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Gap {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) stream: String,
    pub(crate) epoch: i64,
    /// Sequences, both included.
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// How many of them are missing: all, unless the gap spans too many to be told apart. 0: they were archived after all.
    pub(crate) batches: i64,
    /// They were stored after this; unknown where nothing before them was archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<DateTime>,
    /// They were stored before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<DateTime>,
    pub(crate) noticed_at: DateTime,
}

/// All gaps together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) gaps: u64,
    pub(crate) batches: u64,
    /// When the last of them was noticed.
    pub(crate) noticed_at: Option<DateTime>,
}

/// Puts gaps on record; those that are stay as they are, with what was taken out of them since.
pub(crate) async fn record(database: &Database, gaps: Vec<Gap>) -> Result<(), Failure> {
    let inserted = database.insert(database.gaps(), gaps).await?;
    match inserted.refused.into_iter().next() {
        Some((_, reason)) => Err(Failure::Unavailable(format!("a gap cannot be put on record: {reason}"))),
        None => Ok(()),
    }
}

/// Whether something of that epoch is missing.
pub(crate) async fn has_any(database: &Database, epoch: i64) -> Result<bool, Failure> {
    let found: Vec<Gap> = database.find(&database.gaps(), doc! { "epoch": epoch, "batches": { "$gt": 0 } }, 1).await?;
    Ok(!found.is_empty())
}

/// Batches were archived after all. A gap is never removed: whoever still has to put it on record finds it there.
pub(crate) async fn take_out(database: &Database, epoch: i64, from: i64, to: i64) -> Result<(), Failure> {
    let touched = doc! { "epoch": epoch, "first": { "$lte": to }, "last": { "$gte": from }, "batches": { "$gt": 0 } };
    let found: Vec<Gap> = database.find(&database.gaps(), touched, 0).await?;
    for gap in found {
        let spans_many = gap.batches < gap.last - gap.first + 1;
        let overlap = gap.last.min(to) - gap.first.max(from) + 1;
        if spans_many {
            // Which of them are missing is not known; no more are than before.
            continue;
        }
        if gap.last > to {
            let rest =
                Gap { id: format!("{epoch:x}-{:x}", to + 1), first: to + 1, batches: gap.last - to, ..gap.clone() };
            record(database, vec![rest]).await?;
        }
        let last = (from - 1).max(gap.first - 1);
        let shorter = doc! { "$set": { "last": last, "batches": last - gap.first + 1 } };
        let (collection, same) = (database.gaps(), doc! { "_id": &gap.id, "last": gap.last });
        let update = database.ask(async move { collection.update_one(same, shorter).await }).await?;
        if update.modified_count > 0 {
            tracing::info!(
                stream = gap.stream,
                batches = overlap,
                "{overlap} batches of {} that had left the log were archived after all",
                gap.stream
            );
        }
    }
    Ok(())
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

/// The gaps in which something of that time may be missing, the oldest first; of one stream or of all. Milliseconds
/// since 1970, the end excluded.
pub(crate) async fn within(
    database: &Database,
    stream: Option<&str>,
    from: Option<i64>,
    to: Option<i64>,
) -> Result<Vec<Gap>, Failure> {
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
