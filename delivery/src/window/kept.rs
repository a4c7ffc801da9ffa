//! An event as the window keeps it, and what may be seen of it: of a deleted message everything but its text, of what
//! only nodes need to know, or a user wrote who was erased, nothing. Neither the window's order nor its bounds are known here.

use jiff::Timestamp;
use nats::{Body, Entry, Event, EventId, MalformedEvent, Position, PresenterIdx, User, UserIdx};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// An event of the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Where it stands in the log.
    pub(crate) position: Position,
    /// The JSON object as it was appended. [`Kept::shown`] says what may be seen of it.
    pub(super) line: Utf8Bytes,
    pub(super) kind: Kind,
    pub(super) id: EventId,
}

/// Of which sort an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A message.
    Message,
    /// A message that was deleted.
    Deleted,
    /// What only nodes need to know, and what nobody is to know any more.
    Hidden,
    /// Anything else, also what this version does not know.
    Other,
}

/// What may be seen of an event.
#[derive(Debug)]
pub(crate) enum Shown<'a> {
    /// A message: a JSON object as it was appended.
    Message(&'a str),
    /// What is left of a message that was deleted.
    Deleted(Deleted),
    /// Any other event: a JSON object as it was appended.
    Other(&'a str),
    /// Nothing but its position.
    Nothing,
}

/// A message without its text.
#[derive(Debug)]
pub(crate) struct Deleted {
    pub(crate) id: EventId,
    pub(crate) presenter: PresenterIdx,
    pub(crate) at: Timestamp,
    pub(crate) user: User,
}

/// An event on its way into the window, with what it does to the events before it.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) partition: u32,
    /// None: every room.
    pub(crate) presenter: Option<PresenterIdx>,
    pub(crate) kept: Kept,
    pub(crate) removes: Removes,
}

/// Which earlier texts of the room an event takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removes {
    Nothing,
    One(EventId),
    All,
    /// Those of a user, in whichever room, names included.
    Of(UserIdx),
}

impl Kept {
    /// How many bytes its line has.
    pub(crate) fn bytes(&self) -> usize {
        self.line.len()
    }

    /// What may be seen of it. It fails for a deleted message whose author cannot be told.
    pub(crate) fn shown(&self) -> Result<Shown<'_>, MalformedEvent> {
        Ok(match self.kind {
            Kind::Message => Shown::Message(&self.line),
            Kind::Deleted => match Event::from_line(self.line.as_bytes())? {
                Event { id, presenter: Some(presenter), at, body: Body::MessagePosted(posted), .. } => {
                    Shown::Deleted(Deleted { id, presenter, at, user: posted.user })
                }
                _ => Shown::Nothing,
            },
            Kind::Other => Shown::Other(&self.line),
            Kind::Hidden => Shown::Nothing,
        })
    }

    /// Who wrote it, if it is a message.
    pub(super) fn author(&self) -> Option<UserIdx> {
        if !matches!(self.kind, Kind::Message | Kind::Deleted) {
            return None;
        }
        match Event::from_line(self.line.as_bytes()).ok()?.body {
            Body::MessagePosted(posted) => Some(posted.user.idx),
            _ => None,
        }
    }

    /// From now on nothing of it can be seen but its position.
    pub(super) fn hide(&mut self) {
        self.kind = Kind::Hidden;
    }

    /// From now on its text cannot be seen; other events than messages stay as they are.
    pub(super) fn delete(&mut self) {
        if self.kind == Kind::Message {
            self.kind = Kind::Deleted;
        }
    }
}

/// The event as if another had deleted it.
#[cfg(test)]
pub(crate) fn deleted(incoming: Incoming) -> Kept {
    let mut kept = incoming.kept;
    kept.delete();
    kept
}

impl Incoming {
    pub(crate) fn new(partition: u32, entry: Entry) -> Incoming {
        let removes = removes(&entry);
        let Entry { position, id, kind, presenter, line, .. } = entry;
        let kind = match kind.as_str() {
            "message.posted" => Kind::Message,
            "presenter.connected" | "presenter.disconnected" => Kind::Hidden,
            _ => Kind::Other,
        };
        let kept = match Utf8Bytes::try_from(line) {
            Ok(line) if line.starts_with('{') => Kept { position, line, kind, id },
            _ => {
                tracing::warn!(event = %id, %position, "the event at {position} is no JSON object in UTF-8, nobody sees it");
                Kept { position, line: Utf8Bytes::default(), kind: Kind::Hidden, id }
            }
        };
        Incoming { partition, presenter, kept, removes }
    }
}

fn removes(entry: &Entry) -> Removes {
    if !matches!(entry.kind.as_str(), "room.cleared" | "message.deleted" | "user.erased") {
        return Removes::Nothing;
    }
    match entry.event().map(|event| event.body) {
        Ok(Body::RoomCleared(_)) => Removes::All,
        Ok(Body::MessageDeleted(deleted)) => Removes::One(deleted.target),
        Ok(Body::UserErased(erased)) => Removes::Of(erased.user),
        Ok(_) => Removes::Nothing,
        Err(error) => {
            let kind = &entry.kind;
            tracing::warn!(event = %entry.id, %error, "a {kind} does not say what it is about and removes nothing");
            Removes::Nothing
        }
    }
}
