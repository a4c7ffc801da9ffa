//! The bodies of events: what happened, one type for each kind of event. Their fields are members of the event's line.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::attributes::Attributes;
use crate::emotes::Emotes;
use crate::holds::{Hold, MessageDenied, MessageHeld, MessageReleased};
use crate::ids::{EventId, SessionId, UserIdx};
use crate::kind::EventKind;
use crate::malformed::{MalformedEvent, parse};
use crate::moderators::{ModeratorAdded, ModeratorRemoved};
use crate::notes::{NoteAdded, NoteDeleted};
use crate::pins::{MessagePinned, MessageUnpinned};
use crate::posted::PostedLine;
use crate::reports::{MessageReported, ReportClosed};
use crate::sweeps::{RoomSwept, SweepUndone};
use crate::time::optional_millis;
use crate::warnings::{UserWarned, WarningSent, WarningWithdrawn};

/// What happened. The variant is the member `type`; its fields stand beside `type` in the line.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// `message.posted`
    MessagePosted(MessagePosted),
    /// `message.deleted`
    MessageDeleted(MessageDeleted),
    /// `message.restored`
    MessageRestored(MessageRestored),
    /// `message.held`
    MessageHeld(Box<MessageHeld>),
    /// `message.posted` with the member `held`
    MessageReleased(Box<MessageReleased>),
    /// `message.denied`
    MessageDenied(MessageDenied),
    /// `notice.posted`
    NoticePosted(NoticePosted),
    /// `message.pinned`
    MessagePinned(MessagePinned),
    /// `message.unpinned`
    MessageUnpinned(MessageUnpinned),
    /// `message.reported`
    MessageReported(MessageReported),
    /// `report.closed`
    ReportClosed(ReportClosed),
    /// `user.banned`
    UserBanned(UserBanned),
    /// `user.unbanned`
    UserUnbanned(UserUnbanned),
    /// `moderator.added`
    ModeratorAdded(ModeratorAdded),
    /// `moderator.removed`
    ModeratorRemoved(ModeratorRemoved),
    /// `user.warned`
    UserWarned(UserWarned),
    /// `warning.withdrawn`
    WarningWithdrawn(WarningWithdrawn),
    /// `warning.sent`
    WarningSent(WarningSent),
    /// `note.added`
    NoteAdded(NoteAdded),
    /// `note.deleted`
    NoteDeleted(NoteDeleted),
    /// `room.cleared`
    RoomCleared(RoomCleared),
    /// `room.updated`
    RoomUpdated(RoomUpdated),
    /// `room.swept`
    RoomSwept(Box<RoomSwept>),
    /// `sweep.undone`
    SweepUndone(SweepUndone),
    /// `user.erased`
    UserErased(UserErased),
    /// `presenter.connected`
    PresenterConnected(PresenterConnected),
    /// `presenter.disconnected`
    PresenterDisconnected(PresenterDisconnected),
    /// An event of a later version, with all its members.
    Unknown {
        /// The member `type`.
        kind: String,
        /// Every member that is not in the head.
        members: Map<String, Value>,
    },
}

/// A user, as known when the event happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user's id.
    pub idx: UserIdx,
    /// The nickname at that time.
    pub nickname: String,
    /// The role in this room at that time.
    pub role: Role,
}

/// A user's role in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The room is this user's own.
    Presenter,
    /// A moderator of the room, or of every room by a scope of the token.
    Moderator,
    /// Anyone else.
    Viewer,
}

impl Role {
    /// The role, as the member `role` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Presenter => "presenter",
            Role::Moderator => "moderator",
            Role::Viewer => "viewer",
        }
    }
}

/// A chat message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagePosted {
    /// The author.
    pub user: User,
    /// The text as sent, trimmed but not normalised.
    pub text: String,
    /// The names of the filter's findings; omitted when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// The message of the room that this one answers. It need not exist.
    #[serde(default, rename = "replyTo", skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<EventId>,
    /// What the platform says about the message or its author. Never the author's own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Attributes>,
    /// The emotes in the text. Never the author's own word. None where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emotes: Option<Emotes>,
}

impl MessagePosted {
    /// A message that is nothing but a text.
    pub fn new(user: User, text: impl Into<String>) -> MessagePosted {
        MessagePosted { user, text: text.into(), flags: Vec::new(), reply_to: None, attributes: None, emotes: None }
    }
}

