//! The rules in force: bans, moderators, pinned messages, sweeps, warnings, notes and rooms' settings, replayed from the
//! log in its order. Every node replays the same log, so all nodes decide alike. Every lookup takes the time, so that a ban or a
//! setting ends on time. A ban takes about 100 bytes here. Its author and reason are in the bucket of decisions, and
//! read there on request (`memory/decision_keeper.rs`).

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chat::settings::{OwnSettings, Settings};
use chat::{
    Ban, Body, Event, EventId, LatestBan, MessageUnpinned, ModeratorRemoved, Moderators, Notes, Pins, Position,
    PresenterIdx, UserBanned, UserIdx, Warnings,
};
use foldhash::fast::RandomState;
use jiff::Timestamp;
use nats::Subject;
use parking_lot::RwLock;
use words::Filter;

use crate::moderation::sweeps::{Guard, Sweeps, UndoableSweep};

mod people;
#[cfg(test)]
mod tests;

/// All bans, all moderators of rooms, and all settings that rooms have changed.
#[derive(Debug)]
pub(crate) struct Rules {
    state: RwLock<State>,
    /// How many warnings no answer has carried yet. Without any, a post asks no further.
    unsent_warnings: AtomicUsize,
}

#[derive(Debug)]
struct State {
    /// The rules of rooms that have changed nothing.
    deployment: Arc<CurrentRules>,
    rooms: HashMap<PresenterIdx, Room, RandomState>,
    /// In the order of lists: by room, then by user.
    bans: BTreeMap<(Option<PresenterIdx>, UserIdx), LatestBan>,
    moderators: Moderators,
    pins: Pins,
    sweeps: Sweeps,
    warnings: Warnings,
    notes: Notes,
}

#[derive(Debug)]
struct Room {
    own: OwnSettings,
    position: Position,
    /// The rules until then. Every message reads them, so they are not computed each time.
    current: Arc<CurrentRules>,
    until: Option<Timestamp>,
}

/// The rules of a room at a moment.
#[derive(Debug)]
pub(crate) struct CurrentRules {
    pub(crate) settings: Settings,
    /// The room's own words, compiled.
    pub(crate) words: Option<Filter>,
}

/// A ban in force, and the position of its decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ActiveBan {
    pub(crate) user: UserIdx,
    pub(crate) position: Position,
}

impl Rules {
    pub(crate) fn new(deployment: Settings) -> Rules {
        let state = State {
            deployment: Arc::new(CurrentRules::new(deployment)),
            rooms: HashMap::default(),
            bans: BTreeMap::new(),
            moderators: Moderators::default(),
            pins: Pins::default(),
            sweeps: Sweeps::default(),
            warnings: Warnings::default(),
            notes: Notes::default(),
        };
        Rules { state: RwLock::new(state), unsent_warnings: AtomicUsize::default() }
    }

    /// From now on, rooms have these settings where they have set nothing themselves.
    pub(crate) fn set_deployment(&self, settings: Settings) {
        let mut state = self.state.write();
        state.deployment = Arc::new(CurrentRules::new(settings));
        // Computed anew when they are asked for.
        state.rooms.values_mut().for_each(|room| room.until = Some(Timestamp::MIN));
    }

    /// Applies a saved decision, unless a later one about the same subject is known.
    pub(crate) fn load(&self, position: Position, event: &Event, now: Timestamp) {
        let mut state = self.state.write();
        Rules::decide(&mut state, position, event, now);
        self.unsent_warnings.store(state.warnings.unsent(), Ordering::Relaxed);
    }

    /// Applies a decision of the log, unless a later one about the same subject is known. Returns the decisions to
    /// save: a ban may end a moderator's role as well, and a deletion may unpin a message. Each contains everything
    /// that holds for its subject, so that earlier decisions are not needed.
    pub(crate) fn apply(&self, position: Position, event: &Event, now: Timestamp) -> Vec<(Subject, Event)> {
        let mut state = self.state.write();
        let decided = Rules::decide(&mut state, position, event, now);
        self.unsent_warnings.store(state.warnings.unsent(), Ordering::Relaxed);
        decided.into_iter().chain(state.end_role(position, event)).chain(state.unpin(position, event)).collect()
    }

