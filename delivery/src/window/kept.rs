//! An event of the window, and which part of it may be seen. A deleted message has no text. Nothing is seen of an event
//! that only nodes need, or of a message whose author was erased. A decision by or about an erased user has neither the
//! name nor the reason. Which client sees which part is the dialects' business.

use std::sync::Arc;

use chat::{
    Body, Event, EventId, EventKind, MalformedEvent, MessagePosted, NoticePosted, Position, PostedLine, PresenterIdx,
    User, UserIdx,
};
use jiff::Timestamp;
use nats::believed;
use serde::Deserialize;

/// An event of the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Its position in the log.
    pub(crate) position: Position,
    /// When its batch was stored.
    pub(crate) stored: Timestamp,
    /// The JSON object as it was appended. [`Kept::shown`] is the part that may be seen.
    pub(super) line: Arc<str>,
    pub(super) kind: Kind,
    pub(super) id: EventId,
    pub(super) about: About,
    pub(super) withheld: Withheld,
}

/// The user that the reason of a decision is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// Nobody: a clear of the room, a change of its settings, or a message.
    Nobody,
    /// The banned or unbanned user, the moderator, or the author of the deleted or restored message.
    User(UserIdx),
    /// Unknown: the deleted or restored message is not in the window, or this version does not know the type.
    Unknown,
}

/// The members of a decision that nobody sees, whatever else they may read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Withheld {
    pub(crate) by: bool,
    pub(crate) reason: bool,
    /// The restored message.
    pub(crate) message: bool,
}

/// How an event is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A message or a notice.
    Message,
    /// A message or a notice that was deleted.
    Deleted,
    /// A message or a notice that nothing but sweeps hides.
    Swept,
    /// An event that only nodes need, or that nobody may see any more.
    Hidden,
    /// The restoration of a message, with the message if the window had it.
    Restoration,
    /// A sweep.
    Sweep,
    /// The end of a sweep.
    Undoing,
    /// A message that waits for a moderator.
    Held,
    /// The denial of such a message.
    Denial,
    /// A report of a message, or its end, or about a warning: for the room's moderators alone.
    ForModerators,
    /// A decision about every room.
    Everywhere,
    /// Any other event, including types that this version does not know.
    Other,
}

/// The part of an event that may be seen.
#[derive(Debug)]
pub(crate) enum Shown<'a> {
    /// A message: the JSON object as it was appended.
    Message(&'a str),
    /// The rest of a deleted message.
    Deleted(Deleted),
    /// A decision about every room: the JSON object as it was appended, and the members withheld from it.
    Everywhere(&'a str, Withheld),
    /// A report of a message, or its end, or about a warning, likewise. No presenter's page gets it: relays forward what they do not know.
    ForModerators(&'a str, Withheld),
    /// Any other event, likewise.
    Other(&'a str, Withheld),
    /// A held message, or a denial, likewise. No presenter's page gets it, and no long-lived ticket.
    Held(&'a str, Withheld),
    /// Only its position.
    Nothing,
}

/// A message or a notice without its text.
#[derive(Debug)]
pub(crate) struct Deleted {
    pub(crate) id: EventId,
    pub(crate) kind: EventKind,
    pub(crate) presenter: PresenterIdx,
    pub(crate) at: Timestamp,
    pub(crate) user: User,
}

impl Kept {
    /// The line, whatever of it may be seen.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn line(&self) -> &str {
        &self.line
    }

    /// The bytes of its line.
    pub(crate) fn bytes(&self) -> usize {
        self.line.len()
    }

    /// The part that may be seen. Fails for a deleted message that does not parse.
    pub(crate) fn shown(&self) -> Result<Shown<'_>, MalformedEvent> {
        Ok(match self.kind {
            Kind::Message => Shown::Message(&self.line),
            Kind::Deleted | Kind::Swept => match Event::from_line(self.line.as_bytes())? {
                Event { id, presenter: Some(presenter), at, body, .. } => {
                    let kind = body.kind();
                    match body {
                        Body::MessagePosted(MessagePosted { user, .. })
                        | Body::NoticePosted(NoticePosted { user, .. }) => {
                            Shown::Deleted(Deleted { id, kind, presenter, at, user })
                        }
                        _ => Shown::Nothing,
                    }
                }
                _ => Shown::Nothing,
            },
            Kind::Everywhere => Shown::Everywhere(&self.line, self.withheld),
            Kind::ForModerators => Shown::ForModerators(&self.line, self.withheld),
            Kind::Other | Kind::Restoration | Kind::Sweep | Kind::Undoing => Shown::Other(&self.line, self.withheld),
            Kind::Held | Kind::Denial => Shown::Held(&self.line, self.withheld),
            Kind::Hidden => Shown::Nothing,
        })
    }

    /// The author, if it is a message.
    pub(super) fn author(&self) -> Option<UserIdx> {
        self.posted().map(|(author, _)| author)
    }

    /// The author, and when the message was sent, if it is one.
    pub(super) fn posted(&self) -> Option<(UserIdx, Timestamp)> {
        if !self.is_message() && self.kind != Kind::Held {
            return None;
        }
        if let Some(posted) = PostedLine::scan_text(&self.line) {
            return Some((posted.user, believed(posted.at, posted.belated, self.stored)));
        }
        let Event { at, belated, body, .. } = Event::from_line(self.line.as_bytes()).ok()?;
        match body {
            Body::MessagePosted(MessagePosted { user, .. }) | Body::NoticePosted(NoticePosted { user, .. }) => {
                Some((user.idx, believed(at, belated, self.stored)))
            }
            Body::MessageHeld(held) => Some((held.posted.user.idx, believed(at, belated, self.stored))),
            _ => None,
        }
    }

    /// Whether it is a message or a notice, hidden or not.
    pub(super) fn is_message(&self) -> bool {
        matches!(self.kind, Kind::Message | Kind::Deleted | Kind::Swept)
    }

    /// Withholds what it says of users who were erased after it.
    pub(super) fn forget(&mut self, mut is_erased: impl FnMut(UserIdx) -> bool) {
        match self.kind {
            Kind::Message | Kind::Deleted | Kind::Swept | Kind::Held => {
                if self.author().is_some_and(is_erased) {
                    self.hide();
                }
            }
            Kind::Everywhere
            | Kind::Other
            | Kind::Restoration
            | Kind::Sweep
            | Kind::Undoing
            | Kind::Denial
            | Kind::ForModerators => {
                let is_about_erased = match self.about {
                    About::Nobody => false,
                    About::User(user) => is_erased(user),
                    About::Unknown => true,
                };
                self.withheld.reason |= is_about_erased;
                self.withheld.message |= is_about_erased && self.kind == Kind::Restoration;
                self.withheld.by |= match self.decided_by() {
                    Ok(by) => by.is_some_and(is_erased),
                    // The line does not parse, so that the name is withheld.
                    Err(_) => true,
                };
                // What a user writes about a message is the user's own words.
                self.withheld.reason |= self.withheld.by && self.kind == Kind::ForModerators;
            }
            Kind::Hidden => {}
        }
    }

    /// Who made the decision, if it is one.
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

    /// From now on only its position is seen.
    pub(super) fn hide(&mut self) {
        self.kind = Kind::Hidden;
    }

    /// From now on its text is not seen. Only messages, held ones too, and restorations have one.
    pub(super) fn delete(&mut self) {
        match self.kind {
            Kind::Message | Kind::Swept => self.kind = Kind::Deleted,
            Kind::Restoration => self.withheld.message = true,
            Kind::Held => self.hide(),
            _ => {}
        }
    }
}
