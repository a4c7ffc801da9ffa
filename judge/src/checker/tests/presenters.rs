//! Presenters of `chat.v1`.

use super::*;

#[test]
fn a_message_repeated_on_a_socket_is_noticed() {
    caught("sockets_repeat_nothing", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, Observation::Frame { .. }));
        lines.insert(place, lines[place].clone());
    });
}

#[test]
fn two_messages_swapped_on_a_socket_are_noticed() {
    caught("sockets_have_the_logs_order", |lines, rng| {
        let pair = neighbours(lines, rng, |what| match what {
            Observation::Frame { session, .. } => Some(i64::from(*session)),
            _ => None,
        });
        swap(lines, pair);
    });
}

#[test]
fn a_frame_lost_without_a_gap_is_noticed() {
    caught("presenters_miss_nothing", |lines, rng| {
        // Events that a reloaded page did not receive may repeat.
        let is_its = |session: u32| is_v1(session) && i64::from(session / 100) != ANEW;
        let place = any(lines, rng, |what| matches!(what, Observation::Frame { session, .. } if is_its(*session)));
        lines.remove(place);
    });
}

#[test]
fn a_session_that_begins_one_event_too_late_is_noticed() {
    caught("presenters_miss_nothing", |lines, rng| {
        // The first frame of a later session is lost, and its welcome reports no gap.
        let erased = of_erased_users(lines);
        let first_frame = |wanted: u32| {
            lines.iter().find_map(|line| match &line.what {
                Observation::Frame { session, id, .. } => (*session == wanted).then_some(*id),
                _ => None,
            })
        };
        let welcome = any(lines, rng, |what| match what {
            // A session without a position may receive events again.
            Observation::Welcome { session, asked: Some(_), recovered: true, fresh: false, .. } => {
                is_v1(*session) && session % 100 > 1 && first_frame(*session).is_some_and(|id| !erased.contains(&id))
            }
            _ => false,
        });
        let Observation::Welcome { session: late, .. } = lines[welcome].what else { unreachable!("it was looked for") };
        let first =
            lines.iter().position(|line| matches!(&line.what, Observation::Frame { session, .. } if *session == late));
        let Observation::Frame { position: lost, .. } = lines.remove(first.unwrap()).what else {
            unreachable!("it was looked for")
        };
        let Observation::Welcome { position, .. } = &mut lines[welcome].what else { unreachable!("it was looked for") };
        *position = Some(lost);
    });
}

#[test]
fn a_session_that_receives_nothing_is_noticed() {
    caught("presenters_keep_up", |lines, rng| {
        // The last session of a presenter is the longest. Everything arrives 9 s late.
        let wanted = rng.u32(1..CHATTING as u32) * 100 + 6;
        let late = |line: &&mut Line| matches!(&line.what, Observation::Frame { session, .. } if *session == wanted);
        lines.iter_mut().filter(late).for_each(|line| line.at += 9_000_000);
        let ends = |line: &&mut Line| matches!(&line.what, Observation::Ended { session, .. } if *session == wanted);
        lines.iter_mut().filter(ends).for_each(|line| line.at += 9_000_000);
        lines.sort_by_key(|line| line.at);
    });
}

#[test]
fn a_gap_for_events_that_the_node_still_has_is_noticed() {
    caught("gaps_have_a_reason", |lines, rng| {
        // A later session reports a gap, but the missing message was posted after its welcome.
        let is_of = |line: &Line, wanted: u32| match &line.what {
            Observation::Frame { session, kind, .. } => *session == wanted && kind == "message.posted",
            _ => false,
        };
        let first_frame = |wanted: u32| lines.iter().position(|line| is_of(line, wanted));
        let erased = of_erased_users(lines);
        let is_young = |wanted: u32| {
            let welcome = lines
                .iter()
                .position(|line| matches!(&line.what, Observation::Welcome { session, .. } if *session == wanted));
            let Observation::Frame { id, text: Some(shown), .. } = &lines[first_frame(wanted)?].what else {
                return None;
            };
            if erased.contains(id) {
                return None;
            }
            let posted =
                lines.iter().position(|line| matches!(&line.what, Observation::Invoked { text, .. } if text == shown));
            (posted > welcome).then_some(())
        };
        let welcome = any(lines, rng, |what| match what {
            Observation::Welcome { session, asked: Some(_), recovered: true, fresh: false, .. } => {
                is_young(*session).is_some()
            }
            _ => false,
        });
        let Observation::Welcome { session, .. } = lines[welcome].what else { unreachable!("it was looked for") };
        let first = lines.iter().position(|line| is_of(line, session)).unwrap();
        let Observation::Frame { position: lost, .. } = lines.remove(first).what else {
            unreachable!("it was looked for")
        };
        let Observation::Welcome { position, recovered, .. } = &mut lines[welcome].what else {
            unreachable!("it was looked for")
        };
        (*position, *recovered) = (Some(lost), false);
    });
}

#[test]
fn a_session_that_continues_beside_its_successor_is_noticed() {
    caught("newest_session_wins", |lines, rng| {
        // A session whose successor lives long enough to receive an event posted well after its welcome.
        let waited: HashSet<EventId> = held(lines).collect();
        let gets = |wanted: u32, begins: u64| {
            lines.iter().any(|line| match &line.what {
                Observation::Frame { session, id, kind, text: Some(_), .. } => {
                    let is_posted = kind == "message.posted" && !waited.contains(id);
                    is_posted && *session == wanted && line.at > begins + 2_200_000
                }
                _ => false,
            })
        };
        let begins = |wanted: u32| {
            lines.iter().find(|line| matches!(&line.what, Observation::Welcome { session, .. } if *session == wanted))
        };
        let welcome = any(lines, rng, |what| match what {
            Observation::Welcome { session, fresh: false, .. } if is_v1(*session) && session % 100 > 1 => {
                begins(*session).is_some_and(|welcome| gets(*session, welcome.at))
            }
            _ => false,
        });
        let (Observation::Welcome { session: newer, .. }, begins) = (lines[welcome].what.clone(), lines[welcome].at)
        else {
            unreachable!("it was looked for")
        };
        // The older session does not end, and receives what the newer one receives.
        lines.retain(|line| !matches!(&line.what, Observation::Ended { session, .. } if *session == newer - 1));
        let copied: Vec<(usize, Line)> = lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.at > begins + 2_200_000)
            .filter_map(|(place, line)| match line.what.clone() {
                mut what @ Observation::Frame { text: Some(_), .. } => {
                    let Observation::Frame { session, .. } = &mut what else { unreachable!() };
                    let is_newer = *session == newer;
                    *session = newer - 1;
                    is_newer.then_some((place, Line { at: line.at, what }))
                }
                _ => None,
            })
            .collect();
        for (place, line) in copied.into_iter().rev() {
            lines.insert(place, line);
        }
    });
}
