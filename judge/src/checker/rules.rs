//! Bans and settings take effect on every node within a second, and stop with their end: forbidden posts are refused,
//! others are not refused for that reason.

use std::collections::HashMap;

use super::Findings;
use super::view::{Answer, Attempt, Decision, Fault, Outcome, Post, View};
use crate::history::Decided;
use crate::history::LINK;

/// The subject of a decision. In these histories moderators do not decide about one subject at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subject<'a> {
    /// A user in a room. None: every room.
    Ban(Option<i64>, i64),
    /// A setting of a room.
    Setting(i64, &'a str),
}

impl Subject<'_> {
    fn is_ban(self) -> bool {
        matches!(self, Subject::Ban(..))
    }

    /// Whether the answer gives this subject as the reason of the refusal.
    fn is_said(self, status: u16, code: &str) -> bool {
        match self {
            Subject::Ban(..) => BANNED.contains(&code),
            Subject::Setting(_, "presenterOnly") => PRESENTER_ONLY.contains(&code),
            Subject::Setting(_, "emojiOnly") => EMOJI_ONLY.contains(&code),
            Subject::Setting(_, "links") => NO_LINKS.contains(&code),
            Subject::Setting(..) => status == 400 && TOO_LONG.contains(&code),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Subject::Ban(..) => "a ban",
            Subject::Setting(..) => "a setting",
        }
    }
}

/// The code on `/v1`, and the sentence on the original's surface.
const BANNED: [&str; 2] = ["msg_banned", "채팅이 금지된 사용자입니다."];
const PRESENTER_ONLY: [&str; 2] = ["msg_presenter_only", "현재 스트리머만 채팅을 보낼 수 있습니다."];
const EMOJI_ONLY: [&str; 2] = ["msg_emoji_only", "현재 이모지만 보낼 수 있습니다."];
const NO_LINKS: [&str; 2] = ["msg_link_forbidden", "이 방에서는 링크를 보낼 수 없습니다."];
/// Among the refusals with this status, only the length of the text can be the reason here.
const TOO_LONG: [&str; 2] = ["text_too_long", "채팅이 정상적으로 전송되지 않았습니다."];

/// The code for an unban without a ban.
const NOT_BANNED: &str = "not_banned";

/// The maximum length of a text, whatever a room allows.
const LONGEST: usize = 500;

/// The maximum length in rooms with the short setting.
const SHORT: usize = 8;

/// The subjects that can forbid the post.
fn subjects(post: &Post) -> Vec<Subject<'static>> {
    let mut subjects = Vec::new();
    // A moderator's notice is none of the viewers' messages.
    if post.is_notice() {
        return subjects;
    }
    // Presenters cannot be banned from their own room, and may always post there.
    if post.user != post.room {
        subjects.extend([Subject::Ban(Some(post.room), post.user), Subject::Ban(None, post.user)]);
        subjects.push(Subject::Setting(post.room, "presenterOnly"));
        // Letters that are no part of any emoji.
        if post.text.chars().any(|letter| letter.is_ascii_alphabetic() || ('가'..='힣').contains(&letter)) {
            subjects.push(Subject::Setting(post.room, "emojiOnly"));
        }
        if post.text.contains(LINK) {
            subjects.push(Subject::Setting(post.room, "links"));
        }
    }
    // Characters that count as one by any measure.
    let is_one = |letter: &char| letter.is_ascii_graphic() || ('가'..='힣').contains(letter);
    if post.text.chars().filter(is_one).count() > SHORT && post.text.chars().count() <= LONGEST {
        subjects.push(Subject::Setting(post.room, "maxLength"));
    }
    subjects
}

/// The subject of the decision, and whether it forbids.
fn forbids<'a>(decision: &Decision<'a>) -> Option<(Subject<'a>, bool)> {
    let room = decision.request.room;
    match decision.decided {
        Decided::Ban { user, .. } => Some((Subject::Ban(room, *user), true)),
        Decided::Unban { user } => Some((Subject::Ban(room, *user), false)),
        Decided::Configure { setting, value } => Some((Subject::Setting(room?, setting), value != "null")),
        _ => None,
    }
}

