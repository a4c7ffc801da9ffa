//! What is observed of single messages beside their places: that they wait for a moderator, their attributes, reports
//! of them, the pinned one of a room, and their traces.

use chat::{EventId, Position};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Swept;

/// One observation of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
pub enum MessageObservation {
    /// An answer says that the message waits for a moderator. It follows that answer.
    Waits {
        /// The post.
        post: u64,
        /// The attempt.
        attempt: u32,
    },
    /// The end of a hold in the log. The hold follows.
    HoldEnds {
        /// The event of the hold.
        hold: EventId,
        /// When it ends, by the clock of the log's servers.
        until: Timestamp,
    },
    /// A post has attributes or emotes, or it answers a message.
    Attaches {
        /// The post.
        post: u64,
        /// `replyTo`, `attributes` and `emotes` as one JSON object.
        extras: String,
    },
    /// They were seen with a message.
    Attached {
        /// Where.
        seen: SeenAt,
        /// The message.
        id: EventId,
        /// As in `attaches`.
        extras: String,
    },
    /// A message in the log has flags. The message follows.
    Flagged {
        /// The message.
        id: EventId,
        /// Its flags.
        flags: Vec<String>,
    },
    /// A moderator asks what a sweep would delete.
    Previews {
        /// The dry run, unique within the run.
        preview: u64,
        /// The ingest node.
        node: String,
        /// The room.
        room: i64,
        /// The sweep.
        swept: Swept,
    },
    /// The answer.
    Previewed {
        /// The dry run.
        preview: u64,
        /// The number of messages.
        messages: usize,
        /// Whether the node has read the log to its end.
        complete: bool,
        /// The latest of them.
        latest: Vec<EventId>,
    },
    /// The replay of a room shows the message as a notice.
    Notice {
        /// The message.
        id: EventId,
    },
    /// The pinned message, according to the welcome of a session. It follows the welcome.
    Pinned {
        /// The session.
        seen: SeenAt,
        /// The message.
        pinned: Option<EventId>,
    },
    /// The pinned message, according to an ingest node at the end of the run.
    PinRead {
        /// The room.
        room: i64,
        /// The ingest node.
        node: String,
        /// The message.
        pinned: Option<EventId>,
    },
    /// A session receives what a sweep or its end does to a message: a deletion or a restoration of its own. The event
    /// of the sweep or of its end follows.
    Part {
        /// The session.
        seen: SeenAt,
        /// Its id.
        id: EventId,
        /// Its position, before that of the event.
        position: Position,
        /// Its type.
        kind: String,
        /// The sweep.
        sweep: EventId,
        /// The message.
        target: EventId,
        /// The text of a message that is restored.
        text: Option<String>,
        /// Its other members, by name, as a reader receives them.
        members: Vec<String>,
    },
    /// A presenter of `chat.v1` acknowledges everything up to a position.
    Acknowledges {
        /// The session.
        session: u32,
        /// The position.
        position: Position,
    },
    /// An archiver traced the message.
    Traced {
        /// The room.
        room: i64,
        /// The message.
        id: EventId,
        /// Its position, according to the trace.
        position: Position,
        /// Its way to the presenter, such as `acknowledged`.
        presenter: String,
        /// Whether it is archived, according to the trace.
        archived: bool,
        /// The decision that deletes it, according to the trace.
        #[serde(default)]
        deleted: Option<EventId>,
        /// Whether MongoDB had it after the answer. None: MongoDB could not be asked.
        found: Option<bool>,
    },
    /// A message with its reports, in the queue that an archiver listed for moderators at the end of the run.
    Queued {
        /// The room.
        room: i64,
        /// The message.
        id: EventId,
        /// The number of users who reported it.
        count: usize,
        /// The reports.
        reports: Vec<EventId>,
        /// The decision that closed them. None: they are open.
        closed: Option<EventId>,
    },
}

impl From<MessageObservation> for super::Observation {
    fn from(observed: MessageObservation) -> super::Observation {
        super::Observation::Message(observed)
    }
}

/// Where something was seen beside a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "in", content = "session", rename_all = "snake_case")]
pub enum SeenAt {
    /// In a presenter's session.
    Presenter(u32),
    /// In a reader's session.
    Reader(u32),
    /// In the log, at the end of the run.
    Log,
    /// In the replay of a room.
    Replay,
}

/// `replyTo`, `attributes` and `emotes` of a message as one JSON object. None: it has none of them.
pub fn extras(reply_to: Option<EventId>, attributes: Option<&Value>, emotes: Option<&Value>) -> Option<String> {
    if reply_to.is_none() && attributes.is_none() && emotes.is_none() {
        return None;
    }
    Some(serde_json::json!({ "replyTo": reply_to, "attributes": attributes, "emotes": emotes }).to_string())
}
