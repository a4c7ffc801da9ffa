//! Notes on users, replayed from the log: what the moderators of a room tell each other about a user. Neither the user
//! nor any viewer gets them. Of two decisions about a note the later position wins. Saved decisions may be applied in
//! any order before the log.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::body::{Body, User};
use crate::event::Event;
use crate::ids::{EventId, PresenterIdx, UserIdx};
use crate::position::Position;

/// A moderator writes a note on a user. Its id is the event's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteAdded {
    /// The user that the note is about.
    pub user: UserIdx,
    /// The note. Absent: it was erased, and the note with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The moderator or presenter.
    pub by: User,
}

/// A note is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteDeleted {
    /// The user that the note was about.
    pub user: UserIdx,
    /// The note.
    pub target: EventId,
    /// The moderator or presenter.
    pub by: User,
    /// The reason, in that user's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The notes of all rooms. One takes about 100 bytes, without its text.
#[derive(Debug, Default)]
pub struct Notes {
    rooms: HashMap<PresenterIdx, BTreeMap<(UserIdx, EventId), LatestNote>>,
}

/// The latest decision about a note. A deletion is remembered while older decisions may still arrive.
#[derive(Debug, Clone, Copy)]
struct LatestNote {
    position: Position,
    is_there: bool,
}

impl Notes {
    /// Applies an event of the room at that position. Returns whether it added or deleted a note.
    pub fn apply(&mut self, position: Position, presenter: PresenterIdx, event: &Event) -> bool {
        let (note, is_there) = match &event.body {
            Body::NoteAdded(added) => ((added.user, event.id), added.text.is_some()),
            Body::NoteDeleted(deleted) => ((deleted.user, deleted.target), false),
            _ => return false,
        };
        let notes = self.rooms.entry(presenter).or_default();
        let is_later = notes.get(&note).is_none_or(|known| known.position < position);
        if is_later {
            notes.insert(note, LatestNote { position, is_there });
        }
        is_later
    }

    /// Removes the notes on the user from before that position, in the rooms that `is_here` accepts: the user is erased.
    pub fn erase(&mut self, user: UserIdx, position: Position, is_here: impl Fn(PresenterIdx) -> bool) {
        for (_, notes) in self.rooms.iter_mut().filter(|(room, _)| is_here(**room)) {
            for (_, note) in notes.range_mut((user, EventId::LEAST)..=(user, EventId::GREATEST)) {
                note.is_there &= note.position >= position;
            }
        }
    }

    /// The notes on the user in the room, the oldest first, each with the position of its decision.
    pub fn on(&self, presenter: PresenterIdx, user: UserIdx) -> Vec<(EventId, Position)> {
        let notes = self.rooms.get(&presenter).into_iter();
        let about = notes.flat_map(|notes| notes.range((user, EventId::LEAST)..=(user, EventId::GREATEST)));
        let there = about.filter(|(_, note)| note.is_there);
        let mut notes: Vec<_> = there.map(|((_, id), note)| (*id, note.position)).collect();
        notes.sort_unstable_by_key(|(_, position)| *position);
        notes
    }

    /// Whether there is such a note on the user in the room.
    pub fn contains(&self, presenter: PresenterIdx, user: UserIdx, note: EventId) -> bool {
        let notes = self.rooms.get(&presenter);
        notes.and_then(|notes| notes.get(&(user, note))).is_some_and(|note| note.is_there)
    }

    /// How many notes the room has.
    pub fn count(&self, presenter: PresenterIdx) -> usize {
        self.rooms.get(&presenter).map_or(0, |notes| notes.values().filter(|note| note.is_there).count())
    }

    /// The position of the latest decision about the note.
    pub fn known(&self, presenter: PresenterIdx, user: UserIdx, note: EventId) -> Option<Position> {
        self.rooms.get(&presenter)?.get(&(user, note)).map(|note| note.position)
    }

    /// Forgets deleted notes. Only for when no older decision can arrive any more.
    pub fn tidy(&mut self) {
        self.rooms.retain(|_, notes| {
            notes.retain(|_, note| note.is_there);
            !notes.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Role;

    fn room(idx: i64) -> PresenterIdx {
        PresenterIdx::try_from(idx).unwrap()
    }

    fn user(idx: i64) -> UserIdx {
        UserIdx::try_from(idx).unwrap()
    }

    fn at(sequence: u64) -> Position {
        Position { epoch: 1, sequence, index: 0 }
    }

    fn by() -> User {
        User { idx: user(3), nickname: "mod".to_owned(), role: Role::Moderator }
    }

    fn added(idx: i64, text: Option<&str>) -> Event {
        let text = text.map(str::to_owned);
        Event::now(room(42), Body::NoteAdded(NoteAdded { user: user(idx), text, by: by() }))
    }

    fn deleted(idx: i64, note: &Event) -> Event {
        let deleted = NoteDeleted { user: user(idx), target: note.id, by: by(), reason: None };
        Event::now(room(42), Body::NoteDeleted(deleted))
    }

    #[test]
    fn notes_on_a_user_are_listed_in_the_order_of_the_log_until_they_are_deleted() {
        let (mut notes, first, second, other) =
            (Notes::default(), added(7, Some("one")), added(7, Some("two")), added(8, Some("three")));
        for (sequence, event) in [(2, &second), (1, &first), (3, &other)] {
            assert!(notes.apply(at(sequence), room(42), event));
            assert!(!notes.apply(at(sequence), room(42), event), "again");
        }
        assert_eq!(notes.on(room(42), user(7)), [(first.id, at(1)), (second.id, at(2))]);
        assert_eq!((notes.on(room(43), user(7)), notes.count(room(42)), notes.count(room(43))), (vec![], 3, 0));
        assert!(notes.apply(at(4), room(42), &deleted(7, &first)));
        assert!(!notes.apply(at(1), room(42), &first), "an older decision");
        assert_eq!(notes.on(room(42), user(7)), [(second.id, at(2))]);
        assert!(!notes.contains(room(42), user(7), first.id) && notes.contains(room(42), user(7), second.id));
        assert!(!notes.contains(room(42), user(8), second.id), "it is on another user");
        assert_eq!(notes.known(room(42), user(7), first.id), Some(at(4)));
        notes.tidy();
        assert_eq!((notes.known(room(42), user(7), first.id), notes.count(room(42))), (None, 2));
    }

    #[test]
    fn an_erasure_removes_the_notes_before_it_and_a_saved_one_without_its_text_is_none() {
        let mut notes = Notes::default();
        for (sequence, room_idx, idx) in [(1, 42, 7), (2, 42, 8), (3, 43, 7), (9, 42, 7)] {
            notes.apply(at(sequence), room(room_idx), &added(idx, Some("a note")));
        }
        notes.erase(user(7), at(5), |room| room.get() == 42);
        let places = |room_idx, idx| -> Vec<Position> {
            notes.on(room(room_idx), user(idx)).into_iter().map(|(_, position)| position).collect()
        };
        assert_eq!((places(42, 7), places(42, 8), places(43, 7)), (vec![at(9)], vec![at(2)], vec![at(3)]));
        notes.apply(at(10), room(44), &added(7, None));
        assert_eq!(notes.count(room(44)), 0);
    }
}
