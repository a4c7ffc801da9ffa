//! The checker on trial: sound histories pass, and each way to spoil one is noticed, by name.

use std::collections::HashMap;

use fastrand::Rng;
use nats::{EventId, Position};

use super::sound::{CHATTING, history};
use super::{INVARIANTS, Verdict, Violation, check};
use crate::history::{Decided, Line, Phase, Reading, Surface, What};

/// Each mutation is tried on so many histories.
const SEEDS: u64 = 12;

fn broken(lines: &[Line]) -> Vec<(&'static str, Vec<Violation>)> {
    let broken = |(name, verdict)| match verdict {
        Verdict::Broken(violations) => Some((name, violations)),
        Verdict::Held(_) | Verdict::Unknown(_) => None,
    };
    check(lines).into_iter().filter_map(broken).collect()
}

/// Spoils sound histories, and looks for the invariant among those that are broken.
#[track_caller]
fn caught(invariant: &str, spoil: impl Fn(&mut Vec<Line>, &mut Rng)) {
    assert!(INVARIANTS.iter().any(|known| known.name == invariant), "there is no {invariant}");
    for seed in 0..SEEDS {
        let mut lines = history(seed);
        spoil(&mut lines, &mut Rng::with_seed(seed));
        let broken: Vec<(&str, Vec<Violation>)> = broken(&lines);
        let names: Vec<&str> = broken.iter().map(|(name, _)| *name).collect();
        assert!(names.contains(&invariant), "seed {seed}: {invariant} was not noticed, but {names:?}");
        for (_, violations) in broken {
            for violation in violations {
                let few = violation.lines.len() <= 6 && !violation.lines.is_empty();
                assert!(few, "{} is shown by {} lines", violation.sentence, violation.lines.len());
            }
        }
    }
}

/// One of the lines that are wanted, anywhere.
fn any(lines: &[Line], rng: &mut Rng, wanted: impl Fn(&What) -> bool) -> usize {
    let found: Vec<usize> = (0..lines.len()).filter(|line| wanted(&lines[*line].what)).collect();
    assert!(!found.is_empty(), "the history has no such line");
    found[rng.usize(..found.len())]
}

fn accepted(lines: &[Line], rng: &mut Rng) -> EventId {
    match lines[any(lines, rng, |what| matches!(what, What::Ok { .. }))].what {
        What::Ok { id, .. } => id,
        _ => unreachable!("it was looked for"),
    }
}

/// Whether it is a session of a presenter of `chat.v1` who is there while things happen.
fn is_v1(session: u32) -> bool {
    session < 1_000 && i64::from(session / 100) != CHATTING
}

/// Whether it is a session of the presenter of the original's dialect.
fn is_chatting(session: u32) -> bool {
    i64::from(session / 100) == CHATTING
}

/// Two neighbours of one kind in one room or session.
fn neighbours(lines: &[Line], rng: &mut Rng, group: impl Fn(&What) -> Option<i64>) -> (usize, usize) {
    let mut sizes = HashMap::new();
    for found in lines.iter().filter_map(|line| group(&line.what)) {
        *sizes.entry(found).or_insert(0) += 1;
    }
    let one = any(lines, rng, |what| group(what).is_some_and(|found| sizes[&found] > 1));
    let all: Vec<usize> =
        (0..lines.len()).filter(|line| group(&lines[*line].what) == group(&lines[one].what)).collect();
    let place = all.iter().position(|line| *line == one).expect("it is one of them");
    if place + 1 < all.len() { (all[place], all[place + 1]) } else { (all[place - 1], all[place]) }
}

fn swap(lines: &mut [Line], (one, other): (usize, usize)) {
    let kept = lines[one].what.clone();
    lines[one].what = lines[other].what.clone();
    lines[other].what = kept;
}

#[test]
fn sound_histories_pass() {
    for seed in 0..100 {
        for (name, verdict) in check(&history(seed)) {
            assert!(matches!(verdict, Verdict::Held(_)), "seed {seed}: {name}: {verdict:?}");
        }
    }
}

