//! A ban is in force until it is undone, on every node within a second: whoever is banned is silent, and whoever is not
//! is not refused as if they were.

use std::collections::HashMap;

use super::Findings;
use super::view::{Answer, Attempt, Decision, Fault, Outcome, Request, View};
use crate::history::Decided;

/// What waits in a node that cannot reach the log is appended within the deadline of an append, 5 s, once it can.
const RECONNECTED_US: u64 = 6_000_000;

/// Whether ingest nodes could not hear what was decided. One that was killed or stopped is no such case: it answers only
/// once it has read that; nor is one that clients do not reach.
fn deafens(fault: &Fault) -> bool {
    fault.touches(&["nats"]) || fault.kind.starts_with("pause ingest") || fault.kind.ends_with("ingest to nats")
}

/// Within a second, as `docs/moderation.md` has it.
const HOLDS_WITHIN_US: u64 = 1_000_000;

/// Of each user in each room, and in every room, what was decided, in the order of the asking; moderators of these
/// histories do not contradict each other about one user at once.
type Decided_<'a, 'b> = HashMap<(Option<i64>, i64), Vec<&'b Decision<'a>>>;

fn decided<'a, 'b>(view: &'b View<'a>) -> Decided_<'a, 'b> {
    let mut decided: Decided_ = HashMap::new();
    for decision in view.decisions.values() {
        if let Decided::Ban { user } | Decided::Unban { user } = decision.decided {
            decided.entry((decision.request.room, *user)).or_default().push(decision);
        }
    }
    for decisions in decided.values_mut() {
        decisions.sort_by_key(|decision| decision.request.invoked);
    }
    decided
}

pub(super) fn banned_is_silent(view: &View, findings: &mut Findings) {
    let decided = decided(view);
    for post in view.posts.values() {
        // Nobody is banned in the own room.
        if post.user == post.room {
            continue;
        }
        for place in [Some(post.room), None] {
            let Some(decisions) = decided.get(&(place, post.user)) else { continue };
            let sent = view.at(post.request.invoked);
            let last = decisions.iter().rfind(|decision| view.at(decision.request.invoked) < sent);
            let Some((last, confirmed)) = last.and_then(|last| Some((last, last.request.accepted()?.0))) else {
                continue;
            };
            if !matches!(last.decided, Decided::Ban { .. }) || sent <= view.at(confirmed) + HOLDS_WITHIN_US {
                continue;
            }
            // Lifted while the post was on its way: either answer is right.
            let answered = match post.request.outcome() {
                Outcome::Ok(line) | Outcome::Failed(line) => view.at(line),
                Outcome::Unknown => u64::MAX,
            };
            if decisions.iter().any(|decision| (sent..answered).contains(&view.at(decision.request.invoked))) {
                continue;
            }
            findings.look();
            if let Some((ok, ..)) = post.request.accepted()
                && !view.faulty(sent, answered, RECONNECTED_US, deafens)
            {
                let sentence = format!(
                    "user {} was banned from {} and posted to room {} {} ms later",
                    post.user,
                    place.map_or("every room".to_owned(), |room| format!("room {room}")),
                    post.room,
                    (sent - view.at(confirmed)) / 1_000
                );
                findings.broken(sentence, [last.request.invoked, confirmed, post.request.invoked, ok]);
            }
        }
    }
}

/// As `/v1` says that somebody is banned, and as the original's surface does.
const BANNED: [&str; 2] = ["msg_banned", "채팅이 금지된 사용자입니다."];

/// As it is said that there is no ban to undo.
const NOT_BANNED: &str = "not_banned";

/// How much longer than its deadline an append may take to be in the log.
const APPENDED_US: u64 = 2_000_000;

/// Since when nobody can take the user to be banned any more, and the line that says so; none: somebody may. `decisions`
/// are about the user in one place, and were asked for before the post was sent.
fn free_since(view: &View, decisions: &[&Decision]) -> Option<Free> {
    let Some(last) = decisions.last() else { return Some(Free { line: None, at: 0 }) };
    if !matches!(last.decided, Decided::Unban { .. }) {
        let never = decisions.iter().all(|decision| decision.request.is_refused());
        return never.then_some(Free { line: None, at: 0 });
    }
    let (line, _) = last.request.attempts.values().rev().find_map(|attempt| attempt.answered.filter(undoes))?;
    // A ban of which nobody knows what became of it may come into the log until its append is given up.
    let doubtful = decisions.iter().filter(|decision| matches!(decision.decided, Decided::Ban { .. }));
    let doubtful = doubtful.filter(|decision| decision.request.is_in_doubt());
    let given_up = doubtful.filter_map(|decision| decision.request.attempts.values().map(|it| it.sent).max());
    let given_up = given_up.map(|sent| view.at(sent) + view.append_deadline + APPENDED_US).max();
    Some(Free { line: Some(line), at: view.at(line).max(given_up.unwrap_or(0)) })
}

struct Free {
    line: Option<usize>,
    at: u64,
}

fn undoes((_, answer): &(usize, Answer)) -> bool {
    matches!(answer, Answer::Accepted { .. } | Answer::Refused { code: NOT_BANNED, .. })
}

pub(super) fn unbanned_may_write(view: &View, findings: &mut Findings) {
    let decided = decided(view);
    for post in view.posts.values() {
        let places = [Some(post.room), None].map(|place| decided.get(&(place, post.user)));
        if places.iter().all(Option::is_none) {
            continue;
        }
        let places = places.map(|decisions| decisions.map(Vec::as_slice).unwrap_or_default());
        for attempt in post.request.attempts.values() {
            let Some((answered, answer)) = attempt.answered else { continue };
            let is_asked = |decision: &&Decision, until: usize| decision.request.invoked < until;
            let frees = places.map(|decisions| {
                let known = decisions.iter().filter(|decision| is_asked(decision, attempt.sent)).copied();
                free_since(view, &known.collect::<Vec<_>>())
            });
            let [Some(here), Some(everywhere)] = frees else { continue };
            // Only what was undone can wrongly be taken to hold.
            let free = if here.at >= everywhere.at { here } else { everywhere };
            let Some(undone) = free.line else { continue };
            let sent = view.at(attempt.sent);
            let is_decided_meanwhile = places.iter().copied().flatten().any(|decision| {
                (attempt.sent..answered).contains(&decision.request.invoked)
                    || is_asked_again(decision, attempt, answered)
            });
            if sent <= free.at + HOLDS_WITHIN_US || is_decided_meanwhile {
                continue;
            }
            findings.look();
            let is_refused = matches!(answer, Answer::Refused { code, .. } if BANNED.contains(&code));
            if is_refused && !view.faulty(sent, view.at(answered), RECONNECTED_US, deafens) {
                let sentence = format!(
                    "user {} was not banned from room {} any more, and was refused as banned {} ms later",
                    post.user,
                    post.room,
                    (sent - view.at(undone)) / 1_000
                );
                findings.broken(sentence, [undone, attempt.sent, answered]);
            }
        }
    }
}

/// Whether an attempt of the decision was made while the post was on its way.
fn is_asked_again(decision: &Decision, post: &Attempt, answered: usize) -> bool {
    let Request { attempts, .. } = &decision.request;
    attempts.values().any(|attempt| (post.sent..answered).contains(&attempt.sent))
}
