//! Deleting messages and restoring them. The window keeps the line of a deleted message, so a restoration shows the
//! text again. Clients have removed it, so the event of the restoration gets the message as a member, for as long as
//! the message is not deleted again. If the message was evicted, the event has no such member.

use std::collections::VecDeque;

use chat::{EventId, UserIdx};
use jiff::Timestamp;
use nats::MOST_AHEAD;
use serde::Deserialize;

use crate::members::{without, without_request};
use crate::window::kept::{About, Kept, Kind};

/// The member with the restored message.
const MESSAGE: &str = "message";

/// Deletes the message, and takes it out of earlier restorations. Returns it, if it is held.
pub(super) fn delete(events: &mut VecDeque<Kept>, target: EventId) -> Option<&Kept> {
    let mut message = None;
    for (place, kept) in events.iter_mut().enumerate().rev() {
        if kept.id == target {
            kept.delete();
            message = Some(place);
            // Restorations of a message follow it.
            break;
        }
        if kept.restored() == Some(target) {
            kept.delete();
        }
    }
    events.get(message?)
}

/// Deletes the user's messages that were sent since then, and takes the user's messages out of earlier restorations.
pub(super) fn purge(events: &mut VecDeque<Kept>, user: UserIdx, since: Timestamp) {
    // An event is stored at most so long before its own time: other lines need not be read.
    let stored_since = since.checked_sub(MOST_AHEAD).unwrap_or(Timestamp::MIN);
    for kept in events.iter_mut().filter(|kept| kept.stored >= stored_since) {
        let is_purged = match kept.kind {
            Kind::Message | Kind::Swept | Kind::Held => {
                kept.posted().is_some_and(|(author, sent)| author == user && sent >= since)
            }
            Kind::Restoration => kept.about == About::User(user),
            _ => false,
        };
        if is_purged {
            kept.delete();
        }
    }
}

/// Hides the message that waited for a moderator: it was released, as an event of its own, or denied.
pub(super) fn end_hold(events: &mut VecDeque<Kept>, target: EventId) {
    if let Some(held) = events.iter_mut().rev().find(|kept| kept.id == target && kept.kind == Kind::Held) {
        held.hide();
    }
}

/// Restores the message. Returns it, if it is held.
pub(super) fn restore(events: &mut VecDeque<Kept>, target: EventId) -> Option<&Kept> {
    let message = events.iter_mut().rev().find(|kept| kept.id == target)?;
    if matches!(message.kind, Kind::Deleted | Kind::Swept) {
        message.kind = Kind::Message;
    }
    Some(message)
}

/// Adds the restored message, with its position, to the event of its restoration.
pub(super) fn attach(restoration: &mut Kept, message: Option<&Kept>) {
    let Some(message) = message.filter(|message| message.kind == Kind::Message) else { return };
    if restoration.withheld.message {
        return;
    }
    let line = without(&restoration.line, MESSAGE);
    let Some(members) = line.trim_ascii_end().strip_suffix('}') else { return };
    let (position, object) = (message.position, without_request(&message.line));
    let line = format!(r#"{members},"{MESSAGE}":{{"position":"{position}",{}}}"#, &object[1..]);
    restoration.line = line.into();
}

impl Kept {
    /// The message that it shows, as its restoration.
    pub(super) fn restored(&self) -> Option<EventId> {
        #[derive(Deserialize)]
        struct Restoration {
            target: EventId,
        }
        if self.kind != Kind::Restoration || self.withheld.message {
            return None;
        }
        serde_json::from_str(&self.line).ok().map(|Restoration { target }| target)
    }
}