#[test]
fn an_empty_or_thin_history_is_unknown_and_not_a_pass() {
    let all_unknown = |lines: &[Line]| check(lines).iter().all(|(_, verdict)| matches!(verdict, Verdict::Unknown(_)));
    assert!(all_unknown(&[]));
    let few: Vec<Line> = history(1)
        .into_iter()
        .filter(|line| match &line.what {
            What::Begins { .. } | What::Read { .. } => true,
            What::Invoked { post, .. } | What::Failed { post, .. } => *post < 50,
            _ => false,
        })
        .collect();
    assert!(all_unknown(&few));
    // A reading that was broken off is no evidence.
    let unread: Vec<Line> = history(1).into_iter().filter(|line| !matches!(line.what, What::Read { .. })).collect();
    assert!(all_unknown(&unread), "{:?}", check(&unread));
}

#[test]
fn what_was_not_tried_is_unknown() {
    let lines: Vec<Line> = history(1)
        .into_iter()
        .filter(|line| !matches!(&line.what, What::Decides { decided: Decided::Ban { .. }, .. }))
        .collect();
    let verdicts = check(&lines);
    let (_, verdict) = verdicts.iter().find(|(name, _)| *name == "banned_is_silent").unwrap();
    assert!(matches!(verdict, Verdict::Unknown(_)), "{verdict:?}");
}

#[test]
fn an_accepted_message_dropped_from_the_log_is_noticed() {
    caught("accepted_is_in_the_log", |lines, rng| {
        let lost = accepted(lines, rng);
        lines.retain(|line| !matches!(&line.what, What::Logged { id, .. } if *id == lost));
    });
}

#[test]
fn an_accepted_message_dropped_from_the_archive_is_noticed() {
    caught("accepted_is_in_the_archive", |lines, rng| {
        let lost = accepted(lines, rng);
        lines.retain(|line| !matches!(&line.what, What::Archived { id, .. } if *id == lost));
    });
}

#[test]
fn a_text_that_was_changed_in_the_archive_is_noticed() {
    caught("accepted_is_in_the_archive", |lines, rng| {
        let changed = accepted(lines, rng);
        for line in lines {
            match &mut line.what {
                What::Archived { id, text, .. } if *id == changed => text.push('!'),
                _ => {}
            }
        }
    });
}

#[test]
fn a_message_doubled_in_the_archive_is_noticed() {
    caught("archived_once", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Archived { .. }));
        lines.insert(place, lines[place].clone());
    });
}

#[test]
fn a_message_that_was_archived_under_a_second_id_is_noticed() {
    caught("nothing_is_invented", |lines, rng| {
        let ok = accepted(lines, rng);
        let place = any(lines, rng, |what| matches!(what, What::Archived { id, .. } if *id == ok));
        let mut copy = lines[place].clone();
        let What::Archived { id, .. } = &mut copy.what else { unreachable!("it was looked for") };
        *id = EventId::new();
        lines.insert(place, copy);
    });
}

#[test]
fn a_message_doubled_on_a_socket_is_noticed() {
    caught("sockets_repeat_nothing", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Frame { .. }));
        lines.insert(place, lines[place].clone());
    });
}

#[test]
fn two_messages_swapped_on_a_socket_are_noticed() {
    caught("sockets_have_the_logs_order", |lines, rng| {
        let pair = neighbours(lines, rng, |what| match what {
            What::Frame { session, .. } => Some(i64::from(*session)),
            _ => None,
        });
        swap(lines, pair);
    });
}

#[test]
fn two_messages_swapped_in_the_archive_are_noticed() {
    caught("archive_has_the_logs_order", |lines, rng| {
        let pair = neighbours(lines, rng, |what| match what {
            What::Archived { room, .. } => Some(*room),
            _ => None,
        });
        swap(lines, pair);
    });
}

#[test]
fn a_replay_in_another_order_is_noticed() {
    caught("replay_has_the_logs_order", |lines, rng| {
        let pair = neighbours(lines, rng, |what| match what {
            What::Replayed { room, .. } => Some(*room),
            _ => None,
        });
        swap(lines, pair);
    });
}

