//! Messages that wait: shown too early, decided twice, or forgotten.

use super::*;
use crate::history::MessageObservation;

/// A waiting message that became what its decision's type says. None: its time ended.
fn waited(lines: &[Line], rng: &mut Rng, wanted: Option<&str>) -> EventId {
    let became = |message: EventId| {
        lines.iter().find_map(|line| match &line.what {
            Observation::Logged { id, kind, .. } if *id == message => Some(kind.as_str()),
            _ => None,
        })
    };
    let found: Vec<EventId> = held(lines).filter(|message| became(*message) == wanted).collect();
    found[rng.usize(..found.len())]
}

/// The line at which the message was answered, and its text.
fn answered(lines: &[Line], message: EventId) -> (usize, String) {
    let ok = lines.iter().position(|line| matches!(line.what, Observation::Ok { id, .. } if id == message)).unwrap();
    let text = lines.iter().find_map(|line| match &line.what {
        Observation::Logged { target: Some(target), kind, text, .. }
            if *target == message && kind == "message.held" =>
        {
            text.clone()
        }
        _ => None,
    });
    (ok, text.unwrap())
}

fn position(lines: &[Line], message: EventId) -> Position {
    let position = lines.iter().find_map(|line| match &line.what {
        Observation::Logged { id, position, .. } if *id == message => Some(*position),
        _ => None,
    });
    position.unwrap_or(Position { epoch: 7, sequence: 3_000_000, index: 0 })
}

#[test]
fn a_message_that_is_shown_before_its_release_is_noticed() {
    caught("held_is_not_shown", |lines, rng| {
        let message = waited(lines, rng, Some("message.posted"));
        let ((ok, text), position) = (answered(lines, message), position(lines, message));
        let (session, kind, at) = (101, "message.posted".to_owned(), lines[ok].at);
        let (id, target, reason, text) = (message, None, None, Some(text));
        let what = Observation::Frame { session, id, position, kind, text, target, reason };
        let begins = |line: &Line| matches!(line.what, Observation::Welcome { session: 101, .. });
        let welcome = lines.iter().position(begins).expect("the first room has a presenter");
        lines.insert(ok.max(welcome) + 2, Line { at, what });
        // Asked for later than it was shown.
        let asks = |decided: &Decided| *decided == Decided::Release { target: message };
        let asked =
            lines.iter().position(|line| matches!(&line.what, Observation::Decides { decided, .. } if asks(decided)));
        assert!(asked.is_some_and(|asked| asked > ok));
    });
}

#[test]
fn a_message_that_is_shown_after_its_denial_or_its_time_is_noticed() {
    for wanted in [Some("message.denied"), None] {
        caught("held_is_not_shown", |lines, rng| {
            let id = waited(lines, rng, wanted);
            let (_, text) = answered(lines, id);
            let (position, at, sent) = (position(lines, id), lines.last().unwrap().at, jiff::Timestamp::UNIX_EPOCH);
            let what = if rng.bool() {
                Observation::Replayed { room: 1, id, position, text, sent }
            } else {
                Observation::Archived { room: 1, id, position, user: WAITING, text, deleted: None }
            };
            lines.push(Line { at, what });
        });
    }
}

#[test]
fn a_release_after_the_time_of_the_hold_is_noticed() {
    caught("held_is_not_shown", |lines, rng| {
        let event = EventId::of_hold(waited(lines, rng, Some("message.posted")));
        for line in lines {
            if let Observation::Message(MessageObservation::HoldEnds { hold, until }) = &mut line.what
                && *hold == event
            {
                *until = jiff::Timestamp::UNIX_EPOCH;
            }
        }
    });
}

#[test]
fn a_message_that_comes_into_the_room_without_a_release_is_noticed() {
    caught("held_is_not_shown", |lines, rng| {
        let message = waited(lines, rng, Some("message.posted"));
        let releases = |decided: &Decided| *decided == Decided::Release { target: message };
        lines.retain(|line| !matches!(&line.what, Observation::Decides { decided, .. } if releases(decided)));
    });
}

#[test]
fn a_hold_on_a_presenters_socket_is_noticed() {
    caught("held_is_not_shown", |lines, rng| {
        let place = anyone(lines, rng, |what| matches!(what, Observation::Frame { session, .. } if is_v1(*session)));
        let Observation::Frame { kind, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        *kind = "message.held".to_owned();
    });
}

#[test]
fn a_hold_that_log_or_audit_lack_is_noticed() {
    caught("held_is_in_the_log", |lines, rng| {
        let gone = EventId::of_hold(waited(lines, rng, Some("message.posted")));
        lines.retain(|line| !matches!(line.what, Observation::Logged { id, .. } if id == gone));
    });
    caught("held_is_in_the_log", |lines, rng| {
        let gone = EventId::of_hold(waited(lines, rng, None));
        lines.retain(|line| !matches!(line.what, Observation::Listed { id, .. } if id == gone));
    });
}

#[test]
fn two_outcomes_of_one_hold_are_noticed() {
    caught("holds_are_decided_once", |lines, rng| {
        let refused = anyone(
            lines,
            rng,
            |what| matches!(what, Observation::Refused { code, .. } if code.starts_with("already_")),
        );
        let Observation::Refused { decision, attempt, .. } = lines[refused].what else { unreachable!() };
        let id = lines.iter().find_map(|line| match &line.what {
            Observation::Decides { decision: asked, decided, .. } if *asked == decision => decided.target(),
            _ => None,
        });
        let id = id.expect("a decision about a hold has a message");
        let position = position(lines, id);
        lines[refused].what = Observation::Confirmed { decision, attempt, id, position };
    });
    caught("holds_are_decided_once", |lines, rng| {
        let audited =
            anyone(lines, rng, |what| matches!(what, Observation::Audited { kind, .. } if kind == "message.released"));
        let Observation::Audited { kind, .. } = &mut lines[audited].what else { unreachable!("it was looked for") };
        *kind = "message.denied".to_owned();
    });
}

#[test]
fn a_release_after_a_confirmed_deletion_is_noticed() {
    caught("holds_are_decided_once", |lines, rng| {
        let message = waited(lines, rng, Some("message.posted"));
        let (ok, _) = answered(lines, message);
        let (decision, attempt, node, room) = (9_000, 1, "ingest-0".to_owned(), Some(1));
        let (decided, reason, by) = (Decided::Delete { target: message }, "reason 9000".to_owned(), None);
        let position = Position { epoch: 7, sequence: 3_000_000, index: 0 };
        let asked = [
            Observation::Decides { decision, attempt, node, room, by, decided, reason },
            Observation::Confirmed { decision, attempt, id: EventId::new(), position },
        ];
        let at = lines[ok].at;
        lines.splice(ok + 2..ok + 2, asked.map(|what| Line { at, what }));
    });
}
