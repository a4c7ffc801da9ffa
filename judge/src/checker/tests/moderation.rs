//! Moderation decisions that do not hold.

use super::*;
use crate::history::FORGET_READERS;

/// The line of the decision about a deleted message, which nobody restores.
fn deleted(lines: &[Line], rng: &mut Rng) -> usize {
    // The line of the confirmation of a deletion.
    let confirmed = any(lines, rng, |what| match what {
        Observation::Confirmed { decision: confirmed, .. } => lines.iter().any(|line| {
            matches!(
                &line.what,
                Observation::Decides { decision, decided: Decided::Delete { target }, .. }
                    if decision == confirmed && !is_restored(lines, *target)
            )
        }),
        _ => false,
    });
    let Observation::Confirmed { decision: wanted, .. } = lines[confirmed].what else {
        unreachable!("it was looked for")
    };
    any(lines, rng, |what| matches!(what, Observation::Decides { decision, .. } if *decision == wanted))
}

fn target(lines: &[Line], decision: usize) -> (i64, EventId) {
    match &lines[decision].what {
        Observation::Decides { room: Some(room), decided: Decided::Delete { target }, .. } => (*room, *target),
        _ => unreachable!("it was looked for"),
    }
}

#[test]
fn a_deleted_message_that_returns_in_the_replay_is_noticed() {
    caught("deleted_is_not_shown", |lines, rng| {
        let (room, gone) = target(lines, deleted(lines, rng));
        let place = any(lines, rng, |what| matches!(what, Observation::Archived { id, .. } if *id == gone));
        let Observation::Archived { id, position, text, .. } = lines[place].what.clone() else { unreachable!() };
        let at = lines[place].at;
        let sent = jiff::Timestamp::UNIX_EPOCH;
        lines.insert(place + 1, Line { at, what: Observation::Replayed { room, id, position, text, sent } });
    });
}

#[test]
fn a_deleted_message_that_is_shown_to_a_fresh_presenter_is_noticed() {
    caught("deleted_is_not_shown", |lines, rng| {
        let (_, gone) = target(lines, deleted(lines, rng));
        let logged = any(lines, rng, |what| matches!(what, Observation::Logged { id, .. } if *id == gone));
        let Observation::Logged { text: was, .. } = lines[logged].what.clone() else { unreachable!() };
        for line in lines {
            match &mut line.what {
                Observation::Frame { session, id, text, .. } if *session > 1_000 && *id == gone => *text = was.clone(),
                _ => {}
            }
        }
    });
}

#[test]
fn a_deleted_message_that_returns_with_a_restarted_node_is_noticed() {
    caught("deleted_is_not_shown", |lines, rng| {
        let decision = deleted(lines, rng);
        let (_, gone) = target(lines, decision);
        let logged = any(lines, rng, |what| matches!(what, Observation::Logged { id, .. } if *id == gone));
        let Observation::Logged { text: was, .. } = lines[logged].what.clone() else { unreachable!() };
        for line in lines.iter_mut() {
            match &mut line.what {
                Observation::Frame { session, id, text, .. } if *session > 1_000 && *id == gone => *text = was.clone(),
                _ => {}
            }
        }
        // Restarted right after the decision, and over long before the text is shown.
        let (at, parts) = (lines[decision].at, vec!["delivery-0".to_owned()]);
        let after = [
            Observation::Breaks { fault: 9, kind: "kill delivery".to_owned(), parts },
            Observation::Heals { fault: 9 },
        ];
        let end = (lines.last().unwrap().at - at).saturating_sub(11_000_000);
        for (place, what) in (decision + 1..).zip(after) {
            lines.insert(place, Line { at, what });
        }
        // For the latest decisions the restart is too recent: those are excused.
        if end == 0 {
            let Observation::Breaks { parts, .. } = &mut lines[decision + 1].what else { unreachable!() };
            parts.clear();
        }
    });
}

#[test]
fn a_deletion_that_the_archive_does_not_know_is_noticed() {
    caught("deleted_is_not_shown", |lines, rng| {
        let (_, gone) = target(lines, deleted(lines, rng));
        for line in lines {
            match &mut line.what {
                Observation::Archived { id, deleted, .. } if *id == gone => *deleted = None,
                _ => {}
            }
        }
    });
}

