//! Sweeps of rooms: which can be undone, and which refuse or hold posts now. The replay remembers the id, the time and
//! the position of each, and the rule of those with a span forward. Other rules, the authors and the reasons are in the
//! bucket of decisions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chat::{
    Body, Event, EventId, Forward, ForwardAction, MessagePosted, Position, PresenterIdx, RoomSwept, SweepMatcher,
    UserIdx,
};
use foldhash::fast::RandomState;
use jiff::Timestamp;

/// 12 hours: a mistake is noticed the same day, and the archive keeps the deleted texts for longer, also if it lags.
pub(crate) const UNDOABLE_FOR: Duration = Duration::from_secs(12 * 60 * 60);

/// 50 sweeps of a room that can be undone: more than a raid every quarter of an hour.
pub(crate) const MOST_UNDOABLE: usize = 50;

/// 1 hour: as far as this machine's clock may be from the log's, by which a span forward ends.
const LONGEST_CLOCK_ERROR: Duration = Duration::from_secs(60 * 60);

/// The sweeps of all rooms, from the replay.
#[derive(Debug, Default)]
pub(crate) struct Sweeps {
    known: BTreeMap<(PresenterIdx, EventId), LatestDecision>,
    guards: HashMap<PresenterIdx, Arc<[Guard]>, RandomState>,
}

/// The span forward of a sweep that is not undone.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    sweep: EventId,
    rule: Arc<SweepMatcher>,
    forward: Forward,
}

/// The latest decision about a sweep. Its end is remembered while older decisions may still arrive.
#[derive(Debug, Clone, Copy)]
struct LatestDecision {
    position: Position,
    /// None: it is undone.
    made: Option<Timestamp>,
}

/// A sweep that can be undone, and the position of its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UndoableSweep {
    pub(crate) id: EventId,
    pub(crate) position: Position,
}

impl Sweeps {
    /// Applies a sweep of the room or its end, unless a later decision about it is known. Returns whether it is new.
    pub(crate) fn apply(&mut self, position: Position, room: PresenterIdx, event: &Event) -> bool {
        let (id, made) = match &event.body {
            Body::RoomSwept(_) => (event.id, Some(event.at)),
            Body::SweepUndone(undone) => (undone.target, None),
            _ => return false,
        };
        if let Some(known) = self.known.get(&(room, id)).filter(|known| known.position >= position) {
            if known.position == position {
                // The log has the whole rule, and the bucket perhaps a part of it.
                self.guard(room, id, &event.body);
            }
            return false;
        }
        self.known.insert((room, id), LatestDecision { position, made });
        self.guard(room, id, &event.body);
        true
    }

    /// Sets the guard of a sweep that is made, or removes that of one that is undone.
    fn guard(&mut self, room: PresenterIdx, sweep: EventId, body: &Body) {
        let made = match body {
            Body::RoomSwept(swept) => swept.forward.map(|forward| (Arc::new(SweepMatcher::new(&swept.rule)), forward)),
            _ => None,
        };
        let others = self.guards.get(&room).into_iter().flat_map(|guards| guards.iter());
        let others = others.filter(|guard| guard.sweep != sweep).cloned();
        let guards: Vec<Guard> = others.chain(made.map(|(rule, forward)| Guard { sweep, rule, forward })).collect();
        if guards.is_empty() {
            self.guards.remove(&room);
        } else {
            self.guards.insert(room, guards.into());
        }
    }

    /// The guards of the room. Some may be over.
    pub(crate) fn guards(&self, room: PresenterIdx) -> Option<Arc<[Guard]>> {
        self.guards.get(&room).cloned()
    }

    /// The sweeps of the room that can be undone, the latest first.
    pub(crate) fn undoable(&self, room: PresenterIdx, now: Timestamp) -> Vec<UndoableSweep> {
        let of_room = self.known.range((room, EventId::LEAST)..).take_while(|((of, _), _)| *of == room);
        let undoable = of_room.filter(|(_, latest)| latest.is_undoable(now));
        let mut undoable: Vec<UndoableSweep> =
            undoable.map(|((_, id), latest)| UndoableSweep { id: *id, position: latest.position }).collect();
        undoable.sort_by_key(|sweep| std::cmp::Reverse(sweep.position));
        undoable
    }

