//! Replays the log into this node's rules, accepted keys and limits. One task tails the log from before the oldest
//! event that still matters, and passes decisions to the decision keeper. The node is not ready until the replay has
//! reached the end that the log had at the start.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chat::{Body, Event, EventId, MessagePosted, Position, PresenterIdx, UserIdx, now};
use jiff::Timestamp;
use nats::{Entry, EventTail, Log, Start, StoredEvent, Subject, TailStatus};
use runtime::Tasks;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::memory::decision_keeper;
use crate::memory::decision_keeper::DecisionKeeper;
use crate::memory::idempotency::{AcceptedKeys, Earlier};
use crate::moderation::holds::Holds;
use crate::moderation::restored::RestoredMessages;
use crate::moderation::rules::Rules;
use crate::posting::limits::{Limits, Observed};

/// 2 s for an event to come back from the log. It takes milliseconds, unless there is an outage.
const FIND_DEADLINE: Duration = Duration::from_secs(2);

/// The replayed log.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) rules: Rules,
    pub(crate) restored: RestoredMessages,
    pub(crate) holds: Holds,
    pub(crate) accepted_keys: AcceptedKeys,
    pub(crate) limits: Limits,
    pub(crate) decision_keeper: DecisionKeeper,
    status: TailStatus,
    /// Each batch wakes the requests that wait for an event of the log.
    moved: Notify,
}

/// How long, and how many, idempotency keys are remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyMemory {
    pub(crate) keys_for: Duration,
    pub(crate) most_keys: usize,
}

/// The time when a batch is applied.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// By the log's clock.
    log: Timestamp,
    /// By this machine's.
    here: Timestamp,
}

impl Replay {
    /// Loads the saved decisions and starts to tail the log in `tasks`.
    pub(crate) async fn start(
        log: &Log,
        rules: Rules,
        limits: Limits,
        memory: KeyMemory,
        tasks: &Tasks,
    ) -> Result<Arc<Replay>, nats::Error> {
        let decisions = log.decisions();
        let timelines = log.timelines();
        let max_age = log.max_age();
        let (mut loaded, mut of_rooms, mut ended) = (0, HashMap::new(), Vec::new());
        let load = |kept: Entry| {
            loaded += 1;
            if let Some(presenter) = kept.presenter {
                // Per epoch: a decision may be from an earlier epoch, which has an order of its own.
                let furthest = of_rooms.entry((timelines.partition_of(presenter), kept.position.epoch));
                let furthest = furthest.or_insert(kept.position);
                *furthest = kept.position.max(*furthest);
            }
            match kept.event() {
                Ok(event) => {
                    ended.extend(decision_keeper::ended(&kept, &event, max_age));
                    rules.load(kept.position, &event, now());
                }
                Err(error) => tracing::warn!(id = %kept.id, %error, "cannot parse a saved decision: {error}"),
            }
        };
        let read = decisions.each(load).await?;
        // A log that ends before these positions has lost its end, or was restored.
        let of_rooms = of_rooms.into_iter().map(|((partition, _), position)| (partition, position));
        let reached = read.iter().filter_map(|position| Some((timelines.partition(*position)?, *position)));
        log.confirm(of_rooms.chain(reached)).await?;
        tracing::info!(decisions = loaded, "loaded {loaded} saved decisions");
        // With copies: the accepted keys decide which copy of an event counts.
        let tail = log.tail_of_events(Start::After(read));
        let accepted_keys = AcceptedKeys::new(memory.keys_for, memory.most_keys);
        let decision_keeper = DecisionKeeper::new(decisions, log.timelines().clone(), memory.keys_for);
        let replay = Arc::new(Replay {
            rules,
            restored: RestoredMessages::default(),
            holds: Holds::default(),
            accepted_keys,
            limits,
            decision_keeper,
            status: tail.status(),
            moved: Notify::new(),
        });
        tasks.spawn_until_stop("log replay", replay.clone().follow(log.clone(), tail));
        tasks.spawn_until_stop("decision keeper", {
            let replay = replay.clone();
            async move { replay.decision_keeper.run(ended, max_age).await }
        });
        Ok(replay)
    }

