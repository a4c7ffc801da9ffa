//! How the archiver is doing: whether it can work, for readiness, and what it has done and has yet to do, for a line of
//! the log a minute and for `GET /v1/status`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::Timestamp;
use nats::{Backlog, Fill};

use crate::mongo::database::Failure;
use crate::write::Written;
use crate::write::gaps::Missing;

/// Writes whose size and time are remembered: at the speed of the database the last half minute.
const RECENT: usize = 1_000;

/// Shared by everything that runs.
#[derive(Debug)]
pub(crate) struct Status {
    started: Timestamp,
    /// Why the last ping failed, if so.
    silence: Mutex<Health>,
    /// Why the last write failed, if so.
    trouble: Mutex<Health>,
    archived: AtomicU64,
    duplicates: AtomicU64,
    contradictions: AtomicU64,
    decisions: AtomicU64,
    sessions: AtomicU64,
    quarantined: AtomicU64,
    writes: AtomicU64,
    recent: Mutex<VecDeque<Write>>,
    lag: Mutex<Option<Duration>>,
    backlog: Mutex<Option<Waiting>>,
    missing: Mutex<Missing>,
}

/// Whether something works, and since when that is so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Health {
    /// Why it does not, if so.
    pub(crate) trouble: Option<String>,
    pub(crate) since: Timestamp,
}

/// What is in the log and not in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) as_of: Timestamp,
    pub(crate) streams: Vec<Stream>,
}

/// A stream of the log, as the archive sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) backlog: Backlog,
    pub(crate) fill: Fill,
    /// Up to there everything is archived, or on record as missing; none before MongoDB said so.
    pub(crate) archived: Option<i64>,
}

/// What was done since the start.
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

/// The last writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Recent {
    pub(crate) writes: usize,
    pub(crate) events: Spread,
    pub(crate) commit_ms: Spread,
}

/// How something is spread: half are at most the first, 99 % at most the second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Spread {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

#[derive(Debug, Clone, Copy)]
struct Write {
    events: u64,
    commit_ms: u64,
}

impl Status {
    /// The archiver starts, and has yet to reach MongoDB.
    pub(crate) fn starting() -> Status {
        let started = Timestamp::now();
        let health = |trouble: Option<&str>| Mutex::new(Health { trouble: trouble.map(str::to_owned), since: started });
        Status {
            started,
            silence: health(None),
            trouble: health(Some("MongoDB was not reached yet")),
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
        }
    }

    /// When it started.
    pub(crate) fn started(&self) -> Timestamp {
        self.started
    }

    /// Why nothing can be archived, if so.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.health().trouble
    }

    /// Whether MongoDB can be written.
    pub(crate) fn health(&self) -> Health {
        let (trouble, silence) = (lock(&self.trouble).clone(), lock(&self.silence).clone());
        match (&trouble.trouble, &silence.trouble) {
            (Some(_), _) => trouble,
            (None, Some(_)) => silence,
            (None, None) => Health { trouble: None, since: trouble.since.max(silence.since) },
        }
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
        let quarantined = written.quarantined.len();
        add(&self.archived, written.archived);
        add(&self.duplicates, written.duplicates);
        add(&self.contradictions, written.contradictions);
        add(&self.decisions, written.decisions);
        add(&self.sessions, written.sessions);
        add(&self.quarantined, quarantined);
        add(&self.writes, 1);
        let mut recent = lock(&self.recent);
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back(Write { events: written.events as u64, commit_ms: milliseconds(took) });
        drop(recent);
        if let Some(newest) = newest {
            // None where another node's clock is ahead.
            let lag = Duration::try_from(Timestamp::now().duration_since(newest)).unwrap_or_default();
            *lock(&self.lag) = Some(lag);
        }
        if quarantined > 0 {
            tracing::warn!(quarantined, "{quarantined} lines went into quarantine");
        }
    }

    /// What the log said about what is waiting in it. If it said nothing the last answer stays, with its time.
    pub(crate) fn waits(&self, streams: Vec<Stream>) {
        *lock(&self.backlog) = Some(Waiting { as_of: Timestamp::now(), streams });
    }

    /// What is in the log and not in the archive; none before the log said so.
    pub(crate) fn waiting(&self) -> Option<Waiting> {
        lock(&self.backlog).clone()
    }

    /// What left the log unarchived, in all.
    pub(crate) fn misses(&self, missing: Missing) {
        *lock(&self.missing) = missing;
    }

    /// What left the log unarchived, as the archive's record has it.
    pub(crate) fn missing(&self) -> Missing {
        *lock(&self.missing)
    }

    /// What somebody should look at although the archiver works.
    pub(crate) fn notice(&self) -> Option<String> {
        let Missing { batches, .. } = self.missing();
        (batches > 0).then(|| {
            format!("{batches} batches left the log before they were archived: see GET /v1/status and archive_gaps")
        })
    }

    /// How old the newest event of the last write was when it was durable; none before the first.
    pub(crate) fn lag(&self) -> Option<Duration> {
        *lock(&self.lag)
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
        let recent = lock(&self.recent);
        Recent {
            writes: recent.len(),
            events: spread(recent.iter().map(|write| write.events)),
            commit_ms: spread(recent.iter().map(|write| write.commit_ms)),
        }
    }

    /// Logs the counts every minute in which something was written or waits. Never ends.
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

    /// Logs the counts.
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
    /// Batches of the log that are not acknowledged, whether somebody holds them or not.
    pub(crate) fn batches(&self) -> u64 {
        self.streams.iter().map(|stream| stream.backlog.waiting + stream.backlog.held).sum()
    }
}

fn spread(values: impl Iterator<Item = u64>) -> Spread {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    let at = |percent: usize| values.get((values.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    let at = |percent| at(percent).unwrap_or_default();
    Spread { p50: at(50), p99: at(99), max: at(100) }
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of this lock panics")
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
fn note(state: &Mutex<Health>, reason: Option<String>, good: &'static str) {
    let mut state = lock(state);
    if state.trouble.is_some() != reason.is_some() {
        state.since = Timestamp::now();
    }
    let before = std::mem::replace(&mut state.trouble, reason.clone());
    drop(state);
    match reason {
        Some(reason) if before.as_ref() != Some(&reason) => {
            tracing::warn!("{reason}; nothing is acknowledged until it is written");
        }
        None if before.is_some() => tracing::info!("{good}"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_names_values_that_were_there() {
        assert_eq!(spread([].into_iter()), Spread::default());
        assert_eq!(spread([7].into_iter()), Spread { p50: 7, p99: 7, max: 7 });
        assert_eq!(spread([3, 1, 2].into_iter()), Spread { p50: 2, p99: 3, max: 3 });
        assert_eq!(spread((1..=1_000).rev()), Spread { p50: 500, p99: 990, max: 1_000 });
    }

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

    #[test]
    fn only_the_last_writes_are_remembered() {
        let status = Status::starting();
        for events in 0..1_500 {
            status.wrote(&Written { events, ..Written::default() }, Duration::from_millis(3), None);
        }
        let recent = status.recent();
        assert_eq!((recent.writes, recent.events.max, recent.events.p50), (1_000, 1_499, 999));
        assert_eq!(recent.commit_ms, Spread { p50: 3, p99: 3, max: 3 });
        assert_eq!((status.counts().writes, status.lag()), (1_500, None));
    }
}
