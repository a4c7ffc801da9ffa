//! Keeps decisions beyond the log's age: what the log decides is written to the bucket, again and again until it is
//! there. Nobody waits for it, as the log has it too; and how far the log was read is noted only once everything up to
//! there is kept.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use nats::{Body, Decisions, Entry, Event, Position, Subject, Timelines, UserIdx, now};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::settings::Own;

/// Before a decision that could not be kept is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// An hour between two looks for what has ended: so much more is kept than has an effect.
const FORGET_EVERY: Duration = Duration::from_secs(60 * 60);

#[derive(Debug)]
pub(crate) struct Keeper {
    decisions: Decisions,
    timelines: Timelines,
    /// A node that starts must find the keys of so long ago.
    keys_for: Duration,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Of each subject the last decision that is not kept yet: never more than there are subjects.
    waiting: HashMap<Subject, (Position, Event)>,
    /// Who is erased before a position, and still has a name under decisions that are kept.
    erasures: Vec<(Position, UserIdx)>,
    /// Up to where everything was read and kept at a time.
    read: VecDeque<(Timestamp, Vec<Position>)>,
}

impl Keeper {
    pub(crate) fn new(decisions: Decisions, timelines: Timelines, keys_for: Duration) -> Keeper {
        Keeper { decisions, timelines, keys_for, state: Mutex::default(), changed: Notify::new() }
    }

    /// Returns at once.
    pub(crate) fn keep(&self, subject: Subject, position: Position, decision: Event) {
        self.state().waiting.insert(subject, (position, decision));
        self.changed.notify_one();
    }

    /// The user's name is to go from what was decided before that. Returns at once.
    pub(crate) fn erase(&self, position: Position, user: UserIdx) {
        let mut state = self.state();
        let is_theirs = |decision: &(Position, Event)| self.timelines.is_before(decision.0, position);
        for decision in state.waiting.values_mut().filter(|decision| is_theirs(decision)) {
            unname(&mut decision.1, user);
        }
        state.erasures.push((position, user));
        drop(state);
        self.changed.notify_one();
    }

    /// Everything up to there was read. That counts for nothing while a decision waits; the next time will.
    pub(crate) fn set_read(&self, positions: Vec<Position>) {
        let mut state = self.state();
        if state.waiting.is_empty() && state.erasures.is_empty() {
            state.read.push_back((now(), positions));
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Does the work, for as long as it is polled. Cut off at any point it leaves less kept than there could be, which
    /// the next node makes good.
    pub(crate) async fn run(&self, kept_at_start: Vec<Entry>, max_age: Duration) {
        tokio::join!(self.forget(kept_at_start, max_age), self.keep_all());
    }

    async fn keep_all(&self) {
        loop {
            if !self.keep_waiting().await || !self.erase_names().await {
                sleep(PAUSE).await;
                continue;
            }
            if let Some(positions) = self.reached()
                && let Err(error) = self.decisions.set_read(positions).await
            {
                tracing::warn!(%error, "it is not noted how far the log was read: {error}");
            }
            self.changed.notified().await;
        }
    }

    /// Tries to keep each decision that waits, and says whether all are kept. One that cannot be holds up no other.
    async fn keep_waiting(&self) -> bool {
        let waiting: Vec<(Subject, (Position, Event))> =
            self.state().waiting.iter().map(|(subject, decision)| (*subject, decision.clone())).collect();
        let (mut failed, mut last_error) = (0, None);
        for (subject, (position, decision)) in waiting {
            if let Err(error) = self.decisions.keep(subject, position, &decision).await {
                failed += 1;
                last_error = Some(error);
                continue;
            }
            let mut state = self.state();
            // A later one may have come meanwhile.
            if state.waiting.get(&subject).is_some_and(|(waiting, _)| *waiting == position) {
                state.waiting.remove(&subject);
            }
        }
        if let Some(error) = &last_error {
            tracing::warn!(failed, %error, "{failed} decisions are not kept yet, trying again: {error}");
        }
        last_error.is_none()
    }

    /// Takes the names of who was erased from what is kept, and says whether all are gone. Every node does it: it is done
    /// whichever of them lives, and once it is there is nothing to write.
    async fn erase_names(&self) -> bool {
        let erasures = self.state().erasures.clone();
        if erasures.is_empty() {
            return true;
        }
        let erased = async {
            for entry in self.decisions.load().await?.entries {
                let Ok(mut event) = entry.event() else { continue };
                let about = erasures.iter().filter(|(position, _)| self.timelines.is_before(entry.position, *position));
                let named = about.filter(|(_, user)| unname(&mut event, *user)).count();
                if let Some(subject) = Subject::of(&event).filter(|_| named > 0) {
                    self.decisions.reword(subject, entry.position, &event).await?;
                }
            }
            Ok::<(), nats::Error>(())
        };
        match erased.await {
            Ok(()) => {
                self.state().erasures.retain(|erasure| !erasures.contains(erasure));
                true
            }
            Err(error) => {
                tracing::warn!(%error, "names of who was erased are still kept, trying again: {error}");
                false
            }
        }
    }

    /// The last mark that is older than the keys.
    fn reached(&self) -> Option<Vec<Position>> {
        let mut state = self.state();
        let is_old = |(at, _): &(Timestamp, _)| now().duration_since(*at).unsigned_abs() > self.keys_for;
        let mut reached = None;
        while state.read.front().is_some_and(is_old) {
            reached = state.read.pop_front();
        }
        reached.map(|(_, positions)| positions)
    }

    /// Forgets those of the kept decisions that have no effect any more, nor can replace an older one in the log. Again and
    /// again: whoever bans and unbans adds nothing for good.
    async fn forget(&self, mut kept: Vec<Entry>, max_age: Duration) {
        loop {
            self.forget_ended(&kept, max_age).await;
            sleep(FORGET_EVERY).await;
            kept = match self.decisions.load().await {
                Ok(kept) => kept.entries,
                Err(error) => {
                    tracing::warn!(%error, "decisions that have ended are kept for now: {error}");
                    Vec::new()
                }
            };
        }
    }

    async fn forget_ended(&self, kept: &[Entry], max_age: Duration) {
        for entry in kept.iter().filter(|entry| now().duration_since(entry.at).unsigned_abs() > max_age) {
            let Ok(event) = entry.event() else { continue };
            if let Some(subject) = Subject::of(&event).filter(|_| has_ended(&event))
                && let Err(error) = self.decisions.forget(subject, entry.position).await
            {
                tracing::warn!(id = %entry.id, %error, "a decision that has ended is still kept: {error}");
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the lock")
    }
}

fn has_ended(event: &Event) -> bool {
    match &event.body {
        Body::UserUnbanned(_) => true,
        Body::UserBanned(banned) => banned.until.is_some_and(|until| until < now()),
        Body::RoomUpdated(updated) => Own::of_event(&updated.settings, &updated.until).is_empty(now()),
        _ => false,
    }
}

/// Takes the user's name from a decision of theirs, and says whether it had one.
fn unname(decision: &mut Event, user: UserIdx) -> bool {
    let by = match &mut decision.body {
        Body::UserBanned(banned) => &mut banned.by,
        Body::UserUnbanned(unbanned) => &mut unbanned.by,
        Body::RoomUpdated(updated) => &mut updated.by,
        _ => return false,
    };
    let is_named = by.idx == user && !by.nickname.is_empty();
    if is_named {
        by.nickname.clear();
    }
    is_named
}
