//! `archive_gaps`: batches that left the log before they were archived. They are lost to the archive, and this is the
//! record that they are missing.

use mongodb::bson::doc;

use crate::mongo::database::Database;
use crate::mongo::documents::GapDocument;
use crate::mongo::failure::Failure;

/// Records gaps. Recorded ones stay as they are, also where they have shrunk since.
pub(crate) async fn record(database: &Database, gaps: Vec<GapDocument>) -> Result<(), Failure> {
    let inserted = database.insert(database.gaps(), gaps).await?;
    match inserted.refused.into_iter().next() {
        Some((_, reason)) => Err(Failure::Unavailable(format!("cannot record a gap: {reason}"))),
        None => Ok(()),
    }
}

/// Whether a batch of that epoch is missing.
pub(crate) async fn has_any(database: &Database, epoch: i64) -> Result<bool, Failure> {
    let found: Vec<GapDocument> =
        database.find(&database.gaps(), doc! { "epoch": epoch, "batches": { "$gt": 0 } }, 1).await?;
    Ok(!found.is_empty())
}

/// Takes batches out of the gaps that were archived after all. A gap is never removed: an archiver that has yet to
/// record it must find it.
pub(crate) async fn take_out(database: &Database, epoch: i64, from: i64, to: i64) -> Result<(), Failure> {
    let touched = doc! { "epoch": epoch, "first": { "$lte": to }, "last": { "$gte": from }, "batches": { "$gt": 0 } };
    let found: Vec<GapDocument> = database.find(&database.gaps(), touched, 0).await?;
    for gap in found {
        let spans_many = gap.batches < gap.last - gap.first + 1;
        let overlap = gap.last.min(to) - gap.first.max(from) + 1;
        if spans_many {
            // It is unknown which of its batches are missing, so the number stays an upper bound.
            continue;
        }
        if gap.last > to {
            let rest = GapDocument {
                id: format!("{epoch:x}-{:x}", to + 1),
                first: to + 1,
                batches: gap.last - to,
                ..gap.clone()
            };
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
                "archived {overlap} batches of {} after all that had left the log",
                gap.stream
            );
        }
    }
    Ok(())
}
