//! The replay beside the video.

use super::*;

/// The line of a message beside the video.
fn beside_video(lines: &[Line], rng: &mut Rng) -> usize {
    any(lines, rng, |what| matches!(what, Observation::ReplayedBesideVideo { .. }))
}

#[test]
fn a_message_missing_beside_the_video_is_noticed() {
    caught("video_replay_is_complete", |lines, rng| {
        let place = beside_video(lines, rng);
        lines.remove(place);
        // The archiver's count agrees with what it shows.
        let before = lines[..place].iter_mut().rev().find_map(|line| match &mut line.what {
            Observation::Broadcast { messages, .. } => Some(messages),
            _ => None,
        });
        *before.expect("a replay is of a broadcast") -= 1;
    });
}

#[test]
fn a_broadcast_with_a_wrong_message_count_is_noticed() {
    caught("video_replay_is_complete", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, Observation::Broadcast { .. }));
        let Observation::Broadcast { messages, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        *messages += 1;
    });
}

#[test]
fn a_message_from_outside_the_broadcast_beside_the_video_is_noticed() {
    caught("video_replay_is_complete", |lines, rng| {
        let place = beside_video(lines, rng);
        let Observation::ReplayedBesideVideo { id: shown, .. } = lines[place].what else {
            unreachable!("it was looked for")
        };
        for line in lines {
            match &mut line.what {
                Observation::Replayed { id, sent, .. } if *id == shown => *sent = jiff::Timestamp::UNIX_EPOCH,
                _ => {}
            }
        }
    });
}

#[test]
fn an_offset_that_goes_back_is_noticed() {
    caught("video_offsets_never_descend", |lines, rng| {
        let (_, second) = neighbours(lines, rng, |what| match what {
            Observation::ReplayedBesideVideo { room, offset_ms, .. } if *offset_ms > 0 => Some(*room),
            _ => None,
        });
        let Observation::ReplayedBesideVideo { offset_ms, .. } = &mut lines[second].what else {
            unreachable!("it was looked for")
        };
        *offset_ms = -1;
    });
}

#[test]
fn an_offset_after_the_end_of_the_video_is_noticed() {
    caught("video_offsets_never_descend", |lines, rng| {
        let has_ended = |wanted: &str| {
            lines.iter().any(|line| {
                matches!(
                    &line.what,
                    Observation::Broadcast { broadcast, ended: Some(_), .. } if broadcast == wanted
                )
            })
        };
        let place = any(lines, rng, |what| match what {
            Observation::ReplayedBesideVideo { broadcast, .. } => has_ended(broadcast),
            _ => false,
        });
        let Observation::ReplayedBesideVideo { offset_ms, .. } = &mut lines[place].what else {
            unreachable!("it was looked for")
        };
        *offset_ms += 100_000;
    });
}

#[test]
fn a_replay_beside_the_video_in_the_wrong_order_is_noticed() {
    caught("video_has_the_logs_order", |lines, rng| {
        // Two messages of one broadcast. A room's two broadcasts are apart.
        let broadcasts: HashMap<String, i64> = lines
            .iter()
            .filter_map(|line| match &line.what {
                Observation::Broadcast { broadcast, .. } => Some(broadcast.clone()),
                _ => None,
            })
            .zip(0..)
            .collect();
        let pair = neighbours(lines, rng, |what| match what {
            Observation::ReplayedBesideVideo { broadcast, .. } => Some(broadcasts[broadcast]),
            _ => None,
        });
        swap(lines, pair);
    });
}

#[test]
fn a_message_repeated_beside_the_video_is_noticed() {
    caught("archived_once", |lines, rng| {
        let place = beside_video(lines, rng);
        lines.insert(place, lines[place].clone());
    });
}

#[test]
fn an_invented_message_beside_the_video_is_noticed() {
    caught("nothing_is_invented", |lines, rng| {
        let place = beside_video(lines, rng);
        let Observation::ReplayedBesideVideo { text, .. } = &mut lines[place].what else {
            unreachable!("it was looked for")
        };
        "out of nowhere".clone_into(text);
    });
}

#[test]
fn a_history_without_the_replay_beside_the_video_is_inconclusive() {
    let is_videos = |line: &Line| matches!(line.what, Observation::Read { reading: Reading::Video });
    let lines: Vec<Line> = history(1).into_iter().filter(|line| !is_videos(line)).collect();
    let verdicts = check(&lines);
    assert!(verdicts.iter().all(|(_, verdict)| matches!(verdict, Verdict::Unknown(_))), "{verdicts:?}");
}

#[test]
fn a_followed_replay_that_goes_back_is_noticed() {
    caught("video_is_followed_in_order", |lines, rng| {
        let shown = |what: &Observation| match what {
            Observation::ReplayShows { replay, .. } => Some(*replay as i64),
            _ => None,
        };
        let pair = neighbours(lines, rng, shown);
        swap(lines, pair);
    });
}

#[test]
fn a_followed_replay_that_skips_a_message_is_noticed() {
    caught("video_is_followed_in_order", |lines, rng| {
        lines.retain(|line| !matches!(line.what, Observation::Breaks { .. } | Observation::Heals { .. }));
        // A message that is not deleted later, and was never swept or restored.
        let of_sweeps: HashSet<EventId> = parts(lines).collect();
        let is_replayed = |wanted: EventId| {
            let is_it =
                |what: &Observation| matches!(what, Observation::ReplayedBesideVideo { id, .. } if *id == wanted);
            !of_sweeps.contains(&wanted) && !is_restored(lines, wanted) && lines.iter().any(|line| is_it(&line.what))
        };
        let shown = |what: &Observation| match what {
            Observation::ReplayShows { replay, id, .. } if is_replayed(*id) => Some(*replay as i64),
            _ => None,
        };
        // The first of two, so that one follows it.
        let (passed_over, _) = neighbours(lines, rng, shown);
        lines.remove(passed_over);
    });
}