    /// Whether the sweep of the room can be undone.
    pub(crate) fn is_undoable(&self, room: PresenterIdx, id: EventId, now: Timestamp) -> bool {
        self.known.get(&(room, id)).is_some_and(|latest| latest.is_undoable(now))
    }

    /// The position of the latest decision about the sweep.
    pub(crate) fn known(&self, room: PresenterIdx, id: EventId) -> Option<Position> {
        self.known.get(&(room, id)).map(|latest| latest.position)
    }

    /// Forgets what can no longer be undone. Only for when no older decision can arrive any more.
    pub(crate) fn tidy(&mut self, now: Timestamp) {
        self.known.retain(|_, latest| latest.is_undoable(now));
        self.guards.retain(|_, guards| guards.iter().any(|guard| now < guard.forward.until + LONGEST_CLOCK_ERROR));
    }
}

impl LatestDecision {
    fn is_undoable(&self, now: Timestamp) -> bool {
        self.made.is_some_and(|made| now < made + UNDOABLE_FOR)
    }
}

impl Guard {
    /// What becomes of a post of which that is the time, by the log's clock. A refusal comes before a hold. None:
    /// nothing.
    pub(crate) fn judge(guards: &[Guard], posted: &MessagePosted, at: Timestamp) -> Option<ForwardAction> {
        let matches = |guard: &&Guard| at < guard.forward.until && guard.rule.matches_later(posted);
        let actions = guards.iter().filter(matches).map(|guard| guard.forward.action);
        actions.min_by_key(|action| *action == ForwardAction::Hold)
    }
}

/// Removes an erased user, with the reason, and every text: the user may have written it. Returns whether it changed.
pub(crate) fn forget_in_rule(RoomSwept { rule, reason, .. }: &mut RoomSwept, user: UserIdx) -> bool {
    let texts = rule.texts.as_mut().filter(|texts| !texts.is_empty());
    let has_texts = texts.map(Vec::clear).is_some();
    let users = rule.users.as_mut().filter(|users| users.contains(&user));
    let is_listed = users.map(|users| users.retain(|other| *other != user)).is_some();
    if is_listed {
        *reason = None;
    }
    has_texts || is_listed
}

#[cfg(test)]
mod tests {
    use chat::{Role, SweepRule, SweepUndone, User};

    use super::*;

    fn room(idx: i64) -> PresenterIdx {
        PresenterIdx::try_from(idx).unwrap()
    }

    fn by() -> User {
        User { idx: room(42).as_user(), nickname: "presenter".to_owned(), role: Role::Presenter }
    }

    fn at(sequence: u64) -> Position {
        Position { epoch: 1, sequence, index: 0 }
    }

    fn swept() -> Event {
        let rule = SweepRule { texts: Some(vec!["raid".to_owned()]), ..SweepRule::default() };
        let swept = RoomSwept { rule, seconds_back: 60, forward: None, by: by(), reason: None };
        Event::now(room(42), Body::RoomSwept(Box::new(swept)))
    }

    fn undone(target: EventId) -> Event {
        Event::now(room(42), Body::SweepUndone(SweepUndone { target, by: by(), reason: None }))
    }

    #[test]
    fn a_sweep_can_be_undone_once_in_its_room_and_for_its_time() {
        let (mut sweeps, one, two) = (Sweeps::default(), swept(), swept());
        let now = one.at;
        let ids = |sweeps: &Sweeps, of| sweeps.undoable(of, now).into_iter().map(|it| it.id).collect::<Vec<_>>();
        assert!(sweeps.apply(at(1), room(42), &one) && sweeps.apply(at(2), room(42), &two));
        assert!(!sweeps.apply(at(1), room(42), &one), "once");
        assert_eq!((ids(&sweeps, room(42)), ids(&sweeps, room(43))), (vec![two.id, one.id], vec![]));
        assert!(sweeps.is_undoable(room(42), one.id, now) && !sweeps.is_undoable(room(43), one.id, now));
        assert!(!sweeps.is_undoable(room(42), one.id, now + UNDOABLE_FOR));
        assert!(sweeps.apply(at(3), room(42), &undone(one.id)) && !sweeps.is_undoable(room(42), one.id, now));
        assert!(!sweeps.apply(at(1), room(42), &one), "an older copy does not bring it back");
        assert_eq!((ids(&sweeps, room(42)), sweeps.known(room(42), one.id)), (vec![two.id], Some(at(3))));
        sweeps.tidy(now);
        assert_eq!((sweeps.known(room(42), one.id), sweeps.known(room(42), two.id)), (None, Some(at(2))));
    }