    /// Whether everything that was in the log at the start has been replayed.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.status.is_caught_up()
    }

    /// Whether the log has answered recently.
    pub(crate) fn is_current(&self) -> bool {
        self.status.is_current()
    }

    /// Waits up to 2 s until `look` finds something in the replay.
    pub(crate) async fn find<T>(&self, look: impl Fn(&Replay) -> Option<T>) -> Option<T> {
        timeout(FIND_DEADLINE, self.until(look)).await.ok()
    }

    /// Waits until `look` finds something in the replay.
    pub(crate) async fn until<T>(&self, look: impl Fn(&Replay) -> Option<T>) -> T {
        loop {
            let moved = self.moved.notified();
            if let Some(found) = look(self) {
                return found;
            }
            moved.await;
        }
    }

    /// Waits up to 2 s until everything up to that position has been replayed.
    pub(crate) async fn reaches(&self, position: Position) {
        // If the replay lags, what is there stands anyway.
        let _ = timeout(FIND_DEADLINE, self.reached(position)).await;
    }

    /// Waits until everything up to that position has been replayed.
    pub(crate) async fn reached(&self, position: Position) {
        self.status.reached(position).await;
    }

    async fn follow(self: Arc<Replay>, log: Log, mut tail: EventTail) {
        let mut read: Vec<Position> = Vec::new();
        let mut tick = interval(self.decision_keeper.checkpoint_interval());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Dropping `next` loses no batch: it hands one out only when it completes.
            let batch = tokio::select! {
                batch = tail.next() => batch,
                _ = tick.tick() => {
                    if self.is_caught_up() {
                        self.rules.tidy(now());
                        self.holds.tidy(log.now());
                        self.decision_keeper.set_read(read.clone(), self.holds.positions());
                    }
                    continue;
                }
            };
            let Ok(batch) = batch else {
                // The log has failed, which ends the process, or it was closed.
                return;
            };
            let times = Times { log: log.now(), here: now() };
            for stored in &batch {
                // Each copy of an erasure counts: it applies to the decisions before its own position.
                if let Body::UserErased(erased) = &stored.event.body {
                    self.decision_keeper.erase(stored.position, erased.user);
                    let partition = log.timelines().partition(stored.position);
                    let is_here = |room| Some(log.timelines().partition_of(room)) == partition;
                    self.holds.erase(erased.user, is_here);
                    self.rules.erase(erased.user, stored.position, is_here);
                    continue;
                }
                if !stored.counts {
                    continue;
                }
                for (subject, decision) in self.take(stored, times) {
                    self.decision_keeper.keep(subject, stored.position, decision);
                }
            }
            if let Some(StoredEvent { position, .. }) = batch.last() {
                let partition = log.timelines().partition(*position);
                read.retain(|other| log.timelines().partition(*other) != partition);
                read.push(*position);
            }
            self.moved.notify_waiters();
            // A backlog has many batches, and posts want the same thread.
            yield_now().await;
        }
    }

    /// Applies an event. Returns the decisions to save.
    fn take(&self, stored: &StoredEvent, times: Times) -> Vec<(Subject, Event)> {
        let StoredEvent { position, stored, ref event, .. } = *stored;
        if let Some(request) = event.request {
            let held = match &event.body {
                Body::MessageHeld(held) => Some(held.target),
                _ => None,
            };
            let (id, digest, is_held) = (held.unwrap_or(event.id), request.digest, held.is_some());
            let earlier = Earlier { id, position, digest, is_held };
            if !self.accepted_keys.insert(request.key, earlier, stored) {
                // One try of the post was held, and this one was not: the message is in the room.
                if let (Body::MessagePosted(_), Some(presenter)) = (&event.body, event.presenter) {
                    self.holds.posted(presenter, event.id, position);
                }
                return Vec::new();
            }
        }
        let age = times.log.duration_since(stored).try_into().unwrap_or(Duration::ZERO);
        match (&event.body, event.presenter) {
            (Body::MessageReported(reported), _) => {
                self.limits.observe_report(event.id, reported.by.idx, age);
                Vec::new()
            }
            (Body::MessagePosted(posted), Some(presenter)) => {
                self.observe(presenter, event.id, posted, age, times.here);
                self.holds.posted(presenter, event.id, position);
                Vec::new()
            }
            (Body::MessageHeld(held), Some(presenter)) => {
                // It counts as a message now, and not again when it is released.
                self.observe(presenter, held.target, &held.posted, age, times.here);
                self.holds.apply(presenter, position, event, times.log);
                Vec::new()
            }
            _ => {
                if let Some(by) = decided_by(&event.body) {
                    self.limits.observe_decision(event.id, by, age);
                }
                if let Some(room) = event.presenter {
                    self.restored.apply(room, &event.body);
                    self.holds.apply(room, position, event, times.log);
                }
                self.rules.apply(position, event, times.here)
            }
        }
    }

    fn observe(&self, presenter: PresenterIdx, id: EventId, posted: &MessagePosted, age: Duration, now: Timestamp) {
        let (user, role, text) = (posted.user.idx, posted.user.role, &posted.text);
        let observed = Observed { id, age, presenter, user, role, text };
        self.limits.observe(&observed, &self.rules.current(presenter, now).settings);
    }
}

/// The user that made the decision, for decisions that ingest appends.
fn decided_by(body: &Body) -> Option<UserIdx> {
    let by = match body {
        Body::MessageDeleted(deleted) => &deleted.by,
        Body::MessageRestored(restored) => &restored.by,
        Body::MessageReleased(released) => &released.held.by,
        Body::MessageDenied(denied) => &denied.by,
        Body::ReportClosed(closed) => &closed.by,
        Body::RoomCleared(cleared) => &cleared.by,
        Body::UserBanned(banned) => &banned.by,
        Body::UserUnbanned(unbanned) => &unbanned.by,
        Body::ModeratorAdded(added) => &added.by,
        Body::ModeratorRemoved(removed) => &removed.by,
        Body::UserWarned(warned) => &warned.by,
        Body::WarningWithdrawn(withdrawn) => &withdrawn.by,
        Body::NoteAdded(added) => &added.by,
        Body::NoteDeleted(deleted) => &deleted.by,
        Body::RoomUpdated(updated) => &updated.by,
        Body::RoomSwept(swept) => &swept.by,
        Body::SweepUndone(undone) => &undone.by,
        Body::NoticePosted(notice) => &notice.user,
        Body::MessagePinned(pinned) => &pinned.by,
        Body::MessageUnpinned(unpinned) => &unpinned.by,
        _ => return None,
    };
    Some(by.idx)
}
