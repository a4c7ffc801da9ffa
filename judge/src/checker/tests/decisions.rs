//! Decisions that are missing, invented, duplicated or altered.

use super::*;

/// The id of a confirmed decision.
fn confirmed(lines: &[Line], rng: &mut Rng) -> EventId {
    match lines[any(lines, rng, |what| matches!(what, Observation::Confirmed { .. }))].what {
        Observation::Confirmed { id, .. } => id,
        _ => unreachable!("it was looked for"),
    }
}

/// The ids of the confirmed bans and unbans.
fn bans(lines: &[Line]) -> Vec<EventId> {
    let is_ban = |wanted: u64| {
        lines.iter().any(|line| match &line.what {
            Observation::Decides { decision, decided, .. } => *decision == wanted && decided.user().is_some(),
            _ => false,
        })
    };
    let found = lines.iter().filter_map(|line| match &line.what {
        Observation::Confirmed { decision, id, .. } if is_ban(*decision) => Some(*id),
        _ => None,
    });
    found.collect()
}

/// Whether the line shows one of the events, in the log or on a socket.
fn shows(what: &Observation, wanted: &[EventId]) -> bool {
    matches!(what, Observation::Logged { id, .. } | Observation::Frame { id, .. } if wanted.contains(id))
}

#[test]
fn thirty_bans_missing_from_log_and_sockets_are_noticed() {
    caught("decided_is_in_the_log", |lines, _| {
        let erased: Vec<EventId> = bans(lines).into_iter().take(30).collect();
        lines.retain(|line| !shows(&line.what, &erased));
    });
}

#[test]
fn a_decision_missing_from_the_archive_or_the_list_is_noticed() {
    caught("decided_is_in_the_audit", |lines, rng| {
        let lost = confirmed(lines, rng);
        lines.retain(|line| !matches!(&line.what, Observation::Audited { id, .. } if *id == lost));
    });
    caught("decided_is_in_the_audit", |lines, rng| {
        let lost = confirmed(lines, rng);
        lines.retain(|line| !matches!(&line.what, Observation::Listed { id, .. } if *id == lost));
    });
}

#[test]
fn a_decision_listed_twice_is_noticed() {
    caught("decided_is_in_the_audit", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, Observation::Listed { .. }));
        lines.insert(place, lines[place].clone());
    });
}

#[test]
fn a_decision_that_never_reaches_a_presenter_is_noticed() {
    caught("presenters_miss_nothing", |lines, rng| {
        let is_decision = |kind: &str| kind != "message.posted";
        let place = any(
            lines,
            rng,
            |what| matches!(what, Observation::Frame { session, kind, .. } if is_v1(*session) && is_decision(kind)),
        );
        let lost = match lines[place].what {
            Observation::Frame { session, id, .. } => (session / 100, id),
            _ => unreachable!("it was looked for"),
        };
        lines.retain(
            |line| !matches!(&line.what, Observation::Frame { session, id, .. } if (session / 100, *id) == lost),
        );
    });
}

#[test]
fn a_ban_of_another_user_than_requested_is_noticed() {
    for invariant in ["decided_is_in_the_log", "decided_is_in_the_audit", "no_decision_is_invented"] {
        caught(invariant, |lines, rng| {
            let bans = bans(lines);
            let wrong = bans[rng.usize(..bans.len())];
            for line in lines {
                match &mut line.what {
                    Observation::Logged { id, user, .. } | Observation::Audited { id, user, .. } if *id == wrong => {
                        *user = Some(99)
                    }
                    _ => {}
                }
            }
        });
    }
}

#[test]
fn a_ban_from_every_room_that_one_partition_lacks_is_noticed() {
    caught("decided_is_in_the_log", |lines, rng| {
        any(lines, rng, |what| matches!(what, Observation::Logged { room: None, .. }));
        // A second partition, with an epoch that no other line has.
        let end = lines.len() - 1;
        let what = Observation::Stream(StreamState {
            epochs: vec![8],
            first: 1,
            last: 0,
            acknowledged: Some(0),
            holes: Vec::new(),
        });
        lines.insert(end, Line { at: lines[end].at, what });
    });
}

#[test]
fn an_unrequested_decision_is_noticed() {
    caught("no_decision_is_invented", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, Observation::Audited { .. }));
        let mut copy = lines[place].clone();
        let Observation::Audited { id, reason, .. } = &mut copy.what else { unreachable!("it was looked for") };
        (*id, *reason) = (EventId::new(), Some("out of nowhere".to_owned()));
        lines.insert(place, copy);
    });
}

#[test]
fn an_unrequested_decision_on_a_socket_is_noticed() {
    caught("no_decision_is_invented", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, Observation::Frame { kind, .. } if kind == "user.banned"));
        let Observation::Frame { reason, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        *reason = Some("nobody's".to_owned());
    });
    // A decision about every room has an id but no reason on the socket.
    caught("no_decision_is_invented", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, Observation::Frame { kind, .. } if kind == "user.banned"));
        let Observation::Frame { id, reason, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        (*id, *reason) = (EventId::new(), None);
    });
}

