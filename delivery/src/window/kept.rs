//! An event of the window, and which part of it may be seen. A deleted message has no text. Nothing is seen of an event
//! that only nodes need, or of a message whose author was erased. A decision by or about an erased user has neither the
//! name nor the reason. Which client sees which part is the dialects' business.

use std::borrow::Cow;
use std::sync::Arc;

use chat::{
    Body, Event, EventId, EventKind, MalformedEvent, MessagePosted, NoticePosted, Position, PostedLine, PresenterIdx,
    SweepMatcher, User, UserIdx,
};
use jiff::{SignedDuration, Timestamp};
use nats::{Entry, believed};
use serde::Deserialize;

use crate::members::{unwrapped, without};

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

/// An event on its way into the window, with its effect on earlier events.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) partition: u32,
    /// None: the event is of every room.
    pub(crate) presenter: Option<PresenterIdx>,
    pub(crate) kept: Kept,
    pub(crate) effect: Effect,
}

/// What an event does to earlier messages of the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    Nothing,
    Deletes(EventId),
    /// Undoes a deletion.
    Restores(EventId),
    /// Lets the message wait for a moderator.
    Holds(EventId),
    /// Ends the wait.
    EndsHold(EventId),
    /// Deletes all of them.
    Clears,
    /// Deletes those that the user sent since then.
    Purges(UserIdx, Timestamp),
    /// Deletes those that the rule is about.
    Sweeps(Box<Rule>),
    /// Undoes that sweep.
    Unsweeps(EventId),
    /// Erases those of a user, in every room, names included.
    Erases(UserIdx),
}

/// Which messages a sweep deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(super) matcher: SweepMatcher,
    /// Only those that were sent since then.
    pub(super) since: Timestamp,
    /// Later posts, too, if they were sent before then.
    pub(super) until: Option<Timestamp>,
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

/// The event as if it had been deleted.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn deleted(incoming: Incoming) -> Kept {
    let mut kept = incoming.kept;
    kept.delete();
    kept
}

impl Incoming {
    /// Copies the line out of its batch, so that each room's events can free their memory in their own time.
    pub(crate) fn new(partition: u32, entry: Entry) -> Incoming {
        let (mut effect, about) = meaning(&entry);
        let Entry { position, mut id, kind, presenter, stored, line, .. } = entry;
        let kind = match kind {
            EventKind::MessagePosted | EventKind::NoticePosted => Kind::Message,
            EventKind::PresenterConnected | EventKind::PresenterDisconnected => Kind::Hidden,
            EventKind::MessageRestored => Kind::Restoration,
            EventKind::RoomSwept => Kind::Sweep,
            EventKind::SweepUndone => Kind::Undoing,
            EventKind::MessageHeld => Kind::Held,
            EventKind::MessageDenied => Kind::Denial,
            EventKind::MessageReported
            | EventKind::ReportClosed
            | EventKind::UserWarned
            | EventKind::WarningWithdrawn
            | EventKind::WarningSent => Kind::ForModerators,
            // Nobody gets notes live: a page may show on the air what it receives.
            EventKind::NoteAdded | EventKind::NoteDeleted => Kind::Hidden,
            _ if presenter.is_none() => Kind::Everywhere,
            _ => Kind::Other,
        };
        let withheld = Withheld::default();
        if let Effect::Holds(message) = effect {
            id = message;
        }
        let kept = match simdutf8::basic::from_utf8(&line) {
            Ok(line) if line.starts_with('{') => {
                let line = match kind {
                    // Everyone sees a released message as any other. Who released it is in the archive.
                    Kind::Message => without(line, "held"),
                    // What a raid wrote must not reach viewers by the rule that deletes it.
                    Kind::Sweep => Cow::Owned(unwrapped(&without(line, "rule"), "span").into_owned()),
                    _ => Cow::Borrowed(line),
                };
                if kind == Kind::Message && matches!(line, Cow::Owned(_)) {
                    effect = Effect::EndsHold(id);
                }
                Kept { position, stored, line: line.into(), kind, id, about, withheld }
            }
            _ => {
                tracing::warn!(event = %id, %position, "hidden: the event at {position} is not a JSON object in UTF-8");
                Kept { position, stored, line: "".into(), kind: Kind::Hidden, id, about, withheld }
            }
        };
        Incoming { partition, presenter, kept, effect }
    }
}