/// The decisions about each subject with whether they forbid, in order of the requests.
type Known<'a, 'b> = HashMap<Subject<'a>, Vec<(&'b Decision<'a>, bool)>>;

fn known<'a, 'b>(view: &'b View<'a>) -> Known<'a, 'b> {
    let mut known: Known = HashMap::new();
    for decision in view.decisions.values() {
        // A decision that a disk lost is not in force.
        let is_lost = decision.request.accepted().is_some_and(|(_, id, _)| view.lost.contains_key(&id));
        if let Some((subject, is_forbidding)) = forbids(decision).filter(|_| !is_lost) {
            known.entry(subject).or_default().push((decision, is_forbidding));
        }
    }
    for decisions in known.values_mut() {
        decisions.sort_by_key(|(decision, _)| decision.request.invoked);
    }
    known
}

/// A request that waits in a node without the log is appended within 5 s, the deadline of an append, of the reconnect.
pub(super) const RECONNECTED_US: u64 = 6_000_000;

/// Whether the fault keeps ingest nodes from reading decisions. A killed or stopped node answers only after it has
/// caught up, and a node that clients cannot reach does not answer.
pub(super) fn deafens(fault: &Fault) -> bool {
    fault.touches(&["nats"]) || fault.kind.starts_with("pause ingest") || fault.kind.ends_with("ingest to nats")
}

/// 1 s, as promised in `docs/reference/moderation.md`.
pub(super) const HOLDS_WITHIN_US: u64 = 1_000_000;

pub(super) fn banned_is_silent(view: &View, findings: &mut Findings) {
    is_in_force(view, findings, |subject| subject.is_ban());
}

pub(super) fn settings_hold(view: &View, findings: &mut Findings) {
    is_in_force(view, findings, |subject| !subject.is_ban());
}

fn is_in_force(view: &View, findings: &mut Findings, wanted: impl Fn(Subject) -> bool) {
    let known = known(view);
    for post in view.posts.values() {
        let sent = view.at(post.request.invoked);
        for subject in subjects(post).into_iter().filter(|subject| wanted(*subject)) {
            let Some(decisions) = known.get(&subject) else { continue };
            let last = decisions.iter().rfind(|(decision, _)| view.at(decision.request.invoked) < sent);
            let last = last.and_then(|(last, is_on)| Some((last, is_on, last.request.accepted()?.0)));
            let Some((last, true, confirmed)) = last else { continue };
            if sent <= view.at(confirmed) + HOLDS_WITHIN_US {
                continue;
            }
            // Lifted while the post was in progress: either answer is right.
            let answered = match post.request.outcome() {
                Outcome::Ok(line) | Outcome::Held(line) | Outcome::Failed(line) => view.at(line),
                Outcome::Unknown => u64::MAX,
            };
            let is_on_its_way = |line: usize| (sent..answered).contains(&view.at(line));
            if decisions.iter().any(|(decision, _)| is_on_its_way(decision.request.invoked)) {
                continue;
            }
            findings.look();
            if let Some((ok, ..)) = post.request.accepted()
                && !view.faulty(sent, answered, RECONNECTED_US, deafens)
            {
                let sentence = format!(
                    "user {} posted to room {}, which {} had forbidden {} ms before",
                    post.user,
                    post.room,
                    subject.word(),
                    (sent - view.at(confirmed)) / 1_000
                );
                findings.broken(sentence, [last.request.invoked, confirmed, post.request.invoked, ok]);
            }
        }
    }
}

/// The time since when no node can consider the subject forbidden, and the line that shows it. No line: it never was.
struct Free {
    line: Option<usize>,
    at: u64,
}

/// How long after its deadline an append may still reach the log.
pub(super) const APPENDED_US: u64 = 2_000_000;

