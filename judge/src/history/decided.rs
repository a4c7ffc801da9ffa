//! Moderation decisions: what was asked for, and what the log has of it.

use chat::{EventId, ForwardAction, RoomSwept, Similarity};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The content of a moderation decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decided", rename_all = "snake_case")]
pub enum Decided {
    /// Deletes a message.
    Delete {
        /// The message.
        target: EventId,
    },
    /// Deletes every earlier message of the room.
    Clear,
    /// Restores a message.
    Restore {
        /// The message.
        target: EventId,
    },
    /// Bans a user from the room.
    Ban {
        /// The user.
        user: i64,
        /// How far back the ban deletes the user's messages. None: it deletes none.
        #[serde(default)]
        purge_seconds: Option<u32>,
    },
    /// Lifts a ban.
    Unban {
        /// The user.
        user: i64,
    },
    /// Makes a user a moderator of the room.
    Appoint {
        /// The user.
        user: i64,
    },
    /// Ends that role.
    Dismiss {
        /// The user.
        user: i64,
    },
    /// Changes a setting of the room.
    Configure {
        /// The setting, such as `presenterOnly`.
        setting: String,
        /// The value as JSON. `null`: the default.
        value: String,
    },
    /// Releases a message that waits.
    Release {
        /// The message.
        target: EventId,
    },
    /// Denies a message that waits.
    Deny {
        /// The message.
        target: EventId,
    },
    /// Reports a message to the moderators.
    Report {
        /// The message.
        target: EventId,
        /// The user who reports it.
        user: i64,
    },
    /// Closes the reports of a message so far.
    CloseReports {
        /// The message.
        target: EventId,
    },
    /// Pins a message. Each message is pinned by one request at most.
    Pin {
        /// The message.
        target: EventId,
    },
    /// Unpins the pinned message.
    Unpin,
    /// Sweeps the room.
    Sweep {
        /// What it deletes.
        swept: Swept,
    },
    /// Undoes a sweep.
    Unsweep {
        /// The sweep.
        target: EventId,
    },
    /// Warns a user in the room. The reason is what the user is told.
    Warn {
        /// The user.
        user: i64,
    },
    /// Withdraws the user's warning.
    Withdraw {
        /// The user.
        user: i64,
    },
    /// Writes a note on a user. The reason is its text.
    Note {
        /// The user.
        user: i64,
    },
    /// Deletes a note.
    DeleteNote {
        /// The user.
        user: i64,
        /// The note.
        target: EventId,
    },
}

/// What a sweep deletes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// The texts. None: any text.
    pub texts: Option<Vec<String>>,
    /// How similar a text has to be to one of them, in percent. None: equal.
    #[serde(default)]
    pub similarity: Option<u8>,
    /// The authors. None: any viewer.
    pub users: Option<Vec<i64>>,
    /// In a request: only authors whose first message in the room is at most so many seconds old. The log names them.
    #[serde(default)]
    pub first_seen: Option<u32>,
    /// A flag that messages have. None: with or without flags.
    #[serde(default)]
    pub label: Option<String>,
    /// How far back it reaches.
    pub seconds_back: u32,
    /// In a request: for how many seconds posts that match are refused. None: they are not.
    #[serde(default)]
    pub refuses_for: Option<u32>,
    /// In the log: until when.
    #[serde(default)]
    pub refuses_until: Option<Timestamp>,
    /// In a request: for how many seconds posts that match wait for a moderator. None: they do not.
    #[serde(default)]
    pub holds_for: Option<u32>,
    /// In the log: until when.
    #[serde(default)]
    pub holds_until: Option<Timestamp>,
}

impl Swept {
    /// Whether the sweep in the log is the requested one. Only the log knows when its span ends, and who was new.
    pub(crate) fn is_as_requested(&self, requested: &Swept) -> bool {
        let rest = |swept: &Swept| Swept {
            users: None,
            first_seen: None,
            refuses_for: None,
            refuses_until: None,
            holds_for: None,
            holds_until: None,
            ..swept.clone()
        };
        let are_its_users = match (requested.first_seen, &self.users) {
            (None, users) => *users == requested.users,
            (Some(_), Some(new)) => {
                let asked = requested.users.as_ref();
                asked.is_none_or(|asked| new.iter().all(|user| asked.contains(user)))
            }
            (Some(_), None) => false,
        };
        are_its_users
            && self.refuses_until.is_some() == requested.refuses_for.is_some()
            && self.holds_until.is_some() == requested.holds_for.is_some()
            && rest(self) == rest(requested)
    }
}

