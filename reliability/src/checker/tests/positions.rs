//! Sessions that begin too early, go back, or give out again what was acknowledged.

use super::*;

/// A session of `chat.v1` that came with a position, after one that brought at least so many events: its welcome, and
/// the lines of those.
fn resumed(lines: &[Line], rng: &mut Rng, least: usize) -> (usize, Vec<usize>) {
    let brought = |wanted: u32| -> Vec<usize> {
        let is_its = |line: &usize| matches!(lines[*line].what, What::Frame { session, .. } if session == wanted);
        (0..lines.len()).filter(is_its).collect()
    };
    let welcome = any(lines, rng, |what| match what {
        What::Welcome { session, asked: Some(_), recovered: true, fresh: false, .. } if is_v1(*session) => {
            brought(session - 1).len() >= least
        }
        _ => false,
    });
    let What::Welcome { session, .. } = lines[welcome].what else { unreachable!("it was looked for") };
    (welcome, brought(session - 1))
}

/// Repeats those frames in the session that the line welcomes, at its beginning.
fn repeat(lines: &mut Vec<Line>, welcome: usize, frames: &[usize]) {
    let What::Welcome { session: newer, .. } = lines[welcome].what else { unreachable!("it was looked for") };
    let at = lines[welcome].at;
    let repeated: Vec<Line> = frames
        .iter()
        .map(|line| match lines[*line].what.clone() {
            What::Frame { id, position, kind, text, reason, .. } => {
                Line { at, what: What::Frame { session: newer, id, position, kind, text, reason } }
            }
            _ => unreachable!("it was looked for"),
        })
        .collect();
    for line in repeated.into_iter().rev() {
        lines.insert(welcome + 1, line);
    }
}

#[test]
fn twenty_events_that_come_again_in_the_next_session_are_noticed() {
    caught("frames_start_after_the_position", |lines, rng| {
        let (welcome, frames) = resumed(lines, rng, 20);
        repeat(lines, welcome, &frames[frames.len() - 20..]);
    });
}

#[test]
fn one_event_that_comes_again_is_noticed() {
    caught("frames_start_after_the_position", |lines, rng| {
        let (welcome, frames) = resumed(lines, rng, 1);
        repeat(lines, welcome, &frames[frames.len() - 1..]);
    });
}

#[test]
fn a_session_that_is_welcomed_before_the_position_that_it_asked_for_is_noticed() {
    caught("frames_start_after_the_position", |lines, rng| {
        let (welcome, _) = resumed(lines, rng, 1);
        let What::Welcome { asked: Some(asked), position, .. } = &mut lines[welcome].what else { unreachable!() };
        *position = Some(Position { sequence: asked.sequence - 1, ..*asked });
    });
}

#[test]
fn a_keepalive_that_goes_back_is_noticed() {
    caught("positions_never_go_back", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Keepalive { session, .. } if is_v1(*session)));
        let What::Keepalive { position: Some(position), .. } = &mut lines[place].what else { unreachable!() };
        position.sequence -= 1;
    });
    caught("positions_never_go_back", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Keepalive { session, .. } if is_v1(*session)));
        let What::Keepalive { position, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        *position = None;
    });
}

#[test]
fn a_keepalive_that_is_ahead_of_what_came_is_noticed() {
    for invariant in ["positions_never_go_back", "presenters_miss_nothing"] {
        caught(invariant, |lines, rng| {
            // What came next now comes after a sign of life that says that nothing is missing.
            let (one, other) = neighbours(lines, rng, |what| match what {
                What::Frame { session, .. } if is_v1(*session) => Some(i64::from(*session)),
                _ => None,
            });
            let (What::Frame { session, .. }, What::Frame { id: lost, position, .. }) =
                (&lines[one].what, &lines[other].what)
            else {
                unreachable!("they were looked for")
            };
            let (session, lost, position, at) = (*session, *lost, Some(*position), lines[one].at);
            lines.insert(one + 1, Line { at, what: What::Keepalive { session, position } });
            // For the second of the invariants it never comes at all.
            if invariant == "presenters_miss_nothing" {
                let room = session / 100;
                lines.retain(|line| {
                    !matches!(&line.what, What::Frame { session, id, .. } if session / 100 == room && *id == lost)
                });
            }
        });
    }
}

#[test]
fn an_acknowledgement_that_the_server_does_not_take_is_noticed() {
    caught("positions_never_go_back", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Frame { session, .. } if is_v1(*session)));
        let What::Frame { session, .. } = lines[place].what else { unreachable!("it was looked for") };
        let text = r#"{"type":"error","code":"bad_position"}"#.to_owned();
        lines.insert(place + 1, Line { at: lines[place].at, what: What::Strange { session, text } });
    });
}

#[test]
fn a_cursor_that_stays_behind_the_acknowledgements_is_noticed() {
    caught("presenters_repeat_little", |lines, rng| {
        // A page that is loaded anew, whose server remembers a place from two sessions ago.
        let welcome = any(lines, rng, |what| match what {
            What::Welcome { session, asked: None, fresh: false, .. } => is_v1(*session) && session % 100 > 3,
            _ => false,
        });
        let What::Welcome { session: newer, .. } = lines[welcome].what else { unreachable!("it was looked for") };
        let is_its =
            |line: &usize| matches!(lines[*line].what, What::Frame { session, .. } if session == newer / 100 * 100 + 1);
        let frames: Vec<usize> = (0..lines.len()).filter(is_its).take(3).collect();
        repeat(lines, welcome, &frames);
        // They came long before their session ended.
        let ended = lines
            .iter()
            .position(|line| matches!(line.what, What::Ended { session, .. } if session == newer / 100 * 100 + 1));
        let Some(ended) = ended else { unreachable!("every session has an end") };
        let late = lines[welcome].at - 1;
        lines[ended].at = lines[ended].at.max(late);
        lines.sort_by_key(|line| line.at);
    });
}
