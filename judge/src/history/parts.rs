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
    /// A notice of a moderator, by `/v1`.
    Notice,
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

/// The review hook's answer about a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum ReviewVerdict {
    /// The message is allowed.
    Allow,
    /// The message is denied.
    Deny,
    /// The message waits for a moderator.
    Hold,
    /// The message's text is replaced.
    Replace {
        /// The new text, unique within the run.
        with: String,
    },
    /// No answer, or an invalid one.
    NoAnswer,
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
    /// The sequences between the first and the last that the servers do not have: each first and last one of a hole.
    #[serde(default)]
    pub holes: Vec<(u64, u64)>,
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
    /// The queue of reports of every room.
    Reports,
    /// The pinned message of every room.
    Pins,
    /// The warnings and the notes of every room.
    People,
}
