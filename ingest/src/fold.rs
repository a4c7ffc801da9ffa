//! What this node makes of the log: one task reads it from before the oldest event that still matters, folds it into
//! the rules, the memory of keys and the limits, and keeps the decisions that stand beyond the log's age. A node that
//! has not read everything up to its start is not ready.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nats::{Body, Decisions, Entry, Event, Kept, Log, Position, Start, Subject, Tail, TailStatus, now};
use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::keyed::{Earlier, Keyed};
use crate::limits::{Limits, Observed};
use crate::rules::Rules;
use crate::settings::Own;

/// Decisions that wait to be kept. If more come, reading waits: it is the same server that does not take them.
const WAITING: usize = 1_024;

/// How often it is noted how far reading has come, and what has ended is forgotten.
const TICK: Duration = Duration::from_secs(30);

/// Before a decision that could not be kept is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// The log, folded.
#[derive(Debug)]
pub(crate) struct Fold {
    pub(crate) rules: Rules,
    pub(crate) keyed: Keyed,
    pub(crate) limits: Limits,
    status: TailStatus,
    /// Whoever waits for an event of the log is woken by each batch.
    moved: Notify,
}

/// What is to be done to the bucket, in this order.
#[derive(Debug)]
enum Keep {
    Decision(Subject, Position, Box<Event>),
    /// So far everything was read then.
    Read(Timestamp, Vec<Position>),
}

/// How long what was read must be looked back on: for so long a key is remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) keys_for: Duration,
    pub(crate) most_keys: usize,
}

impl Fold {
    /// Takes what is kept and begins to read. The tasks end with `stop`.
    pub(crate) async fn start(
        log: &Log,
        rules: Rules,
        limits: Limits,
        memory: Memory,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<Arc<Fold>, nats::Error> {
        let decisions = log.decisions();
        let Kept { entries, read } = decisions.load().await?;
        for kept in &entries {
            match kept.event() {
                Ok(event) => drop(rules.apply(kept.position, &event, now())),
                Err(error) => tracing::warn!(id = %kept.id, %error, "a kept decision is not understood: {error}"),
            }
        }
        tracing::info!(decisions = entries.len(), "took over {} decisions that are kept", entries.len());
        // Which copy counts is a question of keys.
        let tail = log.tail_with_copies(Start::After(read));
        let keyed = Keyed::new(memory.keys_for, memory.most_keys);
        let fold = Arc::new(Fold { rules, keyed, limits, status: tail.status(), moved: Notify::new() });
        let (keep, waiting) = mpsc::channel(WAITING);
        tasks.spawn(stop.clone().run_until_cancelled_owned(forget(log.clone(), entries)));
        tasks.spawn(stop.clone().run_until_cancelled_owned(fold.clone().follow(log.clone(), tail, keep)));
        let keeping = keep_all(decisions, waiting, memory.keys_for);
        tasks.spawn(stop.clone().run_until_cancelled_owned(keeping));
        Ok(fold)
    }

    /// Whether everything that was in the log at the start was taken in.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.status.is_caught_up()
    }

    /// Whether the log was heard of lately.
    pub(crate) fn is_current(&self) -> bool {
        self.status.is_current()
    }

    /// Waits until the fold has what `look` looks for, no longer than the deadline.
    pub(crate) async fn find<T>(&self, deadline: Duration, look: impl Fn(&Fold) -> Option<T>) -> Option<T> {
        let search = async {
            loop {
                let moved = self.moved.notified();
                if let Some(found) = look(self) {
                    return found;
                }
                moved.await;
            }
        };
        timeout(deadline, search).await.ok()
    }