#[test]
fn a_message_that_nobody_posted_is_noticed() {
    caught("nothing_is_invented", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Archived { .. }));
        let mut copy = lines[place].clone();
        let What::Archived { id, text, .. } = &mut copy.what else { unreachable!("it was looked for") };
        (*id, *text) = (EventId::new(), "out of nowhere".to_owned());
        lines.insert(place, copy);
    });
}

#[test]
fn a_definite_failure_that_appears_is_noticed() {
    caught("refused_never_appears", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Failed { .. }));
        let What::Failed { post: refused, .. } = lines[place].what else { unreachable!("it was looked for") };
        let sent = any(lines, rng, |what| matches!(what, What::Invoked { post, .. } if *post == refused));
        let What::Invoked { room, user, text, .. } = lines[sent].what.clone() else {
            unreachable!("it was looked for")
        };
        let end = lines.len() - 1;
        let (id, position) = (EventId::new(), Position { epoch: 7, sequence: 1_000_000, index: 0 });
        let archived = What::Archived { room, id, position, user, text, deleted: None };
        lines.insert(end, Line { at: lines[end].at, what: archived });
    });
}

#[test]
fn an_id_that_stands_in_two_places_is_noticed() {
    caught("one_id_one_place", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Ok { .. }));
        let What::Ok { position, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        position.sequence += 1_000_000;
    });
}

#[test]
fn a_message_that_overtook_an_earlier_one_is_noticed() {
    caught("earlier_comes_first", |lines, rng| {
        // A post goes back to the beginning of the log.
        let late = lines.len() / 4;
        let later: Vec<Line> = lines[late..].to_vec();
        let ok = any(&later, rng, |what| matches!(what, What::Ok { attempt: 1, .. }));
        let What::Ok { id: moved, .. } = later[ok].what else { unreachable!("it was looked for") };
        let place = any(lines, rng, |what| matches!(what, What::Logged { id, .. } if *id == moved));
        let What::Logged { position, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        *position = Position { epoch: 7, sequence: 0, index: 0 };
    });
}

#[test]
fn a_frame_lost_without_a_gap_is_noticed() {
    caught("presenters_miss_nothing", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Frame { session, .. } if is_v1(*session)));
        lines.remove(place);
    });
}

#[test]
fn a_session_that_begins_one_too_far_is_noticed() {
    caught("presenters_miss_nothing", |lines, rng| {
        // Of a later session of a presenter: its first frame is lost, and its welcome says that nothing is.
        let welcome = any(lines, rng, |what| match what {
            What::Welcome { session, recovered: true, fresh: false, .. } => {
                is_v1(*session)
                    && session % 100 > 1
                    && lines.iter().any(|line| matches!(&line.what, What::Frame { session: s, .. } if s == session))
            }
            _ => false,
        });
        let What::Welcome { session: late, .. } = lines[welcome].what else { unreachable!("it was looked for") };
        let first = lines.iter().position(|line| matches!(&line.what, What::Frame { session, .. } if *session == late));
        let What::Frame { position: lost, .. } = lines.remove(first.unwrap()).what else {
            unreachable!("it was looked for")
        };
        let What::Welcome { position, .. } = &mut lines[welcome].what else { unreachable!("it was looked for") };
        *position = Some(lost);
    });
}

#[test]
fn a_session_to_which_nothing_comes_is_noticed() {
    caught("presenters_keep_up", |lines, rng| {
        // The last session of a presenter is the longest: to it everything comes 9 s late.
        let wanted = rng.u32(1..CHATTING as u32) * 100 + 6;
        let late = |line: &&mut Line| matches!(&line.what, What::Frame { session, .. } if *session == wanted);
        lines.iter_mut().filter(late).for_each(|line| line.at += 9_000_000);
        let ends = |line: &&mut Line| matches!(&line.what, What::Ended { session, .. } if *session == wanted);
        lines.iter_mut().filter(ends).for_each(|line| line.at += 9_000_000);
        lines.sort_by_key(|line| line.at);
    });
}

