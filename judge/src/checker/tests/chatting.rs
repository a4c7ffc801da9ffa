//! Presenters of the original's dialect.

use super::*;

/// The lines of the session's frames.
fn frames(lines: &[Line], wanted: u32) -> Vec<usize> {
    let is_its = |line: &usize| matches!(lines[*line].what, Observation::Frame { session, .. } if session == wanted);
    (0..lines.len()).filter(is_its).collect()
}

fn shown(line: &Line) -> EventId {
    match line.what {
        Observation::Frame { id, .. } => id,
        _ => unreachable!("it was looked for"),
    }
}

/// Whether nothing deletes the message of that frame, then or for some time after, nothing restores it, and its author
/// is not erased.
fn is_kept(lines: &[Line], frame: usize) -> bool {
    let shown = shown(&lines[frame]);
    if of_erased_users(lines).contains(&shown) || is_restored(lines, shown) {
        return false;
    }
    let decision = lines.iter().find_map(|line| match line.what {
        Observation::Archived { id, deleted, .. } if id == shown => Some(deleted),
        _ => None,
    });
    let Some(decision) = decision.expect("what was shown is archived") else { return true };
    let number = lines.iter().find_map(|line| match line.what {
        Observation::Confirmed { decision: number, id, .. } if id == decision => Some(number),
        _ => None,
    });
    let is_asked =
        |line: &&Line| matches!(line.what, Observation::Decides { decision, .. } if Some(decision) == number);
    lines.iter().find(is_asked).is_some_and(|asked| asked.at > lines[frame].at + 3_000_000)
}

/// Frames between two others of the same session whose messages came once and are not deleted.
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
    caught("chatting_skips_nothing", |lines, rng| {
        let inner = inner_frames(lines);
        lines.remove(inner[rng.usize(..inner.len())]);
    });
}

#[test]
fn a_message_that_a_chatting_session_skips_is_not_taken_for_one_of_an_earlier_connection() {
    caught("chatting_loses_only_with_a_connection", |lines, rng| {
        // A replaced session may still write for 2 s.
        let is_later = |frame: &usize| {
            let Observation::Frame { session, id, .. } = lines[*frame].what else { return false };
            let welcome = lines
                .iter()
                .find(|line| matches!(line.what, Observation::Welcome { session: other, .. } if other == session));
            let logged = lines.iter().find_map(|line| match &line.what {
                Observation::Logged { id: other, text, .. } if *other == id => text.as_ref(),
                _ => None,
            });
            let posted = lines
                .iter()
                .find(|line| matches!(&line.what, Observation::Invoked { text, .. } if Some(text) == logged));
            posted.zip(welcome).is_some_and(|(posted, welcome)| posted.at > welcome.at + 2_000_000)
        };
        let inner: Vec<usize> = inner_frames(lines).into_iter().filter(is_later).collect();
        lines.remove(inner[rng.usize(..inner.len())]);
    });
}

#[test]
fn a_message_lost_on_a_connection_that_the_server_closed_is_noticed() {
    caught("chatting_loses_only_with_a_connection", |lines, rng| {
        // The last frame before a close, after which the next session continues.
        let lasts: Vec<(EventId, u32)> = lines
            .iter()
            .filter_map(|line| match line.what {
                Observation::Ended { session, code: Some(_) } => Some(session),
                _ => None,
            })
            .filter_map(|closed| {
                let place = *frames(lines, closed).last()?;
                let last = shown(&lines[place]);
                let next = frames(lines, closed + 1);
                let goes_on = next.last().is_some_and(|line| shown(&lines[*line]) != last);
                (goes_on && is_kept(lines, place)).then_some((last, closed + 1))
            })
            .collect();
        let (lost, next) = lasts[rng.usize(..lasts.len())];
        // Posted so recently that it is still in the windows.
        let begins =
            lines.iter().find(|line| matches!(line.what, Observation::Welcome { session, .. } if session == next));
        let lately = begins.expect("it has begun").at - 100_000;
        let text = lines.iter().find_map(|line| match &line.what {
            Observation::Logged { id, text, .. } if *id == lost => text.clone(),
            _ => None,
        });
        for line in lines.iter_mut() {
            if matches!(&line.what, Observation::Invoked { text: sent, .. } if Some(sent) == text.as_ref()) {
                line.at = line.at.max(lately);
            }
        }
        lines.retain(|line| {
            !matches!(
                &line.what,
                Observation::Frame { session, id, .. } if is_chatting(*session) && *id == lost
            )
        });
    });
}

