//! Who may moderate a room: its presenter, the moderators that the room appointed, and tokens with the scope
//! `chat:moderate`. A right is computed for each request, never taken from it.

use chat::{PresenterIdx, Role, now};
use jiff::Timestamp;
use nats::AppendError;

use crate::refusal::Refusal;
use crate::sender::Sender;
use crate::state::Ingest;

/// Why a sender may moderate a room, or every room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// The room is the sender's own.
    Presenter,
    /// The token has the scope `chat:moderate`.
    Scope,
    /// The sender is a moderator of the room.
    Appointed,
}

impl Right {
    /// The role that a decision records.
    pub(crate) fn role(self) -> Role {
        match self {
            Right::Presenter => Role::Presenter,
            Right::Scope | Right::Appointed => Role::Moderator,
        }
    }

    /// Whether it extends to the room's moderators: to appoint, remove and ban them.
    pub(crate) fn is_over_moderators(self) -> bool {
        self != Right::Appointed
    }
}

impl Ingest {
    /// The sender's role in the room, as messages record it.
    pub(crate) fn role(&self, sender: &Sender, room: PresenterIdx, now: Timestamp) -> Role {
        match () {
            () if sender.presents(room) => Role::Presenter,
            () if sender.moderates_every_room() => Role::Moderator,
            () if self.replay.rules.moderates(room, sender.idx, now) => Role::Moderator,
            () => Role::Viewer,
        }
    }

    /// The sender's right to moderate the room, or every room if it is none.
    pub(crate) fn right(&self, sender: &Sender, room: Option<PresenterIdx>) -> Result<Right, Refusal> {
        if room.is_some_and(|room| sender.presents(room)) {
            return Ok(Right::Presenter);
        }
        if sender.moderates_every_room() {
            return Ok(Right::Scope);
        }
        let room = room.ok_or(Refusal::Forbidden)?;
        self.check_caught_up()?;
        if !self.replay.rules.moderates(room, sender.idx, now()) {
            return Err(Refusal::Forbidden);
        }
        // A node that the log cannot reach does not learn that the role has ended.
        if self.replay.is_current() { Ok(Right::Appointed) } else { Err(Refusal::Append(AppendError::Unavailable)) }
    }
}