    /// Applies a decision to its own subject. Returns the decision to save.
    fn decide(state: &mut State, position: Position, event: &Event, now: Timestamp) -> Option<(Subject, Event)> {
        let subject = Subject::of(event)?;
        match (subject, &event.body) {
            (Subject::Ban(presenter, user), body) => {
                let key = (presenter, user);
                if state.bans.get(&key).is_some_and(|known| known.position >= position) {
                    return None;
                }
                state.bans.insert(key, LatestBan::of(position, body)?);
                Some((subject, event.clone()))
            }
            (Subject::Moderator(presenter, _), body) => {
                state.moderators.apply(position, presenter, body).then(|| (subject, event.clone()))
            }
            (Subject::Pin(presenter), body) => {
                state.pins.apply(position, presenter, body).then(|| (subject, event.clone()))
            }
            (Subject::Sweep(presenter, _), _) => {
                state.sweeps.apply(position, presenter, event).then(|| (subject, event.clone()))
            }
            (Subject::Warning(presenter, _) | Subject::SentWarning(presenter, _), _) => {
                state.warnings.apply(position, presenter, event).then(|| (subject, event.clone()))
            }
            (Subject::Note(presenter, ..), _) => {
                state.notes.apply(position, presenter, event).then(|| (subject, event.clone()))
            }
            (Subject::Settings(presenter), Body::RoomUpdated(updated)) => {
                let known = state.rooms.get(&presenter);
                if known.is_some_and(|known| known.position >= position) {
                    return None;
                }
                let mut own = known.map(|known| known.own.clone()).unwrap_or_default();
                let decided = OwnSettings::of_event(&updated.settings, &updated.until);
                for name in decided.ignored() {
                    tracing::warn!(%presenter, setting = name, "this version does not understand the room's setting {name} and ignores it");
                }
                own.change(&updated.changed, decided);
                let (settings, until) = own.to_event();
                let whole = chat::RoomUpdated { settings, until, changed: Vec::new(), ..updated.clone() };
                let room = Room::new(own, position, &state.deployment.settings, now);
                state.rooms.insert(presenter, room);
                Some((subject, Event { body: Body::RoomUpdated(whole), ..event.clone() }))
            }
            (Subject::Settings(_), _) => None,
        }
    }

    /// The ban that keeps the user from writing in the room: of two bans the one that ends later. A presenter is never
    /// banned from their own room.
    pub(crate) fn ban(&self, presenter: PresenterIdx, user: UserIdx, now: Timestamp) -> Option<Ban> {
        if presenter.as_user() == user {
            return None;
        }
        let state = self.state.read();
        let bans = [Some(presenter), None].map(|presenter| state.ban(presenter, user, now));
        bans.into_iter().flatten().max_by_key(|ban| ban.until.unwrap_or(Timestamp::MAX))
    }

    /// The user's ban from exactly that room, or from every room.
    pub(crate) fn ban_of(&self, presenter: Option<PresenterIdx>, user: UserIdx, now: Timestamp) -> Option<Ban> {
        self.state.read().ban(presenter, user, now)
    }

    /// The same, with the position of its decision.
    pub(crate) fn standing(&self, presenter: Option<PresenterIdx>, user: UserIdx, now: Timestamp) -> Option<ActiveBan> {
        let state = self.state.read();
        let latest = state.bans.get(&(presenter, user)).filter(|latest| latest.holds(now))?;
        Some(ActiveBan { user, position: latest.position })
    }

