//! Sweeps that clients are not told of as they should be, and marks of sweeps in the archive.

use super::*;

const SWEPT: &str = "room.swept";
const UNDONE: &str = "sweep.undone";

/// A part of a sweep, or of its end, that every node must have told: it holds the message.
fn part(lines: &[Line], rng: &mut Rng, wanted: &str) -> usize {
    let accepted: HashMap<EventId, u64> = lines
        .iter()
        .filter_map(|line| match line.what {
            Observation::Ok { id, .. } => Some((id, line.at)),
            _ => None,
        })
        .collect();
    let parts: Vec<usize> = (0..lines.len())
        .filter(|place| match &lines[*place].what {
            Observation::Message(MessageObservation::Part { kind, target, .. }) => {
                kind == wanted && accepted.get(target).is_some_and(|at| at + 300_000 > lines[*place].at)
            }
            _ => false,
        })
        .collect();
    assert!(!parts.is_empty(), "the history has no such part");
    parts[rng.usize(..parts.len())]
}

/// A sweep in the log that nothing undoes.
fn standing(lines: &[Line], rng: &mut Rng) -> EventId {
    let undone: HashSet<EventId> = lines
        .iter()
        .filter_map(|line| match &line.what {
            Observation::Logged { kind, target, .. } if kind == UNDONE => *target,
            _ => None,
        })
        .collect();
    let place = any(lines, rng, |what| match what {
        Observation::Logged { kind, id, .. } => kind == SWEPT && !undone.contains(id),
        _ => false,
    });
    match lines[place].what {
        Observation::Logged { id, .. } => id,
        _ => unreachable!("it was looked for"),
    }
}

fn mark(lines: &mut [Line], message: EventId, decision: Option<EventId>) {
    for line in lines {
        if let Observation::Archived { id, deleted, .. } = &mut line.what
            && *id == message
        {
            *deleted = decision;
        }
    }
}

#[test]
fn a_swept_message_of_which_a_client_is_not_told_is_noticed() {
    caught("sweeps_are_told_whole", |lines, rng| {
        let place = part(lines, rng, "message.deleted");
        lines.remove(place);
    });
}

#[test]
fn a_restored_message_of_which_a_client_is_not_told_is_noticed() {
    caught("ends_of_sweeps_are_told_whole", |lines, rng| {
        let place = part(lines, rng, "message.restored");
        lines.remove(place);
    });
}

#[test]
fn a_message_that_a_sweep_restores_without_its_text_is_noticed() {
    caught("ends_of_sweeps_are_told_whole", |lines, rng| {
        let place = part(lines, rng, "message.restored");
        if let Observation::Message(MessageObservation::Part { text, .. }) = &mut lines[place].what {
            *text = None;
        }
    });
}

#[test]
fn a_message_that_a_sweep_does_not_match_and_deletes_for_clients_is_noticed() {
    for (kind, invariant) in
        [("message.deleted", "sweeps_are_told_whole"), ("message.restored", "ends_of_sweeps_are_told_whole")]
    {
        caught(invariant, |lines, rng| {
            let (place, other) = (part(lines, rng, kind), accepted(lines, rng));
            if let Observation::Message(MessageObservation::Part { target, .. }) = &mut lines[place].what {
                *target = other;
            }
        });
    }
}

#[test]
fn a_part_that_is_not_before_its_sweep_is_noticed() {
    caught("sweeps_are_told_whole", |lines, rng| {
        let place = part(lines, rng, "message.deleted");
        if let Observation::Message(MessageObservation::Part { position, .. }) = &mut lines[place].what {
            position.sequence += 1;
        }
    });
}

#[test]
fn a_swept_message_without_its_mark_is_noticed() {
    caught("deleted_is_not_shown", |lines, rng| {
        let place = any(lines, rng, |what| match what {
            Observation::Archived { deleted: Some(by), .. } => lines
                .iter()
                .any(|line| matches!(&line.what, Observation::Logged { id, kind, .. } if id == by && kind == SWEPT)),
            _ => false,
        });
        let Observation::Archived { id, .. } = lines[place].what else { unreachable!("it was looked for") };
        mark(lines, id, None);
    });
}

