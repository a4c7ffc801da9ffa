//! Positions of `chat.v1` sessions: frames come after the start position, positions never go back, and a session
//! without a position starts where the acknowledgements of the previous one ended.

use std::collections::HashMap;

use chat::{EventId, Position};

use super::Findings;
use super::view::{SETTLE_US, Session, View};
use crate::history::Dialect;

fn sessions<'a>(view: &'a View<'a>) -> impl Iterator<Item = &'a Session<'a>> {
    view.sessions.iter().filter(|session| session.dialect == Dialect::V1)
}

/// Whether the first position is before the other one in the same log. The log has one epoch, unless it lost its end or
/// seemed to.
pub(super) fn is_behind(view: &View, one: Position, other: Position) -> bool {
    let continues = || view.stream(one).is_some_and(|stream| stream.epochs.contains(&other.epoch));
    (one.epoch == other.epoch || !view.lost.is_empty() || continues()) && one < other
}

pub(super) fn frames_start_after_the_position(view: &View, findings: &mut Findings) {
    for session in sessions(view) {
        let Session { number, room, node, .. } = session;
        // After a gap, a session may start before the requested position.
        let asked = session.asked.filter(|_| session.recovered);
        if let (Some(asked), Some(position)) = (asked, session.position) {
            findings.look();
            if is_behind(view, position, asked) {
                let sentence =
                    format!("room {room}: session {number} on {node} asked for {asked} and begins at {position}");
                findings.broken(sentence, [session.welcome]);
            }
        }
        let Some(begins) = session.position.max(asked) else { continue };
        for frame in &session.frames {
            findings.look();
            if !is_behind(view, begins, frame.position) {
                let sentence = format!(
                    "room {room}: session {number} on {node} begins at {begins} and received {} at {}",
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
        // The position that a keepalive has confirmed, and the highest position of any frame.
        let (mut promised, mut reached) = ((session.welcome, session.position), (session.welcome, session.position));
        for (line, position, is_keepalive) in signs {
            findings.look();
            // The order among frames is another invariant's concern.
            let (before, bound) = if is_keepalive { reached } else { promised };
            let goes_back = if is_keepalive { position < bound } else { bound.is_some() && position <= bound };
            if goes_back {
                let shown = |position: Option<Position>| position.map_or("nowhere".to_owned(), |it| it.to_string());
                let sentence =
                    format!("room {room}: session {number} went from {} back to {}", shown(bound), shown(position));
                findings.broken(sentence, [session.welcome, before, line]);
            }
            if is_keepalive {
                promised = (line, position.max(promised.1));
            }
            reached = if position > reached.1 { (line, position) } else { reached };
        }
        // Presenters in these runs only acknowledge what they received. An error frame is never justified.
        for (line, text) in &session.strange {
            let sentence = format!("room {room}: session {number} received an unexpected frame: {text}");
            findings.broken(sentence, [session.welcome, *line]);
        }
    }
}

/// 5 s: pages acknowledge every half second, cursors are saved every second, a session may begin before its predecessor
/// has saved its own, and the machine is busy.
const SAVED_WITHIN_US: u64 = 5_000_000;

pub(super) fn presenters_repeat_little(view: &View, findings: &mut Findings) {
    // Where each event of a room was first shown: the line and the session.
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
            // Acknowledged and saved, if that session lasted long enough.
            let acknowledged = view.at(shown) + SAVED_WITHIN_US;
            let lasted = earlier.ended.is_none_or(|ended| acknowledged < view.at(ended));
            let is_old = lasted && acknowledged < view.at(session.welcome);
            // A node that is down or cut off cannot save or read cursors.
            let parts = ["nats", earlier.node, session.node];
            if is_old && !view.disturbed(&parts, view.at(shown), view.at(session.welcome), SETTLE_US) {
                let sentence = format!(
                    "room {}: {} was repeated in session {}, {} ms after it had been shown",
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
