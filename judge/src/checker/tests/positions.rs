//! Sessions that begin too early, go back, or repeat acknowledged events.

use super::*;

/// A `chat.v1` session that sent a position, after sessions with at least this many events. Returns its welcome, and
/// the lines of those events.
fn resumed(lines: &[Line], rng: &mut Rng, least: usize) -> (usize, Vec<usize>) {
    let brought = |wanted: u32| -> Vec<usize> {
        let is_its = |line: &usize| match lines[*line].what {
            Observation::Frame { session, .. } => session / 100 == wanted / 100 && session < wanted,
            _ => false,
        };
        (0..lines.len()).filter(is_its).collect()
    };
    let welcome = any(lines, rng, |what| match what {
        Observation::Welcome { session, asked: Some(_), recovered: true, fresh: false, .. } if is_v1(*session) => {
            brought(*session).len() >= least
        }
        _ => false,
    });
    let Observation::Welcome { session, .. } = lines[welcome].what else { unreachable!("it was looked for") };
    (welcome, brought(session))
}

/// Repeats those frames at the beginning of the session of that welcome.
fn repeat(lines: &mut Vec<Line>, welcome: usize, frames: &[usize]) {
    let Observation::Welcome { session: newer, .. } = lines[welcome].what else { unreachable!("it was looked for") };
    let at = lines[welcome].at;
    let repeated: Vec<Line> = frames
        .iter()
        .map(|line| match lines[*line].what.clone() {
            Observation::Frame { id, position, kind, text, target, reason, .. } => {
                Line { at, what: Observation::Frame { session: newer, id, position, kind, text, target, reason } }
            }
            _ => unreachable!("it was looked for"),
        })
        .collect();
    for line in repeated.into_iter().rev() {
        lines.insert(welcome + 1, line);
    }
}

#[test]
fn twenty_repeated_events_in_the_next_session_are_noticed() {
    caught("frames_start_after_the_position", |lines, rng| {
        let (welcome, frames) = resumed(lines, rng, 20);
        repeat(lines, welcome, &frames[frames.len() - 20..]);
    });
}

#[test]
fn one_repeated_event_is_noticed() {
    caught("frames_start_after_the_position", |lines, rng| {
        let (welcome, frames) = resumed(lines, rng, 1);
        repeat(lines, welcome, &frames[frames.len() - 1..]);
    });
}

#[test]
fn a_session_that_begins_before_its_requested_position_is_noticed() {
    caught("frames_start_after_the_position", |lines, rng| {
        let (welcome, _) = resumed(lines, rng, 1);
        let Observation::Welcome { asked: Some(asked), position, .. } = &mut lines[welcome].what else {
            unreachable!()
        };
        *position = Some(Position { sequence: asked.sequence - 1, ..*asked });
    });
}

#[test]
fn a_keepalive_that_goes_back_is_noticed() {
    caught("positions_never_go_back", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, Observation::Keepalive { session, .. } if is_v1(*session)));
        let Observation::Keepalive { position: Some(position), .. } = &mut lines[place].what else { unreachable!() };
        position.sequence -= 1;
    });
    caught("positions_never_go_back", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, Observation::Keepalive { session, .. } if is_v1(*session)));
        let Observation::Keepalive { position, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        *position = None;
    });
}

#[test]
fn a_keepalive_ahead_of_the_frames_is_noticed() {
    for invariant in ["positions_never_go_back", "presenters_miss_nothing"] {
        caught(invariant, |lines, rng| {
            // The next frame now comes after a keepalive that says that nothing is missing.
            let erased = of_erased_users(lines);
            let (one, other) = neighbours(lines, rng, |what| match what {
                Observation::Frame { session, id, .. } if is_v1(*session) && !erased.contains(id) => {
                    Some(i64::from(*session))
                }
                _ => None,
            });
            let (Observation::Frame { session, .. }, Observation::Frame { id: lost, position, .. }) =
                (&lines[one].what, &lines[other].what)
            else {
                unreachable!("they were looked for")
            };
            let (session, lost, position, at) = (*session, *lost, Some(*position), lines[one].at);
            lines.insert(one + 1, Line { at, what: Observation::Keepalive { session, position } });
            // For the second invariant it never comes.
            if invariant == "presenters_miss_nothing" {
                let room = session / 100;
                lines.retain(|line| {
                    !matches!(
                        &line.what,
                        Observation::Frame { session, id, .. } if session / 100 == room && *id == lost
                    )
                });
            }
        });
    }
}

#[test]
fn a_refused_acknowledgement_is_noticed() {
    caught("positions_never_go_back", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, Observation::Frame { session, .. } if is_v1(*session)));
        let Observation::Frame { session, .. } = lines[place].what else { unreachable!("it was looked for") };
        let text = r#"{"type":"error","code":"bad_position"}"#.to_owned();
        lines.insert(place + 1, Line { at: lines[place].at, what: Observation::Strange { session, text } });
    });
}

#[test]
fn a_cursor_behind_the_acknowledgements_is_noticed() {
    caught("presenters_repeat_little", |lines, rng| {
        // A reloaded page whose server uses a cursor from two sessions ago.
        let welcome = any(lines, rng, |what| match what {
            Observation::Welcome { session, asked: None, fresh: false, .. } => is_v1(*session) && session % 100 > 3,
            _ => false,
        });
        let Observation::Welcome { session: newer, .. } = lines[welcome].what else {
            unreachable!("it was looked for")
        };
        let is_its = |line: &usize| {
            matches!(
                lines[*line].what,
                Observation::Frame { session, .. } if session == newer / 100 * 100 + 1
            )
        };
        let frames: Vec<usize> = (0..lines.len()).filter(is_its).take(3).collect();
        repeat(lines, welcome, &frames);
        // The frames came long before their session ended.
        let ended = lines.iter().position(
            |line| matches!(line.what, Observation::Ended { session, .. } if session == newer / 100 * 100 + 1),
        );
        let Some(ended) = ended else { unreachable!("every session has an end") };
        let late = lines[welcome].at - 1;
        lines[ended].at = lines[ended].at.max(late);
        lines.sort_by_key(|line| line.at);
    });
}
