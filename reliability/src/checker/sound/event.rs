//! An event of the generated log, and what other events make of it.

use chat::{EventId, Position};

use super::Event;
use crate::history::{MessageObservation, Observation, ReaderView, SeenAt};

impl Event {
    /// Whether the event is delivered to that room.
    pub(super) fn is_of(&self, room: i64) -> bool {
        self.room.is_none_or(|own| own == room)
    }

    /// The event as a frame.
    pub(super) fn frame(&self, session: u32, position: Position, text: Option<String>) -> Observation {
        let (id, kind, target) = (self.id, self.kind.to_owned(), self.target);
        // That of a release is not shown.
        let reason = self.reason.clone().filter(|_| self.kind != "message.posted");
        Observation::Frame { session, id, position, kind, text, target, reason }
    }

    /// The attributes that come with that text. They precede the event.
    pub(super) fn attached(&self, room: &[&Event], seen: SeenAt, text: Option<&String>) -> Option<Observation> {
        text?;
        let message = match self.kind {
            "message.restored" => room.iter().find(|event| Some(event.id) == self.target)?,
            _ => self,
        };
        let (id, extras) = (message.id, message.extras.clone()?);
        Some(Observation::Message(MessageObservation::Attached { seen, id, extras }))
    }

    /// Whether the room's presenter receives it.
    pub(super) fn is_for_presenters(&self) -> bool {
        ReaderView::Presenter.shows(self.kind)
    }

    /// The text that it has at that time: its own, or that of the message that it restores.
    pub(super) fn shown(&self, room: &[&Event], at: u64) -> Option<String> {
        let message = match self.kind {
            "message.restored" => room.iter().find(|event| Some(event.id) == self.target)?,
            _ => self,
        };
        message.text.clone().filter(|_| message.deletion(room, at).is_none())
    }

    /// Whether the author is erased by that time.
    pub(super) fn is_erased(&self, at: u64, room: &[&Event]) -> bool {
        let erases = |other: &&&Event| other.kind == "user.erased" && other.user == self.user;
        self.text.is_some() && room.iter().filter(erases).any(|other| (self.stored..at).contains(&other.stored))
    }

    /// The decision by which the message is deleted at that time. `room`: the room's events in order.
    pub(super) fn deletion(&self, room: &[&Event], at: u64) -> Option<EventId> {
        let mut deletion = None;
        for decision in room.iter().filter(|event| (self.stored + 1..=at).contains(&event.stored)) {
            match decision.kind {
                "message.restored" if decision.target == Some(self.id) => deletion = None,
                _ if deletion.is_none() && decision.deletes(self) => deletion = Some(decision.id),
                _ => {}
            }
        }
        deletion
    }

    /// Whether this decision deletes the earlier message.
    fn deletes(&self, message: &Event) -> bool {
        match self.kind {
            "message.deleted" => self.target == Some(message.id),
            "room.cleared" => true,
            "user.banned" => {
                let since = self.purge.map(|seconds| self.sent - i64::from(seconds) * 1_000);
                message.user == self.user && since.is_some_and(|since| message.sent >= since)
            }
            _ => false,
        }
    }
}
