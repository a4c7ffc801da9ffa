//! Saves decisions beyond the log's age: it writes each decision to the bucket, and retries until it is there. No
//! request waits for that, because the log has the decision too. The checkpoint moves only after everything before it
//! is saved. The author and the reason of a decision are kept in memory until they are in the bucket, and then only
//! there.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use chat::settings::OwnSettings;
use chat::{
    Body, Event, MessagePinned, MessageUnpinned, ModeratorAdded, ModeratorRemoved, Position, RoomUpdated, SweepUndone,
    User, UserBanned, UserIdx, UserUnbanned, now,
};
use jiff::Timestamp;
use nats::{Decisions, Entry, Subject, Timelines};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::moderation::sweeps::{UNDOABLE_FOR, forget_in_rule};

/// The pause before failed writes are retried.
const PAUSE: Duration = Duration::from_secs(1);

/// 30 s: a node that starts replays so much more than it must.
const LONGEST_CHECKPOINT_INTERVAL: Duration = Duration::from_secs(30);

/// An hour between two sweeps for ended decisions. Until a sweep, an ended decision only takes space.
const FORGET_EVERY: Duration = Duration::from_secs(60 * 60);

/// 4,096 decisions wait with their reasons: about 40 MB if each reason is as long as allowed. If the bucket takes no
/// writes for long, further decisions are saved without their reason. The log and the archive have it.
const MOST_REASONS: usize = 4_096;

/// 50 lookups of a decision's full text, 20 ms apart. A decision that is not there after a second has ended.
const LOOKS: u32 = 50;
const LOOK_AGAIN: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(crate) struct DecisionKeeper {
    decisions: Decisions,
    timelines: Timelines,
    /// The checkpoint stays this far behind: a node that starts must replay the keys of that time.
    keys_for: Duration,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The latest unsaved decision of each subject. The number of subjects bounds it.
    waiting: HashMap<Subject, (Position, Event)>,
    /// Erased users whose names may still be in saved decisions before that position.
    erasures: Vec<(Position, UserIdx)>,
    /// How far the log had been read at each time.
    read: VecDeque<(Timestamp, Vec<Position>)>,
    /// The messages that wait for a moderator: a node that starts must replay them.
    holds: Vec<Position>,
}

impl DecisionKeeper {
    pub(crate) fn new(decisions: Decisions, timelines: Timelines, keys_for: Duration) -> DecisionKeeper {
        DecisionKeeper { decisions, timelines, keys_for, state: Mutex::default(), changed: Notify::new() }
    }

    /// The time between two checkpoints: several within the time that a node must replay for its keys.
    pub(crate) fn checkpoint_interval(&self) -> Duration {
        (self.keys_for / 4).clamp(Duration::from_secs(1), LONGEST_CHECKPOINT_INTERVAL)
    }

    /// Queues a decision to be saved. Returns at once.
    pub(crate) fn keep(&self, subject: Subject, position: Position, decision: Event) {
        self.state().keep(subject, position, decision);
        self.changed.notify_one();
    }

    /// Queues the removal of the user's name from decisions before that position. Returns at once.
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