    /// The bans from exactly that room, or from every room: up to `first`, by user, after the user `after`.
    pub(crate) fn bans(
        &self,
        presenter: Option<PresenterIdx>,
        after: Option<UserIdx>,
        first: usize,
        now: Timestamp,
    ) -> Vec<ActiveBan> {
        let state = self.state.read();
        let start = match after {
            Some(after) => Bound::Excluded((presenter, after)),
            None => Bound::Included((presenter, lowest())),
        };
        let of_room = state.bans.range((start, Bound::Unbounded)).take_while(|((room, _), _)| *room == presenter);
        let held = of_room.filter(|(_, latest)| latest.holds(now));
        held.take(first).map(|((_, user), latest)| ActiveBan { user: *user, position: latest.position }).collect()
    }

    /// Whether the user is a moderator of the room. A user who is banned from every room acts as no room's moderator
    /// while the ban holds.
    pub(crate) fn moderates(&self, presenter: PresenterIdx, user: UserIdx, now: Timestamp) -> bool {
        let state = self.state.read();
        let is_banned = || state.bans.get(&(None, user)).is_some_and(|latest| latest.holds(now));
        state.moderators.contains(presenter, user) && !is_banned()
    }

    /// The position of the decision that made the user a moderator of the room. None: the user is none.
    pub(crate) fn appointment(&self, presenter: PresenterIdx, user: UserIdx) -> Option<Position> {
        self.state.read().moderators.appointment(presenter, user)
    }

    /// The room's moderators: up to `first`, by user, after the user `after`, each with the position of the decision.
    pub(crate) fn moderators(
        &self,
        presenter: PresenterIdx,
        after: Option<UserIdx>,
        first: usize,
    ) -> Vec<(UserIdx, Position)> {
        self.state.read().moderators.of_room(presenter, after).take(first).collect()
    }

    /// The room's pinned message, and the position of the decision that pinned it.
    pub(crate) fn pinned(&self, presenter: PresenterIdx) -> Option<(EventId, Position)> {
        self.state.read().pins.pinned(presenter)
    }

    /// The room's sweeps that can be undone, the latest first.
    pub(crate) fn undoable_sweeps(&self, presenter: PresenterIdx, now: Timestamp) -> Vec<UndoableSweep> {
        self.state.read().sweeps.undoable(presenter, now)
    }

    /// The spans forward of the room's sweeps. Some may be over.
    pub(crate) fn guards(&self, presenter: PresenterIdx) -> Option<Arc<[Guard]>> {
        self.state.read().sweeps.guards(presenter)
    }

    /// Whether the sweep of the room can be undone.
    pub(crate) fn is_undoable(&self, presenter: PresenterIdx, sweep: EventId, now: Timestamp) -> bool {
        self.state.read().sweeps.is_undoable(presenter, sweep, now)
    }

    /// The number of bans in force from exactly that room, or from every room, up to `most`.
    pub(crate) fn count_bans(&self, presenter: Option<PresenterIdx>, most: usize, now: Timestamp) -> usize {
        let state = self.state.read();
        let of_room = state.bans.range((presenter, lowest())..).take_while(|((room, _), _)| *room == presenter);
        of_room.filter(|(_, latest)| latest.holds(now)).take(most).count()
    }

    /// The rules of the room.
    pub(crate) fn current(&self, presenter: PresenterIdx, now: Timestamp) -> Arc<CurrentRules> {
        let state = self.state.read();
        match state.rooms.get(&presenter) {
            None => return state.deployment.clone(),
            Some(room) if !room.has_ended(now) => return room.current.clone(),
            Some(_) => drop(state),
        }
        let State { deployment, rooms, .. } = &mut *self.state.write();
        let Some(room) = rooms.get_mut(&presenter) else { return deployment.clone() };
        room.renew(&deployment.settings, now);
        room.current.clone()
    }

    /// The settings that the room has set itself.
    pub(crate) fn own(&self, presenter: PresenterIdx, now: Timestamp) -> OwnSettings {
        let state = self.state.read();
        state.rooms.get(&presenter).map(|room| room.own.at(now)).unwrap_or_default()
    }

