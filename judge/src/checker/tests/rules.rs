//! Bans that are not enforced, and bans that do not end.

use super::*;

/// A user, and the room of the ban.
type Banned = (Option<i64>, i64);

fn decided(what: &Observation) -> Option<(Banned, bool, u64)> {
    match what {
        Observation::Decides { decision, room, decided: Decided::Ban { user, .. }, .. } => {
            Some(((*room, *user), true, *decision))
        }
        Observation::Decides { decision, room, decided: Decided::Unban { user }, .. } => {
            Some(((*room, *user), false, *decision))
        }
        _ => None,
    }
}

/// Posts that were answered at their first attempt: the lines of request and answer, the room and the author.
fn posts(lines: &[Line]) -> Vec<(usize, usize, i64, i64)> {
    let sent = lines.iter().enumerate().filter_map(|(line, entry)| match entry.what {
        Observation::Invoked { post, attempt: 1, room, user, .. } => Some((line, post, room, user)),
        _ => None,
    });
    let answer = |wanted: u64| {
        lines.iter().position(|line| {
            matches!(
                line.what,
                Observation::Ok { post, attempt: 1, .. } | Observation::Failed { post, attempt: 1, .. }
                    if post == wanted
            )
        })
    };
    sent.filter_map(|(line, post, room, user)| Some((line, answer(post)?, room, user))).collect()
}

/// Whether the last decision about the user before the line is a ban, if it was made more than 1.2 s before.
fn last_word(lines: &[Line], before: usize, place: Banned) -> Option<bool> {
    let mut words = lines[..before].iter().filter_map(|line| Some((line.at, decided(&line.what)?)));
    let (at, (_, is_ban, _)) = words.rfind(|(_, (about, ..))| *about == place)?;
    (at + 1_200_000 < lines[before].at).then_some(is_ban)
}

/// Whether no decision about the user overlaps the post.
fn is_quiet(lines: &[Line], sent: usize, answered: usize, user: i64) -> bool {
    !lines[sent..answered].iter().filter_map(|line| decided(&line.what)).any(|((_, about), ..)| about == user)
}

#[test]
fn a_late_ban_from_every_room_is_noticed() {
    caught("banned_is_silent", |lines, rng| {
        let is_wanted = |(sent, answered, _, user): &&(usize, usize, i64, i64)| {
            last_word(lines, *sent, (None, *user)) == Some(true) && is_quiet(lines, *sent, *answered, *user)
        };
        let posts = posts(lines);
        let found: Vec<_> = posts.iter().filter(is_wanted).collect();
        // Not every history has such a ban. If not, a ban from a room does.
        let is_of_the_room = |(sent, answered, room, user): &&(usize, usize, i64, i64)| {
            last_word(lines, *sent, (Some(*room), *user)) == Some(true) && is_quiet(lines, *sent, *answered, *user)
        };
        let found = if found.is_empty() { posts.iter().filter(is_of_the_room).collect() } else { found };
        let (_, answered, ..) = *found[rng.usize(..found.len())];
        let Observation::Failed { post, attempt, .. } = lines[answered].what else { panic!("{:?}", lines[answered]) };
        let (id, position) = (EventId::new(), Position { epoch: 7, sequence: 2_000_000, index: 0 });
        lines[answered].what = Observation::Ok { post, attempt, id, position, status: 202, connected: None };
    });
}

/// Posts of users who were unbanned more than a second before, and are not banned anywhere.
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
    for wanted in ["msg_presenter_only", "msg_emoji_only"] {
        caught("settings_hold", |lines, rng| {
            let place = any(lines, rng, |what| matches!(what, Observation::Failed { code, .. } if code == wanted));
            let Observation::Failed { post, attempt, .. } = lines[place].what else {
                unreachable!("it was looked for")
            };
            // Long after the setting.
            for line in &mut lines[..place] {
                if matches!(
                    line.what,
                    Observation::Decides { decided: Decided::Configure { .. }, .. } | Observation::Confirmed { .. }
                ) {
                    line.at = line.at.saturating_sub(2_000_000);
                }
            }
            let (id, position) = (EventId::new(), Position { epoch: 7, sequence: 2_000_000, index: 0 });
            lines[place].what = Observation::Ok { post, attempt, id, position, status: 202, connected: None };
            lines.sort_by_key(|line| line.at);
        });
    }
}

