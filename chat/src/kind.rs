//! The kinds of events: the member `type` of a line. A kind of a later version is [`EventKind::Unknown`] and keeps its
//! name, so that a line which this version does not understand still passes through it unchanged.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The kind of an event. It is parsed from its name, and displayed as its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// `message.posted`
    MessagePosted,
    /// `message.deleted`
    MessageDeleted,
    /// `message.restored`
    MessageRestored,
    /// `message.held`
    MessageHeld,
    /// `message.denied`
    MessageDenied,
    /// `notice.posted`
    NoticePosted,
    /// `message.pinned`
    MessagePinned,
    /// `message.unpinned`
    MessageUnpinned,
    /// `message.reported`
    MessageReported,
    /// `report.closed`
    ReportClosed,
    /// `user.banned`
    UserBanned,
    /// `user.unbanned`
    UserUnbanned,
    /// `moderator.added`
    ModeratorAdded,
    /// `moderator.removed`
    ModeratorRemoved,
    /// `user.warned`
    UserWarned,
    /// `warning.withdrawn`
    WarningWithdrawn,
    /// `warning.sent`
    WarningSent,
    /// `note.added`
    NoteAdded,
    /// `note.deleted`
    NoteDeleted,
    /// `room.cleared`
    RoomCleared,
    /// `room.updated`
    RoomUpdated,
    /// `room.swept`
    RoomSwept,
    /// `sweep.undone`
    SweepUndone,
    /// `user.erased`
    UserErased,
    /// `presenter.connected`
    PresenterConnected,
    /// `presenter.disconnected`
    PresenterDisconnected,
    /// A kind of a later version, by its name.
    Unknown(String),
}

impl EventKind {
    /// Every kind that this version knows.
    pub const KNOWN: [EventKind; 26] = [
        EventKind::MessagePosted,
        EventKind::MessageDeleted,
        EventKind::MessageRestored,
        EventKind::MessageHeld,
        EventKind::MessageDenied,
        EventKind::NoticePosted,
        EventKind::MessagePinned,
        EventKind::MessageUnpinned,
        EventKind::MessageReported,
        EventKind::ReportClosed,
        EventKind::UserBanned,
        EventKind::UserUnbanned,
        EventKind::ModeratorAdded,
        EventKind::ModeratorRemoved,
        EventKind::UserWarned,
        EventKind::WarningWithdrawn,
        EventKind::WarningSent,
        EventKind::NoteAdded,
        EventKind::NoteDeleted,
        EventKind::RoomCleared,
        EventKind::RoomUpdated,
        EventKind::RoomSwept,
        EventKind::SweepUndone,
        EventKind::UserErased,
        EventKind::PresenterConnected,
        EventKind::PresenterDisconnected,
    ];

    /// The name, as the member `type` has it.
    pub fn as_str(&self) -> &str {
        match self {
            EventKind::MessagePosted => "message.posted",
            EventKind::MessageDeleted => "message.deleted",
            EventKind::MessageRestored => "message.restored",
            EventKind::MessageHeld => "message.held",
            EventKind::MessageDenied => "message.denied",
            EventKind::NoticePosted => "notice.posted",
            EventKind::MessagePinned => "message.pinned",
            EventKind::MessageUnpinned => "message.unpinned",
            EventKind::MessageReported => "message.reported",
            EventKind::ReportClosed => "report.closed",
            EventKind::UserBanned => "user.banned",
            EventKind::UserUnbanned => "user.unbanned",
            EventKind::ModeratorAdded => "moderator.added",
            EventKind::ModeratorRemoved => "moderator.removed",
            EventKind::UserWarned => "user.warned",
            EventKind::WarningWithdrawn => "warning.withdrawn",
            EventKind::WarningSent => "warning.sent",
            EventKind::NoteAdded => "note.added",
            EventKind::NoteDeleted => "note.deleted",
            EventKind::RoomCleared => "room.cleared",
            EventKind::RoomUpdated => "room.updated",
            EventKind::RoomSwept => "room.swept",
            EventKind::SweepUndone => "sweep.undone",
            EventKind::UserErased => "user.erased",
            EventKind::PresenterConnected => "presenter.connected",
            EventKind::PresenterDisconnected => "presenter.disconnected",
            EventKind::Unknown(name) => name,
        }
    }

    /// Whether an event of this kind can apply to all rooms, and then has no `presenterIdx`.
    pub(crate) fn may_apply_to_all_rooms(&self) -> bool {
        matches!(self, EventKind::UserBanned | EventKind::UserUnbanned | EventKind::UserErased)
    }
}

impl From<&str> for EventKind {
    fn from(name: &str) -> EventKind {
        match name {
            "message.posted" => EventKind::MessagePosted,
            "message.deleted" => EventKind::MessageDeleted,
            "message.restored" => EventKind::MessageRestored,
            "message.held" => EventKind::MessageHeld,
            "message.denied" => EventKind::MessageDenied,
            "notice.posted" => EventKind::NoticePosted,
            "message.pinned" => EventKind::MessagePinned,
            "message.unpinned" => EventKind::MessageUnpinned,
            "message.reported" => EventKind::MessageReported,
            "report.closed" => EventKind::ReportClosed,
            "user.banned" => EventKind::UserBanned,
            "user.unbanned" => EventKind::UserUnbanned,
            "moderator.added" => EventKind::ModeratorAdded,
            "moderator.removed" => EventKind::ModeratorRemoved,
            "user.warned" => EventKind::UserWarned,
            "warning.withdrawn" => EventKind::WarningWithdrawn,
            "warning.sent" => EventKind::WarningSent,
            "note.added" => EventKind::NoteAdded,
            "note.deleted" => EventKind::NoteDeleted,
            "room.cleared" => EventKind::RoomCleared,
            "room.updated" => EventKind::RoomUpdated,
            "room.swept" => EventKind::RoomSwept,
            "sweep.undone" => EventKind::SweepUndone,
            "user.erased" => EventKind::UserErased,
            "presenter.connected" => EventKind::PresenterConnected,
            "presenter.disconnected" => EventKind::PresenterDisconnected,
            name => EventKind::Unknown(name.to_owned()),
        }
    }
}

impl FromStr for EventKind {
    type Err = std::convert::Infallible;

    fn from_str(name: &str) -> Result<EventKind, Self::Err> {
        Ok(EventKind::from(name))
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for EventKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The name of a known kind is compared where it stands in the line, without an allocation.
impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<EventKind, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = EventKind;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<EventKind, E> {
                Ok(EventKind::from(name))
            }
        }

        deserializer.deserialize_str(Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_kind_survives_its_name() {
        for kind in EventKind::KNOWN {
            assert_eq!(EventKind::from(kind.as_str()), kind);
            assert_eq!(serde_json::from_str::<EventKind>(&format!("\"{kind}\"")).unwrap(), kind);
        }
    }

    #[test]
    fn a_kind_of_a_later_version_keeps_its_name() {
        let kind: EventKind = "poll.opened".parse().unwrap();
        assert_eq!(kind, EventKind::Unknown("poll.opened".to_owned()));
        assert_eq!(kind.to_string(), "poll.opened");
        assert_eq!(serde_json::to_string(&kind).unwrap(), r#""poll.opened""#);
        assert!(!kind.may_apply_to_all_rooms());
    }
}
