//! Sweeps on sockets and for readers: clients know deletions and restorations of single messages. So a sweep comes as one
//! for each message that it deletes, and so does its end. What sweeps delete in the archive is judged with all other
//! deletions ([`super::moderation`]).

use std::collections::HashMap;

use chat::EventId;

use super::Findings;
use super::view::{Change, Part, Place, Session, View};
use crate::deletions::{ChangeKind, standing};
use crate::history::Dialect;

const SWEPT: &str = "room.swept";
const UNDONE: &str = "sweep.undone";

pub(super) fn sweeps_are_told_whole(view: &View, findings: &mut Findings) {
    are_told(view, SWEPT, "message.deleted", findings);
}

pub(super) fn ends_of_sweeps_are_told_whole(view: &View, findings: &mut Findings) {
    are_told(view, UNDONE, "message.restored", findings);
}

/// Each event of the kind is preceded by a part of that kind for each message that it concerns, and by no other.
fn are_told(view: &View, kind: &str, of_parts: &str, findings: &mut Findings) {
    // The messages that each decision of the log concerns, each with its place among the message's decisions.
    let mut messages: HashMap<EventId, Vec<(EventId, usize)>> = HashMap::new();
    for (message, changes) in view.changed() {
        for (place, change) in changes.iter().enumerate().filter(|(_, change)| change.is_of_a_sweep()) {
            messages.entry(change.decision()).or_default().push((message, place));
        }
    }
    for session in view.all_sessions().filter(|session| session.dialect == Dialect::V1) {
        let mut before = session.welcome;
        for frame in &session.frames {
            if frame.kind == kind && view.logged.contains_key(&frame.id) {
                let its = session.parts.iter().filter(|part| (before..frame.line).contains(&part.place.line));
                let its: Vec<&Part> = its.collect();
                let messages = messages.get(&frame.id).map(Vec::as_slice).unwrap_or_default();
                is_told(view, session, frame, messages, &its, findings);
                let sweep = if kind == SWEPT { Some(frame.id) } else { frame.target };
                for part in its.iter().filter(|part| part.place.kind != of_parts || Some(part.sweep) != sweep) {
                    let sentence = format!("room {}: {} has a part of another decision", session.room, frame.id);
                    findings.broken(sentence, [session.welcome, part.place.line, frame.line]);
                }
            }
            before = frame.line;
        }
    }
}

fn is_told(
    view: &View,
    session: &Session,
    event: &Place,
    messages: &[(EventId, usize)],
    parts: &[&Part],
    findings: &mut Findings,
) {
    let Session { room, welcome, .. } = session;
    for part in parts {
        findings.look();
        let target = part.place.target.filter(|target| messages.iter().any(|(message, _)| message == target));
        // A node may know a message that a disk lost.
        if target.is_none() && view.lost.is_empty() {
            let (decision, id) = (event.id, part.place.id);
            let sentence = format!("room {room}: {id} says that {decision} concerns a message that it does not");
            findings.broken(sentence, [*welcome, part.place.line, event.line]);
        }
        if part.place.position >= event.position {
            let sentence = format!("room {room}: a part of {} is not before it", event.id);
            findings.broken(sentence, [*welcome, part.place.line, event.line]);
        }
    }
    for (message, place) in messages {
        let changes = view.changes(*message);
        if !must_be_told(view, event, *message, &changes[..=*place]) {
            continue;
        }
        findings.look();
        match parts.iter().find(|part| part.place.target == Some(*message)) {
            None => {
                let sentence = format!("room {room}: {} concerns {message}, and its client was not told so", event.id);
                findings.broken(sentence, [*welcome, changes[*place].line, event.line]);
            }
            Some(part) => {
                let text = view.logged.get(message).and_then(|(_, message)| message.text);
                let is_touched_later = changes[place + 1..].iter().any(|later| later.requested < event.line);
                if event.kind == UNDONE && part.place.text != text && !is_touched_later {
                    let sentence = format!("room {room}: {message} was restored without its text");
                    findings.broken(sentence, [*welcome, part.place.line, event.line]);
                }
            }
        }
    }
}

/// Whether the last of the changes is a sweep of a message that at most sweeps hide, or the end of the sweep that alone
/// hides it, and whether every node still holds the message and that sweep.
fn must_be_told(view: &View, event: &Place, message: EventId, changes: &[Change]) -> bool {
    let Some((last, earlier)) = changes.split_last() else { return false };
    let is_held = |id: &EventId| {
        let stored = view.logged.get(id).and_then(|(_, place)| view.copies.get(&place.position));
        let stored = stored.map(|copied| view.since_the_beginning(copied.stored));
        stored.is_some_and(|stored| view.at(event.line).saturating_sub(stored) < view.left_the_window())
    };
    let hiding = standing(earlier);
    let concerns = match last.change.kind {
        ChangeKind::Sweep => hiding.iter().all(|change| change.change.kind.is_sweep()),
        ChangeKind::EndOf(sweep) => {
            hiding.first().is_some_and(|first| first.decision() == sweep) && hiding.len() == 1 && is_held(&sweep)
        }
        // It comes without its text.
        ChangeKind::Refusal => false,
        ChangeKind::Deletion | ChangeKind::Restoration => false,
    };
    let is_whole = !view.is_perhaps_restored(message) && view.lost.is_empty();
    concerns && is_whole && is_held(&message)
}
