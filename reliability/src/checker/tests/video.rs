//! The replay beside the video.

use super::*;

/// The line of a message beside the video.
fn beside_video(lines: &[Line], rng: &mut Rng) -> usize {
    any(lines, rng, |what| matches!(what, What::ReplayedBesideVideo { .. }))
}

#[test]
fn a_message_that_is_missing_beside_the_video_is_noticed() {
    caught("video_replay_is_complete", |lines, rng| {
        let place = beside_video(lines, rng);
        lines.remove(place);
        // Also where the archiver counts what it shows.
        let before = lines[..place].iter_mut().rev().find_map(|line| match &mut line.what {
            What::Broadcast { messages, .. } => Some(messages),
            _ => None,
        });
        *before.expect("a replay is of a broadcast") -= 1;
    });
}

#[test]
fn a_broadcast_that_counts_otherwise_than_it_shows_is_noticed() {
    caught("video_replay_is_complete", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Broadcast { .. }));
        let What::Broadcast { messages, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        *messages += 1;
    });
}

#[test]
fn a_message_of_another_time_beside_the_video_is_noticed() {
    caught("video_replay_is_complete", |lines, rng| {
        let place = beside_video(lines, rng);
        let What::ReplayedBesideVideo { id: shown, .. } = lines[place].what else { unreachable!("it was looked for") };
        for line in lines {
            match &mut line.what {
                What::Replayed { id, sent, .. } if *id == shown => *sent = jiff::Timestamp::UNIX_EPOCH,
                _ => {}
            }
        }
    });
}

#[test]
fn an_offset_that_goes_back_is_noticed() {
    caught("video_offsets_never_descend", |lines, rng| {
        let (_, second) = neighbours(lines, rng, |what| match what {
            What::ReplayedBesideVideo { room, offset_ms, .. } if *offset_ms > 0 => Some(*room),
            _ => None,
        });
        let What::ReplayedBesideVideo { offset_ms, .. } = &mut lines[second].what else {
            unreachable!("it was looked for")
        };
        *offset_ms = -1;
    });
}

#[test]
fn an_offset_behind_the_end_of_the_video_is_noticed() {
    caught("video_offsets_never_descend", |lines, rng| {
        let has_ended = |wanted: &str| {
            lines.iter().any(
                |line| matches!(&line.what, What::Broadcast { broadcast, ended: Some(_), .. } if broadcast == wanted),
            )
        };
        let place = any(lines, rng, |what| match what {
            What::ReplayedBesideVideo { broadcast, .. } => has_ended(broadcast),
            _ => false,
        });
        let What::ReplayedBesideVideo { offset_ms, .. } = &mut lines[place].what else {
            unreachable!("it was looked for")
        };
        *offset_ms += 100_000;
    });
}

#[test]
fn a_replay_beside_the_video_in_another_order_is_noticed() {
    caught("video_has_the_logs_order", |lines, rng| {
        // Of one broadcast: the two of a room stand apart.
        let broadcasts: HashMap<String, i64> = lines
            .iter()
            .filter_map(|line| match &line.what {
                What::Broadcast { broadcast, .. } => Some(broadcast.clone()),
                _ => None,
            })
            .zip(0..)
            .collect();
        let pair = neighbours(lines, rng, |what| match what {
            What::ReplayedBesideVideo { broadcast, .. } => Some(broadcasts[broadcast]),
            _ => None,
        });
        swap(lines, pair);
    });
}

#[test]
fn a_message_doubled_beside_the_video_is_noticed() {
    caught("archived_once", |lines, rng| {
        let place = beside_video(lines, rng);
        lines.insert(place, lines[place].clone());
    });
}

#[test]
fn a_message_that_nobody_posted_beside_the_video_is_noticed() {
    caught("nothing_is_invented", |lines, rng| {
        let place = beside_video(lines, rng);
        let What::ReplayedBesideVideo { text, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        "out of nowhere".clone_into(text);
    });
}

#[test]
fn a_history_without_the_replay_beside_the_video_is_thin() {
    let is_videos = |line: &Line| matches!(line.what, What::Read { reading: Reading::Video });
    let lines: Vec<Line> = history(1).into_iter().filter(|line| !is_videos(line)).collect();
    let verdicts = check(&lines);
    assert!(verdicts.iter().all(|(_, verdict)| matches!(verdict, Verdict::Unknown(_))), "{verdicts:?}");
}

fn followed(what: &What) -> Option<i64> {
    match what {
        What::ReplayShows { replay, .. } => Some(*replay as i64),
        _ => None,
    }
}

#[test]
fn a_followed_replay_that_goes_back_is_noticed() {
    caught("video_is_followed_in_order", |lines, rng| {
        let pair = neighbours(lines, rng, followed);
        swap(lines, pair);
    });
}

#[test]
fn a_followed_replay_that_passes_over_a_message_is_noticed() {
    caught("video_is_followed_in_order", |lines, rng| {
        lines.retain(|line| !matches!(line.what, What::Breaks { .. } | What::Heals { .. }));
        // The first of two: there is one behind it.
        let (passed_over, _) = neighbours(lines, rng, followed);
        lines.remove(passed_over);
    });
}
