//! The values that observations consist of.

use chat::{EventId, Position};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The beginning of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    /// The seed. It repeats the run as far as processes and networks allow.
    pub seed: u64,
    /// The start of the run by the machine's clock, which the log's servers share.
    pub began: Timestamp,
    /// How long delivery nodes keep events, in milliseconds.
    pub window_ms: u64,
    /// The deadline of an append, in milliseconds.
    pub append_deadline_ms: u64,
    /// The lease of a delivery node, in milliseconds.
    pub lease_ms: u64,
}

/// The HTTP surface of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Surface {
    /// `/v1`, with a token.
    V1,
    /// `/send/message`, with the headers that a gateway forwards.
    Original,
}

/// The dialect of a presenter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// `chat.v1`.
    V1,
    /// The one of `/chatting`.
    Original,
}

/// A phase of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Users post, and faults are injected.
    Load,
    /// Every fault is over. Only the presenters' last messages are still posted.
    Healed,
    /// Everything accepted has reached its places.
    Drained,
    /// It did not within the time limit.
    NotDrained,
}

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
}

/// The review hook's answer about a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum ReviewVerdict {
    /// The message is allowed.
    Allow,
    /// The message is denied.
    Deny,
    /// The message's text is replaced.
    Replace {
        /// The new text, unique within the run.
        with: String,
    },
    /// No answer, or an invalid one.
    NoAnswer,
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
        }
    }

    /// The user that it is about.
    pub fn user(&self) -> Option<i64> {
        match self {
            Decided::Ban { user, .. }
            | Decided::Unban { user }
            | Decided::Appoint { user }
            | Decided::Dismiss { user } => Some(*user),
            Decided::Delete { .. } | Decided::Restore { .. } | Decided::Clear | Decided::Configure { .. } => None,
        }
    }

    /// How far back it deletes the user's messages.
    pub fn purge_seconds(&self) -> Option<u32> {
        match self {
            Decided::Ban { purge_seconds, .. } => *purge_seconds,
            _ => None,
        }
    }

    /// The message that it is about.
    pub fn target(&self) -> Option<EventId> {
        match self {
            Decided::Delete { target } | Decided::Restore { target } => Some(*target),
            _ => None,
        }
    }
}

/// An event that a fault removed from the log's disks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostEvent {
    /// The fault.
    pub fault: u64,
    /// The room. None: every room.
    pub room: Option<i64>,
    /// The event.
    pub id: EventId,
    /// Its position. No other event may ever have it.
    pub position: Position,
}

/// A stream of the log, as its servers describe it at the end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamState {
    /// The epochs of its positions. A loss begins a new one.
    pub epochs: Vec<u64>,
    /// The first sequence that the stream still has, or the next one if it is empty.
    pub first: u64,
    /// The last sequence that the stream has assigned.
    pub last: u64,
    /// The sequence up to which the archive's consumer has acknowledged. None: no such consumer.
    pub acknowledged: Option<u64>,
}

/// A source that is read at the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// The whole log.
    Log,
    /// The streams of the log, as its servers describe them.
    Streams,
    /// The whole archive.
    Archive,
    /// Every decision, in the archive and in the lists for moderators.
    Audit,
    /// The replay of every room.
    Replay,
    /// The replay of every broadcast beside its video.
    Video,
    /// Every room, as received by a presenter without a position.
    Fresh,
}
