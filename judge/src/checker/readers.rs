//! What readers of a room are owed: every event that they may see, once and in order, from their first welcome on, or a
//! reported gap. What was deleted for them stays deleted, and viewers learn nothing of moderators.

use std::collections::{BTreeMap, HashMap};

use chat::EventId;

use super::Findings;
use super::moderation::shown_although_hidden;
use super::positions::is_behind;
use super::presenters::{between, keep_up, within};
use super::view::{Change, Part, Place, ReaderSession, Session, View};
use crate::history::{Phase, ReaderView};

/// The sessions of each reader.
fn by_reader<'a, 'b>(view: &'b View<'a>) -> BTreeMap<u64, Vec<&'b ReaderSession<'a>>> {
    let mut readers: BTreeMap<u64, Vec<&ReaderSession>> = BTreeMap::new();
    for session in &view.readers {
        readers.entry(session.number).or_default().push(session);
    }
    readers
}

pub(super) fn readers_miss_nothing(view: &View, findings: &mut Findings) {
    for sessions in by_reader(view).into_values() {
        // A reader that begins anew becomes another one, and this one's part ends.
        let last = sessions.iter().filter_map(|reader| reader.session.reached()).max();
        let is_there = sessions.iter().any(|reader| is_there_at_the_end(view, &reader.session));
        let ended = view.ended_holds(sessions[0].session.room);
        let is_seen = |place: &Place| {
            let is_shown = sessions[0].view.shows(place.kind) && !ended.contains(&place.id);
            is_shown && (is_there || last >= Some(place.position))
        };
        for ReaderSession { session, .. } in &sessions {
            within(view, session, "the reader's session", is_seen, findings);
            ascends(view, session, findings);
        }
        let room = sessions[0].session.room;
        let sessions: Vec<&Session> = sessions.iter().map(|reader| &reader.session).collect();
        between(view, room, &sessions, "a reader", is_seen, findings);
    }
}

/// Whether the session continued when everything had reached its places.
fn is_there_at_the_end(view: &View, session: &Session) -> bool {
    let drained = view.phases.iter().find(|(phase, _)| *phase == Phase::Drained);
    drained.is_some_and(|(_, drained)| session.welcome < *drained && session.ended.is_none_or(|ended| ended > *drained))
}

/// Every event comes once, in order, after the start position, and is the log's.
fn ascends(view: &View, session: &Session, findings: &mut Findings) {
    let Session { number, room, node, .. } = session;
    // After a gap, a session may start before the requested position.
    let asked = session.asked.filter(|_| session.recovered);
    let mut reached = session.position.max(asked);
    let mut before = session.welcome;
    for frame in &session.frames {
        findings.look();
        if let Some(reached) = reached.filter(|reached| !is_behind(view, *reached, frame.position)) {
            let sentence = format!(
                "room {room}: the reader's session {number} on {node} was at {reached} and received {} at {}",
                frame.id, frame.position
            );
            findings.broken(sentence, [session.welcome, before, frame.line]);
        }
        (reached, before) = (Some(frame.position), frame.line);
        let is_known = match view.logged.get(&frame.id) {
            Some((own, logged)) => own == room && logged.kind == frame.kind,
            None => {
                let is_gone = view.is_lost(frame.id) || view.has_left_the_log(frame.position);
                is_gone || view.is_of_every_room(frame.id)
            }
        };
        if !is_known {
            let sentence = format!("room {room}: a reader received {}, which is not in the log", frame.id);
            findings.broken(sentence, [session.welcome, frame.line]);
        }
    }
}

/// A node that delivers nothing would satisfy [`readers_miss_nothing`] as long as its readers move on.
pub(super) fn readers_keep_up(view: &View, findings: &mut Findings) {
    let sessions = view.readers.iter().map(|reader| (&reader.session, reader.view));
    keep_up(view, sessions, "the reader's session", findings);
}

pub(super) fn readers_see_nothing_deleted(view: &View, findings: &mut Findings) {
    for sessions in by_reader(view).into_values() {
        // The decisions that this reader has received.
        let mut given: HashMap<EventId, usize> = HashMap::new();
        for session in sessions.iter().map(|reader| &reader.session) {
            for frame in session.received() {
                if !frame.is_message {
                    given.insert(frame.id, frame.line);
                }
                let Some(message) = frame.shows() else { continue };
                let changes = view.changes(message);
                if changes.is_empty() {
                    continue;
                }
                findings.look();
                let (room, node) = (session.room, session.node);
                let before = |line: &usize| *line < frame.line;
                let is_given = |change: &Change| given.get(&change.decision()).copied().filter(before);
                if let Some((_, line)) = view.hidden_from(message, frame.line, is_given) {
                    let sentence =
                        format!("room {room}: a reader received the text of {message} after its deletion, on {node}");
                    findings.broken(sentence, [line, session.welcome, frame.line]);
                } else if let Some((_, _, confirmed, late)) = shown_although_hidden(view, session, frame) {
                    let sentence =
                        format!("room {room}: {message} was deleted and given to a reader {late} ms later on {node}");
                    findings.broken(sentence, [confirmed, session.welcome, frame.line]);
                }
            }
        }
    }
}

/// The members of an event, besides those of every event, that viewers may see.
fn may_be_seen(view: ReaderView, kind: &str, member: &str) -> bool {
    match (kind, member) {
        ("message.posted" | "notice.posted", "deleted") | ("user.banned", "until" | "purgeSeconds") => true,
        ("message.posted", "flags") | ("message.restored", "message.flags") => view == ReaderView::Flags,
        _ => false,
    }
}

pub(super) fn viewers_never_see_moderators(view: &View, findings: &mut Findings) {
    for ReaderSession { session, view: sees, members, .. } in &view.readers {
        if *sees == ReaderView::Moderator {
            continue;
        }
        for (frame, members) in session.frames.iter().zip(members) {
            if frame.is_message && members.is_empty() {
                continue;
            }
            findings.look();
            let room = session.room;
            if !sees.shows(frame.kind) {
                let sentence = format!("room {room}: a viewer received {}, a {}", frame.id, frame.kind);
                findings.broken(sentence, [session.welcome, frame.line]);
            } else if let Some(member) = members.iter().find(|member| !may_be_seen(*sees, frame.kind, member)) {
                let sentence = format!("room {room}: a viewer received `{member}` of {}", frame.id);
                findings.broken(sentence, [session.welcome, frame.line]);
            }
        }
        for Part { place, members, .. } in &session.parts {
            findings.look();
            if let Some(member) = members.iter().find(|member| !may_be_seen(*sees, place.kind, member)) {
                let (room, target) = (session.room, place.id);
                let sentence = format!("room {room}: a viewer received `{member}` of {target}, a part of a sweep");
                findings.broken(sentence, [session.welcome, place.line]);
            }
        }
    }
}
