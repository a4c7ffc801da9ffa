//! The bodies of holds: a message waits for a moderator, who releases or denies it.
//!
//! A held message has no place in the room's order. Its release is a `message.posted` with the message's own id, so it
//! has its place there. A denial has the same id: of a release and a denial, or of two releases, every reader keeps the
//! first.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::body::{MessagePosted, User};
use crate::ids::{EventId, UserIdx};
use crate::position::Position;
use crate::time::millis;

/// A message waits for a moderator. Only moderators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageHeld {
    /// The id of the message, under which it is released or denied. The event has another: [`EventId::of_hold`].
    pub target: EventId,
    /// The end of the hold. Nobody can release the message later.
    #[serde(with = "millis")]
    pub until: Timestamp,
    /// The message.
    #[serde(flatten)]
    pub posted: MessagePosted,
}

/// A held message is released: a `message.posted` with the member `held`. The event's time is that of the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageReleased {
    /// The message, as it was held.
    #[serde(flatten)]
    pub posted: MessagePosted,
    /// How long it waited, and who released it.
    pub held: Hold,
}

/// The hold of a released message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// When the message was held.
    #[serde(with = "millis")]
    pub at: Timestamp,
    /// The position of its `message.held`.
    pub position: Position,
    /// The moderator or presenter who released it.
    pub by: User,
    /// The reason, in that user's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A held message is denied: it never comes into the room. The event has the message's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageDenied {
    /// The message: the event's own id.
    pub target: EventId,
    /// Its author.
    pub user: UserIdx,
    /// The moderator or presenter.
    pub by: User,
    /// The reason, in that user's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
