//! What the rules know about single users in a room besides bans and roles: warnings, and notes. Texts and authors are
//! in the bucket of decisions.

use std::sync::atomic::Ordering;

use chat::{EventId, Position, PresenterIdx, UserIdx, Warning};
use jiff::Timestamp;

use super::Rules;

impl Rules {
    /// Whether an answer to the user's post to the room may have to carry a warning. Every post asks, so it costs
    /// nothing while there is no unsent warning anywhere, and does not look at the clock.
    pub(crate) fn is_warned(&self, presenter: PresenterIdx, user: UserIdx) -> bool {
        self.unsent_warnings.load(Ordering::Relaxed) > 0
            && self.unsent_warning(presenter, user, Timestamp::MIN).is_some()
    }

    /// The user's warning in the room that no answer has carried yet.
    pub(crate) fn unsent_warning(&self, presenter: PresenterIdx, user: UserIdx, now: Timestamp) -> Option<Warning> {
        self.warning(presenter, user, now).filter(|warning| warning.sent_at.is_none())
    }

    /// The user's warning in the room, sent or not.
    pub(crate) fn warning(&self, presenter: PresenterIdx, user: UserIdx, now: Timestamp) -> Option<Warning> {
        self.state.read().warnings.get(presenter, user, now)
    }

    /// The room's warnings: up to `first`, by user, after the user `after`.
    pub(crate) fn warnings(
        &self,
        presenter: PresenterIdx,
        after: Option<UserIdx>,
        first: usize,
        now: Timestamp,
    ) -> Vec<(UserIdx, Warning)> {
        self.state.read().warnings.of_room(presenter, after, now).take(first).collect()
    }

    /// The notes on the user in the room, the oldest first, each with the position of its decision.
    pub(crate) fn notes_on(&self, presenter: PresenterIdx, user: UserIdx) -> Vec<(EventId, Position)> {
        self.state.read().notes.on(presenter, user)
    }

    /// Whether there is such a note on the user in the room.
    pub(crate) fn has_note(&self, presenter: PresenterIdx, user: UserIdx, note: EventId) -> bool {
        self.state.read().notes.contains(presenter, user, note)
    }

    /// How many notes the room has.
    pub(crate) fn count_notes(&self, presenter: PresenterIdx) -> usize {
        self.state.read().notes.count(presenter)
    }

    /// Ends the warnings of an erased user, and removes the notes on them, from before that position, in the rooms that
    /// `is_here` accepts.
    pub(crate) fn erase(&self, user: UserIdx, position: Position, is_here: impl Fn(PresenterIdx) -> bool) {
        let mut state = self.state.write();
        state.warnings.erase(user, position, &is_here);
        state.notes.erase(user, position, &is_here);
        self.unsent_warnings.store(state.warnings.unsent(), Ordering::Relaxed);
    }
}
