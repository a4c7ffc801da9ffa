//! Marks of the log, kept in MongoDB, which does not share the log's disk. An archiver compares the log with them
//! before it reads on. So it notices a log that was restored from a backup, or that lost its end while nothing ran.

use std::time::Duration;

use jiff::Timestamp;
use mongodb::bson::{doc, serialize_to_bson};
use nats::{Log, Mark};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::mongo::database::Database;
use crate::mongo::documents::{MarkDocument, SampleDocument};
use crate::mongo::failure::Failure;

/// 2 s: a loss of batches since the last mark goes unnoticed if every process ends with it.
const INTERVAL: Duration = Duration::from_secs(2);

/// 1 s for the last save, which starts when the grace period may be over: MongoDB may be away.
const LAST_SAVE: Duration = Duration::from_secs(1);

/// The marks.
pub(crate) async fn load(database: &Database) -> Result<Vec<MarkDocument>, Failure> {
    database.find(&database.marks(), doc! {}, 0).await
}

/// Compares the log with the marks. It fails if the log went back.
pub(crate) async fn compare(kept: &[MarkDocument], log: &Log) -> Result<(), nats::Error> {
    for mark in kept.iter().filter_map(MarkDocument::mark) {
        log.compare(&mark).await?;
    }
    Ok(())
}

/// Saves marks regularly, and once more at the stop.
pub(crate) async fn keep(database: Database, log: Log, stop: CancellationToken) {
    let mut kept: Vec<MarkDocument> = Vec::new();
    while !stop.is_cancelled() {
        // Nothing is lost if the stop cuts the pause short.
        stop.run_until_cancelled(sleep(INTERVAL)).await;
        let marks: Vec<MarkDocument> = log.marks().iter().filter_map(MarkDocument::of).collect();
        if marks == kept {
            continue;
        }
        let ended = async {
            stop.cancelled().await;
            sleep(LAST_SAVE).await;
        };
        // A save that is dropped may still happen; the next archiver's marks are further.
        tokio::select! {
            saved = save(&database, &marks) => match saved {
                Ok(()) => kept = marks,
                Err(failure) => tracing::debug!("cannot save the marks of the log, retrying: {failure}"),
            },
            () = ended => return,
        }
    }
}

/// Saves the marks. Several archivers see parts of the same log: the mark that is furthest stays.
async fn save(database: &Database, marks: &[MarkDocument]) -> Result<(), Failure> {
    for mark in marks {
        let unfit = |_| Failure::Refused("a mark does not fit into BSON".to_owned());
        let document = serialize_to_bson(mark).map_err(unfit)?;
        let behind = doc! {
            "_id": mark.partition,
            "$or": [{ "epoch": { "$lt": mark.epoch } }, { "epoch": mark.epoch, "last": { "$lt": mark.last } }],
        };
        let collection = database.marks();
        let saved = database.ask(async move {
            collection.update_one(behind, vec![doc! { "$replaceWith": { "$literal": document } }]).upsert(true).await
        });
        match saved.await {
            // Another archiver is further.
            Ok(_) | Err(Failure::Exists) => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

impl MarkDocument {
    /// None if a number does not fit into BSON.
    fn of(mark: &Mark) -> Option<MarkDocument> {
        let sample = |(sequence, stored): &(u64, Timestamp)| {
            let stored = i64::try_from(stored.as_nanosecond()).ok()?;
            Some(SampleDocument { sequence: i64::try_from(*sequence).ok()?, stored })
        };
        let samples: Vec<SampleDocument> = mark.samples.iter().map(sample).collect::<Option<_>>()?;
        let last = samples.last()?.sequence;
        Some(MarkDocument { partition: mark.partition.into(), epoch: i64::try_from(mark.epoch).ok()?, last, samples })
    }

    /// None if something else changed the document.
    fn mark(&self) -> Option<Mark> {
        let sample = |sample: &SampleDocument| {
            Some((u64::try_from(sample.sequence).ok()?, Timestamp::from_nanosecond(sample.stored.into()).ok()?))
        };
        let samples: Vec<(u64, Timestamp)> = self.samples.iter().map(sample).collect::<Option<_>>()?;
        let (partition, epoch) = (u32::try_from(self.partition).ok()?, u64::try_from(self.epoch).ok()?);
        samples.is_sorted().then_some(Mark { partition, epoch, samples })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_survives_its_document() {
        let stored = |nanoseconds| Timestamp::from_nanosecond(nanoseconds).unwrap();
        let samples = vec![(3, stored(1_800_000_000_123_456_789)), (9, stored(1_800_000_001_000_000_001))];
        let mark = Mark { partition: 2, epoch: 0x1879_f0c3_a1b2_c3d4, samples };
        let document = MarkDocument::of(&mark).unwrap();
        assert_eq!(document.last, 9);
        assert_eq!(document.mark(), Some(mark.clone()));
        assert_eq!(MarkDocument::of(&Mark { samples: Vec::new(), ..mark }), None);
    }
}