#[test]
fn a_gap_that_is_declared_for_what_a_node_still_has_is_noticed() {
    caught("gaps_have_a_reason", |lines, rng| {
        // Of a later session of a presenter: it says that something is missing which was posted after its welcome.
        let first_frame = |wanted: u32| {
            lines.iter().position(|line| matches!(&line.what, What::Frame { session, .. } if *session == wanted))
        };
        let is_young = |wanted: u32| {
            let welcome =
                lines.iter().position(|line| matches!(&line.what, What::Welcome { session, .. } if *session == wanted));
            let What::Frame { text: Some(shown), .. } = &lines[first_frame(wanted)?].what else { return None };
            let posted =
                lines.iter().position(|line| matches!(&line.what, What::Invoked { text, .. } if text == shown));
            (posted > welcome).then_some(())
        };
        let welcome = any(lines, rng, |what| match what {
            What::Welcome { session, asked: Some(_), recovered: true, fresh: false, .. } => {
                is_young(*session).is_some()
            }
            _ => false,
        });
        let What::Welcome { session, .. } = lines[welcome].what else { unreachable!("it was looked for") };
        let What::Frame { position: lost, .. } = lines.remove(first_frame(session).unwrap()).what else {
            unreachable!("it was looked for")
        };
        let What::Welcome { position, recovered, .. } = &mut lines[welcome].what else {
            unreachable!("it was looked for")
        };
        (*position, *recovered) = (Some(lost), false);
    });
}

#[test]
fn a_session_that_goes_on_beside_its_successor_is_noticed() {
    caught("newest_session_wins", |lines, rng| {
        // One whose successor lives long enough to be given something that was posted well after its welcome.
        let gets = |wanted: u32, begins: u64| {
            lines.iter().any(|line| {
                let late = line.at > begins + 2_200_000;
                late && matches!(&line.what, What::Frame { session, text: Some(_), .. } if *session == wanted)
            })
        };
        let begins = |wanted: u32| {
            lines.iter().find(|line| matches!(&line.what, What::Welcome { session, .. } if *session == wanted))
        };
        let welcome = any(lines, rng, |what| match what {
            What::Welcome { session, fresh: false, .. } if is_v1(*session) && session % 100 > 1 => {
                begins(*session).is_some_and(|welcome| gets(*session, welcome.at))
            }
            _ => false,
        });
        let (What::Welcome { session: newer, .. }, begins) = (lines[welcome].what.clone(), lines[welcome].at) else {
            unreachable!("it was looked for")
        };
        // The older one has no end, and gets what the newer one gets.
        lines.retain(|line| !matches!(&line.what, What::Ended { session, .. } if *session == newer - 1));
        let copied: Vec<(usize, Line)> = lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.at > begins + 2_200_000)
            .filter_map(|(place, line)| match line.what.clone() {
                What::Frame { session, id, position, kind, text: Some(text) } if session == newer => {
                    let what = What::Frame { session: newer - 1, id, position, kind, text: Some(text) };
                    Some((place, Line { at: line.at, what }))
                }
                _ => None,
            })
            .collect();
        for (place, line) in copied.into_iter().rev() {
            lines.insert(place, line);
        }
    });
}

/// A message that is deleted, and by whom.
fn deleted(lines: &[Line], rng: &mut Rng) -> usize {
    // The line of the confirmation of a deletion.
    let confirmed = any(lines, rng, |what| {
        match what {
        What::Confirmed { decision: confirmed, .. } => lines.iter().any(|line| {
            matches!(&line.what, What::Decides { decision, decided: Decided::Delete { .. }, .. } if decision == confirmed)
        }),
        _ => false,
    }
    });
    let What::Confirmed { decision: wanted, .. } = lines[confirmed].what else { unreachable!("it was looked for") };
    any(lines, rng, |what| matches!(what, What::Decides { decision, .. } if *decision == wanted))
}