impl From<&RoomSwept> for Swept {
    fn from(swept: &RoomSwept) -> Swept {
        let RoomSwept { rule, seconds_back, .. } = swept;
        let holds = swept.forward.filter(|forward| forward.action == ForwardAction::Hold);
        let users = rule.users.as_ref().map(|users| users.iter().map(|user| user.get()).collect());
        let similarity = rule.similarity.map(Similarity::percent);
        Swept {
            texts: rule.texts.clone(),
            similarity,
            users,
            first_seen: None,
            label: rule.label.clone(),
            seconds_back: *seconds_back,
            refuses_for: None,
            refuses_until: swept.deletes_until(),
            holds_for: None,
            holds_until: holds.map(|forward| forward.until),
        }
    }
}

impl Decided {
    /// The type of the decision's event.
    pub fn kind(&self) -> &'static str {
        match self {
            Decided::Delete { .. } => "message.deleted",
            Decided::Clear => "room.cleared",
            Decided::Restore { .. } => "message.restored",
            Decided::Ban { .. } => "user.banned",
            Decided::Unban { .. } => "user.unbanned",
            Decided::Appoint { .. } => "moderator.added",
            Decided::Dismiss { .. } => "moderator.removed",
            Decided::Configure { .. } => "room.updated",
            Decided::Release { .. } => "message.released",
            Decided::Deny { .. } => "message.denied",
            Decided::Report { .. } => "message.reported",
            Decided::CloseReports { .. } => "report.closed",
            Decided::Pin { .. } => "message.pinned",
            Decided::Unpin => "message.unpinned",
            Decided::Sweep { .. } => "room.swept",
            Decided::Unsweep { .. } => "sweep.undone",
            Decided::Warn { .. } => "user.warned",
            Decided::Withdraw { .. } => "warning.withdrawn",
            Decided::Note { .. } => "note.added",
            Decided::DeleteNote { .. } => "note.deleted",
        }
    }

    /// Whether its event is another than that of any other request, and has its reason. Not so: an earlier decision
    /// about a held message and an earlier report of the same user answer later ones, and a pin has no reason.
    pub fn has_its_own_event(&self) -> bool {
        !matches!(
            self,
            Decided::Release { .. }
                | Decided::Deny { .. }
                | Decided::Report { .. }
                | Decided::Pin { .. }
                | Decided::Unpin
        )
    }

    /// The user that its event is about.
    pub fn user(&self) -> Option<i64> {
        match self {
            Decided::Ban { user, .. }
            | Decided::Unban { user }
            | Decided::Appoint { user }
            | Decided::Dismiss { user }
            | Decided::Warn { user }
            | Decided::Withdraw { user }
            | Decided::Note { user }
            | Decided::DeleteNote { user, .. } => Some(*user),
            _ => None,
        }
    }

    /// How far back it deletes the user's messages.
    pub fn purge_seconds(&self) -> Option<u32> {
        match self {
            Decided::Ban { purge_seconds, .. } => *purge_seconds,
            _ => None,
        }
    }

    /// What it sweeps.
    pub fn swept(&self) -> Option<&Swept> {
        match self {
            Decided::Sweep { swept } => Some(swept),
            _ => None,
        }
    }

    /// The message or the note that it is about, or the sweep that it undoes.
    pub fn target(&self) -> Option<EventId> {
        match self {
            Decided::Delete { target }
            | Decided::Restore { target }
            | Decided::Release { target }
            | Decided::Deny { target }
            | Decided::Report { target, .. }
            | Decided::CloseReports { target }
            | Decided::Pin { target }
            | Decided::Unsweep { target }
            | Decided::DeleteNote { target, .. } => Some(*target),
            _ => None,
        }
    }
}
