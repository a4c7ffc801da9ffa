//! How far the log is archived, recorded in the archive itself. The log's server does not know whether a batch that has
//! aged out was acknowledged: its acknowledgement floor moves over such batches. So each write records its batches
//! before it acknowledges them, and a batch that leaves the log without a record has left it unarchived.
//!
//! `archive_progress` has a document for each epoch of the log: all batches up to its `sequence` are archived, or
//! recorded in [`crate::write::gaps`]. `archive_runs` has the batches that are archived beyond it, because several
//! archivers write at once. All archivers fold it into the former every two seconds, so it is nearly empty.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use jiff::Timestamp;
use mongodb::bson::{DateTime, doc, serialize_to_bson};
use nats::{Delivery, Fill};

use crate::mongo::database::Database;
use crate::mongo::documents::{GapDocument, ProgressDocument, RunDocument};
use crate::mongo::failure::Failure;
use crate::write::gaps;

/// 5,000: the runs that one question reads.
const PAGE: i64 = 5_000;

/// 1,000: more gaps than this are recorded as one that spans them all.
const MOST_GAPS: usize = 1_000;

/// 10 s: a gap must last so long before it is recorded. An archiver may still hold batches that have left the log, and
/// writes them within this time after MongoDB is back: pauses between attempts are at most 5 s.
const CERTAIN_AFTER: Duration = Duration::from_secs(10);

/// The runs that the deliveries make up.
pub(crate) fn runs(deliveries: &[Delivery]) -> Vec<RunDocument> {
    let place = |delivery: &Delivery| (delivery.place.epoch, delivery.place.sequence, delivery.stored);
    runs_of(deliveries.iter().map(place).collect())
}

/// The runs of batches, each with its epoch, its sequence and the time it was stored.
fn runs_of(mut places: Vec<(u64, u64, Timestamp)>) -> Vec<RunDocument> {
    places.sort_unstable();
    let mut runs: Vec<RunDocument> = Vec::new();
    for (epoch, sequence, stored) in places {
        // No server gives a number that MongoDB cannot hold.
        let (Ok(epoch), Ok(sequence)) = (i64::try_from(epoch), i64::try_from(sequence)) else { continue };
        let stored = DateTime::from_millis(stored.as_millisecond());
        match runs.last_mut() {
            Some(last) if last.epoch == epoch && sequence <= last.to + 1 => {
                (last.to, last.stored_to) = (sequence, stored);
            }
            _ => runs.push(RunDocument {
                id: format!("{epoch:x}-{sequence:x}"),
                epoch,
                from: sequence,
                to: sequence,
                stored_from: stored,
                stored_to: stored,
            }),
        }
    }
    runs
}

/// Records that these batches are archived. Once it returns, the record is durable, and they may be acknowledged.
pub(crate) async fn record(database: &Database, runs: &[RunDocument]) -> Result<(), Failure> {
    let inserted = database.insert(database.runs(), runs.to_vec()).await?;
    for index in inserted.existing {
        // A redelivery, in a longer or a shorter run.
        let run = &runs[index];
        let (collection, longer) = (database.runs(), doc! { "_id": &run.id, "to": { "$lt": run.to } });
        let update = doc! { "$set": { "to": run.to, "storedTo": run.stored_to } };
        database.ask(async move { collection.update_one(longer, update).await }).await?;
    }
    match inserted.refused.into_iter().next() {
        Some((_, reason)) => Err(Failure::Unavailable(format!("cannot record what is archived: {reason}"))),
        None => Ok(()),
    }
}

/// Looks for gaps again and again, and remembers what looked like one the last time.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    suspects: HashMap<i64, (Vec<(i64, i64)>, Instant)>,
    /// How far each epoch was archived when MongoDB last answered.
    reached: HashMap<u64, i64>,
}

impl Watch {
    /// The sequence up to which the epoch is archived or recorded as a gap, when MongoDB last answered.
    pub(crate) fn reached(&self, epoch: u64) -> Option<i64> {
        self.reached.get(&epoch).copied()
    }

