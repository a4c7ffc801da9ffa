//! How the archiver is doing: its health, for readiness, and its counters and backlog, for a log line each minute and
//! for `GET /v1/status`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use nats::{Backlog, Fill};
use parking_lot::Mutex;

use crate::metrics::Metrics;
use crate::mongo::failure::Failure;
use crate::query::gaps::Missing;
use crate::work::Written;
use recent_writes::RecentWrites;
pub(crate) use recent_writes::{Recent, Spread};

mod recent_writes;

/// The status, shared by all tasks of the archiver.
#[derive(Debug)]
pub(crate) struct Status {
    started: Timestamp,
    /// Why the last ping failed, if it did.
    silence: Mutex<Health>,
    /// Why the last write failed, if it did.
    trouble: Mutex<Health>,
    archived: AtomicU64,
    duplicates: AtomicU64,
    contradictions: AtomicU64,
    decisions: AtomicU64,
    sessions: AtomicU64,
    quarantined: AtomicU64,
    writes: AtomicU64,
    recent: Mutex<RecentWrites>,
    lag: Mutex<Option<Duration>>,
    backlog: Mutex<Option<Waiting>>,
    /// None until MongoDB answers.
    missing: Mutex<Option<Missing>>,
    /// The lines in quarantine. None until MongoDB answers.
    in_quarantine: Mutex<Option<u64>>,
    /// The latest time at which the log had nothing left to archive, and the newest stored time that is archived.
    reached: Mutex<Reached>,
    pub(crate) metrics: Metrics,
}

/// How far the archive reaches, by the time at which batches were stored.
#[derive(Debug, Default)]
struct Reached {
    all: Option<Timestamp>,
    newest: Option<Timestamp>,
}

/// Whether something works, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Health {
    /// Why it does not work, if it does not.
    pub(crate) trouble: Option<String>,
    pub(crate) since: Timestamp,
}

/// The backlog of all streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) as_of: Timestamp,
    pub(crate) streams: Vec<StreamProgress>,
}

/// A stream of the log, and how far it is archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamProgress {
    pub(crate) backlog: Backlog,
    pub(crate) fill: Fill,
    /// The sequence up to which everything is archived or recorded as missing. None until MongoDB answers.
    pub(crate) archived: Option<i64>,
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) archived: u64,
    pub(crate) duplicates: u64,
    pub(crate) contradictions: u64,
    pub(crate) decisions: u64,
    pub(crate) sessions: u64,
    pub(crate) quarantined: u64,
    pub(crate) writes: u64,
}

impl Status {
    /// An archiver that has yet to reach MongoDB.
    pub(crate) fn starting() -> Status {
        let started = Timestamp::now();
        let health = |trouble: Option<&str>| Mutex::new(Health { trouble: trouble.map(str::to_owned), since: started });
        Status {
            started,
            silence: health(None),
            trouble: health(Some("MongoDB has not been reached yet")),
            archived: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            contradictions: AtomicU64::new(0),
            decisions: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
            quarantined: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            recent: Mutex::default(),
            lag: Mutex::default(),
            backlog: Mutex::default(),
            missing: Mutex::default(),
            in_quarantine: Mutex::default(),
            reached: Mutex::new(Reached { all: Some(started), newest: None }),
            metrics: Metrics::new(),
        }
    }

    /// When the archiver started.
    pub(crate) fn started(&self) -> Timestamp {
        self.started
    }

