//! A write: batches of the log become durable in MongoDB, then they are acknowledged. A write is retried until it
//! succeeds, and every part of it is idempotent.

pub(crate) mod backfill;
pub(crate) mod decisions;
pub(crate) mod deduplicate;
pub(crate) mod gaps;
pub(crate) mod marks;
pub(crate) mod progress;
pub(crate) mod quarantine;
pub(crate) mod session_records;
pub(crate) mod text_index;

use std::time::{Duration, Instant, SystemTime};

use chat::EventKind;
use futures_util::future::{join_all, try_join};
use jiff::Timestamp;
use nats::{Delivery, Log};
use otlp::Tracer;

use crate::erasure::tombstones::Tombstones;
use crate::erasure::{reasons, receipt, replay_guard, sweep};
use crate::mongo::database::Database;
use crate::mongo::documents::{MessageDocument, QuarantineDocument};
use crate::mongo::failure::Failure;
use crate::retry::until_done;
use crate::status::Status;
use crate::traces::Traces;
use crate::work::{Lined, LogFacts, Work, Written};
use crate::write::decisions::MessagePlace;
use crate::write::deduplicate::keep_first;
use crate::write::text_index::Place;

/// 10 s: the log redelivers a batch that is not acknowledged within 30 s. An archiver that holds one reports progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// Batches of the log that are written together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    deliveries: Vec<Delivery>,
    work: Work,
    events: usize,
    bytes: usize,
    newest: Option<Timestamp>,
    traces: Traces,
    /// When each batch of the log was stored, with the number of its events.
    stored: Vec<(Timestamp, usize)>,
}

impl Batch {
    pub(crate) fn add(&mut self, log: &Log, tracer: &Tracer, mut delivery: Delivery) {
        let before = self.events;
        for line in std::mem::take(&mut delivery.lines) {
            // An event of every room has a copy in each partition, and becomes one document. Each copy of an erasure
            // counts: it is about the messages before it in its own partition.
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
            line.iter().for_each(|entry| self.traces.note(tracer, entry));
            self.work.add(line);
        }
        self.stored.push((delivery.stored, self.events - before));
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

    /// Writes, through any outage of MongoDB, then acknowledges. If it is dropped half-way, the log redelivers the
    /// batches.
    pub(crate) async fn write(self, database: &Database, status: &Status, tracer: &Tracer) {
        let (started, began) = (Instant::now(), SystemTime::now());
        let runs = progress::runs(&self.deliveries);
        let write = async || {
            let written = self.work.write(database).await?;
            // Before the acknowledgement: a batch that is acknowledged and not recorded would look lost after a kill.
            progress::record(database, &runs).await?;
            Ok(written)
        };
        // Nothing is lost with the dropped branch: `hold` never ends, and owns nothing.
        let written = tokio::select! {
            written = until_done(status, write) => written,
            () = hold(&self.deliveries) => unreachable!("holding never ends"),
        };
        status.wrote(&Written { events: self.events, ..written }, started.elapsed(), self.newest, &self.stored);
        self.traces.committed(tracer, began, self.events);
        for acked in join_all(self.deliveries.iter().map(Delivery::ack)).await {
            if let Err(error) = acked {
                tracing::debug!("cannot acknowledge an archived batch, the log redelivers it: {error}");
            }
        }
    }
}

impl Work {
    /// Stores everything once. What a failed attempt wrote, the next one finds and counts as a duplicate.
    ///
    /// Erasures of the batch apply before it is stored. Erasures that other archivers record meanwhile apply
    /// afterwards.
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
        // Also erasures that were known before: an interrupted attempt may have stored messages without knowing of
        // them.
        for erasure in now.about(self) {
            sweep::erase(database, erasure).await?;
        }
        for erasure in recorded {
            sweep::enforce(database, erasure).await?;
        }
        Ok(written)
    }

    async fn store(&self, database: &Database, known: &Tombstones) -> Result<Written, Failure> {
        // Decisions first: a release that comes after a denial must not show its message, not even for a moment.
        let decisions = keep_first(database, &database.decisions(), &self.decisions).await?;
        let denied = decisions::holds::denied(database, self).await?;
        let messages = if denied.is_empty() {
            keep_first(database, &database.messages(), &self.messages).await?
        } else {
            let is_shown = |message: &&Lined<MessageDocument>| {
                let MessageDocument { id, position, .. } = &message.document;
                denied.get(id).is_none_or(|denied| position < denied)
            };
            let shown: Vec<_> = self.messages.iter().filter(is_shown).cloned().collect();
            keep_first(database, &database.messages(), &shown).await?
        };
        let refused_sessions = session_records::record(database, &self.sessions).await?;

        let decided = self.decisions.iter().map(|decision| decision.document.id.clone()).collect();
        decisions::enforce(database, decided, &decisions.copied).await?;
        decisions::holds::enforce(database, self).await?;
        let indexed: Vec<Place> = self.messages.iter().map(|message| Place::from(&message.document)).collect();
        let places: Vec<MessagePlace> =
            self.messages.iter().map(|message| MessagePlace::from(&message.document)).collect();
        try_join(text_index::invalidate(database, &indexed), decisions::reconcile(database, &places)).await?;
        if messages.duplicates > 0 {
            decisions::release(database, places.into_iter().map(|place| place.id).collect()).await?;
        }

        let quarantine: Vec<QuarantineDocument> =
            [&self.quarantine, &messages.refused, &decisions.refused, &refused_sessions]
                .into_iter()
                .flatten()
                .filter(|line| !known.is_about(line))
                .cloned()
                .collect();
        let quarantine = reasons::quarantinable(database, quarantine).await?;
        if !quarantine.is_empty() {
            let inserted = database.insert(database.quarantine(), quarantine.clone()).await?;
            if let Some((_, reason)) = inserted.refused.into_iter().next() {
                // The line must not be dropped: it is retried.
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

/// Keeps the log from redelivering the batches. Never ends.
async fn hold(deliveries: &[Delivery]) {
    loop {
        tokio::time::sleep(PROGRESS_EVERY).await;
        for held in join_all(deliveries.iter().map(Delivery::progress)).await {
            if let Err(error) = held {
                tracing::debug!("cannot report progress, the log may redeliver a batch: {error}");
            }
        }
    }
}
