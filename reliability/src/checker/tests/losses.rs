//! What a disk of the log has lost.

use super::*;

/// A disk loses an accepted message of a presenter of `chat.v1` soon after it was accepted; where it stood.
fn lose(lines: &mut Vec<Line>, rng: &mut Rng, room_is: impl Fn(&[Line], i64) -> bool) -> (EventId, Position) {
    let rooms: HashMap<EventId, i64> = lines
        .iter()
        .filter_map(|line| match &line.what {
            What::Logged { id, room: Some(room), .. } => Some((*id, *room)),
            _ => None,
        })
        .collect();
    let early = lines.len() / 4;
    let ok = any(&lines[..early], rng, |what| match what {
        What::Ok { id, .. } => rooms.get(id).is_some_and(|room| *room != CHATTING && room_is(lines, *room)),
        _ => false,
    });
    let What::Ok { id, position, .. } = lines[ok].what else { unreachable!("it was looked for") };
    let lost = What::Lost { fault: 0, room: rooms.get(&id).copied(), id, position };
    lines.insert(ok + 1, Line { at: lines[ok].at, what: lost });
    lines.retain(|line| !matches!(&line.what, What::Logged { id: logged, .. } if *logged == id));
    (id, position)
}

#[test]
fn what_a_disk_has_lost_is_owed_by_nobody() {
    for seed in 0..SEEDS {
        let mut lines = history(seed);
        let mut rng = Rng::with_seed(seed);
        let (lost, _) = lose(&mut lines, &mut rng, |_, _| true);
        lines
            .retain(|line| !matches!(&line.what, What::Archived { id, .. } | What::Replayed { id, .. } if *id == lost));
        let broken: Vec<_> = broken(&lines).into_iter().map(|(name, _)| name).collect();
        // The video still has it, and its broadcast counts it.
        assert!(broken.is_empty(), "seed {seed}: {broken:?}");
    }
}

#[test]
fn a_loss_of_which_a_presenter_is_not_told_is_noticed() {
    caught("losses_are_told", |lines, rng| {
        let (lost, _) = lose(lines, rng, |lines, wanted| {
            let is_told =
                |line: &Line| matches!(line.what, What::Welcome { room, recovered: false, .. } if room == wanted);
            !lines.iter().any(is_told)
        });
        lines.retain(|line| !matches!(&line.what, What::Frame { id, .. } if *id == lost));
    });
}

#[test]
fn another_message_at_a_place_that_was_lost_is_noticed() {
    caught("one_id_one_place", |lines, rng| {
        let (_, position) = lose(lines, rng, |_, _| true);
        // One that has no copy, which would count for nobody.
        let copies = |wanted: EventId| {
            lines.iter().filter(|line| matches!(&line.what, What::Logged { id, .. } if *id == wanted)).count()
        };
        let other = any(lines, rng, |what| match what {
            What::Logged { id, kind, .. } => kind == "message.posted" && copies(*id) == 1,
            _ => false,
        });
        let What::Logged { position: stands, .. } = &mut lines[other].what else { unreachable!("it was looked for") };
        *stands = position;
    });
}
