//! What holds where: bans and rooms' settings, folded from the log in its order. Every node folds the same log, so all
//! of them decide alike. What has ended by itself does not hold, whoever looks and whenever. A ban takes some 100 bytes
//! here: who decided it and why is in the bucket of decisions, and read there by who asks (`keeper.rs`).

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use chat::{Body, Event, Position, PresenterIdx, UserBanned, UserIdx};
use jiff::Timestamp;
use nats::Subject;
use parking_lot::RwLock;
use words::Filter;

use crate::moderation::settings::{OwnSettings, Settings};

#[cfg(test)]
mod tests;

/// What holds where.
#[derive(Debug)]
pub(crate) struct Rules {
    deployment: Arc<Current>,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    rooms: HashMap<PresenterIdx, Room>,
    /// In the order in which they are listed.
    bans: BTreeMap<(Option<PresenterIdx>, UserIdx), Verdict>,
}

#[derive(Debug)]
struct Room {
    own: OwnSettings,
    position: Position,
    /// What holds until then; looked at with every message, so it is not made anew each time.
    current: Arc<Current>,
    until: Option<Timestamp>,
}

/// What holds in a room at a moment.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) settings: Settings,
    /// The room's own words, ready to be looked for.
    pub(crate) words: Option<Filter>,
}

/// The last word about whether a user may write. What was unbanned is remembered as well while decisions may come that
/// are older.
#[derive(Debug)]
struct Verdict {
    position: Position,
    ban: Option<Ban>,
}

/// A user may not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ban {
    /// None: for good.
    pub(crate) until: Option<Timestamp>,
}

/// A ban that holds, and where it was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) user: UserIdx,
    pub(crate) position: Position,
}

impl Rules {
    pub(crate) fn new(deployment: Settings) -> Rules {
        Rules { deployment: Arc::new(Current::new(deployment)), state: RwLock::default() }
    }

    /// Takes in a decision, unless a later one about the same subject is known. Answers with the decision as it is to be
    /// kept: one that says all that holds, so that those before it are not needed.
    pub(crate) fn apply(&self, position: Position, event: &Event, now: Timestamp) -> Option<(Subject, Event)> {
        let subject = Subject::of(event)?;
        let mut state = self.state.write();
        match (subject, &event.body) {
            (Subject::Ban(presenter, user), body) => {
                let key = (presenter, user);
                if state.bans.get(&key).is_some_and(|known| known.position >= position) {
                    return None;
                }
                let ban = match body {
                    Body::UserBanned(UserBanned { until, .. }) => Some(Ban { until: *until }),
                    _ => None,
                };
                state.bans.insert(key, Verdict { position, ban });
                Some((subject, event.clone()))
            }
            (Subject::Settings(presenter), Body::RoomUpdated(updated)) => {
                let known = state.rooms.get(&presenter);
                if known.is_some_and(|known| known.position >= position) {
                    return None;
                }
                let mut own = known.map(|known| known.own.clone()).unwrap_or_default();
                own.change(&updated.changed, OwnSettings::of_event(&updated.settings, &updated.until));
                let (settings, until) = own.to_event();
                let whole = chat::RoomUpdated { settings, until, changed: Vec::new(), ..updated.clone() };
                state.rooms.insert(presenter, Room::new(own, position, &self.deployment.settings, now));
                Some((subject, Event { body: Body::RoomUpdated(whole), ..event.clone() }))
            }
            (Subject::Settings(_), _) => None,
        }
    }

    /// Why the user may not write in the room then, if so: of two bans the one that holds longer. Nobody is banned in the
    /// own room.
    pub(crate) fn ban(&self, presenter: PresenterIdx, user: UserIdx, now: Timestamp) -> Option<Ban> {
        if presenter.as_user() == user {
            return None;
        }
        let bans = [self.ban_of(Some(presenter), user, now), self.ban_of(None, user, now)];
        bans.into_iter().flatten().max_by_key(|ban| ban.until.unwrap_or(Timestamp::MAX))
    }

    /// The ban of exactly that room, or of every room.
    pub(crate) fn ban_of(&self, presenter: Option<PresenterIdx>, user: UserIdx, now: Timestamp) -> Option<Ban> {
        let state = self.state.read();
        state.bans.get(&(presenter, user))?.ban.filter(|ban| ban.holds(now))
    }