#[test]
fn messages_posted_after_the_next_session_began_were_not_on_the_broken_connection() {
    caught("chatting_loses_only_with_a_connection", |lines, rng| {
        let inner = inner_frames(lines);
        // A session after a broken one, and a frame that arrived late enough.
        let late: Vec<(u32, usize)> = lines
            .iter()
            .filter_map(|line| match line.what {
                Observation::Ended { session, code: None } if is_chatting(session) => Some(session + 1),
                _ => None,
            })
            .filter_map(|next| {
                let is_its =
                    |line: &&Line| matches!(line.what, Observation::Welcome { session, .. } if session == next);
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
fn an_unsaved_cursor_is_noticed_by_repeated_messages() {
    caught("chatting_repeats_little", |lines, rng| {
        let old = any(lines, rng, |what| matches!(what, Observation::Frame { session, .. } if *session == 401));
        let late = any(lines, rng, |what| match what {
            Observation::Welcome { session, .. } => is_chatting(*session) && *session >= 405,
            _ => false,
        });
        let (Observation::Frame { id, position, kind, text, .. }, Observation::Welcome { session, .. }) =
            (lines[old].what.clone(), lines[late].what.clone())
        else {
            unreachable!("they were looked for")
        };
        let at = lines[late].at;
        lines.insert(
            late + 1,
            Line { at, what: Observation::Frame { session, id, position, kind, text, target: None, reason: None } },
        );
    });
}

#[test]
fn a_decision_on_a_chatting_socket_is_noticed() {
    caught("chatting_brings_messages_alone", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, Observation::Frame { session, .. } if is_chatting(*session)));
        let Observation::Frame { session, .. } = lines[place].what else { unreachable!("it was looked for") };
        let text = r#"{"id":"deleteChatting"}"#.to_owned();
        lines.insert(place, Line { at: lines[place].at, what: Observation::Strange { session, text } });
    });
}

#[test]
fn an_invented_message_on_a_chatting_socket_is_noticed() {
    caught("nothing_is_invented", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, Observation::Frame { session, .. } if is_chatting(*session)));
        let Observation::Frame { text, .. } = &mut lines[place].what else { unreachable!("it was looked for") };
        *text = Some("out of nowhere".to_owned());
    });
}

/// Refuses the token of a presenter, of a node whose clock was stepped before or was not.
fn refuse_token(lines: &mut Vec<Line>, rng: &mut Rng, is_stepped: bool) {
    let begins = any(lines, rng, |what| matches!(what, Observation::Starts { session, .. } if is_chatting(*session)));
    let Line { at, what: Observation::Starts { session, node, .. } } = lines[begins].clone() else {
        unreachable!("it was looked for")
    };
    let text = r#"{"id":"tokenException","response":"reject","message":"Jwt Exception"}"#.to_owned();
    lines.insert(begins + 1, Line { at, what: Observation::Strange { session, text } });
    if is_stepped {
        let step =
            Observation::Breaks { fault: 1_000_000, kind: "clock step of delivery".to_owned(), parts: vec![node] };
        lines.insert(begins, Line { at, what: step });
    }
}

#[test]
fn a_refused_token_is_noticed_unless_the_clock_of_the_node_was_stepped() {
    const INVARIANT: &str = "chatting_brings_messages_alone";
    caught(INVARIANT, |lines, rng| refuse_token(lines, rng, false));
    for seed in 0..SEEDS {
        let mut lines = history(seed);
        refuse_token(&mut lines, &mut Rng::with_seed(seed), true);
        assert!(broken(&lines).iter().all(|(name, _)| *name != INVARIANT), "seed {seed}");
    }
}
