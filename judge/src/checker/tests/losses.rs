//! Events that a disk of the log lost.

use super::*;
use crate::history::FLIP_A_BIT;

/// Loses an accepted message of a `chat.v1` room soon after its acceptance. The presenter has received it. Returns its
/// position.
fn lose(lines: &mut Vec<Line>, rng: &mut Rng) -> (EventId, Position) {
    let rooms: HashMap<EventId, i64> = lines
        .iter()
        .filter_map(|line| match &line.what {
            Observation::Logged { id, room: Some(room), .. } => Some((*id, *room)),
            _ => None,
        })
        .collect();
    let early = lines.len() / 4;
    let waited: HashSet<EventId> = held(lines).collect();
    let shown: HashSet<EventId> = lines
        .iter()
        .filter_map(|line| match &line.what {
            Observation::Frame { session, id, .. } if is_v1(*session) => Some(*id),
            _ => None,
        })
        .collect();
    let ok = any(&lines[..early], rng, |what| match what {
        Observation::Ok { id, .. } if waited.contains(id) || !shown.contains(id) => false,
        Observation::Ok { id, .. } => rooms.get(id).is_some_and(|room| *room != CHATTING),
        _ => false,
    });
    let Observation::Ok { id, position, .. } = lines[ok].what else { unreachable!("it was looked for") };
    let lost = Observation::Lost(LostEvent { fault: 0, room: rooms.get(&id).copied(), id, position });
    lines.insert(ok + 1, Line { at: lines[ok].at, what: lost });
    lines.retain(|line| !matches!(&line.what, Observation::Logged { id: logged, .. } if *logged == id));
    (id, position)
}

#[test]
fn events_that_a_disk_lost_are_excused() {
    for seed in 0..SEEDS {
        let mut lines = history(seed);
        let mut rng = Rng::with_seed(seed);
        let (lost, _) = lose(&mut lines, &mut rng);
        lines.retain(|line| {
            !matches!(
                &line.what,
                Observation::Archived { id, .. } | Observation::Replayed { id, .. } if *id == lost
            )
        });
        let broken: Vec<_> = broken(&lines).into_iter().map(|(name, _)| name).collect();
        // The video still has the message, and the broadcast counts it.
        assert!(broken.is_empty(), "seed {seed}: {broken:?}");
    }
}

/// A hole at an accepted message, as nats-server makes it at a start after the flip. Nobody notes what was in it.
fn lose_later(lines: &mut Vec<Line>, rng: &mut Rng, fault: &str) {
    let (lost, position) = lose(lines, rng);
    let is_note_of_it = |line: &Line| matches!(&line.what, Observation::Lost(noted) if noted.id == lost);
    let at = lines.iter().position(is_note_of_it).expect("it is noted");
    let kind = fault.to_owned();
    lines[at].what = Observation::Breaks { fault: 1_000, kind, parts: vec!["nats-0".to_owned()] };
    lines.insert(at + 1, Line { at: lines[at].at, what: Observation::Heals { fault: 1_000 } });
    lines.retain(|line| {
        let (Observation::Archived { id, .. } | Observation::Replayed { id, .. }) = &line.what else { return true };
        *id != lost
    });
    for line in lines {
        if let Observation::Stream(StreamState { epochs, holes, .. }) = &mut line.what
            && epochs.contains(&position.epoch)
        {
            holes.push((position.sequence, position.sequence));
        }
    }
}

#[test]
fn what_a_flipped_bit_loses_later_is_excused() {
    for seed in 0..SEEDS {
        let mut lines = history(seed);
        lose_later(&mut lines, &mut Rng::with_seed(seed), FLIP_A_BIT);
        let broken: Vec<_> = broken(&lines).into_iter().map(|(name, _)| name).collect();
        assert!(broken.is_empty(), "seed {seed}: {broken:?}");
    }
}

#[test]
fn a_hole_without_a_flipped_bit_is_noticed() {
    caught("accepted_is_in_the_log", |lines, rng| lose_later(lines, rng, "kill nats"));
}

#[test]
fn a_loss_without_a_reported_gap_is_noticed() {
    caught("losses_are_told", |lines, rng| {
        let (lost, _) = lose(lines, rng);
        for line in lines.iter_mut() {
            if let Observation::Welcome { recovered, .. } = &mut line.what {
                *recovered = true;
            }
        }
        lines.retain(|line| !matches!(&line.what, Observation::Frame { id, .. } if *id == lost));
    });
}

#[test]
fn another_message_at_a_lost_position_is_noticed() {
    caught("one_id_one_place", |lines, rng| {
        let (_, position) = lose(lines, rng);
        // An event without copies, because the checker ignores copies.
        let copies = |wanted: EventId| {
            lines.iter().filter(|line| matches!(&line.what, Observation::Logged { id, .. } if *id == wanted)).count()
        };
        let other = any(lines, rng, |what| match what {
            Observation::Logged { id, kind, .. } => kind == "message.posted" && copies(*id) == 1,
            _ => false,
        });
        let Observation::Logged { position: stands, .. } = &mut lines[other].what else {
            unreachable!("it was looked for")
        };
        *stands = position;
    });
}
