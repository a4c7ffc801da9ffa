//! A log that lets go of what is not archived, and processes that have too much memory.

use super::*;

#[test]
fn a_message_of_unknown_outcome_that_is_not_archived_is_noticed() {
    caught("logged_is_archived", |lines, rng| {
        let oks: Vec<EventId> = lines
            .iter()
            .filter_map(|line| match line.what {
                What::Ok { id, .. } => Some(id),
                _ => None,
            })
            .collect();
        let place = any(lines, rng, |what| matches!(what, What::Archived { id, .. } if !oks.contains(id)));
        lines.remove(place);
    });
}

#[test]
fn a_decision_in_the_log_that_is_not_archived_is_noticed() {
    caught("logged_is_archived", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Audited { .. }));
        lines.remove(place);
    });
}

/// Lets the log begin behind that sequence.
fn let_go(lines: &mut Vec<Line>, up_to: u64) {
    lines.retain(|line| !matches!(&line.what, What::Logged { position, .. } if position.sequence <= up_to));
    for line in lines {
        if let What::Stream { first, .. } = &mut line.what {
            *first = up_to + 1;
        }
    }
}

#[test]
fn what_left_the_log_and_is_not_archived_is_noticed() {
    caught("nothing_leaves_the_log_unarchived", |lines, rng| {
        let_go(lines, 50);
        let place = any(lines, rng, |what| matches!(what, What::Archived { position, .. } if position.sequence <= 50));
        let What::Archived { id: lost, .. } = lines[place].what else { unreachable!("it was looked for") };
        // Of those that somebody was told of.
        let told = lines.iter().find_map(|line| match line.what {
            What::Ok { id, position, .. } if position.sequence <= 50 => Some(id),
            _ => None,
        });
        let lost = [lost, told.expect("something is accepted early")];
        lines.retain(|line| !matches!(&line.what, What::Archived { id, .. } if lost.contains(id)));
    });
}

#[test]
fn a_log_that_lets_go_of_what_nobody_has_acknowledged_is_noticed() {
    for so_far in [None, Some(49)] {
        caught("nothing_leaves_the_log_unarchived", |lines, _| {
            let_go(lines, 50);
            for line in lines {
                if let What::Stream { acknowledged, .. } = &mut line.what {
                    *acknowledged = so_far;
                }
            }
        });
    }
}

#[test]
fn what_left_the_log_after_it_was_archived_is_not_missed() {
    let mut lines = history(1);
    let_go(&mut lines, 50);
    let broken = broken(&lines);
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn a_process_that_grows_is_noticed() {
    for wanted in ["ingest-0", "delivery-1", "mongod-0"] {
        caught("memory_stays_within_its_bound", |lines, rng| {
            let place = any(lines, rng, |what| matches!(what, What::Memory { part, .. } if part == wanted));
            let What::Memory { kib, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
            *kib = 2_000_000;
        });
    }
}

/// Notes that a fault took it off the disks.
fn lose(lines: &mut Vec<Line>, wanted: EventId) {
    let place = lines.iter().position(|line| matches!(line.what, What::Logged { id, .. } if id == wanted));
    let place = place.expect("it is in the log");
    let What::Logged { room, position, .. } = lines[place].what else { unreachable!("it was looked for") };
    lines.retain(|line| !matches!(line.what, What::Logged { id, .. } if id == wanted));
    let at = lines[place - 1].at;
    lines.insert(place, Line { at, what: What::Lost { fault: 1, room, id: wanted, position } });
}

#[test]
fn what_a_fault_took_off_the_disks_is_excused() {
    for seed in 0..SEEDS {
        let mut lines = history(seed);
        let lost = accepted(&lines, &mut Rng::with_seed(seed));
        lose(&mut lines, lost);
        let broken = broken(&lines);
        assert!(broken.is_empty(), "{broken:?}");
    }
}

#[test]
fn a_position_that_was_lost_and_is_given_out_again_is_noticed() {
    caught("one_id_one_place", |lines, rng| {
        let lost = accepted(lines, rng);
        let place = any(lines, rng, |what| matches!(what, What::Logged { id, .. } if *id == lost));
        let What::Logged { position: free, .. } = lines[place].what else { unreachable!("it was looked for") };
        lose(lines, lost);
        // One without copies, which count for nobody.
        let mut copies = HashMap::new();
        for line in lines.iter() {
            if let What::Logged { id, .. } = &line.what {
                *copies.entry(*id).or_insert(0) += 1;
            }
        }
        let other = any(lines, rng, |what| matches!(what, What::Logged { id, .. } if copies[id] == 1));
        let What::Logged { position, .. } = &mut lines[other].what else { unreachable!("it was looked for") };
        *position = free;
    });
}