    /// Why nothing can be archived, if nothing can.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.health().trouble
    }

    /// Whether MongoDB accepts writes.
    pub(crate) fn health(&self) -> Health {
        let (trouble, silence) = (self.trouble.lock().clone(), self.silence.lock().clone());
        match (&trouble.trouble, &silence.trouble) {
            (Some(_), _) => trouble,
            (None, Some(_)) => silence,
            (None, None) => Health { trouble: None, since: trouble.since.max(silence.since) },
        }
    }

    /// Records the result of a ping.
    pub(crate) fn answers(&self, answer: Result<(), Failure>) {
        let reason = answer.err().map(|failure| format!("MongoDB does not answer: {failure}"));
        note(&self.silence, reason, "MongoDB answers");
    }

    /// Records the result of a write, or of the preparation for it.
    pub(crate) fn writes(&self, answer: Result<(), &Failure>) {
        let reason = answer.err().map(|failure| format!("MongoDB accepts no writes: {failure}"));
        note(&self.trouble, reason, "MongoDB accepts writes");
    }

    /// Records a durable write. `newest`: the time of its latest event. `stored`: when its batches were stored, each
    /// with its number of events.
    pub(crate) fn wrote(
        &self,
        written: &Written,
        took: Duration,
        newest: Option<Timestamp>,
        stored: &[(Timestamp, usize)],
    ) {
        self.metrics.wrote(written.events, took, stored);
        let latest = stored.iter().map(|(at, _)| *at).max();
        let mut reached = self.reached.lock();
        reached.newest = reached.newest.max(latest);
        drop(reached);
        let add = |counter: &AtomicU64, count: usize| counter.fetch_add(count as u64, Ordering::Relaxed);
        let quarantined = written.quarantined.len();
        add(&self.archived, written.archived);
        add(&self.duplicates, written.duplicates);
        add(&self.contradictions, written.contradictions);
        add(&self.decisions, written.decisions);
        add(&self.sessions, written.sessions);
        add(&self.quarantined, quarantined);
        add(&self.writes, 1);
        self.recent.lock().add(written.events as u64, took);
        if let Some(newest) = newest {
            // Zero if another node's clock is ahead.
            let lag = Duration::try_from(Timestamp::now().duration_since(newest)).unwrap_or_default();
            *self.lag.lock() = Some(lag);
        }
        if quarantined > 0 {
            tracing::warn!(quarantined, "put {quarantined} lines into quarantine");
        }
    }

    /// Records the backlog. While the log does not answer, the last one stays, with its time.
    pub(crate) fn waits(&self, streams: Vec<StreamProgress>) {
        let waiting = Waiting { as_of: Timestamp::now(), streams };
        if waiting.batches() == 0 {
            self.reached.lock().all = Some(waiting.as_of);
        }
        *self.backlog.lock() = Some(waiting);
    }

    /// How long events have been waiting for the archive: zero if none waits, otherwise at most the time since the
    /// newest archived batch was stored.
    pub(crate) fn behind(&self) -> Duration {
        if self.waiting().is_none_or(|waiting| waiting.batches() == 0) {
            return Duration::ZERO;
        }
        let reached = self.reached.lock();
        let since = reached.all.max(reached.newest);
        since.and_then(|since| Timestamp::now().duration_since(since).try_into().ok()).unwrap_or_default()
    }

    /// Records the number of lines in quarantine.
    pub(crate) fn quarantines(&self, lines: u64) {
        *self.in_quarantine.lock() = Some(lines);
    }

    /// The lines in quarantine. None until MongoDB answers.
    pub(crate) fn in_quarantine(&self) -> Option<u64> {
        *self.in_quarantine.lock()
    }

    /// The backlog. None until the log answers.
    pub(crate) fn waiting(&self) -> Option<Waiting> {
        self.backlog.lock().clone()
    }

    /// Records what left the log unarchived.
    pub(crate) fn misses(&self, missing: Missing) {
        *self.missing.lock() = Some(missing);
    }

    /// What left the log unarchived, as recorded in `archive_gaps`.
    pub(crate) fn missing(&self) -> Missing {
        self.known_missing().unwrap_or_default()
    }

    /// The same. None until MongoDB answers.
    pub(crate) fn known_missing(&self) -> Option<Missing> {
        *self.missing.lock()
    }

    /// What an operator should look at although the archiver works.
    pub(crate) fn notice(&self) -> Option<String> {
        let Missing { batches, .. } = self.missing();
        (batches > 0).then(|| {
            format!("{batches} batches left the log before they were archived: see GET /v1/status and archive_gaps")
        })
    }

    /// The age of the newest event of the last write when it became durable. None before the first write.
    pub(crate) fn lag(&self) -> Option<Duration> {
        *self.lag.lock()
    }

    pub(crate) fn counts(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            archived: get(&self.archived),
            duplicates: get(&self.duplicates),
            contradictions: get(&self.contradictions),
            decisions: get(&self.decisions),
            sessions: get(&self.sessions),
            quarantined: get(&self.quarantined),
            writes: get(&self.writes),
        }
    }

    pub(crate) fn recent(&self) -> Recent {
        self.recent.lock().summary()
    }

    /// Logs the counters every minute in which something was written or is waiting. Never ends.
    pub(crate) async fn report(&self) {
        let mut reported = 0;
        loop {
            tokio::time::sleep(Duration::from_secs(60)).await;
            let writes = self.counts().writes;
            let waits = self.waiting().is_some_and(|waiting| waiting.batches() > 0);
            if let Some(notice) = self.notice() {
                tracing::warn!("{notice}");
            }
            if writes != reported || waits {
                reported = writes;
                self.log("archived so far");
            }
        }
    }

    /// Logs the counters.
    pub(crate) fn log(&self, what: &str) {
        let Counts { archived, duplicates, contradictions, decisions, sessions, quarantined, writes } = self.counts();
        let Recent { events, commit_ms, .. } = self.recent();
        tracing::info!(
            archived,
            duplicates,
            contradictions,
            decisions,
            sessions,
            quarantined,
            writes,
            batch_events_p50 = events.p50,
            batch_events_p99 = events.p99,
            commit_ms_p50 = commit_ms.p50,
            commit_ms_p99 = commit_ms.p99,
            lag_ms = self.lag().map(milliseconds),
            missing_batches = self.missing().batches,
            waiting_batches = self.waiting().map(|waiting| waiting.batches()),
            "{what}: {archived} messages"
        );
    }
}

impl Waiting {
    /// Batches that are not acknowledged, whether an archiver holds them or not.
    pub(crate) fn batches(&self) -> u64 {
        self.streams.iter().map(|stream| stream.backlog.waiting + stream.backlog.held).sum()
    }
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Records a state and logs its change.
fn note(state: &Mutex<Health>, reason: Option<String>, good: &'static str) {
    let mut state = state.lock();
    if state.trouble.is_some() != reason.is_some() {
        state.since = Timestamp::now();
    }
    let before = std::mem::replace(&mut state.trouble, reason.clone());
    drop(state);
    match reason {
        Some(reason) if before.as_ref() != Some(&reason) => {
            tracing::warn!("{reason}; no batch is acknowledged until it is written");
        }
        None if before.is_some() => tracing::info!("{good}"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_when_it_does_not_work_does_not_move_with_the_reason() {
        let status = Status::starting();
        let since = status.health().since;
        status.writes(Err(&Failure::Unavailable("another reason".to_owned())));
        assert_eq!(status.health().since, since);
        status.writes(Ok(()));
        let Health { trouble, since: now } = status.health();
        assert!(trouble.is_none() && now >= since);
    }
}
