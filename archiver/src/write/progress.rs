//! How far the log is archived, in the archive's own record. The log's server forgets with a batch whether it was
//! acknowledged: its acknowledgement floor moves over what has aged out. So each write notes which batches it made durable,
//! before it acknowledges them, and what leaves the log without such a note has left it unarchived.
//!
//! `archive_progress` has a document for each epoch of the log: all batches up to its `sequence` are archived, or are in
//! [`crate::write::gaps`]. `archive_runs` has what is archived beyond that, because several archivers write at once; it is
//! folded into the former every two seconds, by all of them, and is nearly empty.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use jiff::Timestamp;
use mongodb::bson::{DateTime, doc, serialize_to_bson};
use nats::{Delivery, Fill};
use serde::{Deserialize, Serialize};

use crate::mongo::database::{Database, Failure};
use crate::write::gaps;
use crate::write::gaps::Gap;

/// Runs that are read at once.
const PAGE: i64 = 5_000;

/// More ranges than this are put on record as one that spans them all.
const MOST_GAPS: usize = 1_000;

/// So long a gap is looked at before it is one. What left the log while an archiver held it is written within this time
/// after MongoDB is back, as pauses between two attempts are 5 s at most.
const CERTAIN_AFTER: Duration = Duration::from_secs(10);

/// Neighbouring batches that are archived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Run {
    #[serde(rename = "_id")]
    id: String,
    epoch: i64,
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// When the first and the last of them were stored.
    stored_from: DateTime,
    stored_to: DateTime,
}

/// `archive_progress`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProgressDocument {
    #[serde(rename = "_id")]
    epoch: i64,
    stream: String,
    sequence: i64,
    /// When the batch of that sequence was stored, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stored_at: Option<DateTime>,
    /// Gaps below `sequence` that are to be put on record: whoever finds them does so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    noticed: Vec<Gap>,
}

/// The runs that the deliveries make up.
pub(crate) fn runs(deliveries: &[Delivery]) -> Vec<Run> {
    let place = |delivery: &Delivery| (delivery.place.epoch, delivery.place.sequence, delivery.stored);
    runs_of(deliveries.iter().map(place).collect())
}

