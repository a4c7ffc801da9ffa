//! An event of the generated log, and what other events make of it.

use chat::{EventId, Position};

use super::{Event, at_ms};
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
        self.deletions(room, at).first().map(|decision| decision.id)
    }

    /// All of them.
    fn deletions<'e>(&self, room: &[&'e Event], at: u64) -> Vec<&'e Event> {
        let until = |stored: u64| room.partition_point(|event| event.stored <= stored);
        let part = |from: u64, to: u64| room.get(until(from)..until(to)).unwrap_or_default();
        let earlier = part(0, self.stored - 1);
        let is_undone = |sweep: &Event| earlier.iter().any(|other| other.target == Some(sweep.id));
        let refuses = |event: &&&Event| event.refuses(self) && !is_undone(event);
        let mut deletions: Vec<&Event> = earlier.iter().filter(refuses).copied().collect();
        for decision in part(self.stored, at) {
            match decision.kind {
                "message.restored" if decision.target == Some(self.id) => deletions.clear(),
                "sweep.undone" => deletions.retain(|earlier| Some(earlier.id) != decision.target),
                _ if decision.deletes(self) => deletions.push(decision),
                _ => {}
            }
        }
        deletions
    }

    /// What this sweep, or end of one, does to each message, as a client receives it at that time.
    pub(super) fn parts(&self, room: &[&Event], seen: SeenAt, position: Position, at: u64) -> Vec<Observation> {
        let (kind, sweep) = match (self.kind, self.target) {
            ("room.swept", _) => ("message.deleted", self.id),
            ("sweep.undone", Some(sweep)) => ("message.restored", sweep),
            _ => return Vec::new(),
        };
        let Some(deleting) = room.iter().find(|event| event.id == sweep) else { return Vec::new() };
        let concerns = |message: &&&Event| {
            let is_earlier = message.text.is_some() && message.stored < self.stored;
            is_earlier && deleting.deletes(message) && {
                let hiding = message.deletions(room, self.stored - 1);
                match self.kind {
                    "room.swept" => hiding.iter().all(|decision| decision.kind == self.kind),
                    _ => hiding.len() == 1 && hiding[0].id == sweep,
                }
            }
        };
        let parts = room.iter().filter(concerns).map(|message| {
            let text = message.text.clone().filter(|_| self.target.is_some() && message.deletion(room, at).is_none());
            MessageObservation::Part {
                seen,
                id: EventId::of_swept(self.id, message.id),
                position: Position { sequence: position.sequence - 1, index: u32::MAX, ..position },
                kind: kind.to_owned(),
                sweep,
                target: message.id,
                text,
                members: Vec::new(),
            }
        });
        parts.map(Observation::Message).collect()
    }

    /// Whether this sweep deletes the later message.
    fn refuses(&self, message: &Event) -> bool {
        let until = self.swept.as_ref().and_then(|swept| swept.refuses_until);
        let is_post = message.kind == "message.posted" && message.user != message.room;
        is_post && until.is_some_and(|until| at_ms(message.sent) < until) && self.deletes(message)
    }

    /// Whether this decision deletes the earlier message.
    pub(super) fn deletes(&self, message: &Event) -> bool {
        match self.kind {
            "message.deleted" => self.target == Some(message.id),
            "room.cleared" => true,
            "room.swept" => self.swept.as_ref().is_some_and(|swept| {
                let is_recent = message.sent >= self.sent - i64::from(swept.seconds_back) * 1_000;
                let is_said = |texts: &Vec<String>| {
                    let text = message.text.as_ref().map(|text| text.to_lowercase());
                    texts.iter().any(|swept| Some(swept.to_lowercase()) == text)
                };
                let is_about = match &swept.users {
                    Some(users) => message.user.is_some_and(|user| users.contains(&user)),
                    None => message.kind == "message.posted" && message.user != message.room,
                };
                let is_flagged_so = swept.label.as_ref().is_none_or(|label| message.flags.contains(label));
                is_recent && is_about && is_flagged_so && swept.texts.as_ref().is_none_or(is_said)
            }),
            "user.banned" => {
                let since = self.purge.map(|seconds| self.sent - i64::from(seconds) * 1_000);
                message.user == self.user && since.is_some_and(|since| message.sent >= since)
            }
            _ => false,
        }
    }
}
