//! Ingest nodes that report presence wrongly.

use super::*;

/// The line of an answer that states presence.
fn said(lines: &[Line], rng: &mut Rng, wanted: bool) -> usize {
    any(lines, rng, |what| matches!(what, Observation::Ok { connected: Some(connected), .. } if *connected == wanted))
}

/// An answer in the middle of an absence of the room's presenter, or of a long session.
fn middle(lines: &[Line], rng: &mut Rng, there: bool) -> usize {
    let room_of = |wanted: u64| {
        lines.iter().find_map(|line| match line.what {
            Observation::Invoked { post, room, .. } if post == wanted => Some(room),
            _ => None,
        })
    };
    let is_deep = |line: usize| {
        let Observation::Ok { post, connected: Some(connected), .. } = lines[line].what else { return false };
        let (at, room) = (lines[line].at, room_of(post).unwrap());
        let near = at.saturating_sub(3_500_000)..at + 3_500_000;
        let comes_or_goes = |line: &Line| {
            let session = match line.what {
                Observation::Welcome { session, .. }
                | Observation::Ended { session, .. }
                | Observation::Starts { session, .. } => session,
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
fn an_absent_presenter_reported_as_connected_is_noticed() {
    caught("connected_has_a_socket", |lines, rng| {
        said(lines, rng, false);
        let line = middle(lines, rng, false);
        let Observation::Ok { connected, .. } = &mut lines[line].what else { unreachable!("it was looked for") };
        *connected = Some(true);
    });
}

#[test]
fn a_connected_presenter_who_is_asked_to_reconnect_is_noticed() {
    caught("a_socket_is_connected", |lines, rng| {
        said(lines, rng, true);
        let line = middle(lines, rng, true);
        let Observation::Ok { connected, .. } = &mut lines[line].what else { unreachable!("it was looked for") };
        *connected = Some(false);
    });
}

/// An answer reports an absent presenter as connected 13.4 s after a fault: more than a lease of 10 s and its
/// propagation, less than a lease and the return of a server to its cluster.
fn claim_again(lines: &mut Vec<Line>, rng: &mut Rng, kind: &str, part: &str) {
    let late = (0..20).map(|_| middle(lines, rng, false)).find(|line| lines[*line].at > 14_000_000);
    let line = late.expect("an answer is late enough");
    let Observation::Ok { connected, post: wanted, .. } = &mut lines[line].what else {
        unreachable!("it was looked for")
    };
    *connected = Some(true);
    let wanted = *wanted;
    let sent =
        lines[..line].iter().rposition(|line| matches!(line.what, Observation::Invoked { post, .. } if post == wanted));
    let healed = lines[sent.unwrap()].at - 13_400_000;
    let (kind, parts) = (kind.to_owned(), vec![part.to_owned()]);
    lines.extend(
        [Observation::Breaks { fault: 9, kind, parts }, Observation::Heals { fault: 9 }]
            .map(|what| Line { at: healed, what }),
    );
    lines.sort_by_key(|line| line.at);
}

#[test]
fn a_returning_log_server_is_excused_longer_than_a_node() {
    caught("connected_has_a_socket", |lines, rng| claim_again(lines, rng, "pause delivery", "delivery-0"));
    for seed in 0..SEEDS {
        let mut lines = history(seed);
        claim_again(&mut lines, &mut Rng::with_seed(seed), "cut off a server of the log", "nats-2");
        let broken: Vec<_> = broken(&lines).into_iter().map(|(name, _)| name).collect();
        assert!(!broken.contains(&"connected_has_a_socket"), "seed {seed}: {broken:?}");
    }
}
