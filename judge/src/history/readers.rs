//! What is observed of a room's readers and of their tickets.

use chat::{EventId, Position};
use serde::{Deserialize, Serialize};

/// One observation of a reader or a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reader", rename_all = "snake_case")]
pub enum ReaderObservation {
    /// A ticket was made.
    Ticket {
        /// The ticket, unique within the run.
        ticket: u64,
        /// The room that it opens.
        room: i64,
        /// Whether it opens one stream only.
        one_use: bool,
    },
    /// The ticket is revoked: the server has confirmed it.
    Revoked {
        /// The ticket.
        ticket: u64,
    },
    /// A stream is requested with the ticket.
    Shows {
        /// The ticket.
        ticket: u64,
        /// The delivery node.
        node: String,
    },
    /// That request is refused, because the ticket is not valid.
    Refused {
        /// The ticket.
        ticket: u64,
        /// The delivery node.
        node: String,
    },
    /// A reader's session begins.
    Welcome {
        /// The session, unique among those of readers.
        session: u32,
        /// The reader, unique within the run. Each of its sessions continues where the previous one ended.
        number: u64,
        /// The room.
        room: i64,
        /// The delivery node.
        node: String,
        /// What the reader may see.
        view: ReaderView,
        /// The ticket that opened the session, if any.
        ticket: Option<u64>,
        /// The position that the reader sent. None: it began with the oldest event of the window.
        asked: Option<Position>,
        /// The position after which events follow.
        position: Position,
        /// Whether every event after `asked` follows. If not, a gap is reported.
        recovered: bool,
    },
    /// A reader receives an event.
    Event {
        /// The session.
        session: u32,
        /// The event.
        id: EventId,
        /// Its position.
        position: Position,
        /// Its type.
        kind: String,
        /// The text of a message that is not deleted, or of the message that a restoration brings back.
        text: Option<String>,
        /// The message that a deletion or a restoration is about.
        target: Option<EventId>,
        /// Its other members, by name. Those of a restored message follow `message.`.
        members: Vec<String>,
    },
    /// A reader receives a keepalive.
    Keepalive {
        /// The session.
        session: u32,
        /// The position up to which no event is missing.
        position: Position,
    },
    /// A reader's session has ended.
    Ended {
        /// The session.
        session: u32,
    },
}

impl From<ReaderObservation> for super::Observation {
    fn from(observed: ReaderObservation) -> super::Observation {
        super::Observation::Reader(observed)
    }
}

/// What a reader may see of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReaderView {
    /// What the presenter's socket shows, as for moderators.
    Moderator,
    /// What viewers see, and the flags of messages: with the scope `chat:read`.
    Flags,
    /// Messages, and of decisions the members that hide messages.
    Viewer,
    /// What the socket of the room's presenter shows. Readers do not have it.
    Presenter,
}

/// The types of events that viewers see.
const SHOWN: [&str; 12] = [
    "message.posted",
    "notice.posted",
    "message.deleted",
    "message.restored",
    "message.pinned",
    "message.unpinned",
    "room.cleared",
    "room.swept",
    "sweep.undone",
    "user.banned",
    "user.unbanned",
    "user.erased",
];

/// The types of events that only moderators see: a presenter's page may forward to its viewers what it does not know.
const FOR_MODERATORS: [&str; 7] = [
    "message.held",
    "message.denied",
    "message.reported",
    "report.closed",
    "user.warned",
    "warning.sent",
    "warning.withdrawn",
];

/// The types of events that nobody receives.
const HIDDEN: [&str; 2] = ["note.added", "note.deleted"];

impl ReaderView {
    /// Whether the reader receives events of that type.
    pub fn shows(self, kind: &str) -> bool {
        match self {
            ReaderView::Moderator => !HIDDEN.contains(&kind),
            ReaderView::Presenter => !FOR_MODERATORS.contains(&kind) && !HIDDEN.contains(&kind),
            ReaderView::Flags | ReaderView::Viewer => SHOWN.contains(&kind),
        }
    }
}