fn target(lines: &[Line], decision: usize) -> (i64, EventId) {
    match &lines[decision].what {
        What::Decides { room: Some(room), decided: Decided::Delete { target }, .. } => (*room, *target),
        _ => unreachable!("it was looked for"),
    }
}

#[test]
fn a_deleted_message_that_comes_back_in_the_replay_is_noticed() {
    caught("deleted_is_not_shown", |lines, rng| {
        let (room, gone) = target(lines, deleted(lines, rng));
        let place = any(lines, rng, |what| matches!(what, What::Archived { id, .. } if *id == gone));
        let What::Archived { id, position, text, .. } = lines[place].what.clone() else { unreachable!() };
        let at = lines[place].at;
        let sent = jiff::Timestamp::UNIX_EPOCH;
        lines.insert(place + 1, Line { at, what: What::Replayed { room, id, position, text, sent } });
    });
}

#[test]
fn a_deleted_message_that_is_shown_to_a_fresh_presenter_is_noticed() {
    caught("deleted_is_not_shown", |lines, rng| {
        let (_, gone) = target(lines, deleted(lines, rng));
        let logged = any(lines, rng, |what| matches!(what, What::Logged { id, .. } if *id == gone));
        let What::Logged { text: was, .. } = lines[logged].what.clone() else { unreachable!() };
        for line in lines {
            match &mut line.what {
                What::Frame { session, id, text, .. } if *session > 1_000 && *id == gone => *text = was.clone(),
                _ => {}
            }
        }
    });
}

#[test]
fn a_deleted_message_that_comes_back_with_a_restarted_node_is_noticed() {
    caught("deleted_is_not_shown", |lines, rng| {
        let decision = deleted(lines, rng);
        let (_, gone) = target(lines, decision);
        let logged = any(lines, rng, |what| matches!(what, What::Logged { id, .. } if *id == gone));
        let What::Logged { text: was, .. } = lines[logged].what.clone() else { unreachable!() };
        for line in lines.iter_mut() {
            match &mut line.what {
                What::Frame { session, id, text, .. } if *session > 1_000 && *id == gone => *text = was.clone(),
                _ => {}
            }
        }
        // Restarted at once after the decision: long over when the text is shown.
        let (at, parts) = (lines[decision].at, vec!["delivery-0".to_owned()]);
        let after = [What::Breaks { fault: 9, kind: "kill delivery".to_owned(), parts }, What::Heals { fault: 9 }];
        let end = (lines.last().unwrap().at - at).saturating_sub(11_000_000);
        for (place, what) in (decision + 1..).zip(after) {
            lines.insert(place, Line { at, what });
        }
        // Of the latest decisions the restart is not long enough ago: those are excused.
        if end == 0 {
            let What::Breaks { parts, .. } = &mut lines[decision + 1].what else { unreachable!() };
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
                What::Archived { id, deleted, .. } if *id == gone => *deleted = None,
                _ => {}
            }
        }
    });
}

#[test]
fn a_message_deleted_by_nobody_is_noticed() {
    caught("nothing_is_deleted_unasked", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Archived { deleted: None, .. }));
        let What::Archived { deleted, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        *deleted = Some(EventId::new());
        // Only the last message of a room is certain to stand after every clear; elsewhere decisions may explain it.
        lines.retain(|line| {
            !matches!(&line.what, What::Decides { decided: Decided::Clear | Decided::Delete { .. }, .. })
        });
    });
}

