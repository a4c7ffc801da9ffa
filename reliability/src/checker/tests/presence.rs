//! Ingest nodes that do not know who is there.

use super::*;

/// The line of an answer that says so.
fn said(lines: &[Line], rng: &mut Rng, wanted: bool) -> usize {
    any(lines, rng, |what| matches!(what, What::Ok { connected: Some(connected), .. } if *connected == wanted))
}

/// An answer in the middle of an absence of the room's presenter, and one in the middle of a long session.
fn middle(lines: &[Line], rng: &mut Rng, there: bool) -> usize {
    let room_of = |wanted: u64| {
        lines.iter().find_map(|line| match line.what {
            What::Invoked { post, room, .. } if post == wanted => Some(room),
            _ => None,
        })
    };
    let is_deep = |line: usize| {
        let What::Ok { post, connected: Some(connected), .. } = lines[line].what else { return false };
        let (at, room) = (lines[line].at, room_of(post).unwrap());
        let near = at.saturating_sub(3_500_000)..at + 3_500_000;
        let comes_or_goes = |line: &Line| {
            let session = match line.what {
                What::Welcome { session, .. } | What::Ended { session, .. } | What::Starts { session, .. } => session,
                _ => return false,
            };
            session < 1_000 && i64::from(session / 100) == room && near.contains(&line.at)
        };
        connected == there && !lines.iter().any(comes_or_goes)
    };
    let found: Vec<usize> = (0..lines.len()).filter(|line| is_deep(*line)).collect();
    assert!(!found.is_empty(), "the history has no such answer");
    found[rng.usize(..found.len())]
}

#[test]
fn a_presenter_who_left_and_is_taken_to_be_there_is_noticed() {
    caught("connected_has_a_socket", |lines, rng| {
        said(lines, rng, false);
        let line = middle(lines, rng, false);
        let What::Ok { connected, .. } = &mut lines[line].what else { unreachable!("it was looked for") };
        *connected = Some(true);
    });
}

#[test]
fn a_presenter_who_is_there_and_is_asked_to_reconnect_is_noticed() {
    caught("a_socket_is_connected", |lines, rng| {
        said(lines, rng, true);
        let line = middle(lines, rng, true);
        let What::Ok { connected, .. } = &mut lines[line].what else { unreachable!("it was looked for") };
        *connected = Some(false);
    });
}
