//! Warnings of users, and notes on them.

use chat::{EventId, PresenterIdx, UserIdx};

use super::{Draft, Event, MS, ROOMS, World};
use crate::history::{Decided, ListedNote, ListedWarning, Observation, PersonObservation, Surface};

/// The users who are warned. The last one is erased at times, and does not write on this occasion.
const WARNED: [i64; 4] = [170, 171, 172, 109];

/// The users with notes on them. The last two are erased at times.
const NOTED: [i64; 4] = [160, 161, 108, 109];

/// The number of rooms with notes. Few, so that some users have several in one.
const NOTED_IN: i64 = 2;

/// The number of the first post of a warned user.
const FIRST_POST: u64 = 1_000_000;

/// The post of a warned user that is due.
pub(super) struct Visit {
    due: u64,
    room: i64,
    user: i64,
    /// The warning that the answer has, and what it says.
    warning: Option<(EventId, String)>,
}

/// A note that is not deleted.
pub(super) struct Note {
    room: i64,
    user: i64,
    listed: ListedNote,
}

/// Everything about people.
#[derive(Default)]
pub(super) struct People {
    visits: Vec<Visit>,
    warned: u64,
    posts: u64,
    notes: Vec<Note>,
    lists: u64,
}

impl World {
    /// Warns a user, or withdraws a warning that was not sent.
    pub(super) fn warn(&mut self, now: u64) {
        let unsent = self.people.visits.iter().position(|visit| visit.warning.is_some());
        if let Some(place) = unsent.filter(|_| self.rng.u32(..4) == 0) {
            let Visit { room, user, .. } = self.people.visits.remove(place);
            return self.decide(now, Some(room), Decided::Withdraw { user });
        }
        // So many rooms and users that nobody is warned again while the first warning is on its way.
        let warned = self.people.warned;
        self.people.warned += 1;
        let (room, user) = (1 + warned as i64 % ROOMS, WARNED[(warned / ROOMS.unsigned_abs()) as usize % WARNED.len()]);
        let id = self.decide_by(now, Some(room), None, Decided::Warn { user });
        let warning = id.map(|id| (id, format!("reason {}", self.decisions)));
        if !super::is_erased(user) {
            self.people.visits.push(Visit { due: now + 1_200 * MS, room, user, warning });
        }
    }

    /// Warned users write: once with the warning in the answer, and once after it was recorded as sent.
    pub(super) fn visit(&mut self, now: u64) {
        let due: Vec<Visit> = self.people.visits.extract_if(.., |visit| visit.due <= now).collect();
        for Visit { room, user, warning, .. } in due {
            if self.quiet.contains_key(&room) {
                continue;
            }
            let post = FIRST_POST + self.people.posts;
            self.people.posts += 1;
            let (key, text, node) = (format!("visit {post}"), format!("visit {post}"), "ingest-0".to_owned());
            let id = EventId::derived(PresenterIdx::try_from(room).ok(), UserIdx::try_from(user).unwrap(), &key);
            let (surface, key, said) = (Surface::V1, Some(key), text.clone());
            self.draft(now, Observation::Invoked { post, attempt: 1, node, room, user, surface, key, text: said });
            let stored = now + self.between(MS, 20 * MS);
            let posted = Event::of(stored, Some(room), "message.posted");
            self.events.push(Event { id, user: Some(user), text: Some(text), ..posted });
            let answered = stored + 5 * MS;
            let is_lost = warning.is_some() && self.rng.u32(..4) == 0;
            if is_lost {
                self.draft(answered, Observation::Unknown { post, attempt: 1, why: "no answer".to_owned() });
            } else {
                self.drafts.push((answered, Draft::Ok { post, attempt: 1, room, id, status: 202 }));
            }
            let Some((warning, reason)) = warning else { continue };
            if !is_lost {
                self.draft(answered, PersonObservation::Told { post, attempt: 1, warning, reason }.into());
            }
            let (id, target) = (EventId::of_sent(warning), Some(warning));
            let sent = Event::of(answered + 1_000 * MS, Some(room), "warning.sent");
            self.events.push(Event { id, user: Some(user), target, ..sent });
            self.people.visits.push(Visit { due: now + 2_500 * MS, room, user, warning: None });
        }
    }

    /// Lists the notes on a user, and then writes or deletes one.
    pub(super) fn note(&mut self, now: u64) {
        let (room, user) = (self.rng.i64(1..=NOTED_IN), NOTED[self.rng.usize(..NOTED.len())]);
        self.list_notes(now, room, user, false);
        if !self.people.notes.is_empty() && self.rng.u32(..4) == 0 {
            let place = self.rng.usize(..self.people.notes.len());
            let Note { room, user, listed } = self.people.notes.remove(place);
            return self.decide(now + MS, Some(room), Decided::DeleteNote { user, target: listed.id });
        }
        if let Some(id) = self.decide_by(now + MS, Some(room), None, Decided::Note { user }) {
            let listed = ListedNote { id, text: format!("reason {}", self.decisions) };
            self.people.notes.push(Note { room, user, listed });
        }
    }

    /// The user is erased, and the notes with the user.
    pub(super) fn forget_notes(&mut self, erased: i64) {
        self.people.notes.retain(|note| note.user != erased);
    }

    fn list_notes(&mut self, now: u64, room: i64, user: i64, at_the_end: bool) {
        self.people.lists += 1;
        let (list, node) = (self.people.lists, "ingest-0".to_owned());
        let on_user = self.people.notes.iter().filter(|note| (note.room, note.user) == (room, user));
        let notes = on_user.map(|note| note.listed.clone()).collect();
        self.draft(now, PersonObservation::AsksForNotes { list, room, user, node, at_the_end }.into());
        self.draft(now + 100, PersonObservation::Notes { list, notes }.into());
    }

    /// The lists at the end of the run.
    pub(super) fn list_people(&mut self, at: u64) {
        for room in 1..=ROOMS {
            for user in NOTED {
                self.list_notes(at, room, user, true);
            }
            let mut warned = WARNED;
            warned.sort_unstable();
            let warnings = warned.into_iter().filter_map(|user| self.warning(room, user)).collect();
            let node = "ingest-1".to_owned();
            self.draft(at, PersonObservation::Warnings { room, node, warnings }.into());
        }
    }

    /// The user's warning in the room. The events are in the order of the log.
    fn warning(&self, room: i64, user: i64) -> Option<ListedWarning> {
        let about = self.events.iter().filter(|event| event.is_of(room) && event.user == Some(user));
        let ends = ["user.warned", "warning.withdrawn", "user.erased"];
        let last = about.clone().rfind(|event| ends.contains(&event.kind)).filter(|last| last.kind == "user.warned")?;
        let is_sent = about.filter(|event| event.kind == "warning.sent").any(|event| event.target == Some(last.id));
        Some(ListedWarning { id: last.id, user, reason: last.reason.clone()?, is_sent })
    }
}

impl Event {
    /// Whether it is a warning or a note from before an erasure of its user, or the end of one.
    pub(super) fn is_forgotten(&self, events: &[Event]) -> bool {
        let is_about = ["user.warned", "warning.withdrawn", "note.added", "note.deleted"].contains(&self.kind);
        let erases = |other: &Event| other.kind == "user.erased" && other.user == self.user;
        is_about && events.iter().any(|other| erases(other) && other.stored > self.stored)
    }
}