#[test]
fn a_ban_that_comes_late_is_noticed() {
    caught("banned_is_silent", |lines, rng| {
        // The first refusal of a ban that is older than a second becomes a success.
        let refused: Vec<usize> = (0..lines.len())
            .filter(|line| matches!(&lines[*line].what, What::Failed { status: 403, .. }))
            .filter(|line| {
                let What::Failed { post: refused, .. } = lines[*line].what else { return false };
                let Some(sent) = lines.iter().position(|line| matches!(&line.what, What::Invoked { post, .. } if *post == refused))
                else {
                    return false;
                };
                let What::Invoked { room: place, user: who, .. } = lines[sent].what else { return false };
                let asked = lines[..sent].iter().rposition(|line| {
                    matches!(&line.what, What::Decides { room, decided: Decided::Ban { user }, .. } if *room == Some(place) && *user == who)
                });
                let lifted = lines[sent..*line].iter().any(|line| {
                    matches!(&line.what, What::Decides { room, decided: Decided::Unban { user }, .. } if *room == Some(place) && *user == who)
                });
                asked.is_some_and(|asked| lines[sent].at > lines[asked].at + 1_100_000) && !lifted
            })
            .collect();
        let line = refused[rng.usize(..refused.len())];
        let What::Failed { post, attempt, .. } = lines[line].what else { unreachable!("it was looked for") };
        let position = Position { epoch: 7, sequence: 2_000_000, index: 0 };
        lines[line].what = What::Ok { post, attempt, id: EventId::new(), position, status: 202 };
    });
}

/// The lines of what the session brought.
fn frames(lines: &[Line], wanted: u32) -> Vec<usize> {
    let is_its = |line: &usize| matches!(lines[*line].what, What::Frame { session, .. } if session == wanted);
    (0..lines.len()).filter(is_its).collect()
}

fn shown(line: &Line) -> EventId {
    match line.what {
        What::Frame { id, .. } => id,
        _ => unreachable!("it was looked for"),
    }
}

/// Whether nobody decided to delete what the frame of that line shows, then and for some time after.
fn is_kept(lines: &[Line], frame: usize) -> bool {
    let shown = shown(&lines[frame]);
    let decision = lines.iter().find_map(|line| match line.what {
        What::Archived { id, deleted, .. } if id == shown => Some(deleted),
        _ => None,
    });
    let Some(decision) = decision.expect("what was shown is archived") else { return true };
    let number = lines.iter().find_map(|line| match line.what {
        What::Confirmed { decision: number, id, .. } if id == decision => Some(number),
        _ => None,
    });
    let is_asked = |line: &&Line| matches!(line.what, What::Decides { decision, .. } if Some(decision) == number);
    lines.iter().find(is_asked).is_some_and(|asked| asked.at > lines[frame].at + 3_000_000)
}

/// Messages of the original's presenter between two others of their session that came only once and are not deleted.
fn inner_frames(lines: &[Line]) -> Vec<usize> {
    let sessions = (1..100).map(|number| frames(lines, CHATTING as u32 * 100 + number));
    let sessions: Vec<Vec<usize>> = sessions.filter(|frames| frames.len() > 2).collect();
    let all: Vec<EventId> = sessions.iter().flatten().map(|line| shown(&lines[*line])).collect();
    let inner = sessions.iter().flat_map(|frames| &frames[1..frames.len() - 1]).copied();
    inner
        .filter(|line| {
            let id = shown(&lines[*line]);
            all.iter().filter(|one| **one == id).count() == 1 && is_kept(lines, *line)
        })
        .collect()
}

#[test]
fn a_message_that_a_chatting_session_skips_is_noticed() {
    for invariant in ["chatting_skips_nothing", "chatting_loses_only_with_a_connection"] {
        caught(invariant, |lines, rng| {
            let inner = inner_frames(lines);
            lines.remove(inner[rng.usize(..inner.len())]);
        });
    }
}

#[test]
fn a_message_that_is_lost_with_a_connection_that_the_server_closed_is_noticed() {
    caught("chatting_loses_only_with_a_connection", |lines, rng| {
        // The last that came before the close, where the next session goes on behind it.
        let lasts: Vec<EventId> = lines
            .iter()
            .filter_map(|line| match line.what {
                What::Ended { session, code: Some(_) } => Some(session),
                _ => None,
            })
            .filter_map(|closed| {
                let place = *frames(lines, closed).last()?;
                let last = shown(&lines[place]);
                let next = frames(lines, closed + 1);
                let goes_on = next.last().is_some_and(|line| shown(&lines[*line]) != last);
                (goes_on && is_kept(lines, place)).then_some(last)
            })
            .collect();
        let lost = lasts[rng.usize(..lasts.len())];
        lines.retain(
            |line| !matches!(&line.what, What::Frame { session, id, .. } if is_chatting(*session) && *id == lost),
        );
    });
}

