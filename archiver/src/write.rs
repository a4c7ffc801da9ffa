//! One write: a few batches of the log, made durable in MongoDB, then acknowledged. It is repeated until it succeeds,
//! and every part of it tolerates that.

pub(crate) mod backfill;
pub(crate) mod decisions;
pub(crate) mod deduplicate;
pub(crate) mod gaps;
pub(crate) mod marks;
pub(crate) mod progress;
pub(crate) mod quarantine;
pub(crate) mod session_records;
pub(crate) mod work;

use std::time::{Duration, Instant};

use chat::EventKind;
use futures_util::future::join_all;
use jiff::Timestamp;
use nats::{Delivery, Log};

use crate::erasure::receipt;
use crate::erasure::receipt::LogFacts;
use crate::erasure::tombstones::Tombstones;
use crate::erasure::{reasons, replay_guard, sweep};
use crate::mongo::database::{Database, Failure};
use crate::mongo::documents::QuarantineDocument;
use crate::status::{Status, insist};
use crate::write::decisions::Place;
use crate::write::deduplicate::keep_first;
use crate::write::work::Work;

/// A batch that is not acknowledged within 30 s comes again; whoever holds one says so three times as often.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// What goes into MongoDB together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    deliveries: Vec<Delivery>,
    work: Work,
    events: usize,
    bytes: usize,
    newest: Option<Timestamp>,
}

/// What a write did.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Lines, whatever became of them.
    pub(crate) events: usize,
    /// New messages.
    pub(crate) archived: usize,
    /// Messages and decisions that were there.
    pub(crate) duplicates: usize,
    /// Those of them that said something else.
    pub(crate) contradictions: usize,
    pub(crate) decisions: usize,
    pub(crate) sessions: usize,
    /// What has no place, and is in quarantine.
    pub(crate) quarantined: Vec<QuarantineDocument>,
}

impl Batch {
    pub(crate) fn add(&mut self, log: &Log, mut delivery: Delivery) {
        for line in std::mem::take(&mut delivery.lines) {
            // An event of every room has a copy in each partition, and becomes one document all the same. But each copy of
            // an erasure is about what stands before it.
            let is_erasure = line.as_ref().is_ok_and(|entry| entry.kind == EventKind::UserErased);
            if is_erasure {
                self.work.add_of(line, &LogFacts::of(log));
                self.events += 1;
                continue;
            }
            if line.as_ref().is_ok_and(|entry| !log.counts(entry)) {
                continue;
            }
            self.events += 1;
            self.bytes += line.as_ref().map_or_else(|malformed| malformed.line.len(), |entry| entry.line.len());
            self.newest = self.newest.max(line.as_ref().ok().map(|entry| entry.at));
            self.work.add(line);
        }
        self.deliveries.push(delivery);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    pub(crate) fn events(&self) -> usize {
        self.events
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes and acknowledges, through whatever outage of MongoDB. Dropped half-way, the batches come again.
    pub(crate) async fn write(self, database: &Database, status: &Status) {
        let started = Instant::now();
        let runs = progress::runs(&self.deliveries);
        let write = async || {
            let written = self.work.write(database).await?;
            // What is noted only after it is acknowledged would look lost if we were killed in between.
            progress::record(database, &runs).await?;
            Ok(written)
        };
        // Nothing is lost with the branch that is dropped: `hold` never ends, and owns nothing.
        let written = tokio::select! {
            written = insist(status, write) => written,
            () = hold(&self.deliveries) => unreachable!("holding never ends"),
        };
        status.wrote(&Written { events: self.events, ..written }, started.elapsed(), self.newest);
        for acked in join_all(self.deliveries.iter().map(Delivery::ack)).await {
            if let Err(error) = acked {
                tracing::debug!("a batch that is archived was not acknowledged and comes again: {error}");
            }
        }
    }
}

impl Work {
    /// Everything once. Whatever was written by an attempt that failed is found to be there by the next.
    ///
    /// Erasures of the batch hold before anything of it is stored; what others learn of meanwhile is seen to afterwards.
    pub(crate) async fn write(&self, database: &Database) -> Result<Written, Failure> {
        let mut recorded = Vec::new();
        for (erasure, position) in &self.erasures {
            recorded.push(receipt::record(database, erasure, &[*position]).await?);
        }
        let known = Tombstones::of(database, self).await?;
        let mut censored =
            if known.is_empty() { None } else { Some(replay_guard::censor(database, &known, self).await?) };
        let erased = reasons::erased(database, &known, self).await?;
        if !erased.is_empty() {
            reasons::censor(censored.get_or_insert_with(|| self.clone()), &erased);
        }
        let written = censored.as_ref().unwrap_or(self).store(database, &known).await?;
        let now = Tombstones::of(database, self).await?;
        replay_guard::enforce(database, &now, self).await?;
        reasons::enforce(database, &now, self).await?;
        // Also where it was known before: an attempt that was cut off may have stored what it did not know to be erased.
        for erasure in now.about(self) {
            sweep::erase(database, erasure).await?;
        }
        for erasure in recorded {
            receipt::enforce(database, erasure).await?;
        }
        Ok(written)
    }

    async fn store(&self, database: &Database, known: &Tombstones) -> Result<Written, Failure> {
        let messages = keep_first(database, &database.messages(), &self.messages).await?;
        let decisions = keep_first(database, &database.decisions(), &self.decisions).await?;
        let refused_sessions = session_records::record(database, &self.sessions).await?;

        let decided = self.decisions.iter().map(|decision| decision.document.id.clone()).collect();
        decisions::enforce(database, decided, &decisions.copied).await?;
        let places: Vec<Place> = self.messages.iter().map(|message| Place::from(&message.document)).collect();
        decisions::reconcile(database, &places).await?;

        let quarantine: Vec<QuarantineDocument> =
            [&self.quarantine, &messages.refused, &decisions.refused, &refused_sessions]
                .into_iter()
                .flatten()
                .filter(|line| !known.is_about(line))
                .cloned()
                .collect();
        let quarantine = reasons::about_authors(database, quarantine).await?;
        if !quarantine.is_empty() {
            let inserted = database.insert(database.quarantine(), quarantine.clone()).await?;
            if let Some((_, reason)) = inserted.refused.into_iter().next() {
                // Dropping the line is the one thing that must not happen.
                return Err(Failure::Unavailable(format!("the quarantine refuses a line: {reason}")));
            }
        }
        Ok(Written {
            events: 0,
            archived: messages.new,
            duplicates: messages.duplicates + decisions.duplicates,
            contradictions: messages.contradictions + decisions.contradictions,
            decisions: decisions.new,
            sessions: self.sessions.len() - refused_sessions.len(),
            quarantined: quarantine,
        })
    }
}

/// Keeps the batches from being handed to somebody else. Never ends.
async fn hold(deliveries: &[Delivery]) {
    loop {
        tokio::time::sleep(PROGRESS_EVERY).await;
        for held in join_all(deliveries.iter().map(Delivery::progress)).await {
            if let Err(error) = held {
                tracing::debug!("a batch that is held may be handed out again: {error}");
            }
        }
    }
}