    /// Where the ban of exactly that room, or of every room, was decided.
    pub(crate) fn standing(&self, presenter: Option<PresenterIdx>, user: UserIdx, now: Timestamp) -> Option<Standing> {
        let state = self.state.read();
        let verdict = state.bans.get(&(presenter, user)).filter(|verdict| verdict.holds(now))?;
        Some(Standing { user, position: verdict.position })
    }

    /// The bans of exactly that room, or of every room, by user, after that user.
    pub(crate) fn bans(
        &self,
        presenter: Option<PresenterIdx>,
        after: Option<UserIdx>,
        first: usize,
        now: Timestamp,
    ) -> Vec<Standing> {
        let state = self.state.read();
        let start = match after {
            Some(after) => Bound::Excluded((presenter, after)),
            None => Bound::Included((presenter, lowest())),
        };
        let of_room = state.bans.range((start, Bound::Unbounded)).take_while(|((room, _), _)| *room == presenter);
        let held = of_room.filter(|(_, verdict)| verdict.holds(now));
        held.take(first).map(|((_, user), verdict)| Standing { user: *user, position: verdict.position }).collect()
    }

    /// How many bans hold in exactly that room, or in every room, up to so many.
    pub(crate) fn count_bans(&self, presenter: Option<PresenterIdx>, most: usize, now: Timestamp) -> usize {
        let state = self.state.read();
        let of_room = state.bans.range((presenter, lowest())..).take_while(|((room, _), _)| *room == presenter);
        of_room.filter(|(_, verdict)| verdict.holds(now)).take(most).count()
    }

    /// What holds in the room now.
    pub(crate) fn current(&self, presenter: PresenterIdx, now: Timestamp) -> Arc<Current> {
        let state = self.state.read();
        match state.rooms.get(&presenter) {
            None => return self.deployment.clone(),
            Some(room) if !room.has_ended(now) => return room.current.clone(),
            Some(_) => drop(state),
        }
        let mut state = self.state.write();
        let Some(room) = state.rooms.get_mut(&presenter) else { return self.deployment.clone() };
        room.renew(&self.deployment.settings, now);
        room.current.clone()
    }

    /// What of it the room has set itself.
    pub(crate) fn own(&self, presenter: PresenterIdx, now: Timestamp) -> OwnSettings {
        let state = self.state.read();
        state.rooms.get(&presenter).map(|room| room.own.at(now)).unwrap_or_default()
    }

    /// Whether that decision, or a later one about the same subject, was taken in.
    pub(crate) fn knows(&self, subject: Subject, position: Position) -> bool {
        let state = self.state.read();
        let known = match subject {
            Subject::Ban(presenter, user) => state.bans.get(&(presenter, user)).map(|verdict| verdict.position),
            Subject::Settings(presenter) => state.rooms.get(&presenter).map(|room| room.position),
        };
        known >= Some(position)
    }

    /// Forgets what has ended. For when no decision can come any more that is older than what is known.
    pub(crate) fn tidy(&self, now: Timestamp) {
        let mut state = self.state.write();
        state.bans.retain(|_, verdict| verdict.holds(now));
        state.rooms.retain(|_, room| !room.own.is_empty(now));
    }
}

impl Room {
    fn new(own: OwnSettings, position: Position, deployment: &Settings, now: Timestamp) -> Room {
        let current = Arc::new(Current::new(own.over(deployment, now)));
        Room { current, until: own.next_end(now), own, position }
    }

    fn has_ended(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Leaves out what has ended.
    fn renew(&mut self, deployment: &Settings, now: Timestamp) {
        if self.has_ended(now) {
            *self = Room::new(self.own.at(now), self.position, deployment, now);
        }
    }
}

impl Current {
    fn new(settings: Settings) -> Current {
        let words = (!settings.words.is_empty()).then(|| Filter::with_words(&settings.words));
        Current { settings, words }
    }
}

fn lowest() -> UserIdx {
    UserIdx::try_from(1).expect("1 is an id")
}

impl Verdict {
    fn holds(&self, now: Timestamp) -> bool {
        self.ban.is_some_and(|ban| ban.holds(now))
    }
}

impl Ban {
    fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}