/// Of epochs, sequences and when each was stored.
fn runs_of(mut places: Vec<(u64, u64, Timestamp)>) -> Vec<Run> {
    places.sort_unstable();
    let mut runs: Vec<Run> = Vec::new();
    for (epoch, sequence, stored) in places {
        // A number that MongoDB cannot hold is none that a server gives.
        let (Ok(epoch), Ok(sequence)) = (i64::try_from(epoch), i64::try_from(sequence)) else { continue };
        let stored = DateTime::from_millis(stored.as_millisecond());
        match runs.last_mut() {
            Some(last) if last.epoch == epoch && sequence <= last.to + 1 => {
                (last.to, last.stored_to) = (sequence, stored);
            }
            _ => runs.push(Run {
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

/// Notes that these are archived. Once it returns that is durable, and they may be acknowledged.
pub(crate) async fn record(database: &Database, runs: &[Run]) -> Result<(), Failure> {
    let inserted = database.insert(database.runs(), runs.to_vec()).await?;
    for index in inserted.existing {
        // It came again, with more behind it or less.
        let run = &runs[index];
        let (collection, longer) = (database.runs(), doc! { "_id": &run.id, "to": { "$lt": run.to } });
        let update = doc! { "$set": { "to": run.to, "storedTo": run.stored_to } };
        database.ask(async move { collection.update_one(longer, update).await }).await?;
    }
    match inserted.refused.into_iter().next() {
        Some((_, reason)) => Err(Failure::Unavailable(format!("what is archived cannot be noted: {reason}"))),
        None => Ok(()),
    }
}

/// Looks again and again, and remembers what looked like a gap the last time.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    suspects: HashMap<i64, (Vec<(i64, i64)>, Instant)>,
    /// Up to where each epoch was archived at the last look that succeeded.
    reached: HashMap<u64, i64>,
}

impl Watch {
    /// Up to where all of the epoch is archived, or on record as a gap, as far as is known; also while MongoDB is away.
    pub(crate) fn reached(&self, epoch: u64) -> Option<i64> {
        self.reached.get(&epoch).copied()
    }

    /// Folds what was noted, and puts on record what left the log unarchived. `fill` was asked for before, and
    /// `acknowledged` is the server's floor.
    pub(crate) async fn look(&mut self, database: &Database, fill: &Fill, acknowledged: u64) -> Result<(), Failure> {
        let reached = self.fold_and_compare(database, fill, acknowledged).await?;
        self.reached.insert(fill.epoch, reached);
        Ok(())
    }

    async fn fold_and_compare(&mut self, database: &Database, fill: &Fill, acknowledged: u64) -> Result<i64, Failure> {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (epoch, gone) = (number(fill.epoch), number(fill.first) - 1);
        let (progress, runs) = loop {
            // First what is beyond, then how far it goes: in between another archiver may fold the one into the other.
            let runs = read(database, epoch).await?;
            let progress = standing(database, epoch, fill, number(acknowledged).max(gone), &runs).await?;
            let is_all = runs.len() < PAGE as usize;
            let progress = fold(database, progress, &runs).await?;
            if is_all {
                break (progress, runs);
            }
        };
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

/// Up to where a stream is archived: of each of its epochs, the first one first, the last sequence that it has, and up to
/// where that is archived. What comes after an epoch that is not archived to its end does not count yet.
pub(crate) fn in_a_row(epochs: &[(u64, Option<i64>)]) -> Option<i64> {
    let is_short = |(last, reached): &&(u64, Option<i64>)| reached.is_none_or(|reached| reached.unsigned_abs() < *last);
    epochs.iter().find(is_short).or(epochs.last()).and_then(|(_, reached)| *reached)
}

async fn read(database: &Database, epoch: i64) -> Result<Vec<Run>, Failure> {
    let collection = database.runs();
    let found = async move {
        collection.find(doc! { "epoch": epoch }).sort(doc! { "from": 1 }).limit(PAGE).await?.try_collect().await
    };
    database.ask(found).await
}

/// The epoch's document. Where there is none yet, nothing of before is missed: a log that is older than its first
/// archiver has begun without one. But an epoch that follows another of its stream has begun under its eyes.
async fn standing(
    database: &Database,
    epoch: i64,
    fill: &Fill,
    sequence: i64,
    runs: &[Run],
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
    // Of two that make it at the same moment one finds it there.
    database.insert(database.progress(), vec![progress]).await?;
    find().await?.ok_or_else(|| Failure::Unavailable("the progress of the archive went as it was noted".to_owned()))
}

/// Puts on record what was noticed and is not on record yet.
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

/// Moves the progress over the runs that follow it without a gap, and forgets them.
async fn fold(database: &Database, mut progress: ProgressDocument, runs: &[Run]) -> Result<ProgressDocument, Failure> {
    // Archived after all: an archiver held them when they left the log.
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
        // Not one that has grown meanwhile.
        let done = doc! { "_id": { "$in": folded }, "to": { "$lte": progress.sequence } };
        let collection = database.runs();
        database.ask(async move { collection.delete_many(done).await }).await?;
    }
    Ok(progress)
}

/// What lies beyond `sequence`, up to `last`, and in no run.
fn uncovered(mut sequence: i64, last: i64, runs: &[Run]) -> Vec<(i64, i64)> {
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

/// Puts on record that these are gone: first where it is decided, in one step, who does.
async fn notice(
    database: &Database,
    mut progress: ProgressDocument,
    gone: i64,
    missing: &[(i64, i64)],
    runs: &[Run],
    fill: &Fill,
) -> Result<i64, Failure> {
    let batches: i64 = missing.iter().map(|(first, last)| last - first + 1).sum();
    let spans = if missing.len() > MOST_GAPS {
        vec![(missing[0].0, missing[missing.len() - 1].1, batches)]
    } else {
        missing.iter().map(|(first, last)| (*first, *last, last - first + 1)).collect()
    };
    let oldest = fill.oldest.map(|at| DateTime::from_millis(at.as_millisecond()));
    let noticed = spans.into_iter().map(|(first, last, batches)| Gap {
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
        // Where nothing is left it was stored before now.
        before: match runs.iter().find(|run| run.from > last) {
            Some(run) if run.to <= gone || oldest.is_none() => Some(run.stored_from),
            _ => oldest.or_else(|| Some(DateTime::now())),
        },
        noticed_at: DateTime::now(),
    });
    let noticed: Vec<Gap> = noticed.collect();
    let unfit = |_| Failure::Unavailable("a gap does not fit into BSON".to_owned());
    let gaps = serialize_to_bson(&noticed).map_err(unfit)?;
    let collection = database.progress();
    let unmoved = doc! { "_id": progress.epoch, "sequence": progress.sequence, "noticed": { "$exists": false } };
    let moved = doc! { "$set": { "sequence": gone, "noticed": gaps }, "$unset": { "storedAt": "" } };
    let update = database.ask(async move { collection.update_one(unmoved, moved).await }).await?;
    if update.modified_count == 0 {
        // Another archiver was faster, or wrote some of it.
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

    fn run(from: i64, to: i64) -> Run {
        let at = DateTime::from_millis(from);
        Run { id: from.to_string(), epoch: 1, from, to, stored_from: at, stored_to: at }
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
    fn what_is_gone_and_in_no_run_is_missing() {
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