/// One message is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageDeleted {
    /// The message.
    pub target: EventId,
    /// The moderator or presenter.
    pub by: User,
    /// The reason, in that user's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One message is restored: deletions of it before this event do not count any more. A later deletion does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRestored {
    /// The message.
    pub target: EventId,
    /// The moderator or presenter.
    pub by: User,
    /// The reason, in that user's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A notice to everybody in the room. It is deleted, restored, cleared and erased as a message of its author is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticePosted {
    /// The moderator or presenter.
    pub user: User,
    /// The text as sent, trimmed but not normalised.
    pub text: String,
}

/// A user is banned from the room, or from every room except their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserBanned {
    /// The banned user.
    pub user: UserIdx,
    /// When the ban ends. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_millis")]
    pub until: Option<Timestamp>,
    /// The ban also deletes earlier messages of the user in the room that were sent at most so many seconds before it.
    /// Absent: none. A ban from every room deletes none.
    #[serde(default, rename = "purgeSeconds", skip_serializing_if = "Option::is_none")]
    pub purge_seconds: Option<u32>,
    /// The moderator or presenter.
    pub by: User,
    /// The reason, in that user's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A ban is lifted, in the room or in all rooms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserUnbanned {
    /// The user who was banned.
    pub user: UserIdx,
    /// The moderator or presenter.
    pub by: User,
    /// The reason, in that user's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// All earlier messages of the room are deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomCleared {
    /// The moderator or presenter.
    pub by: User,
    /// The reason, in that user's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The room's settings change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomUpdated {
    /// Every setting that differs from the deployment's default, by name, as the deciding node knew them.
    pub settings: Map<String, Value>,
    /// The settings that this event changes. Readers keep the others, whatever `settings` says. Empty: all change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// When temporary settings end: RFC 3339, by the setting's name.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub until: Map<String, Value>,
    /// The moderator or presenter.
    pub by: User,
    /// The reason, in that user's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Everything that the user wrote earlier, in any room, is erased. Each copy of the event applies to the events before
/// it in its partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserErased {
    /// The erased user.
    pub user: UserIdx,
    /// What happens to the user's messages in the archive.
    pub mode: ErasureMode,
    /// The moderator.
    pub by: User,
}

/// What an erasure does with the user's messages in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErasureMode {
    /// It removes them.
    Remove,
    /// It keeps their texts under a pseudonym that leads to nobody.
    Anonymise,
}

/// A presenter's session began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenterConnected {
    /// The session.
    pub session: SessionId,
}

/// A presenter's session ended. A killed node appends no such event: a session also ends where the next one begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenterDisconnected {
    /// The session.
    pub session: SessionId,
    /// The reason, a stable word: `closed`, `replaced`, `lost`, `slow`, `drain`, …
    pub reason: String,
}

impl Body {
    /// The kind, member `type`.
    pub fn kind(&self) -> EventKind {
        match self {
            Body::MessagePosted(_) => EventKind::MessagePosted,
            Body::MessageDeleted(_) => EventKind::MessageDeleted,
            Body::MessageRestored(_) => EventKind::MessageRestored,
            Body::MessageHeld(_) => EventKind::MessageHeld,
            Body::MessageReleased(_) => EventKind::MessagePosted,
            Body::MessageDenied(_) => EventKind::MessageDenied,
            Body::NoticePosted(_) => EventKind::NoticePosted,
            Body::MessagePinned(_) => EventKind::MessagePinned,
            Body::MessageUnpinned(_) => EventKind::MessageUnpinned,
            Body::MessageReported(_) => EventKind::MessageReported,
            Body::ReportClosed(_) => EventKind::ReportClosed,
            Body::UserBanned(_) => EventKind::UserBanned,
            Body::UserUnbanned(_) => EventKind::UserUnbanned,
            Body::ModeratorAdded(_) => EventKind::ModeratorAdded,
            Body::ModeratorRemoved(_) => EventKind::ModeratorRemoved,
            Body::UserWarned(_) => EventKind::UserWarned,
            Body::WarningWithdrawn(_) => EventKind::WarningWithdrawn,
            Body::WarningSent(_) => EventKind::WarningSent,
            Body::NoteAdded(_) => EventKind::NoteAdded,
            Body::NoteDeleted(_) => EventKind::NoteDeleted,
            Body::RoomCleared(_) => EventKind::RoomCleared,
            Body::RoomUpdated(_) => EventKind::RoomUpdated,
            Body::RoomSwept(_) => EventKind::RoomSwept,
            Body::SweepUndone(_) => EventKind::SweepUndone,
            Body::UserErased(_) => EventKind::UserErased,
            Body::PresenterConnected(_) => EventKind::PresenterConnected,
            Body::PresenterDisconnected(_) => EventKind::PresenterDisconnected,
            Body::Unknown { kind, .. } => EventKind::Unknown(kind.clone()),
        }
    }

