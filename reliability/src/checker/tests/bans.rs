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

#[test]
fn a_user_who_is_refused_although_nobody_knew_of_a_ban_is_noticed() {
    // The unban found none, and the ban came afterwards: long after it was given up.
    caught("unbanned_may_write", |lines, rng| {
        let free = free(lines);
        let line = free[rng.usize(..free.len())];
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
        for line in lines[..line].iter_mut() {
            match line.what {
                What::Confirmed { decision, attempt, .. } if unbans.contains(&decision) => {
                    let code = "not_banned".to_owned();
                    line.what = What::Refused { decision, attempt, status: 404, code };
                }
                _ => {}
            }
        }
        let code = "msg_banned".to_owned();
        lines[line].what = What::Failed { post: refused, attempt, status: 403, code };
    });
}
