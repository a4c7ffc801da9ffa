//! What this node makes of the log: one task reads it from before the oldest event that still matters, folds it into
//! the rules, the memory of keys and the limits, and hands the decisions that stand to whoever keeps them. A node that has
//! not read everything up to its start is not ready.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chat::{Body, Event, EventKind, Position, UserIdx, now};
use jiff::Timestamp;
use nats::{Entry, Log, Start, Subject, Tail, TailStatus};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::memory::decision_keeper;
use crate::memory::decision_keeper::Keeper;
use crate::memory::idempotency::{Earlier, Keyed};
use crate::moderation::rules::Rules;
use crate::posting::limits::{Limits, Observed};

/// How often it is noted how far reading has come, and what has ended is forgotten.
const TICK: Duration = Duration::from_secs(30);

/// 2 s for an event to come back from the log: it takes milliseconds, or there is an outage.
const FIND_DEADLINE: Duration = Duration::from_secs(2);

/// The log, folded.
#[derive(Debug)]
pub(crate) struct Fold {
    pub(crate) rules: Rules,
    pub(crate) keyed: Keyed,
    pub(crate) limits: Limits,
    pub(crate) keeper: Keeper,
    status: TailStatus,
    /// Whoever waits for an event of the log is woken by each batch.
    moved: Notify,
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
        let timelines = log.timelines();
        let max_age = log.max_age();
        let (mut taken, mut of_rooms, mut ended) = (0, HashMap::new(), Vec::new());
        let take = |kept: Entry| {
            taken += 1;
            if let Some(presenter) = kept.presenter {
                // Those of another log, too: each has its own order.
                let furthest = of_rooms.entry((timelines.partition_of(presenter), kept.position.epoch));
                let furthest = furthest.or_insert(kept.position);
                *furthest = kept.position.max(*furthest);
            }
            match kept.event() {
                Ok(event) => {
                    ended.extend(decision_keeper::ended(&kept, &event, max_age));
                    rules.apply(kept.position, &event, now());
                }
                Err(error) => tracing::warn!(id = %kept.id, %error, "a kept decision is not understood: {error}"),
            }
        };
        let read = decisions.each(take).await?;
        // A log that does not reach as far as what was kept of it is older.
        let of_rooms = of_rooms.into_iter().map(|((partition, _), position)| (partition, position));
        let reached = read.iter().filter_map(|position| Some((timelines.partition(*position)?, *position)));
        log.confirm(of_rooms.chain(reached)).await?;
        tracing::info!(decisions = taken, "took over {taken} decisions that are kept");
        // Which copy counts is a question of keys.
        let tail = log.tail_with_copies(Start::After(read));
        let keyed = Keyed::new(memory.keys_for, memory.most_keys);
        let keeper = Keeper::new(decisions, log.timelines().clone(), memory.keys_for);
        let fold = Arc::new(Fold { rules, keyed, limits, keeper, status: tail.status(), moved: Notify::new() });
        let following = fold.clone().follow(log.clone(), tail);
        tasks.spawn(stop.clone().run_until_cancelled_owned(following));
        let keeping = {
            let fold = fold.clone();
            async move { fold.keeper.run(ended, max_age).await }
        };
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

    /// Waits until the fold has what `look` looks for, if it comes within 2 s.
    pub(crate) async fn find<T>(&self, look: impl Fn(&Fold) -> Option<T>) -> Option<T> {
        timeout(FIND_DEADLINE, self.until(look)).await.ok()
    }

    /// Waits until the fold has what `look` looks for.
    pub(crate) async fn until<T>(&self, look: impl Fn(&Fold) -> Option<T>) -> T {
        loop {
            let moved = self.moved.notified();
            if let Some(found) = look(self) {
                return found;
            }
            moved.await;
        }
    }

    /// Waits until everything up to that position was taken in.
    pub(crate) async fn reached(&self, position: Position) {
        self.status.reached(position).await;
    }

    async fn follow(self: Arc<Fold>, log: Log, mut tail: Tail) {
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
                        self.keeper.set_read(read.clone());
                    }
                    continue;
                }
            };
            let Ok(batch) = batch else {
                // The log has failed, which ends the process, or it is closed.
                return;
            };
            let log_now = log.now();
            for entry in &batch {
                // Each copy is about what stands before it.
                if let Some(user) = erased(entry) {
                    self.keeper.erase(entry.position, user);
                    continue;
                }
                if let Some((subject, decision)) = log.counts(entry).then(|| self.take(entry, log_now)).flatten() {
                    self.keeper.keep(subject, entry.position, decision);
                }
            }
            if let Some(Entry { position, .. }) = batch.last() {
                let partition = log.timelines().partition(*position);
                read.retain(|other| log.timelines().partition(*other) != partition);
                read.push(*position);
            }
            self.moved.notify_waiters();
        }
    }

    /// Takes in an event, when it is so late by the log's clock; answers with the decision that is to be kept.
    fn take(&self, entry: &Entry, log_now: Timestamp) -> Option<(Subject, Event)> {
        let event = match entry.event() {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(id = %entry.id, %error, "an event is not understood and has no effect: {error}");
                return None;
            }
        };
        if let Some(request) = event.request {
            let earlier = Earlier { id: event.id, position: entry.position, digest: request.digest };
            if !self.keyed.insert(request.key, earlier, entry.stored) {
                return None;
            }
        }
        let age = log_now.duration_since(entry.stored).try_into().unwrap_or(Duration::ZERO);
        match (&event.body, event.presenter) {
            (Body::MessagePosted(posted), Some(presenter)) => {
                let (id, user, role, text) = (event.id, posted.user.idx, posted.user.role, &posted.text);
                let observed = Observed { id, age, presenter, user, role, text };
                self.limits.observe(&observed, &self.rules.current(presenter, now()).settings);
                None
            }
            _ => {
                if let Some(by) = decided_by(&event.body) {
                    self.limits.observe_decision(event.id, by, age);
                }
                self.rules.apply(entry.position, &event, now())
            }
        }
    }
}

/// Who decided it, of what ingest decides.
fn decided_by(body: &Body) -> Option<UserIdx> {
    let by = match body {
        Body::MessageDeleted(deleted) => &deleted.by,
        Body::RoomCleared(cleared) => &cleared.by,
        Body::UserBanned(banned) => &banned.by,
        Body::UserUnbanned(unbanned) => &unbanned.by,
        Body::RoomUpdated(updated) => &updated.by,
        _ => return None,
    };
    Some(by.idx)
}

/// Who is erased by it.
fn erased(entry: &Entry) -> Option<UserIdx> {
    if entry.kind != EventKind::UserErased {
        return None;
    }
    match entry.event().ok()?.body {
        Body::UserErased(erased) => Some(erased.user),
        _ => None,
    }
}