    /// Folds the runs, and records gaps. `fill` must be older than this call; `acknowledged` is the server's floor.
    pub(crate) async fn look(&mut self, database: &Database, fill: &Fill, acknowledged: u64) -> Result<(), Failure> {
        let reached = self.fold_and_compare(database, fill, acknowledged).await?;
        self.reached.insert(fill.epoch, reached);
        Ok(())
    }

    async fn fold_and_compare(&mut self, database: &Database, fill: &Fill, acknowledged: u64) -> Result<i64, Failure> {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (epoch, gone) = (number(fill.epoch), number(fill.first) - 1);
        let (progress, runs, is_all) = loop {
            // First the runs, then the progress: another archiver may fold runs into it in between.
            let runs = read(database, epoch).await?;
            let progress = standing(database, epoch, fill, number(acknowledged).max(gone), &runs).await?;
            let is_all = runs.len() < PAGE as usize;
            let progress = fold(database, progress, &runs).await?;
            // A full page of which nothing was folded, as all of it waits for an earlier batch, would come again.
            if is_all || runs.iter().all(|run| run.to > progress.sequence) {
                break (progress, runs, is_all);
            }
        };
        // The runs behind a full page are not known.
        let gone = if is_all { gone } else { runs.last().map_or(gone, |last| gone.min(last.to)) };
        let missing = uncovered(progress.sequence, gone, &runs);
        if missing.is_empty() {
            self.suspects.remove(&epoch);
            return Ok(progress.sequence);
        }
        match self.suspects.get(&epoch) {
            Some((suspects, since)) if *suspects == missing => {
                if since.elapsed() < CERTAIN_AFTER {
                    return Ok(progress.sequence);
                }
            }
            _ => {
                self.suspects.insert(epoch, (missing, Instant::now()));
                return Ok(progress.sequence);
            }
        }
        self.suspects.remove(&epoch);
        notice(database, progress, gone, &missing, &runs, fill).await
    }
}

/// The sequence up to which a stream is archived. `epochs`: the last sequence of each epoch, the oldest first, and how
/// far it is archived. Epochs after one that is not archived to its end do not count yet.
pub(crate) fn in_a_row(epochs: &[(u64, Option<i64>)]) -> Option<i64> {
    let is_short = |(last, reached): &&(u64, Option<i64>)| reached.is_none_or(|reached| reached.unsigned_abs() < *last);
    epochs.iter().find(is_short).or(epochs.last()).and_then(|(_, reached)| *reached)
}

async fn read(database: &Database, epoch: i64) -> Result<Vec<RunDocument>, Failure> {
    let collection = database.runs();
    let found = async move {
        collection.find(doc! { "epoch": epoch }).sort(doc! { "from": 1 }).limit(PAGE).await?.try_collect().await
    };
    database.ask(found).await
}

/// The epoch's document, created if it is missing. Batches before the first archiver of a log do not count as missing.
/// An epoch that follows another one of its stream must be archived from its beginning.
async fn standing(
    database: &Database,
    epoch: i64,
    fill: &Fill,
    sequence: i64,
    runs: &[RunDocument],
) -> Result<ProgressDocument, Failure> {
    let find = async || -> Result<Option<ProgressDocument>, Failure> {
        Ok(database.find(&database.progress(), doc! { "_id": epoch }, 1).await?.into_iter().next())
    };
    if let Some(progress) = find().await? {
        return finish(database, progress).await;
    }
    let another = doc! { "stream": &fill.stream };
    let others: Vec<ProgressDocument> = database.find(&database.progress(), another, 1).await?;
    let begins = i64::try_from(fill.begins).unwrap_or(i64::MAX);
    let sequence = if others.is_empty() { sequence } else { begins - 1 };
    let noted = runs.iter().find(|run| run.from <= sequence && run.to >= sequence);
    let stored_at = noted.map(|run| run.stored_to);
    let progress = ProgressDocument { epoch, stream: fill.stream.clone(), sequence, stored_at, noticed: Vec::new() };
    // Of two that create it at the same moment, one finds it.
    database.insert(database.progress(), vec![progress]).await?;
    find()
        .await?
        .ok_or_else(|| Failure::Unavailable("the progress of the archive vanished while it was recorded".to_owned()))
}