/// What the event does, and whom it is about.
fn meaning(entry: &Entry) -> (Effect, About) {
    match entry.kind {
        EventKind::MessagePosted
        | EventKind::NoticePosted
        | EventKind::MessagePinned
        | EventKind::MessageUnpinned
        | EventKind::PresenterConnected
        | EventKind::PresenterDisconnected
        | EventKind::NoteAdded
        | EventKind::NoteDeleted
        | EventKind::RoomUpdated => return (Effect::Nothing, About::Nobody),
        EventKind::MessageReported | EventKind::ReportClosed => return (Effect::Nothing, About::Unknown),
        EventKind::RoomCleared
        | EventKind::UserWarned
        | EventKind::WarningWithdrawn
        | EventKind::WarningSent
        | EventKind::MessageHeld
        | EventKind::MessageDenied
        | EventKind::MessageDeleted
        | EventKind::MessageRestored
        | EventKind::RoomSwept
        | EventKind::SweepUndone
        | EventKind::UserErased
        | EventKind::UserBanned
        | EventKind::ModeratorAdded
        | EventKind::ModeratorRemoved
        | EventKind::UserUnbanned => {}
        EventKind::Unknown(_) => return (Effect::Nothing, About::Unknown),
    }
    match entry.body() {
        Ok(Body::RoomCleared(_)) => (Effect::Clears, About::Nobody),
        Ok(Body::MessageDeleted(deleted)) => (Effect::Deletes(deleted.target), About::Unknown),
        Ok(Body::MessageRestored(restored)) => (Effect::Restores(restored.target), About::Unknown),
        Ok(Body::MessageHeld(held)) => (Effect::Holds(held.target), About::User(held.posted.user.idx)),
        Ok(Body::MessageDenied(denied)) => (Effect::EndsHold(denied.target), About::User(denied.user)),
        Ok(Body::UserErased(erased)) => (Effect::Erases(erased.user), About::User(erased.user)),
        Ok(Body::UserBanned(banned)) => {
            let purged = banned.purge_seconds.filter(|_| entry.presenter.is_some());
            let effect = purged.map_or(Effect::Nothing, |seconds| {
                let since = entry.at.checked_sub(SignedDuration::from_secs(seconds.into()));
                Effect::Purges(banned.user, since.unwrap_or(Timestamp::MIN))
            });
            (effect, About::User(banned.user))
        }
        Ok(Body::RoomSwept(swept)) => {
            let (since, until) = (swept.since(entry.at), swept.deletes_until());
            let rule = Rule { matcher: SweepMatcher::new(&swept.rule), since, until };
            (Effect::Sweeps(Box::new(rule)), About::Unknown)
        }
        Ok(Body::SweepUndone(undone)) => (Effect::Unsweeps(undone.target), About::Unknown),
        Ok(Body::UserUnbanned(unbanned)) => (Effect::Nothing, About::User(unbanned.user)),
        Ok(Body::ModeratorAdded(added)) => (Effect::Nothing, About::User(added.user)),
        Ok(Body::ModeratorRemoved(removed)) => (Effect::Nothing, About::User(removed.user)),
        Ok(Body::UserWarned(warned)) => (Effect::Nothing, About::User(warned.user)),
        Ok(Body::WarningWithdrawn(withdrawn)) => (Effect::Nothing, About::User(withdrawn.user)),
        Ok(Body::WarningSent(sent)) => (Effect::Nothing, About::User(sent.user)),
        Ok(_) => (Effect::Nothing, About::Unknown),
        Err(error) => {
            let kind = &entry.kind;
            tracing::warn!(event = %entry.id, %error, "a malformed {kind} has no effect");
            (Effect::Nothing, About::Unknown)
        }
    }
}