    async fn follow(self: Arc<Fold>, log: Log, mut tail: Tail, keep: mpsc::Sender<Keep>) {
        let mut read: Vec<Position> = Vec::new();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // `next` hands a batch out only to the branch that takes it: none is lost with the other.
            let batch = tokio::select! {
                batch = tail.next() => batch,
                _ = tick.tick() => {
                    if self.is_caught_up() {
                        self.rules.tidy(now());
                        // Whoever reads the other end is gone only when everything ends.
                        let _ = keep.send(Keep::Read(now(), read.clone())).await;
                    }
                    continue;
                }
            };
            let Ok(batch) = batch else {
                // The log has failed, which ends the process, or it is closed.
                return;
            };
            for entry in &batch {
                if let Some((subject, decision)) = log.counts(entry).then(|| self.take(entry)).flatten() {
                    let _ = keep.send(Keep::Decision(subject, entry.position, Box::new(decision))).await;
                }
            }
            if let Some(Entry { position, .. }) = batch.last() {
                read.retain(|other| other.epoch != position.epoch);
                read.push(*position);
            }
            self.moved.notify_waiters();
        }
    }

    /// Takes in an event; answers with the decision that is to be kept.
    fn take(&self, entry: &Entry) -> Option<(Subject, Event)> {
        let event = match entry.event() {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(id = %entry.id, %error, "an event is not understood and has no effect: {error}");
                return None;
            }
        };
        if let Some(request) = event.request {
            let earlier = Earlier { position: entry.position, request };
            if !self.keyed.insert(event.id, earlier, event.at, now()) {
                return None;
            }
        }
        match (&event.body, event.presenter) {
            (Body::MessagePosted(posted), Some(presenter)) => {
                let (id, at, user, role, text) = (event.id, event.at, posted.user.idx, posted.user.role, &posted.text);
                let observed = Observed { id, at, presenter, user, role, text };
                self.limits.observe(&observed, &self.rules.current(presenter, now()).settings);
                None
            }
            _ => self.rules.apply(entry.position, &event, now()),
        }
    }
}

/// Forgets those of the kept decisions that have no effect any more, nor can replace an older one in the log.
async fn forget(log: Log, kept: Vec<Entry>) {
    let decisions = log.decisions();
    for entry in kept.iter().filter(|entry| now().duration_since(entry.at).unsigned_abs() > log.max_age()) {
        let Ok(event) = entry.event() else { continue };
        let has_ended = match &event.body {
            Body::UserUnbanned(_) => true,
            Body::UserBanned(banned) => banned.until.is_some_and(|until| until < now()),
            Body::RoomUpdated(updated) => Own::of_event(&updated.settings, &updated.until).is_empty(now()),
            _ => false,
        };
        if let Some(subject) = Subject::of(&event).filter(|_| has_ended)
            && let Err(error) = decisions.forget(subject, entry.position).await
        {
            tracing::warn!(id = %entry.id, %error, "a decision that has ended is still kept: {error}");
        }
    }
}

/// Keeps what comes, again and again if need be, and says how far the log was read once it is long enough ago: a node
/// that starts reads on from there, and must find the keys of that time.
async fn keep_all(decisions: Decisions, mut waiting: mpsc::Receiver<Keep>, keys_for: Duration) {
    let mut read: VecDeque<(Timestamp, Vec<Position>)> = VecDeque::new();
    while let Some(keep) = waiting.recv().await {
        match keep {
            Keep::Decision(subject, position, decision) => {
                while let Err(error) = decisions.keep(subject, position, &decision).await {
                    tracing::warn!(%position, %error, "a decision is not kept yet, trying again: {error}");
                    sleep(PAUSE).await;
                }
            }
            Keep::Read(at, positions) => {
                read.push_back((at, positions));
                let is_old = |(at, _): &(Timestamp, _)| now().duration_since(*at).unsigned_abs() > keys_for;
                let mut reached = None;
                while read.front().is_some_and(is_old) {
                    reached = read.pop_front();
                }
                if let Some((_, positions)) = reached
                    && let Err(error) = decisions.set_read(positions).await
                {
                    tracing::warn!(%error, "it is not noted how far the log was read: {error}");
                }
            }
        }
    }
}