#[test]
fn a_decision_about_one_room_without_its_reason_is_noticed() {
    caught("no_decision_is_invented", |lines, rng| {
        let of_a_room = |line: &Line| match &line.what {
            // The node may no longer know the author of a deleted message, and never knows those of swept ones.
            Observation::Decides { room: Some(_), decided, reason, .. } => {
                (decided.target().is_none() && decided.swept().is_none()).then(|| reason.clone())
            }
            _ => None,
        };
        let of_rooms: Vec<String> = lines.iter().filter_map(of_a_room).collect();
        let is_of_a_room = |what: &Observation| {
            matches!(
                what,
                Observation::Frame { reason: Some(reason), .. } if of_rooms.contains(reason)
            )
        };
        let place = any(lines, rng, is_of_a_room);
        let Observation::Frame { reason, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        *reason = None;
    });
}

/// Removes the reason from a deletion on a socket, and moves it this many milliseconds after the message.
fn withhold(lines: &mut [Line], rng: &mut Rng, age_ms: i64) {
    let deletions: HashMap<EventId, EventId> = lines
        .iter()
        .filter_map(|line| match &line.what {
            Observation::Logged { id, target: Some(target), .. } => Some((*id, *target)),
            _ => None,
        })
        .collect();
    let erased = of_erased_users(lines);
    let place = any(lines, rng, |what| match what {
        Observation::Frame { id, reason: Some(_), .. } => {
            deletions.get(id).is_some_and(|target| !erased.contains(target) && of_text(lines, *target))
        }
        _ => false,
    });
    let shown = lines[place].at;
    let Observation::Frame { id: deletion, reason, .. } = &mut lines[place].what else {
        unreachable!("it was looked for")
    };
    *reason = None;
    let deletion = *deletion;
    let began = lines
        .iter()
        .find_map(|line| match line.what {
            Observation::Begins(beginning) => Some(beginning.began),
            _ => None,
        })
        .unwrap();
    let at = began + jiff::SignedDuration::from_micros(i64::try_from(shown).unwrap());
    for line in lines {
        match &mut line.what {
            Observation::Logged { id, stored, .. } if *id == deletions[&deletion] => {
                *stored = at - jiff::SignedDuration::from_millis(age_ms);
            }
            _ => {}
        }
    }
}

/// Whether the log has the message.
fn of_text(lines: &[Line], wanted: EventId) -> bool {
    lines.iter().any(|line| matches!(&line.what, Observation::Logged { id, text: Some(_), .. } if *id == wanted))
}

#[test]
fn a_deletion_of_a_message_in_the_window_without_its_reason_is_noticed() {
    caught("no_decision_is_invented", |lines, rng| withhold(lines, rng, 1));
}

#[test]
fn a_node_may_leave_out_the_reason_for_deleting_a_message_that_left_its_window() {
    for seed in 0..SEEDS {
        let mut lines = history(seed);
        withhold(&mut lines, &mut Rng::with_seed(seed), 1_000_000);
        let broken: Vec<_> = broken(&lines).into_iter().map(|(name, _)| name).collect();
        assert!(!broken.contains(&"no_decision_is_invented"), "seed {seed}: {broken:?}");
    }
}

#[test]
fn a_refused_decision_in_the_log_is_noticed() {
    caught("no_decision_is_invented", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, Observation::Refused { .. }));
        let Observation::Refused { decision: refused, .. } = lines[place].what else {
            unreachable!("it was looked for")
        };
        let asked =
            any(lines, rng, |what| matches!(what, Observation::Decides { decision, .. } if *decision == refused));
        let Observation::Decides { room, decided, reason, .. } = lines[asked].what.clone() else { unreachable!() };
        let end = lines.len() - 1;
        let what = Observation::Logged {
            room,
            id: EventId::new(),
            position: Position { epoch: 7, sequence: 1_000_000, index: 0 },
            kind: decided.kind().to_owned(),
            user: decided.user(),
            text: None,
            target: decided.target(),
            reason: Some(reason),
            purge_seconds: None,
            swept: None,
            sent: jiff::Timestamp::UNIX_EPOCH,
            stored: jiff::Timestamp::UNIX_EPOCH,
        };
        lines.insert(end, Line { at: lines[end].at, what });
    });
}

#[test]
fn a_decision_under_two_ids_is_noticed() {
    caught("no_decision_is_invented", |lines, rng| {
        let twice = confirmed(lines, rng);
        let place = any(lines, rng, |what| matches!(what, Observation::Logged { id, .. } if *id == twice));
        let mut copy = lines[place].clone();
        let Observation::Logged { id, position, .. } = &mut copy.what else { unreachable!("it was looked for") };
        (*id, position.sequence) = (EventId::new(), 1_000_000);
        lines.insert(place, copy);
    });
}

#[test]
fn a_decision_that_overtook_an_earlier_message_is_noticed() {
    caught("earlier_comes_first", |lines, rng| {
        let late = lines.len() / 4;
        let later: Vec<Line> = lines[late..].to_vec();
        // A decision in a room with an earlier message.
        let moved = confirmed(&later, rng);
        let place = any(lines, rng, |what| matches!(what, Observation::Logged { id, .. } if *id == moved));
        let Observation::Logged { position, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        *position = Position { epoch: 7, sequence: 0, index: 0 };
        // A message that was accepted before the decision is now after it.
        let decided =
            lines.iter().position(|line| matches!(&line.what, Observation::Confirmed { id, .. } if *id == moved));
        assert!(decided.is_some_and(|line| line > 10));
    });
}
