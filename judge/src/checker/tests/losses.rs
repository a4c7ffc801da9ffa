//! Events that a disk of the log lost.

use super::*;

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