    /// Everything up to there was read. That counts for nothing while a decision waits; the next time will. `holds`:
    /// the messages that wait for a moderator.
    pub(crate) fn set_read(&self, positions: Vec<Position>, holds: Vec<Position>) {
        let mut state = self.state();
        state.holds = holds;
        if state.waiting.is_empty() && state.erasures.is_empty() {
            state.read.push_back((now(), positions));
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Does the work until it is dropped. Dropped at any point, it leaves decisions unsaved, and the next node saves
    /// them.
    pub(crate) async fn run(&self, ended_at_start: Vec<(Subject, Position)>, max_age: Duration) {
        tokio::join!(self.forget(ended_at_start, max_age), self.keep_all());
    }

    /// The latest decision about the subject, with author and reason. Its position is `position` or later. None: there
    /// is no such decision any more.
    pub(crate) async fn words(&self, subject: Subject, position: Position) -> Result<Option<Event>, nats::Error> {
        for _ in 0..LOOKS {
            // Memory first: a decision leaves memory only once it is in the bucket.
            let waiting = self.state().waiting.get(&subject).filter(|(at, _)| *at >= position).cloned();
            if let Some((_, decision)) = waiting {
                return Ok(Some(decision));
            }
            let kept = self.decisions.find(subject).await?.filter(|kept| kept.position >= position);
            if let Some((kept, mut decision)) = kept.and_then(|kept| Some((kept.position, kept.event().ok()?))) {
                let erasures = self.state().erasures.clone();
                for (_, user) in erasures.iter().filter(|(erasure, _)| self.timelines.is_before(kept, *erasure)) {
                    unname(&mut decision, *user);
                }
                return Ok(Some(decision));
            }
            // It was replayed a moment ago, or it has ended and was deleted.
            sleep(LOOK_AGAIN).await;
        }
        Ok(None)
    }

    async fn keep_all(&self) {
        loop {
            if !self.keep_waiting().await || !self.erase_names().await {
                sleep(PAUSE).await;
                continue;
            }
            if let Some(positions) = self.reached()
                && let Err(error) = self.decisions.set_checkpoints(positions).await
            {
                tracing::warn!(%error, "cannot save the checkpoint of the log: {error}");
            }
            self.changed.notified().await;
        }
    }

    /// Tries to save each waiting decision, and returns whether all are saved. A failed one does not hold up the
    /// others.
    async fn keep_waiting(&self) -> bool {
        let waiting: Vec<Subject> = self.state().waiting.keys().copied().collect();
        let (mut failed, mut last_error) = (0, None);
        for subject in waiting {
            let Some((position, decision)) = self.state().waiting.get(&subject).cloned() else { continue };
            if let Err(error) = self.decisions.keep(subject, position, &decision).await {
                failed += 1;
                last_error = Some(error);
                continue;
            }
            let mut state = self.state();
            // A later decision may have replaced it meanwhile.
            if state.waiting.get(&subject).is_some_and(|(waiting, _)| *waiting == position) {
                state.waiting.remove(&subject);
            }
        }
        if let Some(error) = &last_error {
            tracing::warn!(failed, %error, "{failed} decisions are not saved yet, retrying: {error}");
        }
        last_error.is_none()
    }

    /// Removes the names of erased users from saved decisions, and returns whether all are gone. Every node does it, so
    /// it is done whichever node survives. Once it is done, the other nodes have nothing to write.
    async fn erase_names(&self) -> bool {
        let erasures = self.state().erasures.clone();
        if erasures.is_empty() {
            return true;
        }
        let erased = async {
            let unname_all = |position: Position, event: &mut Event| {
                let about = erasures.iter().filter(|(erasure, _)| self.timelines.is_before(position, *erasure));
                about.filter(|(_, user)| unname(event, *user)).count() > 0
            };
            let mut named = Vec::new();
            let look = |kept: Entry| {
                let Ok(mut event) = kept.event() else { return };
                if unname_all(kept.position, &mut event) {
                    named.extend(Subject::of(&event).map(|subject| (subject, kept.position)));
                }
            };
            self.decisions.each(look).await?;
            for (subject, position) in named {
                let change = |event: &mut Event| {
                    unname_all(position, event);
                };
                self.decisions.reword(subject, position, change).await?;
            }
            Ok::<(), nats::Error>(())
        };
        match erased.await {
            Ok(()) => {
                self.state().erasures.retain(|erasure| !erasures.contains(erasure));
                true
            }
            Err(error) => {
                tracing::warn!(%error, "names of erased users are still in saved decisions, retrying: {error}");
                false
            }
        }
    }

    /// The latest checkpoint that is older than `keys_for`, and before every message that waits for a moderator.
    fn reached(&self) -> Option<Vec<Position>> {
        let mut state = self.state();
        let is_old = |(at, _): &(Timestamp, _)| now().duration_since(*at).unsigned_abs() > self.keys_for;
        let is_before_holds = |read: &[Position], holds: &[Position]| {
            let is_after = |read: &Position| holds.iter().any(|hold| self.timelines.is_before(*hold, *read));
            !read.iter().any(is_after)
        };
        let mut reached = None;
        while let Some(oldest) = state.read.front()
            && is_old(oldest)
            && is_before_holds(&oldest.1, &state.holds)
        {
            reached = state.read.pop_front();
        }
        reached.map(|(_, positions)| positions)
    }

    /// Deletes saved decisions that have no effect any more and cannot replace an older one in the log. It repeats the
    /// sweep, so banning and unbanning does not grow the bucket for good.
    async fn forget(&self, mut ended: Vec<(Subject, Position)>, max_age: Duration) {
        loop {
            for (subject, position) in std::mem::take(&mut ended) {
                if let Err(error) = self.decisions.forget(subject, position).await {
                    tracing::warn!(?subject, %error, "cannot delete a decision that has ended: {error}");
                }
            }
            sleep(FORGET_EVERY).await;
            let look =
                |kept: Entry| ended.extend(kept.event().ok().and_then(|event| self::ended(&kept, &event, max_age)));
            if let Err(error) = self.decisions.each(look).await {
                tracing::warn!(%error, "cannot look for decisions that have ended, retrying in an hour: {error}");
            }
        }
    }

    fn state(&self) -> parking_lot::MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn keep(&mut self, subject: Subject, position: Position, mut decision: Event) {
        if self.waiting.len() >= MOST_REASONS {
            forget_reason(&mut decision);
        }
        self.waiting.insert(subject, (position, decision));
    }
}

/// The decision's subject, if it has no effect any more and cannot replace an older decision in a log of that age.
pub(crate) fn ended(kept: &Entry, event: &Event, max_age: Duration) -> Option<(Subject, Position)> {
    let is_old = now().duration_since(kept.at).unsigned_abs() > max_age;
    let subject = Subject::of(event).filter(|_| is_old && has_ended(event))?;
    Some((subject, kept.position))
}

fn has_ended(event: &Event) -> bool {
    match &event.body {
        Body::UserUnbanned(_) | Body::ModeratorRemoved(_) | Body::MessageUnpinned(_) | Body::SweepUndone(_) => true,
        Body::RoomSwept(_) => event.at + UNDOABLE_FOR < now(),
        Body::UserBanned(banned) => banned.until.is_some_and(|until| until < now()),
        Body::RoomUpdated(updated) => OwnSettings::of_event(&updated.settings, &updated.until).is_empty(now()),
        _ => false,
    }
}

fn forget_reason(decision: &mut Event) {
    if let Some(Words { reason: Some(reason), .. }) = words_of(&mut decision.body) {
        *reason = None;
    }
    if let Body::RoomSwept(swept) = &mut decision.body {
        swept.rule.texts.iter_mut().for_each(Vec::clear);
        swept.rule.users.iter_mut().for_each(Vec::clear);
    }
}

/// Removes the user's name from a decision that they made, and the reason of a decision about their role. The reason of
/// a ban stays, because moderators must know it. Returns whether there was something to remove.
fn unname(decision: &mut Event, user: UserIdx) -> bool {
    let is_in_rule = match &mut decision.body {
        Body::RoomSwept(swept) => forget_in_rule(swept, user),
        _ => false,
    };
    let Some(Words { by, reason, about }) = words_of(&mut decision.body) else { return false };
    let is_named = by.idx == user && !by.nickname.is_empty();
    if is_named {
        by.nickname.clear();
    }
    let is_described = about == Some(user) && reason.and_then(Option::take).is_some();
    is_named || is_described || is_in_rule
}

/// What a decision says in people's words.
struct Words<'a> {
    by: &'a mut User,
    /// None: the decision cannot have one.
    reason: Option<&'a mut Option<String>>,
    /// The user whose role the decision is about.
    about: Option<UserIdx>,
}

/// None: no decision that is saved.
fn words_of(body: &mut Body) -> Option<Words<'_>> {
    Some(match body {
        Body::UserBanned(UserBanned { by, reason, .. })
        | Body::UserUnbanned(UserUnbanned { by, reason, .. })
        | Body::RoomUpdated(RoomUpdated { by, reason, .. })
        | Body::SweepUndone(SweepUndone { by, reason, .. }) => Words { by, reason: Some(reason), about: None },
        Body::RoomSwept(swept) => Words { by: &mut swept.by, reason: Some(&mut swept.reason), about: None },
        Body::ModeratorAdded(ModeratorAdded { user, by, reason })
        | Body::ModeratorRemoved(ModeratorRemoved { user, by, reason }) => {
            Words { by, reason: Some(reason), about: Some(*user) }
        }
        Body::MessagePinned(MessagePinned { by, .. }) | Body::MessageUnpinned(MessageUnpinned { by, .. }) => {
            Words { by, reason: None, about: None }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use chat::{PresenterIdx, Role, RoomSwept};

    use super::*;

    fn ban(user: i64) -> (Subject, Event) {
        let (room, user) = (PresenterIdx::try_from(42).unwrap(), UserIdx::try_from(user).unwrap());
        let by = User { idx: room.as_user(), nickname: "presenter".to_owned(), role: Role::Presenter };
        let banned = UserBanned { user, until: None, purge_seconds: None, by, reason: Some("raid".to_owned()) };
        (Subject::Ban(Some(room), user), Event::now(room, Body::UserBanned(banned)))
    }

    #[test]
    fn an_erasure_removes_the_user_and_all_texts_from_the_rules_of_sweeps_and_the_reasons_about_the_user() {
        let user = |idx: i64| UserIdx::try_from(idx).unwrap();
        let by = User { idx: user(42), nickname: "presenter".to_owned(), role: Role::Presenter };
        for (users, erased, left, is_described) in
            [(vec![7, 8], 7, vec![8], true), (vec![8], 7, vec![8], false), (vec![8], 42, vec![8], false)]
        {
            let users = Some(users.into_iter().map(user).collect());
            let rule = chat::SweepRule { texts: Some(vec!["raid".to_owned()]), users, ..chat::SweepRule::default() };
            let swept =
                RoomSwept { rule, seconds_back: 60, forward: None, by: by.clone(), reason: Some("raid".to_owned()) };
            let mut event = Event::now(user(42).as_presenter(), Body::RoomSwept(Box::new(swept)));
            assert!(unname(&mut event, user(erased)));
            assert!(erased == 42 || !unname(&mut event, user(erased)), "once");
            let Body::RoomSwept(swept) = event.body else { panic!("it is a sweep") };
            assert_eq!(swept.rule.texts, Some(Vec::new()));
            assert_eq!(swept.rule.users, Some(left.into_iter().map(user).collect()));
            assert_eq!((swept.reason.is_none(), swept.by.nickname.is_empty()), (is_described, erased == 42));
        }
    }

    fn reason(decision: &Event) -> Option<&str> {
        match &decision.body {
            Body::UserBanned(banned) => banned.reason.as_deref(),
            _ => None,
        }
    }

    #[test]
    fn of_the_decisions_that_wait_for_the_bucket_so_many_keep_their_reasons_and_the_others_wait_without() {
        let mut state = State::default();
        let most = MOST_REASONS as i64;
        for user in 1..=2 * most {
            let (subject, event) = ban(user);
            state.keep(subject, Position { epoch: 1, sequence: user as u64, index: 0 }, event);
        }
        assert_eq!(state.waiting.len(), 2 * MOST_REASONS, "no decision is dropped");
        let waits = |user: i64| &state.waiting[&ban(user).0].1;
        assert!(reason(waits(1)).is_some() && reason(waits(most)).is_some());
        assert!((most + 1..=2 * most).all(|user| reason(waits(user)).is_none()));
        assert_eq!(state.waiting.values().filter(|(_, event)| reason(event).is_some()).count(), MOST_REASONS);
        // Where the bucket has taken some, newer ones keep theirs again.
        (1..=most + 1).for_each(|user| drop(state.waiting.remove(&ban(user).0)));
        let (subject, event) = ban(2 * most + 1);
        state.keep(subject, Position { epoch: 1, sequence: 1, index: 0 }, event);
        assert!(reason(&state.waiting[&subject].1).is_some());
    }
}