    /// Whether that decision, or a later one about the same subject, was applied.
    pub(crate) fn knows(&self, subject: Subject, position: Position) -> bool {
        let state = self.state.read();
        let known = match subject {
            Subject::Ban(presenter, user) => state.bans.get(&(presenter, user)).map(|latest| latest.position),
            Subject::Moderator(presenter, user) => state.moderators.known(presenter, user),
            Subject::Pin(presenter) => state.pins.known(presenter),
            Subject::Sweep(presenter, sweep) => state.sweeps.known(presenter, sweep),
            Subject::Warning(presenter, user) => state.warnings.known(presenter, user),
            Subject::SentWarning(presenter, user) => state.warnings.known_sent(presenter, user),
            Subject::Note(presenter, user, note) => state.notes.known(presenter, user, note),
            Subject::Settings(presenter) => state.rooms.get(&presenter).map(|room| room.position),
        };
        known >= Some(position)
    }

    /// Forgets bans, roles, pins, sweeps, warnings, notes and settings that have ended. Only for when no older decision
    /// can arrive any more.
    pub(crate) fn tidy(&self, now: Timestamp) {
        let mut state = self.state.write();
        state.bans.retain(|_, latest| latest.holds(now));
        state.moderators.tidy();
        state.pins.tidy();
        state.sweeps.tidy(now);
        state.warnings.tidy(now);
        self.unsent_warnings.store(state.warnings.unsent(), Ordering::Relaxed);
        state.notes.tidy();
        state.rooms.retain(|_, room| !room.own.is_empty(now));
    }
}

impl State {
    fn ban(&self, presenter: Option<PresenterIdx>, user: UserIdx, now: Timestamp) -> Option<Ban> {
        self.bans.get(&(presenter, user))?.ban.filter(|ban| ban.holds(now))
    }

    /// Ends the role of a moderator whom the event bans from the room. Returns the end of the role as a decision, so
    /// that it is saved under its own subject and outlives the ban.
    fn end_role(&mut self, position: Position, event: &Event) -> Option<(Subject, Event)> {
        let (Some(presenter), Body::UserBanned(banned)) = (event.presenter, &event.body) else { return None };
        if !self.moderators.apply(position, presenter, &event.body) {
            return None;
        }
        let UserBanned { user, by, reason, .. } = banned.clone();
        let removed = Body::ModeratorRemoved(ModeratorRemoved { user, by, reason });
        Some((Subject::Moderator(presenter, user), Event { body: removed, ..event.clone() }))
    }
}

impl State {
    /// Unpins the message that the event deletes. Returns the unpinning as a decision, so that it is saved in place of
    /// the pin.
    fn unpin(&mut self, position: Position, event: &Event) -> Option<(Subject, Event)> {
        let presenter = event.presenter?;
        let by = match &event.body {
            Body::MessageDeleted(deleted) => &deleted.by,
            Body::RoomCleared(cleared) => &cleared.by,
            _ => return None,
        };
        let (target, _) = self.pins.pinned(presenter)?;
        if !self.pins.apply(position, presenter, &event.body) {
            return None;
        }
        let unpinned = Body::MessageUnpinned(MessageUnpinned { target, by: by.clone() });
        Some((Subject::Pin(presenter), Event { body: unpinned, ..event.clone() }))
    }
}

impl Room {
    fn new(own: OwnSettings, position: Position, deployment: &Settings, now: Timestamp) -> Room {
        let current = Arc::new(CurrentRules::new(own.over(deployment, now)));
        Room { current, until: own.next_end(now), own, position }
    }

    fn has_ended(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Removes the settings that have ended.
    fn renew(&mut self, deployment: &Settings, now: Timestamp) {
        if self.has_ended(now) {
            *self = Room::new(self.own.at(now), self.position, deployment, now);
        }
    }
}

impl CurrentRules {
    fn new(settings: Settings) -> CurrentRules {
        let words = (!settings.words.is_empty()).then(|| Filter::with_words(&settings.words));
        CurrentRules { settings, words }
    }
}

fn lowest() -> UserIdx {
    UserIdx::try_from(1).expect("1 is an id")
}