#[test]
fn what_was_posted_after_the_next_session_had_begun_is_not_lost_with_a_broken_one() {
    caught("chatting_loses_only_with_a_connection", |lines, rng| {
        let inner = inner_frames(lines);
        // A session after one that broke, and a message that came to it late enough.
        let late: Vec<(u32, usize)> = lines
            .iter()
            .filter_map(|line| match line.what {
                What::Ended { session, code: None } if is_chatting(session) => Some(session + 1),
                _ => None,
            })
            .filter_map(|next| {
                let is_its = |line: &&Line| matches!(line.what, What::Welcome { session, .. } if session == next);
                let begun = lines.iter().find(is_its)?.at;
                let its = frames(lines, next);
                let late = |line: &&usize| lines[**line].at > begun + 2_200_000 && inner.contains(line);
                its.iter().find(late).map(|line| (next, *line))
            })
            .collect();
        let (next, last) = late[rng.usize(..late.len())];
        for line in frames(lines, next).into_iter().rev().filter(|line| *line <= last) {
            lines.remove(line);
        }
    });
}

#[test]
fn a_cursor_that_is_not_saved_is_noticed_by_what_comes_again() {
    caught("chatting_repeats_little", |lines, rng| {
        let old = any(lines, rng, |what| matches!(what, What::Frame { session, .. } if *session == 401));
        let late = any(lines, rng, |what| match what {
            What::Welcome { session, .. } => is_chatting(*session) && *session >= 405,
            _ => false,
        });
        let (What::Frame { id, position, kind, text, .. }, What::Welcome { session, .. }) =
            (lines[old].what.clone(), lines[late].what.clone())
        else {
            unreachable!("they were looked for")
        };
        let at = lines[late].at;
        lines.insert(late + 1, Line { at, what: What::Frame { session, id, position, kind, text } });
    });
}

#[test]
fn a_decision_on_a_chatting_socket_is_noticed() {
    caught("chatting_brings_messages_alone", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Frame { session, .. } if is_chatting(*session)));
        let What::Frame { session, .. } = lines[place].what else { unreachable!("it was looked for") };
        let text = r#"{"id":"deleteChatting"}"#.to_owned();
        lines.insert(place, Line { at: lines[place].at, what: What::Strange { session, text } });
    });
}

#[test]
fn a_message_that_nobody_posted_on_a_chatting_socket_is_noticed() {
    caught("nothing_is_invented", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Frame { session, .. } if is_chatting(*session)));
        let What::Frame { text, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        *text = Some("out of nowhere".to_owned());
    });
}

#[test]
fn a_deleted_message_on_a_chatting_socket_is_noticed() {
    caught("deleted_is_not_shown", |lines, rng| {
        // Of those that were confirmed more than two seconds before the last session that brings anything.
        let last =
            lines.iter().rposition(|line| matches!(&line.what, What::Frame { session, .. } if is_chatting(*session)));
        let last = last.expect("the room has messages");
        let (What::Frame { session, .. }, at) = (lines[last].what.clone(), lines[last].at) else { unreachable!() };
        let gone = any(lines, rng, |what| match what {
            What::Archived { room: CHATTING, id: gone, deleted: Some(_), .. } => lines.iter().any(|line| {
                let decision = match &line.what {
                    What::Decides { decision, decided: Decided::Delete { target }, .. } if target == gone => *decision,
                    _ => return false,
                };
                lines.iter().any(|line| {
                    line.at + 3_000_000 < at
                        && matches!(line.what, What::Confirmed { decision: confirmed, .. } if confirmed == decision)
                })
            }),
            _ => false,
        });
        let What::Archived { id, position, text, .. } = lines[gone].what.clone() else { unreachable!() };
        let what = What::Frame { session, id, position, kind: "message.posted".to_owned(), text: Some(text) };
        lines.insert(last + 1, Line { at, what });
    });
}

