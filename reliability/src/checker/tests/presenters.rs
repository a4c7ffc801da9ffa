//! Presenters of `chat.v1`.

use super::*;

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
fn a_frame_lost_without_a_gap_is_noticed() {
    caught("presenters_miss_nothing", |lines, rng| {
        // What a page that is loaded anew did not get may come again.
        let is_its = |session: u32| is_v1(session) && i64::from(session / 100) != ANEW;
        let place = any(lines, rng, |what| matches!(what, What::Frame { session, .. } if is_its(*session)));
        lines.remove(place);
    });
}

#[test]
fn a_session_that_begins_one_too_far_is_noticed() {
    caught("presenters_miss_nothing", |lines, rng| {
        // Of a later session of a presenter: its first frame is lost, and its welcome says that nothing is.
        let erased = of_erased_users(lines);
        let first_frame = |wanted: u32| {
            lines.iter().find_map(|line| match &line.what {
                What::Frame { session, id, .. } => (*session == wanted).then_some(*id),
                _ => None,
            })
        };
        let welcome = any(lines, rng, |what| match what {
            // Who comes without a position may be given something again.
            What::Welcome { session, asked: Some(_), recovered: true, fresh: false, .. } => {
                is_v1(*session) && session % 100 > 1 && first_frame(*session).is_some_and(|id| !erased.contains(&id))
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
        let erased = of_erased_users(lines);
        let is_young = |wanted: u32| {
            let welcome =
                lines.iter().position(|line| matches!(&line.what, What::Welcome { session, .. } if *session == wanted));
            let What::Frame { id, text: Some(shown), .. } = &lines[first_frame(wanted)?].what else { return None };
            if erased.contains(id) {
                return None;
            }
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
                What::Frame { session, id, position, kind, text: Some(text), reason } if session == newer => {
                    let what = What::Frame { session: newer - 1, id, position, kind, text: Some(text), reason };
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
