//! An event on its way into the window: what of it is kept, and what it does to earlier events.

use std::borrow::Cow;

use chat::{Body, EventId, EventKind, PresenterIdx, SweepMatcher, UserIdx};
use jiff::{SignedDuration, Timestamp};
use nats::Entry;

use super::kept::{About, Kept, Kind, Withheld};
use crate::members::{unwrapped, without};

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
