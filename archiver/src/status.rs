//! How the archiver is doing: whether it can work, for readiness, and what it has done, for a line of the log a minute.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::Timestamp;

use crate::database::Failure;
use crate::write::Written;

/// Shared by everything that runs.
#[derive(Debug)]
pub(crate) struct Status {
    /// Why the last ping failed, if so.
    silence: Mutex<Option<String>>,
    /// Why the last write failed, if so.
    trouble: Mutex<Option<String>>,
    archived: AtomicU64,
    duplicates: AtomicU64,
    contradictions: AtomicU64,
    decisions: AtomicU64,
    sessions: AtomicU64,
    quarantined: AtomicU64,
    writes: AtomicU64,
    /// Of the last write.
    batch_events: AtomicU64,
    commit_took_ms: AtomicU64,
    lag_ms: AtomicU64,
}

impl Status {
    /// The archiver starts, and has yet to reach MongoDB.
    pub(crate) fn starting() -> Status {
        Status {
            silence: Mutex::new(None),
            trouble: Mutex::new(Some("MongoDB was not reached yet".to_owned())),
            archived: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            contradictions: AtomicU64::new(0),
            decisions: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
            quarantined: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            batch_events: AtomicU64::new(0),
            commit_took_ms: AtomicU64::new(0),
            lag_ms: AtomicU64::new(0),
        }
    }

    /// Why nothing can be archived, if so.
    pub(crate) fn trouble(&self) -> Option<String> {
        let read = |trouble: &Mutex<Option<String>>| trouble.lock().expect("no holder of this lock panics").clone();
        read(&self.trouble).or_else(|| read(&self.silence))
    }

    /// What a ping said.
    pub(crate) fn answers(&self, answer: Result<(), Failure>) {
        let reason = answer.err().map(|failure| format!("MongoDB does not answer: {failure}"));
        note(&self.silence, reason, "MongoDB answers");
    }

    /// What a write, or the preparation for it, said.
    fn writes(&self, answer: Result<(), &Failure>) {
        let reason = answer.err().map(|failure| format!("MongoDB cannot be written: {failure}"));
        note(&self.trouble, reason, "MongoDB can be written");
    }

    /// A write is durable. `newest`: when the last of its events was decided.
    pub(crate) fn wrote(&self, written: &Written, took: Duration, newest: Option<Timestamp>) {
        let add = |counter: &AtomicU64, count: usize| counter.fetch_add(count as u64, Ordering::Relaxed);
        add(&self.archived, written.archived);
        add(&self.duplicates, written.duplicates);
        add(&self.contradictions, written.contradictions);
        add(&self.decisions, written.decisions);
        add(&self.sessions, written.sessions);
        add(&self.quarantined, written.quarantined);
        add(&self.writes, 1);
        self.batch_events.store(written.events as u64, Ordering::Relaxed);
        self.commit_took_ms.store(u64::try_from(took.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if let Some(newest) = newest {
            let lag = Timestamp::now().as_millisecond() - newest.as_millisecond();
            self.lag_ms.store(u64::try_from(lag).unwrap_or(0), Ordering::Relaxed);
        }
        if written.quarantined > 0 {
            tracing::warn!(quarantined = written.quarantined, "{} lines went into quarantine", written.quarantined);
        }
    }

    /// Logs the counts every minute in which something was written. Never ends.
    pub(crate) async fn report(&self) {
        let mut reported = 0;
        loop {
            tokio::time::sleep(Duration::from_secs(60)).await;
            let writes = self.writes.load(Ordering::Relaxed);
            if writes != reported {
                reported = writes;
                self.log("archived so far");
            }
        }
    }

    /// Logs the counts.
    pub(crate) fn log(&self, what: &str) {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let archived = get(&self.archived);
        tracing::info!(
            archived,
            duplicates = get(&self.duplicates),
            contradictions = get(&self.contradictions),
            decisions = get(&self.decisions),
            sessions = get(&self.sessions),
            quarantined = get(&self.quarantined),
            writes = get(&self.writes),
            batch_events = get(&self.batch_events),
            commit_took_ms = get(&self.commit_took_ms),
            lag_ms = get(&self.lag_ms),
            "{what}: {archived} messages"
        );
    }
}

/// Repeats something until MongoDB does it, with growing pauses. Dropped, it has done it any number of times.
pub(crate) async fn insist<T, F>(status: &Status, attempt: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, Failure>>,
{
    // 100 ms: an election may be over by then. 5 s: so long is nothing archived after MongoDB is back, at most. Jitter,
    // so that several archivers do not come at the same moment.
    let mut pauses = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times()
        .build();
    loop {
        match attempt().await {
            Ok(done) => {
                status.writes(Ok(()));
                return done;
            }
            Err(failure) => status.writes(Err(&failure)),
        }
        tokio::time::sleep(pauses.next().expect("the number of pauses is not limited")).await;
    }
}

/// Remembers a state and logs its change.
fn note(state: &Mutex<Option<String>>, reason: Option<String>, good: &'static str) {
    let before = std::mem::replace(&mut *state.lock().expect("no holder of this lock panics"), reason.clone());
    match reason {
        Some(reason) if before.as_ref() != Some(&reason) => {
            tracing::warn!("{reason}; nothing is acknowledged until it is written");
        }
        None if before.is_some() => tracing::info!("{good}"),
        _ => {}
    }
}