#[test]
fn a_post_refused_for_an_undone_setting_is_noticed() {
    for (code, wanted) in [
        ("msg_presenter_only", "presenterOnly"),
        ("현재 스트리머만 채팅을 보낼 수 있습니다.", "presenterOnly"),
        ("msg_emoji_only", "emojiOnly"),
        ("현재 이모지만 보낼 수 있습니다.", "emojiOnly"),
    ] {
        caught("settings_end", |lines, rng| {
            // The room, and when its last restriction of that kind was lifted.
            let words: Vec<(usize, i64, bool)> = lines
                .iter()
                .enumerate()
                .filter_map(|(line, entry)| match &entry.what {
                    Observation::Decides {
                        room: Some(room), decided: Decided::Configure { setting, value }, ..
                    } => (setting == wanted).then_some((line, *room, value == "null")),
                    _ => None,
                })
                .collect();
            let is_free = |(sent, answered, room, user): &(usize, usize, i64, i64)| {
                // Presenters and moderators may write all the time.
                if !VIEWERS.contains(user) {
                    return false;
                }
                let last = words.iter().rfind(|(line, about, _)| about == room && line < sent);
                let is_quiet = !words.iter().any(|(line, about, _)| about == room && (sent..answered).contains(&line));
                last.is_some_and(|(line, _, is_over)| *is_over && lines[*line].at + 1_200_000 < lines[*sent].at)
                    && is_quiet
            };
            let free: Vec<usize> = posts(lines).into_iter().filter(is_free).map(|(_, answered, ..)| answered).collect();
            let line = free[rng.usize(..free.len())];
            let (Observation::Ok { post, attempt, .. } | Observation::Failed { post, attempt, .. }) = lines[line].what
            else {
                unreachable!("it was looked for")
            };
            lines[line].what = Observation::Failed { post, attempt, status: 403, code: code.to_owned() };
        });
    }
}

#[test]
fn a_user_refused_after_the_ban_was_lifted_is_noticed() {
    for code in ["msg_banned", "채팅이 금지된 사용자입니다."] {
        caught("unbanned_may_write", |lines, rng| {
            let free = free(lines);
            let line = free[rng.usize(..free.len())];
            let (Observation::Ok { post, attempt, .. } | Observation::Failed { post, attempt, .. }) = lines[line].what
            else {
                unreachable!("it was looked for")
            };
            lines[line].what = Observation::Failed { post, attempt, status: 403, code: code.to_owned() };
        });
    }
}

/// No unban of the author found a ban, yet the post answered in that line is refused for one. Returns the lines of
/// those answers.
fn find_no_ban(lines: &mut [Line], line: usize) -> Vec<usize> {
    let (Observation::Ok { post: refused, attempt, .. } | Observation::Failed { post: refused, attempt, .. }) =
        lines[line].what
    else {
        unreachable!("it was looked for")
    };
    let writer = lines.iter().find_map(|line| match line.what {
        Observation::Invoked { post, user, .. } if post == refused => Some(user),
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
            Observation::Confirmed { decision, attempt, .. } if unbans.contains(&decision) => {
                let code = "not_banned".to_owned();
                line.what = Observation::Refused { decision, attempt, status: 404, code };
                answers.push(place);
            }
            _ => {}
        }
    }
    let code = "msg_banned".to_owned();
    lines[line].what = Observation::Failed { post: refused, attempt, status: 403, code };
    answers
}

#[test]
fn a_user_refused_without_a_ban_is_noticed() {
    // The unban found no ban. The ban came long after it was given up.
    caught("unbanned_may_write", |lines, rng| {
        let free = free(lines);
        let line = free[rng.usize(..free.len())];
        find_no_ban(lines, line);
    });
}

#[test]
fn a_node_that_has_not_heard_of_a_ban_does_not_lift_it() {
    for seed in 0..SEEDS {
        let mut lines = history(seed);
        let free = free(&lines);
        let line = free[Rng::with_seed(seed).usize(..free.len())];
        let answers = find_no_ban(&mut lines, line);
        // The fault ends at once, so that the post itself is not excused if it is late enough.
        let (kind, parts) = ("one-way ingest to nats".to_owned(), vec!["ingest-0".to_owned()]);
        let faults = answers.iter().zip(50..).flat_map(|(answer, fault)| {
            let breaks = Observation::Breaks { fault, kind: kind.clone(), parts: parts.clone() };
            [breaks, Observation::Heals { fault }].map(|what| Line { at: lines[*answer].at, what })
        });
        let faults: Vec<Line> = faults.collect();
        lines.extend(faults);
        lines.sort_by_key(|line| line.at);
        let broken: Vec<_> = broken(&lines).into_iter().map(|(name, _)| name).collect();
        assert!(!broken.contains(&"unbanned_may_write"), "seed {seed}: {broken:?}");
    }
}