/// Records the gaps that were noticed and are not recorded yet.
async fn finish(database: &Database, mut progress: ProgressDocument) -> Result<ProgressDocument, Failure> {
    if progress.noticed.is_empty() {
        return Ok(progress);
    }
    gaps::record(database, std::mem::take(&mut progress.noticed)).await?;
    let collection = database.progress();
    let (noted, done) =
        (doc! { "_id": progress.epoch, "sequence": progress.sequence }, doc! { "$unset": { "noticed": "" } });
    database.ask(async move { collection.update_one(noted, done).await }).await?;
    Ok(progress)
}

/// Moves the progress over the runs that follow it without a gap, and removes them.
async fn fold(
    database: &Database,
    mut progress: ProgressDocument,
    runs: &[RunDocument],
) -> Result<ProgressDocument, Failure> {
    // Archived after all: an archiver held these batches when they left the log.
    let late = runs.iter().filter(|run| run.from <= progress.sequence);
    let late: Vec<(i64, i64)> = late.map(|run| (run.from, run.to)).collect();
    if !late.is_empty() && gaps::has_any(database, progress.epoch).await? {
        for (from, to) in late {
            gaps::take_out(database, progress.epoch, from, to).await?;
        }
    }
    let before = progress.sequence;
    for run in runs {
        if run.from > progress.sequence + 1 {
            break;
        }
        if run.to > progress.sequence {
            (progress.sequence, progress.stored_at) = (run.to, Some(run.stored_to));
        }
    }
    if progress.sequence > before {
        let collection = database.progress();
        let behind = doc! { "_id": progress.epoch, "sequence": { "$lt": progress.sequence } };
        let moved = doc! { "$set": { "sequence": progress.sequence, "storedAt": progress.stored_at } };
        database.ask(async move { collection.update_one(behind, moved).await }).await?;
    }
    let folded: Vec<&str> = runs.iter().filter(|run| run.to <= progress.sequence).map(|run| run.id.as_str()).collect();
    if !folded.is_empty() {
        // A run that has grown meanwhile stays.
        let done = doc! { "_id": { "$in": folded }, "to": { "$lte": progress.sequence } };
        let collection = database.runs();
        database.ask(async move { collection.delete_many(done).await }).await?;
    }
    Ok(progress)
}

/// The ranges beyond `sequence`, up to `last`, that are in no run.
fn uncovered(mut sequence: i64, last: i64, runs: &[RunDocument]) -> Vec<(i64, i64)> {
    let mut missing = Vec::new();
    for run in runs.iter().take_while(|run| run.from <= last) {
        if run.from > sequence + 1 {
            missing.push((sequence + 1, run.from - 1));
        }
        sequence = sequence.max(run.to);
    }
    if sequence < last {
        missing.push((sequence + 1, last));
    }
    missing
}

