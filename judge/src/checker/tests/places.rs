//! Messages that are missing, invented, duplicated or out of order.

use super::*;

#[test]
fn an_accepted_message_dropped_from_the_log_is_noticed() {
    caught("accepted_is_in_the_log", |lines, rng| {
        let lost = accepted(lines, rng);
        lines.retain(|line| !matches!(&line.what, Observation::Logged { id, .. } if *id == lost));
    });
}

#[test]
fn an_accepted_message_dropped_from_the_archive_is_noticed() {
    caught("accepted_is_in_the_archive", |lines, rng| {
        let lost = accepted(lines, rng);
        lines.retain(|line| !matches!(&line.what, Observation::Archived { id, .. } if *id == lost));
    });
}

#[test]
fn a_text_changed_in_the_archive_is_noticed() {
    caught("accepted_is_in_the_archive", |lines, rng| {
        let changed = accepted(lines, rng);
        for line in lines {
            match &mut line.what {
                Observation::Archived { id, text, .. } if *id == changed => text.push('!'),
                _ => {}
            }
        }
    });
}

#[test]
fn a_message_repeated_in_the_archive_is_noticed() {
    caught("archived_once", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, Observation::Archived { .. }));
        lines.insert(place, lines[place].clone());
    });
}

#[test]
fn a_message_archived_under_a_second_id_is_noticed() {
    caught("nothing_is_invented", |lines, rng| {
        let ok = accepted(lines, rng);
        let place = any(lines, rng, |what| matches!(what, Observation::Archived { id, .. } if *id == ok));
        let mut copy = lines[place].clone();
        let Observation::Archived { id, .. } = &mut copy.what else { unreachable!("it was looked for") };
        *id = EventId::new();
        lines.insert(place, copy);
    });
}

#[test]
fn two_messages_swapped_in_the_archive_are_noticed() {
    caught("archive_has_the_logs_order", |lines, rng| {
        let pair = neighbours(lines, rng, |what| match what {
            Observation::Archived { room, .. } => Some(*room),
            _ => None,
        });
        swap(lines, pair);
    });
}

#[test]
fn a_replay_in_the_wrong_order_is_noticed() {
    caught("replay_has_the_logs_order", |lines, rng| {
        let pair = neighbours(lines, rng, |what| match what {
            Observation::Replayed { room, .. } => Some(*room),
            _ => None,
        });
        swap(lines, pair);
    });
}

#[test]
fn an_invented_message_is_noticed() {
    caught("nothing_is_invented", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, Observation::Archived { .. }));
        let mut copy = lines[place].clone();
        let Observation::Archived { id, text, .. } = &mut copy.what else { unreachable!("it was looked for") };
        (*id, *text) = (EventId::new(), "out of nowhere".to_owned());
        lines.insert(place, copy);
    });
}

#[test]
fn a_refused_post_that_appears_is_noticed() {
    caught("refused_never_appears", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, Observation::Failed { .. }));
        let Observation::Failed { post: refused, .. } = lines[place].what else { unreachable!("it was looked for") };
        let sent = any(lines, rng, |what| matches!(what, Observation::Invoked { post, .. } if *post == refused));
        let Observation::Invoked { room, user, text, .. } = lines[sent].what.clone() else {
            unreachable!("it was looked for")
        };
        let end = lines.len() - 1;
        let (id, position) = (EventId::new(), Position { epoch: 7, sequence: 1_000_000, index: 0 });
        let archived = Observation::Archived { room, id, position, user, text, deleted: None };
        lines.insert(end, Line { at: lines[end].at, what: archived });
    });
}

#[test]
fn an_id_with_two_positions_is_noticed() {
    caught("one_id_one_place", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, Observation::Ok { .. }));
        let Observation::Ok { position, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        position.sequence += 1_000_000;
    });
}

#[test]
fn a_message_that_overtook_an_earlier_one_is_noticed() {
    caught("earlier_comes_first", |lines, rng| {
        // A post moves to the beginning of the log.
        let late = lines.len() / 4;
        let later: Vec<Line> = lines[late..].to_vec();
        let ok = any(&later, rng, |what| matches!(what, Observation::Ok { attempt: 1, .. }));
        let Observation::Ok { id: moved, .. } = later[ok].what else { unreachable!("it was looked for") };
        let place = any(lines, rng, |what| matches!(what, Observation::Logged { id, .. } if *id == moved));
        let Observation::Logged { position, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        *position = Position { epoch: 7, sequence: 0, index: 0 };
    });
}

#[test]
fn a_lost_post_through_the_originals_surface_is_noticed() {
    for invariant in ["accepted_is_in_the_log", "accepted_is_in_the_archive"] {
        caught(invariant, |lines, rng| {
            let place = any(lines, rng, |what| matches!(what, Observation::Ok { status: 200, .. }));
            let Observation::Ok { id: lost, .. } = lines[place].what else { unreachable!("it was looked for") };
            lines.retain(|line| {
                !matches!(
                    &line.what,
                    Observation::Logged { id, .. } | Observation::Archived { id, .. } if *id == lost
                )
            });
        });
    }
}