    /// Reads the body of a line whose kind is known already, from its [`Head`](crate::Head).
    ///
    /// # Errors
    /// The members of a known kind are missing or have wrong types.
    pub fn from_line(kind: &EventKind, line: &[u8]) -> Result<Body, MalformedEvent> {
        if *kind == EventKind::MessagePosted
            && let Some(posted) = PostedLine::scan(line)
        {
            return Body::posted(&posted);
        }
        Body::parsed(kind, line)
    }

    pub(crate) fn posted(posted: &PostedLine<'_>) -> Result<Body, MalformedEvent> {
        let message = posted.message().map_err(|error| MalformedEvent(error.to_string()))?;
        Ok(Body::MessagePosted(message))
    }

    /// Reads a body in any form of JSON.
    pub(crate) fn parsed(kind: &EventKind, line: &[u8]) -> Result<Body, MalformedEvent> {
        Ok(match kind {
            EventKind::MessagePosted => posted_or_released(line)?,
            EventKind::MessageDeleted => Body::MessageDeleted(parse(line)?),
            EventKind::MessageRestored => Body::MessageRestored(parse(line)?),
            EventKind::MessageHeld => Body::MessageHeld(parse(line)?),
            EventKind::MessageDenied => Body::MessageDenied(parse(line)?),
            EventKind::NoticePosted => Body::NoticePosted(parse(line)?),
            EventKind::MessagePinned => Body::MessagePinned(parse(line)?),
            EventKind::MessageUnpinned => Body::MessageUnpinned(parse(line)?),
            EventKind::MessageReported => Body::MessageReported(parse(line)?),
            EventKind::ReportClosed => Body::ReportClosed(parse(line)?),
            EventKind::UserBanned => Body::UserBanned(parse(line)?),
            EventKind::UserUnbanned => Body::UserUnbanned(parse(line)?),
            EventKind::ModeratorAdded => Body::ModeratorAdded(parse(line)?),
            EventKind::ModeratorRemoved => Body::ModeratorRemoved(parse(line)?),
            EventKind::UserWarned => Body::UserWarned(parse(line)?),
            EventKind::WarningWithdrawn => Body::WarningWithdrawn(parse(line)?),
            EventKind::WarningSent => Body::WarningSent(parse(line)?),
            EventKind::NoteAdded => Body::NoteAdded(parse(line)?),
            EventKind::NoteDeleted => Body::NoteDeleted(parse(line)?),
            EventKind::RoomCleared => Body::RoomCleared(parse(line)?),
            EventKind::RoomUpdated => Body::RoomUpdated(parse(line)?),
            EventKind::RoomSwept => Body::RoomSwept(parse(line)?),
            EventKind::SweepUndone => Body::SweepUndone(parse(line)?),
            EventKind::UserErased => Body::UserErased(parse(line)?),
            EventKind::PresenterConnected => Body::PresenterConnected(parse(line)?),
            EventKind::PresenterDisconnected => Body::PresenterDisconnected(parse(line)?),
            EventKind::Unknown(kind) => {
                let mut members: Map<String, Value> = parse(line)?;
                for known in ["v", "id", "type", "presenterIdx", "at", "belated", "requestKey", "request"] {
                    members.remove(known);
                }
                Body::Unknown { kind: kind.clone(), members }
            }
        })
    }
}

/// A message whose line is not in the form that [`PostedLine`] reads.
fn posted_or_released(line: &[u8]) -> Result<Body, MalformedEvent> {
    #[derive(Deserialize)]
    struct Release {
        held: Option<Hold>,
    }
    let posted: MessagePosted = parse(line)?;
    Ok(match parse(line)? {
        Release { held: None } => Body::MessagePosted(posted),
        Release { held: Some(held) } => Body::MessageReleased(Box::new(MessageReleased { posted, held })),
    })
}