#[test]
fn a_message_deleted_without_a_decision_is_noticed() {
    caught("nothing_is_deleted_unasked", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, Observation::Archived { deleted: None, .. }));
        let Observation::Archived { deleted, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        *deleted = Some(EventId::new());
        // Only the last message of a room is certainly after every clear. Elsewhere a decision may explain the loss.
        lines.retain(|line| {
            let Observation::Decides { decided, .. } = &line.what else { return true };
            let purges = matches!(decided, Decided::Ban { purge_seconds: Some(_), .. });
            !purges && !matches!(decided, Decided::Clear | Decided::Delete { .. } | Decided::Sweep { .. })
        });
    });
}

#[test]
fn a_late_ban_is_noticed() {
    caught("banned_is_silent", |lines, rng| {
        // The first refusal for a ban older than a second becomes a success.
        let refused: Vec<usize> = (0..lines.len())
            .filter(|line| matches!(&lines[*line].what, Observation::Failed { code, .. } if code == "msg_banned"))
            .filter(|line| {
                let Observation::Failed { post: refused, .. } = lines[*line].what else { return false };
                let Some(sent) = lines.iter().position(|line| {
                    matches!(
                        &line.what,
                        Observation::Invoked { post, .. } if *post == refused
                    )
                }) else {
                    return false;
                };
                let Observation::Invoked { room: place, user: who, .. } = lines[sent].what else { return false };
                let asked = lines[..sent].iter().rposition(|line| {
                    matches!(
                        &line.what,
                        Observation::Decides { room, decided: Decided::Ban { user, .. }, .. }
                            if *room == Some(place) && *user == who
                    )
                });
                let lifted = lines[asked.unwrap_or(sent)..*line].iter().any(|line| {
                    matches!(
                        &line.what,
                        Observation::Decides { room, decided: Decided::Unban { user }, .. }
                            if *room == Some(place) && *user == who
                    )
                });
                asked.is_some_and(|asked| lines[sent].at > lines[asked].at + 1_100_000) && !lifted
            })
            .collect();
        let line = refused[rng.usize(..refused.len())];
        let Observation::Failed { post, attempt, .. } = lines[line].what else { unreachable!("it was looked for") };
        let position = Position { epoch: 7, sequence: 2_000_000, index: 0 };
        lines[line].what =
            Observation::Ok { post, attempt, id: EventId::new(), position, status: 202, connected: None };
    });
}

#[test]
fn a_deleted_message_on_a_chatting_socket_is_noticed() {
    caught("deleted_is_not_shown", |lines, rng| {
        // Decisions that were confirmed more than two seconds before the last session with frames.
        let last = lines
            .iter()
            .rposition(|line| matches!(&line.what, Observation::Frame { session, .. } if is_chatting(*session)));
        let last = last.expect("the room has messages");
        let (Observation::Frame { session, .. }, at) = (lines[last].what.clone(), lines[last].at) else {
            unreachable!()
        };
        let gone = any(lines, rng, |what| match what {
            Observation::Archived { room: CHATTING, id: gone, .. } if is_restored(lines, *gone) => false,
            Observation::Archived { room: CHATTING, id: gone, deleted: Some(_), .. } => lines.iter().any(|line| {
                let decision = match &line.what {
                    Observation::Decides { decision, decided: Decided::Delete { target }, .. } if target == gone => {
                        *decision
                    }
                    _ => return false,
                };
                lines.iter().any(|line| {
                    line.at + 3_000_000 < at
                        && matches!(
                            line.what,
                            Observation::Confirmed { decision: confirmed, .. } if confirmed == decision
                        )
                })
            }),
            _ => false,
        });
        let Observation::Archived { id, position, text, .. } = lines[gone].what.clone() else { unreachable!() };
        let what = Observation::Frame {
            session,
            id,
            position,
            kind: "message.posted".to_owned(),
            text: Some(text),
            target: None,
            reason: None,
        };
        lines.insert(last + 1, Line { at, what });
    });
}

