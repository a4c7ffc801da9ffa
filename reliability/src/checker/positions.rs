//! Where a session of `chat.v1` says that it is: what comes stands after its beginning, it never goes back, and who
//! comes without a position begins where the acknowledgements of the session before had come to.

use std::collections::HashMap;

use chat::{EventId, Position};

use super::Findings;
use super::view::{SETTLE_US, Session, View};
use crate::history::Dialect;

fn sessions<'a>(view: &'a View<'a>) -> impl Iterator<Item = &'a Session<'a>> {
    view.sessions.iter().filter(|session| session.dialect == Dialect::V1)
}

/// Whether the one stands behind the other in the same log, which has one epoch unless a disk lost its end.
fn is_behind(view: &View, one: Position, other: Position) -> bool {
    // A log that lost its end goes on in another epoch.
    (one.epoch == other.epoch || !view.lost.is_empty()) && one < other
}

pub(super) fn frames_start_after_the_position(view: &View, findings: &mut Findings) {
    for session in sessions(view) {
        let Session { number, room, node, .. } = session;
        // Where a gap is declared the session may begin before it, with what there is.
        let asked = session.asked.filter(|_| session.recovered);
        if let (Some(asked), Some(position)) = (asked, session.position) {
            findings.look();
            if is_behind(view, position, asked) {
                let sentence =
                    format!("room {room}: session {number} on {node} asked for {asked}, and begins at {position}");
                findings.broken(sentence, [session.welcome]);
            }
        }
        let Some(begins) = session.position.max(asked) else { continue };
        for frame in &session.frames {
            findings.look();
            if !is_behind(view, begins, frame.position) {
                let sentence = format!(
                    "room {room}: session {number} on {node} begins at {begins}, and is given {} at {}",
                    frame.id, frame.position
                );
                findings.broken(sentence, [session.welcome, frame.line]);
            }
        }
    }
}

pub(super) fn positions_never_go_back(view: &View, findings: &mut Findings) {
    for session in sessions(view) {
        let Session { number, room, .. } = session;
        let frames = session.frames.iter().map(|frame| (frame.line, Some(frame.position), false));
        let keepalives = session.keepalives.iter().map(|(line, position)| (*line, *position, true));
        let mut signs: Vec<(usize, Option<Position>, bool)> = frames.chain(keepalives).collect();
        signs.sort_unstable_by_key(|(line, ..)| *line);
        // As far as a keepalive has said that nothing is missing, and as far as anything has come at all.
        let (mut promised, mut reached) = ((session.welcome, session.position), (session.welcome, session.position));
        for (line, position, is_keepalive) in signs {
            findings.look();
            // The order of frames among themselves is another invariant's business.
            let (before, bound) = if is_keepalive { reached } else { promised };
            let goes_back = if is_keepalive { position < bound } else { bound.is_some() && position <= bound };
            if goes_back {
                let shown = |position: Option<Position>| position.map_or("nowhere".to_owned(), |it| it.to_string());
                let sentence =
                    format!("room {room}: session {number} was at {} and goes on at {}", shown(bound), shown(position));
                findings.broken(sentence, [session.welcome, before, line]);
            }
            if is_keepalive {
                promised = (line, position.max(promised.1));
            }
            reached = if position > reached.1 { (line, position) } else { reached };
        }
        // Presenters here acknowledge what came, and nothing else.
        for (line, text) in &session.strange {
            let sentence = format!("room {room}: session {number} was given what has no place there: {text}");
            findings.broken(sentence, [session.welcome, *line]);
        }
    }
}

/// What came is acknowledged within half a second, and a cursor is saved every second; a session may begin before the
/// one that it replaces has saved its own, and the machine is busy.
const SAVED_WITHIN_US: u64 = 5_000_000;

pub(super) fn presenters_repeat_little(view: &View, findings: &mut Findings) {
    // Where each event came first in its room: when, and on which node.
    let mut first: HashMap<(i64, EventId), (usize, &Session)> = HashMap::new();
    for session in sessions(view).filter(|session| !session.fresh) {
        for frame in &session.frames {
            let (shown, earlier) = *first.entry((session.room, frame.id)).or_insert((frame.line, session));
            if session.asked.is_some() {
                continue;
            }
            findings.look();
            if earlier.number == session.number {
                continue;
            }
            // Acknowledged, if that session lasted long enough.
            let acknowledged = view.at(shown) + SAVED_WITHIN_US;
            let lasted = earlier.ended.is_none_or(|ended| acknowledged < view.at(ended));
            let is_old = lasted && acknowledged < view.at(session.welcome);
            // A cursor cannot be saved, or not be read, by a node that is broken or cut off.
            let parts = ["nats", earlier.node, session.node];
            if is_old && !view.disturbed(&parts, view.at(shown), view.at(session.welcome), SETTLE_US) {
                let sentence = format!(
                    "room {}: {} came again in session {}, {} ms after it had been shown",
                    session.room,
                    frame.id,
                    session.number,
                    (view.at(frame.line) - view.at(shown)) / 1_000
                );
                findings.broken(sentence, [shown, session.welcome, frame.line]);
            }
        }
    }
}