#[test]
fn a_message_that_stays_marked_after_the_end_of_its_sweep_is_noticed() {
    caught("deletions_have_the_logs_order", |lines, rng| {
        let restored: HashMap<EventId, EventId> = lines
            .iter()
            .filter_map(|line| match &line.what {
                Observation::Message(MessageObservation::Part { kind, sweep, target, .. }) => {
                    (kind == "message.restored").then_some((*target, *sweep))
                }
                _ => None,
            })
            .collect();
        let stays = any(lines, rng, |what| match what {
            Observation::Archived { id, deleted: None, .. } => restored.contains_key(id),
            _ => false,
        });
        let Observation::Archived { id, .. } = lines[stays].what else { unreachable!("it was looked for") };
        mark(lines, id, restored.get(&id).copied());
    });
}

#[test]
fn a_sweep_that_deletes_in_the_archive_what_it_does_not_match_is_noticed() {
    caught("nothing_is_deleted_unasked", |lines, rng| {
        let sweep = standing(lines, rng);
        lines.retain(|line| {
            let Observation::Decides { decided, .. } = &line.what else { return true };
            let purges = matches!(decided, Decided::Ban { purge_seconds: Some(_), .. });
            !purges && !matches!(decided, Decided::Clear | Decided::Delete { .. })
        });
        let swept: HashSet<EventId> = parts(lines).collect();
        let place = any(lines, rng, |what| match what {
            Observation::Archived { id, deleted: None, .. } => !swept.contains(id),
            _ => false,
        });
        let Observation::Archived { id, .. } = lines[place].what else { unreachable!("it was looked for") };
        mark(lines, id, Some(sweep));
    });
}

#[test]
fn a_swept_text_that_a_reader_receives_again_is_noticed() {
    caught("readers_see_nothing_deleted", |lines, rng| {
        let undone: HashSet<EventId> = lines
            .iter()
            .filter_map(|line| match &line.what {
                Observation::Decides { decided: Decided::Unsweep { target }, .. } => Some(*target),
                _ => None,
            })
            .collect();
        let told: Vec<(usize, u32, EventId)> = (0..lines.len())
            .filter_map(|place| match &lines[place].what {
                Observation::Message(MessageObservation::Part {
                    seen: SeenAt::Reader(session), sweep, target, ..
                }) => {
                    let is_there = lines[place..].iter().any(|line| {
                        matches!(&line.what, Observation::Reader(ReaderObservation::Event { session: own, id, .. })
                            if own == session && id == sweep)
                    });
                    (is_there && !undone.contains(sweep) && !is_restored(lines, *target))
                        .then_some((place, *session, *target))
                }
                _ => None,
            })
            .collect();
        assert!(!told.is_empty(), "no reader was told of a sweep that stands");
        let (place, reader, message) = told[rng.usize(..told.len())];
        let event = lines[place..].iter().position(|line| {
            matches!(&line.what, Observation::Reader(ReaderObservation::Event { session, kind, .. })
                if *session == reader && kind == SWEPT)
        });
        let event = place + event.expect("it was looked for");
        let logged = anyone(lines, rng, |what| matches!(what, Observation::Logged { id, .. } if *id == message));
        let Observation::Logged { text: Some(said), .. } = lines[logged].what.clone() else {
            unreachable!("it was looked for")
        };
        let mut again = lines[event].clone();
        if let Observation::Reader(ReaderObservation::Event { id, kind, text, target, members, .. }) = &mut again.what {
            (*id, *kind, *text, *target) = (message, MESSAGE.to_owned(), Some(said), None);
            members.clear();
        }
        lines.insert(event + 1, again);
    });
}