#[test]
fn a_deleted_message_beside_the_video_is_noticed() {
    caught("deleted_is_not_shown", |lines, rng| {
        let (wanted, gone) = target(lines, deleted(lines, rng));
        let archived = any(lines, rng, |what| matches!(what, Observation::Archived { id, .. } if *id == gone));
        let Observation::Archived { id, position, text, .. } = lines[archived].what.clone() else { unreachable!() };
        let place = any(lines, rng, |what| matches!(what, Observation::Broadcast { room, .. } if *room == wanted));
        let Observation::Broadcast { room, broadcast, .. } = lines[place].what.clone() else { unreachable!() };
        let what = Observation::ReplayedBesideVideo { room, broadcast, offset_ms: 0, id, position, text };
        lines.insert(place + 1, Line { at: lines[place].at, what });
    });
}

/// A reader of a replay is shown a message this many microseconds after the confirmation of the clear or deletion that
/// removes it. The only fault ends this long before.
fn follow(lines: &mut Vec<Line>, rng: &mut Rng, is_clear: bool, after: u64, fault: &str, healed_before: u64) {
    lines.retain(|line| !matches!(line.what, Observation::Breaks { .. } | Observation::Heals { .. }));
    let gone = any(lines, rng, |what| match what {
        Observation::Archived { id, deleted: Some(by), .. } if !is_restored(lines, *id) => {
            let kind = if is_clear { "room.cleared" } else { "message.deleted" };
            lines
                .iter()
                .any(|line| matches!(&line.what, Observation::Logged { id, kind: its, .. } if id == by && its == kind))
        }
        _ => false,
    });
    let Observation::Archived { room, id, position, text, deleted: Some(by), .. } = lines[gone].what.clone() else {
        unreachable!("it was looked for")
    };
    for line in lines.iter_mut().skip(1) {
        line.at += healed_before;
    }
    let confirmed =
        lines.iter().position(|line| matches!(line.what, Observation::Confirmed { id, .. } if id == by)).unwrap();
    let decided = lines[confirmed].at;
    let (kind, parts) = (fault.to_owned(), vec!["archiver-0".to_owned()]);
    let healed = decided - healed_before;
    let shown = [
        (healed, Observation::Breaks { fault: 9, kind, parts }),
        (healed, Observation::Heals { fault: 9 }),
        (decided, Observation::ReplayBegins { replay: 99, room, broadcast: "none".to_owned() }),
        (decided + after, Observation::ReplayShows { replay: 99, id, position, text }),
    ];
    lines.extend(shown.map(|(at, what)| Line { at, what }));
    lines.sort_by_key(|line| line.at);
}

/// How long an archiver may lag that reads the log again, and a longer time.
const READS_AGAIN: u64 = 100_000_000;
const HAS_READ_AGAIN: u64 = 200_000_000;

const ENDED: &str = "archiver ended by itself (exit status: 70)";

#[test]
fn a_deleted_message_that_is_shown_to_a_follower_is_noticed() {
    for (is_clear, after, fault, healed_before) in [
        (false, 2_100_000, FORGET_READERS, HAS_READ_AGAIN),
        (false, 2_100_000, ENDED, READS_AGAIN),
        (false, 2_100_000, "kill archiver", READS_AGAIN),
        (true, 5_100_000, FORGET_READERS, HAS_READ_AGAIN),
    ] {
        caught("deleted_is_not_shown", |lines, rng| follow(lines, rng, is_clear, after, fault, healed_before));
    }
}

#[test]
fn a_follower_may_see_a_message_that_a_lagging_archive_has_yet_to_delete() {
    for (is_clear, after, fault, healed_before) in [
        (false, 30_000_000, FORGET_READERS, READS_AGAIN),
        (false, 1_900_000, ENDED, HAS_READ_AGAIN),
        (true, 4_900_000, ENDED, HAS_READ_AGAIN),
    ] {
        for seed in 0..SEEDS {
            let mut lines = history(seed);
            follow(&mut lines, &mut Rng::with_seed(seed), is_clear, after, fault, healed_before);
            let broken = broken(&lines);
            let of_followers = broken.iter().flat_map(|(_, violations)| violations);
            let found: Vec<_> = of_followers.filter(|found| found.sentence.contains("followed the replay")).collect();
            assert!(found.is_empty(), "seed {seed}: {found:?}");
        }
    }
}