/// Records these gaps: first in the progress, where one update decides which archiver does it.
async fn notice(
    database: &Database,
    mut progress: ProgressDocument,
    gone: i64,
    missing: &[(i64, i64)],
    runs: &[RunDocument],
    fill: &Fill,
) -> Result<i64, Failure> {
    let batches: i64 = missing.iter().map(|(first, last)| last - first + 1).sum();
    let spans = if missing.len() > MOST_GAPS {
        vec![(missing[0].0, missing[missing.len() - 1].1, batches)]
    } else {
        missing.iter().map(|(first, last)| (*first, *last, last - first + 1)).collect()
    };
    let oldest = fill.oldest.map(|at| DateTime::from_millis(at.as_millisecond()));
    let noticed = spans.into_iter().map(|(first, last, batches)| GapDocument {
        id: format!("{:x}-{first:x}", progress.epoch),
        stream: progress.stream.clone(),
        epoch: progress.epoch,
        first,
        last,
        batches,
        after: match runs.iter().rev().find(|run| run.to < first) {
            Some(run) => Some(run.stored_to),
            None => progress.stored_at,
        },
        // If nothing is left in the log, they were stored before now.
        before: match runs.iter().find(|run| run.from > last) {
            Some(run) if run.to <= gone || oldest.is_none() => Some(run.stored_from),
            _ => oldest.or_else(|| Some(DateTime::now())),
        },
        noticed_at: DateTime::now(),
    });
    let noticed: Vec<GapDocument> = noticed.collect();
    let unfit = |_| Failure::Unavailable("a gap does not fit into BSON".to_owned());
    let gaps = serialize_to_bson(&noticed).map_err(unfit)?;
    let collection = database.progress();
    let unmoved = doc! { "_id": progress.epoch, "sequence": progress.sequence, "noticed": { "$exists": false } };
    let moved = doc! { "$set": { "sequence": gone, "noticed": gaps }, "$unset": { "storedAt": "" } };
    let update = database.ask(async move { collection.update_one(unmoved, moved).await }).await?;
    if update.modified_count == 0 {
        // Another archiver was faster, or archived some of the batches.
        return Ok(progress.sequence);
    }
    let (first, last) = (noticed[0].first, noticed[noticed.len() - 1].last);
    let (stream, after, before) = (&progress.stream, noticed[0].after, noticed[noticed.len() - 1].before);
    tracing::error!(
        stream,
        batches,
        first,
        last,
        stored_after = after.map(readable),
        stored_before = before.map(readable),
        "{batches} batches of {stream}, of the sequences {first} to {last}, left the log before they were archived"
    );
    (progress.sequence, progress.noticed) = (gone, noticed);
    finish(database, progress).await.map(|progress| progress.sequence)
}

fn readable(at: DateTime) -> String {
    at.try_to_rfc3339_string().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(from: i64, to: i64) -> RunDocument {
        let at = DateTime::from_millis(from);
        RunDocument { id: from.to_string(), epoch: 1, from, to, stored_from: at, stored_to: at }
    }

    #[test]
    fn neighbouring_batches_of_an_epoch_make_a_run_in_whichever_order_they_come() {
        let places = [(1, 5), (1, 3), (2, 4), (1, 4), (1, 8), (1, 4)];
        let stored = |sequence: u64| Timestamp::from_second(sequence as i64).unwrap();
        let runs = runs_of(places.map(|(epoch, sequence)| (epoch, sequence, stored(sequence))).to_vec());
        let spans: Vec<_> = runs.iter().map(|run| (run.epoch, run.from, run.to)).collect();
        assert_eq!(spans, [(1, 3, 5), (1, 8, 8), (2, 4, 4)]);
        assert_eq!(
            (runs[0].stored_from, runs[0].stored_to),
            (DateTime::from_millis(3_000), DateTime::from_millis(5_000))
        );
    }

    #[test]
    fn events_that_left_the_log_outside_all_runs_are_missing() {
        for (sequence, last, runs, expected) in [
            (10, 10, vec![], vec![]),
            (10, 9, vec![], vec![]),
            (0, 20, vec![], vec![(1, 20)]),
            (10, 20, vec![run(11, 20)], vec![]),
            (10, 20, vec![run(13, 14), run(16, 30)], vec![(11, 12), (15, 15)]),
            (10, 20, vec![run(13, 18), run(14, 15)], vec![(11, 12), (19, 20)]),
            (10, 20, vec![run(25, 30)], vec![(11, 20)]),
            (10, 20, vec![run(3, 4), run(9, 12)], vec![(13, 20)]),
        ] {
            assert_eq!(uncovered(sequence, last, &runs), expected, "{runs:?}");
        }
    }

    #[test]
    fn nothing_counts_as_archived_beyond_an_epoch_that_is_not() {
        for (epochs, expected) in [
            (vec![], None),
            (vec![(9, None)], None),
            (vec![(9, Some(4))], Some(4)),
            (vec![(9, Some(9))], Some(9)),
            (vec![(9, Some(9)), (20, Some(9))], Some(9)),
            (vec![(9, Some(9)), (20, Some(15))], Some(15)),
            (vec![(9, Some(8)), (20, Some(15))], Some(8)),
            (vec![(9, None), (20, Some(15))], None),
        ] {
            assert_eq!(in_a_row(&epochs), expected, "{epochs:?}");
        }
    }
}
