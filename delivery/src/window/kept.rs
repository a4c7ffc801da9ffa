//! An event as the window keeps it, and what may be seen of it: of a deleted message everything but its text, of what
//! only nodes need to know, or a user wrote who was erased, nothing, and of decisions by or about such a user neither
//! the name nor the reason. Neither the window's order nor its bounds are known here, nor who is told which of it.

use bytes::Bytes;
use chat::{Body, Event, EventId, EventKind, MalformedEvent, Position, PresenterIdx, User, UserIdx};
use jiff::Timestamp;
use nats::Entry;
use serde::Deserialize;
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
    pub(super) about: About,
    pub(super) withheld: Withheld,
}

/// Whom the reason of a decision says something about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// A clear of the room or a change of its settings; and of messages.
    Nobody,
    /// Of a ban or its end, whose it is; of a deletion, who wrote the message.
    User(UserIdx),
    /// Of a deletion whose message is not here, and of types that this version does not know.
    Unknown,
}

/// What nobody is told of a decision, whatever they may read otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Withheld {
    pub(crate) by: bool,
    pub(crate) reason: bool,
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
    /// A decision about every room.
    Everywhere,
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
    /// A decision about every room: a JSON object as it was appended, of which some is withheld.
    Everywhere(&'a str, Withheld),
    /// Any other event: the same.
    Other(&'a str, Withheld),
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
            Kind::Everywhere => Shown::Everywhere(&self.line, self.withheld),
            Kind::Other => Shown::Other(&self.line, self.withheld),
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

    /// Takes away what it says of the users, whoever was erased after it.
    pub(super) fn forget(&mut self, mut is_erased: impl FnMut(UserIdx) -> bool) {
        match self.kind {
            Kind::Message | Kind::Deleted => {
                if self.author().is_some_and(is_erased) {
                    self.hide();
                }
            }
            Kind::Everywhere | Kind::Other => {
                self.withheld.reason |= match self.about {
                    About::Nobody => false,
                    About::User(user) => is_erased(user),
                    About::Unknown => true,
                };
                self.withheld.by |= match self.decided_by() {
                    Ok(by) => by.is_some_and(is_erased),
                    // Not even a name can be told from it, so that none is told.
                    Err(_) => true,
                };
            }
            Kind::Hidden => {}
        }
    }

    /// Who decided it, if somebody did.
    fn decided_by(&self) -> serde_json::Result<Option<UserIdx>> {
        #[derive(Deserialize)]
        struct Decision {
            by: Option<By>,
        }
        #[derive(Deserialize)]
        struct By {
            idx: UserIdx,
        }
        let Decision { by } = serde_json::from_str(&self.line)?;
        Ok(by.map(|By { idx }| idx))
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
    /// The line is copied, so that it shares its batch's memory with no other: each room's events leave in their own time.
    pub(crate) fn new(partition: u32, entry: Entry) -> Incoming {
        let (removes, about) = meaning(&entry);
        let Entry { position, id, kind, presenter, line, .. } = entry;
        let kind = match kind {
            EventKind::MessagePosted => Kind::Message,
            EventKind::PresenterConnected | EventKind::PresenterDisconnected => Kind::Hidden,
            _ if presenter.is_none() => Kind::Everywhere,
            _ => Kind::Other,
        };
        let withheld = Withheld::default();
        let kept = match Utf8Bytes::try_from(Bytes::copy_from_slice(&line)) {
            Ok(line) if line.starts_with('{') => Kept { position, line, kind, id, about, withheld },
            _ => {
                tracing::warn!(event = %id, %position, "the event at {position} is no JSON object in UTF-8, nobody sees it");
                Kept { position, line: Utf8Bytes::default(), kind: Kind::Hidden, id, about, withheld }
            }
        };
        Incoming { partition, presenter, kept, removes }
    }
}

/// What the event takes away, and whom it is about.
fn meaning(entry: &Entry) -> (Removes, About) {
    match entry.kind {
        EventKind::MessagePosted
        | EventKind::PresenterConnected
        | EventKind::PresenterDisconnected
        | EventKind::RoomUpdated => return (Removes::Nothing, About::Nobody),
        EventKind::RoomCleared
        | EventKind::MessageDeleted
        | EventKind::UserErased
        | EventKind::UserBanned
        | EventKind::UserUnbanned => {}
        EventKind::Unknown(_) => return (Removes::Nothing, About::Unknown),
    }
    match entry.body() {
        Ok(Body::RoomCleared(_)) => (Removes::All, About::Nobody),
        Ok(Body::MessageDeleted(deleted)) => (Removes::One(deleted.target), About::Unknown),
        Ok(Body::UserErased(erased)) => (Removes::Of(erased.user), About::User(erased.user)),
        Ok(Body::UserBanned(banned)) => (Removes::Nothing, About::User(banned.user)),
        Ok(Body::UserUnbanned(unbanned)) => (Removes::Nothing, About::User(unbanned.user)),
        Ok(_) => (Removes::Nothing, About::Unknown),
        Err(error) => {
            let kind = &entry.kind;
            tracing::warn!(event = %entry.id, %error, "a {kind} does not say what it is about and removes nothing");
            (Removes::Nothing, About::Unknown)
        }
    }
}
