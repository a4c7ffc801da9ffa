//! Decisions that are missing, invented, doubled or not as they were asked for.

use super::*;

/// The id of a decision that was confirmed.
fn confirmed(lines: &[Line], rng: &mut Rng) -> EventId {
    match lines[any(lines, rng, |what| matches!(what, What::Confirmed { .. }))].what {
        What::Confirmed { id, .. } => id,
        _ => unreachable!("it was looked for"),
    }
}

/// The ids of the confirmed bans and unbans.
fn bans(lines: &[Line]) -> Vec<EventId> {
    let is_ban = |wanted: u64| {
        lines.iter().any(|line| match &line.what {
            What::Decides { decision, decided, .. } => *decision == wanted && decided.user().is_some(),
            _ => false,
        })
    };
    let found = lines.iter().filter_map(|line| match &line.what {
        What::Confirmed { decision, id, .. } if is_ban(*decision) => Some(*id),
        _ => None,
    });
    found.collect()
}

/// Whether the line shows one of the events in the log, or on a socket.
fn shows(what: &What, wanted: &[EventId]) -> bool {
    matches!(what, What::Logged { id, .. } | What::Frame { id, .. } if wanted.contains(id))
}

#[test]
fn thirty_bans_that_are_erased_from_log_and_sockets_are_noticed() {
    caught("decided_is_in_the_log", |lines, _| {
        let erased: Vec<EventId> = bans(lines).into_iter().take(30).collect();
        lines.retain(|line| !shows(&line.what, &erased));
    });
}

#[test]
fn a_decision_that_is_missing_in_the_archive_or_the_list_is_noticed() {
    caught("decided_is_in_the_audit", |lines, rng| {
        let lost = confirmed(lines, rng);
        lines.retain(|line| !matches!(&line.what, What::Audited { id, .. } if *id == lost));
    });
    caught("decided_is_in_the_audit", |lines, rng| {
        let lost = confirmed(lines, rng);
        lines.retain(|line| !matches!(&line.what, What::Listed { id, .. } if *id == lost));
    });
}

#[test]
fn a_decision_that_is_listed_twice_is_noticed() {
    caught("decided_is_in_the_audit", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Listed { .. }));
        lines.insert(place, lines[place].clone());
    });
}

#[test]
fn a_decision_that_never_comes_to_a_presenter_is_noticed() {
    caught("presenters_miss_nothing", |lines, rng| {
        let is_decision = |kind: &str| kind != "message.posted";
        let place = any(
            lines,
            rng,
            |what| matches!(what, What::Frame { session, kind, .. } if is_v1(*session) && is_decision(kind)),
        );
        let lost = match lines[place].what {
            What::Frame { session, id, .. } => (session / 100, id),
            _ => unreachable!("it was looked for"),
        };
        lines.retain(|line| !matches!(&line.what, What::Frame { session, id, .. } if (session / 100, *id) == lost));
    });
}

#[test]
fn a_ban_of_somebody_else_than_was_asked_for_is_noticed() {
    for invariant in ["decided_is_in_the_log", "decided_is_in_the_audit", "no_decision_is_invented"] {
        caught(invariant, |lines, rng| {
            let bans = bans(lines);
            let wrong = bans[rng.usize(..bans.len())];
            for line in lines {
                match &mut line.what {
                    What::Logged { id, user, .. } | What::Audited { id, user, .. } if *id == wrong => *user = Some(99),
                    _ => {}
                }
            }
        });
    }
}

#[test]
fn a_ban_of_every_room_that_one_partition_lacks_is_noticed() {
    caught("decided_is_in_the_log", |lines, rng| {
        any(lines, rng, |what| matches!(what, What::Logged { room: None, .. }));
        // There is another partition, where nobody has been.
        let end = lines.len() - 1;
        let what = What::Stream { epochs: vec![8], first: 1, last: 0, acknowledged: Some(0) };
        lines.insert(end, Line { at: lines[end].at, what });
    });
}

#[test]
fn a_decision_that_nobody_asked_for_is_noticed() {
    caught("no_decision_is_invented", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Audited { .. }));
        let mut copy = lines[place].clone();
        let What::Audited { id, reason, .. } = &mut copy.what else { unreachable!("it was looked for") };
        (*id, *reason) = (EventId::new(), Some("out of nowhere".to_owned()));
        lines.insert(place, copy);
    });
}

#[test]
fn a_decision_on_a_socket_that_nobody_asked_for_is_noticed() {
    caught("no_decision_is_invented", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Frame { kind, .. } if kind == "user.banned"));
        let What::Frame { reason, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        *reason = Some("nobody's".to_owned());
    });
    // One about every room comes without a reason, and has an id.
    caught("no_decision_is_invented", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Frame { kind, .. } if kind == "user.banned"));
        let What::Frame { id, reason, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        (*id, *reason) = (EventId::new(), None);
    });
}

