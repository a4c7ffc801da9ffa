//! What is known of warnings, of notes, and of the users that they are about.

use std::collections::{BTreeMap, HashMap};

use chat::{EventId, Position};

use super::{Decision, Ruling, Source, View};
use crate::history::{ListedNote, ListedWarning, Observation, PersonObservation};

/// A warning in the answer to a post.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) line: usize,
    pub(crate) post: u64,
    pub(crate) attempt: u32,
    pub(crate) warning: EventId,
    pub(crate) reason: &'a str,
}

/// The warnings of a room, as a node listed them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WarningList<'a> {
    pub(crate) line: usize,
    pub(crate) room: i64,
    pub(crate) node: &'a str,
    pub(crate) warnings: &'a [ListedWarning],
}

/// The notes on a user, as a node listed them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoteList<'a> {
    /// The line of the request.
    pub(crate) asked: usize,
    pub(crate) room: i64,
    pub(crate) user: i64,
    pub(crate) node: &'a str,
    pub(crate) at_the_end: bool,
    /// The line of the answer, and the notes. None: the request has failed.
    pub(crate) listed: Option<(usize, &'a [ListedNote])>,
}

/// What is known of warnings and notes.
#[derive(Debug, Default)]
pub(crate) struct People<'a> {
    pub(crate) told: Vec<Told<'a>>,
    pub(crate) warnings: Vec<WarningList<'a>>,
    pub(crate) notes: BTreeMap<u64, NoteList<'a>>,
}

/// Whether an erasure of a user is later than an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Erased {
    No,
    /// It is between two copies of an erasure.
    Perhaps,
    Yes,
}

/// The erasures of users, by the order of the log.
pub(crate) struct ErasuresInLog(HashMap<(i64, i64), Vec<(Position, Position)>>);

impl ErasuresInLog {
    /// Whether an erasure of the user follows that place of the room.
    pub(crate) fn after(&self, room: i64, user: i64, position: Position) -> Erased {
        let erasures = self.0.get(&(room, user)).map(Vec::as_slice).unwrap_or_default();
        if erasures.iter().any(|(first, _)| *first > position) {
            Erased::Yes
        } else if erasures.iter().any(|(_, last)| *last > position) {
            Erased::Perhaps
        } else {
            Erased::No
        }
    }
}

impl<'a> View<'a> {
    pub(super) fn people(&mut self, line: usize, what: &'a Observation) {
        let Observation::Person(what) = what else { return };
        match what {
            PersonObservation::Told { post, attempt, warning, reason } => {
                let (post, attempt, warning) = (*post, *attempt, *warning);
                self.people.told.push(Told { line, post, attempt, warning, reason });
            }
            PersonObservation::Warnings { room, node, warnings } => {
                self.people.warnings.push(WarningList { line, room: *room, node, warnings });
            }
            PersonObservation::AsksForNotes { list, room, user, node, at_the_end } => {
                let (room, user, at_the_end) = (*room, *user, *at_the_end);
                self.people.notes.insert(*list, NoteList { asked: line, room, user, node, at_the_end, listed: None });
            }
            PersonObservation::Notes { list, notes } => {
                if let Some(asked) = self.people.notes.get_mut(list) {
                    asked.listed = Some((line, notes));
                }
            }
        }
    }

    /// The first copies of the log's events of these types, by the room and the user that they are about, in order.
    pub(crate) fn about_people(&self, kinds: &[&str]) -> HashMap<(i64, i64), Vec<&Ruling<'a>>> {
        let mut about: HashMap<(i64, i64), Vec<&Ruling>> = HashMap::new();
        for ruling in self.rulings.iter().filter(|it| it.source == Source::Log && kinds.contains(&it.kind)) {
            let is_first =
                self.logged.get(&ruling.id).is_some_and(|(_, place)| Some(place.position) == ruling.position);
            if let Some(subject) = ruling.room.zip(ruling.user).filter(|_| is_first) {
                about.entry(subject).or_default().push(ruling);
            }
        }
        about.values_mut().for_each(|rulings| rulings.sort_by_key(|ruling| ruling.position));
        about
    }

    /// The decisions that `wanted` selects, by the room and the user that they are about, in order of the requests.
    pub(crate) fn decided_about(&self, wanted: impl Fn(&Decision) -> bool) -> HashMap<(i64, i64), Vec<&Decision<'a>>> {
        let mut about: HashMap<(i64, i64), Vec<&Decision>> = HashMap::new();
        for decision in self.decisions.values().filter(|decision| wanted(decision)) {
            if let Some(subject) = decision.request.room.zip(decision.decided.user()) {
                about.entry(subject).or_default().push(decision);
            }
        }
        about.values_mut().for_each(|decisions| decisions.sort_by_key(|decision| decision.request.invoked));
        about
    }

    /// The erasures of the log.
    pub(crate) fn erasures_in_log(&self) -> ErasuresInLog {
        let mut last: HashMap<(EventId, u64), Position> = HashMap::new();
        for (position, copied) in &self.copies {
            if self.everywhere.contains_key(&(copied.id, position.epoch)) {
                let known = last.entry((copied.id, position.epoch)).or_insert(*position);
                *known = (*known).max(*position);
            }
        }
        let mut erasures: HashMap<(i64, i64), Vec<(Position, Position)>> = HashMap::new();
        for (number, room) in &self.rooms {
            for place in room.log.iter().filter(|place| place.kind == "user.erased") {
                let Some(user) = place.user else { continue };
                let last = last.get(&(place.id, place.position.epoch)).copied().unwrap_or(place.position);
                erasures.entry((*number, user)).or_default().push((place.position, last));
            }
        }
        ErasuresInLog(erasures)
    }
}