#[test]
fn a_post_through_the_originals_surface_that_is_lost_is_noticed() {
    for invariant in ["accepted_is_in_the_log", "accepted_is_in_the_archive"] {
        caught(invariant, |lines, rng| {
            let place = any(lines, rng, |what| matches!(what, What::Ok { status: 200, .. }));
            let What::Ok { id: lost, .. } = lines[place].what else { unreachable!("it was looked for") };
            lines.retain(
                |line| !matches!(&line.what, What::Logged { id, .. } | What::Archived { id, .. } if *id == lost),
            );
        });
    }
}

#[test]
fn a_history_without_the_originals_surface_is_thin() {
    let mut lines = history(1);
    for line in &mut lines {
        if let What::Invoked { surface, .. } = &mut line.what {
            *surface = Surface::V1;
        }
    }
    let verdicts = check(&lines);
    assert!(verdicts.iter().all(|(_, verdict)| matches!(verdict, Verdict::Unknown(_))), "{verdicts:?}");
}

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
fn a_deleted_message_beside_the_video_is_noticed() {
    caught("deleted_is_not_shown", |lines, rng| {
        let (wanted, gone) = target(lines, deleted(lines, rng));
        let archived = any(lines, rng, |what| matches!(what, What::Archived { id, .. } if *id == gone));
        let What::Archived { id, position, text, .. } = lines[archived].what.clone() else { unreachable!() };
        let place = any(lines, rng, |what| matches!(what, What::Broadcast { room, .. } if *room == wanted));
        let What::Broadcast { room, broadcast, .. } = lines[place].what.clone() else { unreachable!() };
        let what = What::ReplayedBesideVideo { room, broadcast, offset_ms: 0, id, position, text };
        lines.insert(place + 1, Line { at: lines[place].at, what });
    });
}

#[test]
fn a_history_without_the_replay_beside_the_video_is_thin() {
    let is_videos = |line: &Line| matches!(line.what, What::Read { reading: Reading::Video });
    let lines: Vec<Line> = history(1).into_iter().filter(|line| !is_videos(line)).collect();
    let verdicts = check(&lines);
    assert!(verdicts.iter().all(|(_, verdict)| matches!(verdict, Verdict::Unknown(_))), "{verdicts:?}");
}

#[test]
fn a_system_that_does_not_come_to_rest_is_noticed() {
    caught("drains_in_time", |lines, _| {
        for line in lines {
            if line.what == (What::Phase { phase: Phase::Drained }) {
                line.what = What::Phase { phase: Phase::NotDrained };
            }
        }
    });
}

#[test]
fn a_history_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history.ndjson");
    let recorder = crate::history::Recorder::create(&file).unwrap();
    let lines = history(3);
    lines.iter().for_each(|line| recorder.note(line.what.clone()));
    recorder.flush().unwrap();
    let read = crate::history::read(&file).unwrap();
    assert_eq!(
        read.iter().map(|line| &line.what).collect::<Vec<_>>(),
        lines.iter().map(|line| &line.what).collect::<Vec<_>>()
    );
}

#[test]
fn a_followed_replay_that_goes_back_is_noticed() {
    caught("video_is_followed_in_order", |lines, rng| {
        let shown = |what: &What| match what {
            What::ReplayShows { replay, .. } => Some(*replay as i64),
            _ => None,
        };
        let pair = neighbours(lines, rng, shown);
        swap(lines, pair);
    });
}

#[test]
fn a_followed_replay_that_passes_over_a_message_is_noticed() {
    caught("video_is_followed_in_order", |lines, rng| {
        lines.retain(|line| !matches!(line.what, What::Breaks { .. } | What::Heals { .. }));
        let shown = |what: &What| match what {
            What::ReplayShows { replay, .. } => Some(*replay as i64),
            _ => None,
        };
        // The first of two: there is one behind it.
        let (passed_over, _) = neighbours(lines, rng, shown);
        lines.remove(passed_over);
    });
}
