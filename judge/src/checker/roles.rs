//! Moderators of rooms may decide while they are appointed, on every node, within a second. Presenters may always decide
//! in their rooms, and who has the scope everywhere.

use std::collections::HashMap;

use super::Findings;
use super::rules::{APPENDED_US, HOLDS_WITHIN_US, RECONNECTED_US, deafens};
use super::view::{Answer, Attempt, Decision, View};
use crate::history::Decided;

/// The code for a decision of somebody who may not moderate the room.
const FORBIDDEN: &str = "forbidden";

/// A room, and a user without a scope.
type Role = (i64, i64);

/// The appointments and dismissals of each user, in order of the requests. In these histories they do not overlap.
fn appointments<'a, 'b>(view: &'b View<'a>) -> HashMap<Role, Vec<(&'b Decision<'a>, bool)>> {
    let mut roles: HashMap<Role, Vec<_>> = HashMap::new();
    for decision in view.decisions.values() {
        let (user, is_appointed) = match decision.decided {
            Decided::Appoint { user } => (*user, true),
            Decided::Dismiss { user } => (*user, false),
            _ => continue,
        };
        if let Some(room) = decision.request.room {
            roles.entry((room, user)).or_default().push((decision, is_appointed));
        }
    }
    for decisions in roles.values_mut() {
        decisions.sort_by_key(|(decision, _)| decision.request.invoked);
    }
    roles
}

/// What every node must know of a role when an attempt is sent: whether the user has it, and the line that shows it. No
/// line: the user never had it.
fn certain(view: &View, appointments: &[(&Decision, bool)], attempt: &Attempt) -> Option<(bool, Option<usize>)> {
    let sent = view.at(attempt.sent);
    let answered = view.at(attempt.answered?.0);
    let requests = |decision: &Decision| decision.request.attempts.values().map(|it| it.sent).max();
    let mut before = appointments.iter().filter(|(decision, _)| decision.request.invoked < attempt.sent);
    let Some((last, is_appointed)) = before.next_back() else {
        let is_first = appointments.first().is_none_or(|(first, _)| view.at(first.request.invoked) > answered);
        return is_first.then_some((false, None));
    };
    let (confirmed, id, _) = last.request.accepted()?;
    // A request of unknown outcome may reach the log until its append expires.
    let may_come = |decision: &Decision| {
        let given_up = requests(decision).map(|sent| view.at(sent) + view.append_deadline + APPENDED_US);
        decision.request.is_in_doubt() && given_up > Some(view.at(last.request.invoked))
    };
    let is_doubtful = before.any(|(earlier, _)| may_come(earlier));
    let is_decided_meanwhile = appointments.iter().any(|(decision, _)| {
        decision.request.attempts.values().any(|other| (sent..=answered).contains(&view.at(other.sent)))
    });
    let is_known = sent > view.at(confirmed) + HOLDS_WITHIN_US;
    // A decision that a disk lost counts no more, and the state before it may be any.
    let is_lost = !view.lost.is_empty() && !view.logged.contains_key(&id);
    (is_known && !is_doubtful && !is_decided_meanwhile && !is_lost).then_some((*is_appointed, Some(confirmed)))
}

/// Every attempt of a user without a scope to decide, with what is certain about the role.
fn attempts<'a, 'b>(view: &'b View<'a>) -> Vec<(&'b Decision<'a>, &'b Attempt<'a>, bool, Option<usize>)> {
    let roles = appointments(view);
    let mut attempts = Vec::new();
    for decision in view.decisions.values() {
        let Some(role) = decision.request.room.zip(decision.by) else { continue };
        let appointments = roles.get(&role).map(Vec::as_slice).unwrap_or_default();
        for attempt in decision.request.attempts.values() {
            if let Some((is_appointed, shown)) = certain(view, appointments, attempt) {
                attempts.push((decision, attempt, is_appointed, shown));
            }
        }
    }
    attempts
}

fn is_excused(view: &View, attempt: &Attempt, answered: usize) -> bool {
    view.faulty(view.at(attempt.sent), view.at(answered), RECONNECTED_US, deafens)
}

pub(super) fn moderators_may_decide(view: &View, findings: &mut Findings) {
    for (decision, attempt, _, shown) in attempts(view).into_iter().filter(|(_, _, is_appointed, _)| *is_appointed) {
        let Some((answered, answer)) = attempt.answered else { continue };
        findings.look();
        if matches!(answer, Answer::Refused { code: FORBIDDEN, .. }) && !is_excused(view, attempt, answered) {
            let sentence = format!("a moderator of the room was not allowed to decide `{}`", decision.reason);
            findings.broken(sentence, shown.into_iter().chain([attempt.sent, answered]));
        }
    }
}

pub(super) fn presenters_may_decide(view: &View, findings: &mut Findings) {
    for decision in view.decisions.values().filter(|decision| decision.by.is_none()) {
        for attempt in decision.request.attempts.values() {
            let Some((answered, answer)) = attempt.answered else { continue };
            findings.look();
            if matches!(answer, Answer::Refused { code: FORBIDDEN, .. }) {
                let sentence = format!("a presenter, or who has the scope, may not decide `{}`", decision.reason);
                findings.broken(sentence, [attempt.sent, answered]);
            }
        }
    }
}

pub(super) fn others_may_not_decide(view: &View, findings: &mut Findings) {
    for (decision, attempt, _, shown) in attempts(view).into_iter().filter(|(_, _, is_appointed, _)| !is_appointed) {
        let Some((answered, answer)) = attempt.answered else { continue };
        findings.look();
        if matches!(answer, Answer::Accepted { .. }) && !is_excused(view, attempt, answered) {
            let sentence = format!("a user who is no moderator of the room decided `{}`", decision.reason);
            findings.broken(sentence, shown.into_iter().chain([attempt.sent, answered]));
        }
    }
}