    fn guarding(text: &str, action: ForwardAction, until: Timestamp) -> Event {
        let Event { body: Body::RoomSwept(mut swept), .. } = swept() else { panic!("it is a sweep") };
        swept.rule.texts = Some(vec![text.to_owned()]);
        swept.forward = Some(Forward { action, until });
        Event::now(room(42), Body::RoomSwept(swept))
    }

    fn judged(sweeps: &Sweeps, of: PresenterIdx, text: &str, at: Timestamp) -> Option<ForwardAction> {
        let viewer = User { idx: UserIdx::try_from(7).unwrap(), nickname: String::new(), role: Role::Viewer };
        Guard::judge(&sweeps.guards(of)?, &MessagePosted::new(viewer, text), at)
    }

    #[test]
    fn a_sweep_with_a_span_forward_refuses_or_holds_until_its_end_or_until_it_is_undone() {
        let (mut sweeps, now) = (Sweeps::default(), Timestamp::from_second(1_800_000_000).unwrap());
        let until = now + Duration::from_secs(60);
        let (refuse, hold) = (ForwardAction::Refuse, ForwardAction::Hold);
        let (one, two) = (guarding("raid", refuse, until), guarding("Raid", hold, until + Duration::from_secs(60)));
        assert!(sweeps.apply(at(1), room(42), &two) && sweeps.apply(at(2), room(42), &one));
        assert_eq!(judged(&sweeps, room(42), "RAID", now), Some(refuse), "a refusal comes first");
        assert_eq!(judged(&sweeps, room(42), "RAID", until), Some(hold), "the other one goes on");
        assert_eq!(judged(&sweeps, room(42), "RAID", until + Duration::from_secs(60)), None);
        assert_eq!((judged(&sweeps, room(42), "hi", now), judged(&sweeps, room(43), "raid", now)), (None, None));
        assert!(sweeps.apply(at(3), room(42), &undone(one.id)));
        assert_eq!(judged(&sweeps, room(42), "raid", now), Some(hold));
        assert!(!sweeps.apply(at(2), room(42), &one), "an older copy does not bring it back");
        assert!(sweeps.apply(at(4), room(42), &undone(two.id)) && sweeps.guards(room(42)).is_none());
    }

    #[test]
    fn the_log_completes_a_rule_of_which_the_bucket_has_a_part() {
        let (mut sweeps, now) = (Sweeps::default(), Timestamp::from_second(1_800_000_000).unwrap());
        let whole = guarding("raid", ForwardAction::Refuse, now + Duration::from_secs(60));
        let mut part = whole.clone();
        let Body::RoomSwept(swept) = &mut part.body else { panic!("it is a sweep") };
        assert!(forget_in_rule(swept, UserIdx::try_from(7).unwrap()));
        assert!(sweeps.apply(at(1), room(42), &part) && judged(&sweeps, room(42), "raid", now).is_none());
        assert!(!sweeps.apply(at(1), room(42), &whole));
        assert_eq!(judged(&sweeps, room(42), "raid", now), Some(ForwardAction::Refuse));
        sweeps.tidy(now + Duration::from_secs(30));
        assert!(sweeps.guards(room(42)).is_some());
        sweeps.tidy(now + LONGEST_CLOCK_ERROR + Duration::from_secs(60));
        assert!(sweeps.guards(room(42)).is_none());
    }
}