/// None: it may be forbidden. The decisions are those requested before the post was sent.
fn free_since(view: &View, decisions: &[(&Decision, bool)]) -> Option<Free> {
    let never = Free { line: None, at: 0 };
    let Some((last, is_on)) = decisions.last() else { return Some(never) };
    if *is_on {
        return decisions.iter().all(|(decision, _)| decision.request.is_refused()).then_some(never);
    }
    let undoes = |attempt: &Attempt| {
        let (line, answer) = attempt.answered?;
        let counts = match answer {
            Answer::Accepted { .. } => true,
            // A node that has not heard of the ban answers the same, and undoes nothing.
            Answer::Refused { code: NOT_BANNED, .. } => {
                !view.faulty(view.at(attempt.sent), view.at(line), RECONNECTED_US, deafens)
            }
            Answer::Refused { .. } | Answer::Unknown => false,
        };
        counts.then_some(line)
    };
    let line = last.request.attempts.values().rev().find_map(undoes)?;
    // A request of unknown outcome may reach the log until its append expires.
    let doubtful = decisions.iter().filter(|(decision, is_on)| *is_on && decision.request.is_in_doubt());
    let sent = doubtful.filter_map(|(decision, _)| decision.request.attempts.values().map(|it| it.sent).max());
    let given_up = sent.map(|sent| view.at(sent) + view.append_deadline + APPENDED_US).max();
    Some(Free { line: Some(line), at: view.at(line).max(given_up.unwrap_or(0)) })
}

pub(super) fn unbanned_may_write(view: &View, findings: &mut Findings) {
    is_over(view, findings, |subject| subject.is_ban());
}

pub(super) fn settings_end(view: &View, findings: &mut Findings) {
    is_over(view, findings, |subject| !subject.is_ban());
}

fn is_over(view: &View, findings: &mut Findings, wanted: impl Fn(Subject) -> bool + Copy) {
    let known = known(view);
    for post in view.posts.values() {
        let subjects: Vec<Subject> = subjects(post).into_iter().filter(|subject| wanted(*subject)).collect();
        if !subjects.iter().any(|subject| known.contains_key(subject)) {
            continue;
        }
        for attempt in post.request.attempts.values() {
            let Some((answered, answer)) = attempt.answered else { continue };
            // Every subject that could forbid the post with this answer.
            let said = subjects.iter().filter(|subject| match answer {
                Answer::Refused { status, code } => subject.is_said(status, code),
                _ => true,
            });
            let of = |subject: &Subject<'static>| known.get(subject).map(Vec::as_slice).unwrap_or_default();
            let frees = said.clone().map(|subject| {
                let decisions = of(subject);
                let asked = decisions.partition_point(|(decision, _)| decision.request.invoked < attempt.sent);
                free_since(view, &decisions[..asked])
            });
            let Some(frees) = frees.collect::<Option<Vec<Free>>>() else { continue };
            // Only a subject whose decision was undone can be enforced wrongly.
            let Some(free) = frees.into_iter().max_by_key(|free| free.at) else { continue };
            let Some(undone) = free.line else { continue };
            let sent = view.at(attempt.sent);
            let mut others = said.clone().flat_map(of);
            let is_decided_meanwhile = others.any(|(decision, _)| is_asked_during(decision, attempt, answered));
            if sent <= free.at + HOLDS_WITHIN_US || is_decided_meanwhile {
                continue;
            }
            findings.look();
            let mut said = said;
            let is_refused = matches!(answer, Answer::Refused { .. }) && said.next().is_some();
            if is_refused && !view.faulty(sent, view.at(answered), RECONNECTED_US, deafens) {
                let sentence = format!(
                    "user {} was refused in room {} for a rule that was undone {} ms before",
                    post.user,
                    post.room,
                    (sent - view.at(undone)) / 1_000
                );
                findings.broken(sentence, [undone, attempt.sent, answered]);
            }
        }
    }
}

/// Whether an attempt of the decision overlaps the post.
fn is_asked_during(decision: &Decision, post: &Attempt, answered: usize) -> bool {
    decision.request.attempts.values().any(|attempt| (post.sent..answered).contains(&attempt.sent))
}
