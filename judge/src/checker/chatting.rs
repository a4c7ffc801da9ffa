//! What presenters of the original's dialect are owed: only messages; within a session every message that is not
//! deleted; after a reconnect every message after the saved cursor. The cursor follows the writes to the socket.
//! Messages in transit are lost when a connection breaks, but not when the server closes it, because the close frame
//! comes after them. Messages written since the cursor was last saved may repeat.

use std::collections::{HashMap, HashSet};

use chat::{EventId, Position};

use super::Findings;
use super::view::{MESSAGE, Place, SETTLE_US, Session, Start, View};
use crate::history::Dialect;

/// Whether the frame refuses the token because the node's clock was wrong: the token was issued after the node's
/// present, or has expired by then.
fn is_refused_by_a_wrong_clock(view: &View, start: &Start, line: usize, frame: &str) -> bool {
    frame.contains(r#""id":"tokenException""#)
        && view.faulty(view.at(start.line), view.at(line), SETTLE_US, |fault| {
            fault.kind.starts_with("clock step") && fault.touches(&[start.node])
        })
}

pub(super) fn chatting_brings_messages_alone(view: &View, findings: &mut Findings) {
    for start in view.starts.values() {
        findings.look();
        for (line, text) in &start.strange {
            if is_refused_by_a_wrong_clock(view, start, *line, text) {
                continue;
            }
            let sentence = format!("room {}: the presenter received a frame that is not a message: {text}", start.room);
            findings.broken(sentence, [start.line, *line]);
        }
    }
}

fn sessions<'a>(view: &'a View<'a>) -> impl Iterator<Item = &'a Session<'a>> {
    view.sessions.iter().filter(|session| session.dialect == Dialect::Original)
}

/// Whether the message may have been deleted, or its author erased, before that line. Such messages may be skipped.
fn may_be_deleted(view: &View, room: i64, place: &Place, before: usize) -> bool {
    if view.may_be_an_erased_one(place) {
        return true;
    }
    view.decisions
        .values()
        .filter(|decision| !decision.request.is_refused() && decision.request.invoked < before)
        .any(|decision| view.takes_away(decision, room, place))
}

pub(super) fn chatting_skips_nothing(view: &View, findings: &mut Findings) {
    for session in sessions(view) {
        let Some(room) = view.rooms.get(&session.room) else { continue };
        let positions = session.frames.iter().map(|frame| frame.position);
        let Some((first, last)) = positions.clone().min().zip(positions.max()) else { continue };
        let came: HashSet<EventId> = session.frames.iter().map(|frame| frame.id).collect();
        for place in room.log.iter().filter(|place| place.kind == MESSAGE && (first..last).contains(&place.position)) {
            findings.look();
            if came.contains(&place.id) {
                continue;
            }
            let after = session.frames.iter().find(|frame| frame.position > place.position);
            let Some(after) = after.filter(|after| !may_be_deleted(view, session.room, place, after.line)) else {
                continue;
            };
            let sentence = format!(
                "room {}: session {} on {} skipped {} and went on",
                session.room, session.number, session.node, place.id
            );
            findings.broken(sentence, [session.welcome, place.line, after.line]);
        }
    }
}

/// How long a replaced session may still write after its successor was seen to begin: the news has to cross the
/// cluster, on a busy machine (as in `newest_session_wins`).
const REPLACED_WITHIN_US: u64 = 2_000_000;

/// A broken connection, and the range of messages that may have been in transit.
struct Broken {
    line: usize,
    /// The last position that arrived before the break. None: nothing had arrived.
    after: Option<Position>,
    /// The first position of a later session. None: no later session received anything.
    before: Option<Position>,
    /// Messages posted later were not written to this connection. None: there is no later session.
    until: Option<u64>,
}