#[test]
fn a_decision_about_one_room_that_its_presenter_gets_without_the_reason_is_noticed() {
    caught("no_decision_is_invented", |lines, rng| {
        let of_a_room = |line: &Line| match &line.what {
            // Of a deletion the node may not know any more whom it is about.
            What::Decides { room: Some(_), decided, reason, .. } if decided.target().is_none() => Some(reason.clone()),
            _ => None,
        };
        let of_rooms: Vec<String> = lines.iter().filter_map(of_a_room).collect();
        let is_of_a_room =
            |what: &What| matches!(what, What::Frame { reason: Some(reason), .. } if of_rooms.contains(reason));
        let place = any(lines, rng, is_of_a_room);
        let What::Frame { reason, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        *reason = None;
    });
}

/// Takes the reason from a deletion that a presenter is told of, and puts so many milliseconds between the message and
/// that.
fn withhold(lines: &mut [Line], rng: &mut Rng, age_ms: i64) {
    let deletions: HashMap<EventId, EventId> = lines
        .iter()
        .filter_map(|line| match &line.what {
            What::Logged { id, target: Some(target), .. } => Some((*id, *target)),
            _ => None,
        })
        .collect();
    let erased = of_erased_users(lines);
    let place = any(lines, rng, |what| match what {
        What::Frame { id, reason: Some(_), .. } => {
            deletions.get(id).is_some_and(|target| !erased.contains(target) && of_text(lines, *target))
        }
        _ => false,
    });
    let shown = lines[place].at;
    let What::Frame { id: deletion, reason, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
    *reason = None;
    let deletion = *deletion;
    let began = lines
        .iter()
        .find_map(|line| match line.what {
            What::Begins { began, .. } => Some(began),
            _ => None,
        })
        .unwrap();
    let at = began + jiff::SignedDuration::from_micros(i64::try_from(shown).unwrap());
    for line in lines {
        match &mut line.what {
            What::Logged { id, stored, .. } if *id == deletions[&deletion] => {
                *stored = at - jiff::SignedDuration::from_millis(age_ms);
            }
            _ => {}
        }
    }
}

/// Whether the log has the message.
fn of_text(lines: &[Line], wanted: EventId) -> bool {
    lines.iter().any(|line| matches!(&line.what, What::Logged { id, text: Some(_), .. } if *id == wanted))
}

#[test]
fn a_deletion_without_its_reason_whose_message_is_in_the_window_is_noticed() {
    caught("no_decision_is_invented", |lines, rng| withhold(lines, rng, 1));
}

#[test]
fn a_node_that_has_the_message_of_a_deletion_no_more_may_withhold_the_reason() {
    for seed in 0..SEEDS {
        let mut lines = history(seed);
        withhold(&mut lines, &mut Rng::with_seed(seed), 1_000_000);
        let broken: Vec<_> = broken(&lines).into_iter().map(|(name, _)| name).collect();
        assert!(!broken.contains(&"no_decision_is_invented"), "seed {seed}: {broken:?}");
    }
}

#[test]
fn a_decision_that_was_refused_and_is_in_the_log_is_noticed() {
    caught("no_decision_is_invented", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Refused { .. }));
        let What::Refused { decision: refused, .. } = lines[place].what else { unreachable!("it was looked for") };
        let asked = any(lines, rng, |what| matches!(what, What::Decides { decision, .. } if *decision == refused));
        let What::Decides { room, decided, reason, .. } = lines[asked].what.clone() else { unreachable!() };
        let end = lines.len() - 1;
        let what = What::Logged {
            room,
            id: EventId::new(),
            position: Position { epoch: 7, sequence: 1_000_000, index: 0 },
            kind: decided.kind().to_owned(),
            user: decided.user(),
            text: None,
            target: decided.target(),
            reason: Some(reason),
            stored: jiff::Timestamp::UNIX_EPOCH,
        };
        lines.insert(end, Line { at: lines[end].at, what });
    });
}

#[test]
fn a_decision_that_stands_twice_under_two_ids_is_noticed() {
    caught("no_decision_is_invented", |lines, rng| {
        let twice = confirmed(lines, rng);
        let place = any(lines, rng, |what| matches!(what, What::Logged { id, .. } if *id == twice));
        let mut copy = lines[place].clone();
        let What::Logged { id, position, .. } = &mut copy.what else { unreachable!("it was looked for") };
        (*id, position.sequence) = (EventId::new(), 1_000_000);
        lines.insert(place, copy);
    });
}

#[test]
fn a_decision_that_overtook_an_earlier_message_is_noticed() {
    caught("earlier_comes_first", |lines, rng| {
        let late = lines.len() / 4;
        let later: Vec<Line> = lines[late..].to_vec();
        // One about a room in which something has been said before.
        let moved = confirmed(&later, rng);
        let place = any(lines, rng, |what| matches!(what, What::Logged { id, .. } if *id == moved));
        let What::Logged { position, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        *position = Position { epoch: 7, sequence: 0, index: 0 };
        // What was accepted before it was decided now stands behind it.
        let decided = lines.iter().position(|line| matches!(&line.what, What::Confirmed { id, .. } if *id == moved));
        assert!(decided.is_some_and(|line| line > 10));
    });
}
