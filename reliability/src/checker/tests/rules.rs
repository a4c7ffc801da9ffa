//! Bans that are not in force, and bans that are not over.

use super::*;

/// A user in a place.
type Banned = (Option<i64>, i64);

fn decided(what: &What) -> Option<(Banned, bool, u64)> {
    match what {
        What::Decides { decision, room, decided: Decided::Ban { user }, .. } => Some(((*room, *user), true, *decision)),
        What::Decides { decision, room, decided: Decided::Unban { user }, .. } => {
            Some(((*room, *user), false, *decision))
        }
        _ => None,
    }
}

/// Posts that were answered at their first attempt: the line of the sending and of the answer, and who wrote where.
fn posts(lines: &[Line]) -> Vec<(usize, usize, i64, i64)> {
    let sent = lines.iter().enumerate().filter_map(|(line, entry)| match entry.what {
        What::Invoked { post, attempt: 1, room, user, .. } => Some((line, post, room, user)),
        _ => None,
    });
    let answer = |wanted: u64| {
        lines.iter().position(|line| {
            matches!(line.what, What::Ok { post, attempt: 1, .. } | What::Failed { post, attempt: 1, .. } if post == wanted)
        })
    };
    sent.filter_map(|(line, post, room, user)| Some((line, answer(post)?, room, user))).collect()
}

/// The last word before the line about the user in that place, if it was said more than 1.2 s before: whether it is a
/// ban.
fn last_word(lines: &[Line], before: usize, place: Banned) -> Option<bool> {
    let mut words = lines[..before].iter().filter_map(|line| Some((line.at, decided(&line.what)?)));
    let (at, (_, is_ban, _)) = words.rfind(|(_, (about, ..))| *about == place)?;
    (at + 1_200_000 < lines[before].at).then_some(is_ban)
}

/// Whether nobody decides anything about the user while the post is on its way.
fn is_quiet(lines: &[Line], sent: usize, answered: usize, user: i64) -> bool {
    !lines[sent..answered].iter().filter_map(|line| decided(&line.what)).any(|((_, about), ..)| about == user)
}

#[test]
fn a_ban_of_every_room_that_comes_late_is_noticed() {
    caught("banned_is_silent", |lines, rng| {
        let is_wanted = |(sent, answered, _, user): &&(usize, usize, i64, i64)| {
            last_word(lines, *sent, (None, *user)) == Some(true) && is_quiet(lines, *sent, *answered, *user)
        };
        let posts = posts(lines);
        let found: Vec<_> = posts.iter().filter(is_wanted).collect();
        // Not every history has one: then one of a room does.
        let is_of_the_room = |(sent, answered, room, user): &&(usize, usize, i64, i64)| {
            last_word(lines, *sent, (Some(*room), *user)) == Some(true) && is_quiet(lines, *sent, *answered, *user)
        };
        let found = if found.is_empty() { posts.iter().filter(is_of_the_room).collect() } else { found };
        let (_, answered, ..) = *found[rng.usize(..found.len())];
        let What::Failed { post, attempt, .. } = lines[answered].what else { panic!("{:?}", lines[answered]) };
        let (id, position) = (EventId::new(), Position { epoch: 7, sequence: 2_000_000, index: 0 });
        lines[answered].what = What::Ok { post, attempt, id, position, status: 202, connected: None };
    });
}

/// Posts of users whose ban was undone more than a second before, and who are banned nowhere.
fn free(lines: &[Line]) -> Vec<usize> {
    let posts = posts(lines).into_iter();
    let is_free = |(sent, answered, room, user): &(usize, usize, i64, i64)| {
        let words = [Some(*room), None].map(|place| last_word(lines, *sent, (place, *user)));
        let is_recent = [Some(*room), None].into_iter().any(|place| {
            let mut words = lines[..*sent].iter().filter_map(|line| Some((line.at, decided(&line.what)?)));
            words.any(|(at, (about, ..))| about == (place, *user) && at + 1_200_000 >= lines[*sent].at)
        });
        words.contains(&Some(false))
            && !words.contains(&Some(true))
            && !is_recent
            && is_quiet(lines, *sent, *answered, *user)
    };
    posts.filter(is_free).map(|(_, answered, ..)| answered).collect()
}

#[test]
fn a_post_that_a_setting_forbids_is_noticed() {
    caught("settings_hold", |lines, rng| {
        let place = any(lines, rng, |what| matches!(what, What::Failed { code, .. } if code == "msg_presenter_only"));
        let What::Failed { post, attempt, .. } = lines[place].what else { unreachable!("it was looked for") };
        // Long after it was set.
        for line in &mut lines[..place] {
            if matches!(line.what, What::Decides { decided: Decided::Configure { .. }, .. } | What::Confirmed { .. }) {
                line.at = line.at.saturating_sub(2_000_000);
            }
        }
        let (id, position) = (EventId::new(), Position { epoch: 7, sequence: 2_000_000, index: 0 });
        lines[place].what = What::Ok { post, attempt, id, position, status: 202, connected: None };
        lines.sort_by_key(|line| line.at);
    });
}