/// The connections of the room that ended without a close frame, in order of their start.
fn broken(view: &View, room: i64) -> Vec<Broken> {
    let starts: Vec<&Start> = view.starts.values().filter(|start| start.room == room).collect();
    let frames: Vec<&Place> =
        sessions(view).filter(|session| session.room == room).flat_map(|session| &session.frames).collect();
    let broken = starts.iter().enumerate().filter(|(_, start)| !start.is_closed);
    broken
        .map(|(place, start)| {
            let own = start.session.into_iter().flat_map(|session| &view.sessions[session].frames);
            let before = frames.iter().filter(|frame| frame.line < start.line).copied();
            let later = || starts[place + 1..].iter().filter_map(|next| next.session.map(|next| &view.sessions[next]));
            Broken {
                line: start.line,
                after: own.chain(before).map(|frame| frame.position).max(),
                before: later().find_map(|next| next.frames.iter().map(|frame| frame.position).min()),
                until: later().next().map(|next| view.at(next.welcome) + REPLACED_WITHIN_US),
            }
        })
        .collect()
}

pub(super) fn chatting_loses_only_with_a_connection(view: &View, findings: &mut Findings) {
    let rooms: HashSet<i64> = view.starts.values().map(|start| start.room).collect();
    for number in rooms {
        let Some(room) = view.rooms.get(&number) else { continue };
        let broken = broken(view, number);
        let sessions: Vec<&Session> = sessions(view).filter(|session| session.room == number).collect();
        let came: HashSet<EventId> =
            sessions.iter().flat_map(|session| &session.frames).map(|frame| frame.id).collect();
        for place in room.log.iter().filter(|place| place.kind == MESSAGE) {
            findings.look();
            if came.contains(&place.id) {
                continue;
            }
            // The first frame after the message, and the welcome of its session.
            let passing = sessions.iter().filter_map(|session| {
                let frame = session.frames.iter().find(|frame| frame.position > place.position)?;
                Some((frame.line, session.welcome))
            });
            let (passed, welcome) = passing.min().unzip();
            if may_be_deleted(view, number, place, passed.unwrap_or(view.lines.len())) {
                continue;
            }
            let Some(post) = place.text.and_then(|text| view.texts.get(text)).map(|post| &view.posts[post]) else {
                // Invented messages are another invariant's concern.
                continue;
            };
            let posted = view.at(post.request.invoked);
            // The message had left the windows before the presenter returned. The dialect cannot report a gap.
            if welcome.is_some_and(|welcome| view.at(welcome).saturating_sub(posted) >= view.left_the_window()) {
                continue;
            }
            let is_lost_with = |connection: &&Broken| {
                connection.after.is_none_or(|after| after < place.position)
                    && connection.before.is_none_or(|before| place.position < before)
                    && connection.until.is_none_or(|until| posted <= until)
            };
            if !broken.iter().any(|connection| is_lost_with(&connection)) {
                let sentence = format!(
                    "room {number}: {} never reached the presenter, and was on no connection that broke",
                    place.id
                );
                let last = broken.iter().rev().find(|connection| Some(connection.line) < passed);
                let lines = [Some(post.request.invoked), Some(place.line), passed, last.map(|last| last.line)];
                findings.broken(sentence, lines.into_iter().flatten());
            }
        }
    }
}

/// 5 s: cursors are saved every second, a new session waits up to half a second for its predecessor's cursor, and the
/// machine is busy.
const SAVED_WITHIN_US: u64 = 5_000_000;

pub(super) fn chatting_repeats_little(view: &View, findings: &mut Findings) {
    // Where each message was first shown: the line and the node.
    let mut first: HashMap<EventId, (usize, &str)> = HashMap::new();
    for session in sessions(view) {
        let Some(start) = view.starts.get(&session.number) else { continue };
        for frame in &session.frames {
            let (shown, node) = *first.entry(frame.id).or_insert((frame.line, session.node));
            findings.look();
            let is_old = view.at(shown) + SAVED_WITHIN_US < view.at(start.line);
            // A node that is down or cut off cannot save or read cursors.
            let parts = ["nats", node, session.node];
            if is_old && !view.disturbed(&parts, view.at(shown), view.at(session.welcome), SETTLE_US) {
                let sentence = format!(
                    "room {}: {} was repeated in session {}, {} ms after it had been shown",
                    session.room,
                    frame.id,
                    session.number,
                    (view.at(frame.line) - view.at(shown)) / 1_000
                );
                findings.broken(sentence, [shown, start.line, frame.line]);
            }
        }
    }
}
