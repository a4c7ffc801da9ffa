//! The bounds of notes on users. This file does not know HTTP.

use chat::{PresenterIdx, UserIdx};

use crate::refusal::Refusal;
use crate::state::Ingest;

/// 50 notes on a user in a room: a list of them is at most 400 KB, and one that people can read.
pub(crate) const MOST_NOTES_ON_USER: usize = 50;

/// 10,000 notes in a room, as many as bans.
const MOST_NOTES_IN_ROOM: usize = 10_000;

impl Ingest {
    /// Each node that adds a note at the same moment may exceed the bounds by one.
    pub(super) fn check_room_for_note(&self, room: PresenterIdx, user: UserIdx) -> Result<(), Refusal> {
        let rules = &self.replay.rules;
        match () {
            () if rules.notes_on(room, user).len() >= MOST_NOTES_ON_USER => {
                Err(Refusal::TooManyNotes(MOST_NOTES_ON_USER))
            }
            () if rules.count_notes(room) >= MOST_NOTES_IN_ROOM => Err(Refusal::TooManyNotes(MOST_NOTES_IN_ROOM)),
            () => Ok(()),
        }
    }
}