#[test]
fn a_post_that_is_refused_for_a_setting_that_was_undone_is_noticed() {
    for code in ["msg_presenter_only", "현재 스트리머만 채팅을 보낼 수 있습니다."] {
        caught("settings_end", |lines, rng| {
            // The room, and when the last word about it was that all may write.
            let words: Vec<(usize, i64, bool)> = lines
                .iter()
                .enumerate()
                .filter_map(|(line, entry)| match &entry.what {
                    What::Decides { room: Some(room), decided: Decided::Configure { value, .. }, .. } => {
                        Some((line, *room, value == "null"))
                    }
                    _ => None,
                })
                .collect();
            let is_free = |(sent, answered, room, _): &(usize, usize, i64, i64)| {
                let last = words.iter().rfind(|(line, about, _)| about == room && line < sent);
                let is_quiet = !words.iter().any(|(line, about, _)| about == room && (sent..answered).contains(&line));
                last.is_some_and(|(line, _, is_over)| *is_over && lines[*line].at + 1_200_000 < lines[*sent].at)
                    && is_quiet
            };
            let free: Vec<usize> = posts(lines).into_iter().filter(is_free).map(|(_, answered, ..)| answered).collect();
            let line = free[rng.usize(..free.len())];
            let (What::Ok { post, attempt, .. } | What::Failed { post, attempt, .. }) = lines[line].what else {
                unreachable!("it was looked for")
            };
            lines[line].what = What::Failed { post, attempt, status: 403, code: code.to_owned() };
        });
    }
}

#[test]
fn a_user_who_is_refused_after_the_ban_was_undone_is_noticed() {
    for code in ["msg_banned", "채팅이 금지된 사용자입니다."] {
        caught("unbanned_may_write", |lines, rng| {
            let free = free(lines);
            let line = free[rng.usize(..free.len())];
            let (What::Ok { post, attempt, .. } | What::Failed { post, attempt, .. }) = lines[line].what else {
                unreachable!("it was looked for")
            };
            lines[line].what = What::Failed { post, attempt, status: 403, code: code.to_owned() };
        });
    }
}

/// No unban of the writer found a ban, and the post that was answered in that line is refused for one all the same. The
/// lines of those answers.
fn find_no_ban(lines: &mut [Line], line: usize) -> Vec<usize> {
    let (What::Ok { post: refused, attempt, .. } | What::Failed { post: refused, attempt, .. }) = lines[line].what
    else {
        unreachable!("it was looked for")
    };
    let writer = lines.iter().find_map(|line| match line.what {
        What::Invoked { post, user, .. } if post == refused => Some(user),
        _ => None,
    });
    let unbans: Vec<u64> = lines[..line]
        .iter()
        .filter_map(|line| decided(&line.what))
        .filter(|((_, user), is_ban, _)| Some(*user) == writer && !is_ban)
        .map(|(_, _, decision)| decision)
        .collect();
    let mut answers = Vec::new();
    for (place, line) in lines[..line].iter_mut().enumerate() {
        match line.what {
            What::Confirmed { decision, attempt, .. } if unbans.contains(&decision) => {
                let code = "not_banned".to_owned();
                line.what = What::Refused { decision, attempt, status: 404, code };
                answers.push(place);
            }
            _ => {}
        }
    }
    let code = "msg_banned".to_owned();
    lines[line].what = What::Failed { post: refused, attempt, status: 403, code };
    answers
}

#[test]
fn a_user_who_is_refused_although_nobody_knew_of_a_ban_is_noticed() {
    // The unban found none, and the ban came afterwards: long after it was given up.
    caught("unbanned_may_write", |lines, rng| {
        let free = free(lines);
        let line = free[rng.usize(..free.len())];
        find_no_ban(lines, line);
    });
}

#[test]
fn a_node_that_cannot_hear_of_a_ban_undoes_none() {
    for seed in 0..SEEDS {
        let mut lines = history(seed);
        let free = free(&lines);
        let line = free[Rng::with_seed(seed).usize(..free.len())];
        let answers = find_no_ban(&mut lines, line);
        // It is over at once, so that the post itself has no excuse where it is late enough.
        let (kind, parts) = ("one-way ingest to nats".to_owned(), vec!["ingest-0".to_owned()]);
        let faults = answers.iter().zip(50..).flat_map(|(answer, fault)| {
            let breaks = What::Breaks { fault, kind: kind.clone(), parts: parts.clone() };
            [breaks, What::Heals { fault }].map(|what| Line { at: lines[*answer].at, what })
        });
        let faults: Vec<Line> = faults.collect();
        lines.extend(faults);
        lines.sort_by_key(|line| line.at);
        let broken: Vec<_> = broken(&lines).into_iter().map(|(name, _)| name).collect();
        assert!(!broken.contains(&"unbanned_may_write"), "seed {seed}: {broken:?}");
    }
}
