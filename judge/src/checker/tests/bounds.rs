//! Events that leave the log before they are archived, and processes that exceed their memory bound.

use super::*;

#[test]
fn a_message_of_unknown_outcome_that_is_not_archived_is_noticed() {
    caught("logged_is_archived", |lines, rng| {
        let oks: Vec<EventId> = lines
            .iter()
            .filter_map(|line| match line.what {
                Observation::Ok { id, .. } => Some(id),
                _ => None,
            })
            .collect();
        let place = any(lines, rng, |what| matches!(what, Observation::Archived { id, .. } if !oks.contains(id)));
        lines.remove(place);
    });
}

#[test]
fn a_decision_in_the_log_that_is_not_archived_is_noticed() {
    caught("logged_is_archived", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, Observation::Audited { .. }));
        lines.remove(place);
    });
}

/// Lets the log begin after that sequence.
fn let_go(lines: &mut Vec<Line>, up_to: u64) {
    lines.retain(|line| !matches!(&line.what, Observation::Logged { position, .. } if position.sequence <= up_to));
    for line in lines {
        if let Observation::Stream(stream) = &mut line.what {
            stream.first = up_to + 1;
        }
    }
}

#[test]
fn an_event_that_left_the_log_unarchived_is_noticed() {
    caught("nothing_leaves_the_log_unarchived", |lines, rng| {
        let_go(lines, 50);
        let place =
            any(lines, rng, |what| matches!(what, Observation::Archived { position, .. } if position.sequence <= 50));
        let Observation::Archived { id: lost, .. } = lines[place].what else { unreachable!("it was looked for") };
        // Some client was told of these events.
        let told = lines.iter().find_map(|line| match line.what {
            Observation::Ok { id, position, .. } if position.sequence <= 50 => Some(id),
            _ => None,
        });
        let lost = [lost, told.expect("something is accepted early")];
        lines.retain(|line| !matches!(&line.what, Observation::Archived { id, .. } if lost.contains(id)));
    });
}

#[test]
fn a_log_that_drops_unacknowledged_events_is_noticed() {
    for so_far in [None, Some(49)] {
        caught("nothing_leaves_the_log_unarchived", |lines, _| {
            let_go(lines, 50);
            for line in lines {
                if let Observation::Stream(stream) = &mut line.what {
                    stream.acknowledged = so_far;
                }
            }
        });
    }
}

#[test]
fn events_may_leave_the_log_once_archived() {
    let mut lines = history(1);
    let_go(&mut lines, 50);
    let broken = broken(&lines);
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn a_process_over_its_memory_bound_is_noticed() {
    for wanted in ["ingest-0", "delivery-1", "mongod-0"] {
        caught("memory_stays_within_its_bound", |lines, rng| {
            let place = any(lines, rng, |what| matches!(what, Observation::Memory { part, .. } if part == wanted));
            let Observation::Memory { kib, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
            *kib = 2_000_000;
        });
    }
}

/// Records that a fault removed the event from the disks.
fn lose(lines: &mut Vec<Line>, wanted: EventId) {
    let place = lines.iter().position(|line| matches!(line.what, Observation::Logged { id, .. } if id == wanted));
    let place = place.expect("it is in the log");
    let Observation::Logged { room, position, .. } = lines[place].what else { unreachable!("it was looked for") };
    lines.retain(|line| !matches!(line.what, Observation::Logged { id, .. } if id == wanted));
    let at = lines[place - 1].at;
    lines.insert(place, Line { at, what: Observation::Lost(LostEvent { fault: 1, room, id: wanted, position }) });
}

#[test]
fn events_that_a_fault_removed_are_excused() {
    for seed in 0..SEEDS {
        let mut lines = history(seed);
        let lost = accepted(&lines, &mut Rng::with_seed(seed));
        lose(&mut lines, lost);
        let broken = broken(&lines);
        assert!(broken.is_empty(), "{broken:?}");
    }
}

#[test]
fn a_lost_position_that_is_reused_is_noticed() {
    caught("one_id_one_place", |lines, rng| {
        let lost = accepted(lines, rng);
        let place = any(lines, rng, |what| matches!(what, Observation::Logged { id, .. } if *id == lost));
        let Observation::Logged { position: free, .. } = lines[place].what else { unreachable!("it was looked for") };
        lose(lines, lost);
        // An event without copies, because the checker ignores copies.
        let mut copies = HashMap::new();
        for line in lines.iter() {
            if let Observation::Logged { id, .. } = &line.what {
                *copies.entry(*id).or_insert(0) += 1;
            }
        }
        let other = any(lines, rng, |what| matches!(what, Observation::Logged { id, .. } if copies[id] == 1));
        let Observation::Logged { position, .. } = &mut lines[other].what else { unreachable!("it was looked for") };
        *position = free;
    });
}
