//! Sweeps with a span forward: posts that match are refused, everywhere within a second, until the span is over or the
//! sweep is undone. What another node accepted in that second is deleted: see [`super::moderation`].

use chat::EventId;
use std::collections::HashMap;

use super::Findings;
use super::rules::{HOLDS_WITHIN_US, RECONNECTED_US, deafens};
use super::view::{Answer, Decision, Post, Source, View};
use crate::deletions::ChangeKind;
use crate::history::Decided;

/// The code on `/v1`, and the sentence on the original's surface.
const SWEPT: [&str; 2] = ["msg_swept", "지금은 이런 내용의 채팅을 보낼 수 없습니다."];

/// 10 s: a node whose clock is behind the log's goes on refusing for as long as readers believe such a clock.
const OVER_WITHIN_US: u64 = 10_000_000;

/// The decisions that undo the sweep.
fn ends<'a, 'b>(view: &'b View<'a>, sweep: EventId) -> impl Iterator<Item = &'b Decision<'a>> {
    view.decisions
        .values()
        .filter(move |decision| matches!(decision.decided, Decided::Unsweep { target } if *target == sweep))
}

/// The answers that refuse the post for a sweep: the line of the attempt, and that of the answer.
fn refusals(post: &Post) -> impl Iterator<Item = (usize, usize)> {
    post.request.attempts.values().filter_map(|attempt| match attempt.answered? {
        (line, Answer::Refused { code, .. }) if SWEPT.contains(&code) => Some((attempt.sent, line)),
        _ => None,
    })
}

pub(super) fn sweeps_refuse(view: &View, findings: &mut Findings) {
    let posts: HashMap<EventId, &Post> =
        view.posts.values().filter_map(|post| Some((post.request.accepted()?.1, post))).collect();
    view.posts.values().flat_map(refusals).for_each(|_| findings.look());
    for (message, changes) in view.changed() {
        let Some(post) = posts.get(&message) else { continue };
        let Some((ok, ..)) = post.request.accepted() else { continue };
        for refusal in changes.iter().filter(|change| change.change.kind == ChangeKind::Refusal) {
            let Some(confirmed) = refusal.confirmed else { continue };
            findings.look();
            let (sent, answered) = (view.at(post.request.invoked), view.at(ok));
            let is_undone = ends(view, refusal.decision()).any(|end| view.at(end.request.invoked) < answered);
            let is_late = sent > view.at(confirmed) + HOLDS_WITHIN_US;
            if is_late && !is_undone && !view.faulty(sent, answered, RECONNECTED_US, deafens) {
                let sentence = format!(
                    "user {} posted to room {} what {} had refused for {} ms",
                    post.user,
                    post.room,
                    refusal.decision(),
                    (sent - view.at(confirmed)) / 1_000
                );
                findings.broken(sentence, [refusal.requested, confirmed, post.request.invoked, ok]);
            }
        }
    }
}

pub(super) fn sweeps_stop_refusing(view: &View, findings: &mut Findings) {
    for post in view.posts.values() {
        for (asked, answered) in refusals(post) {
            findings.look();
            let sent = view.at(asked);
            let refuses = |decision: &&Decision| {
                let Decided::Sweep { swept } = decision.decided else { return false };
                let is_asked = !decision.request.is_refused() && view.at(decision.request.invoked) < view.at(answered);
                is_asked
                    && decision.request.room == Some(post.room)
                    && swept.refuses_for.is_some()
                    && !is_over(view, decision, sent)
            };
            let is_wrong = !view.decisions.values().any(|decision| refuses(&decision));
            if is_wrong && !view.faulty(sent, view.at(answered), RECONNECTED_US, deafens) {
                let sentence = format!("user {} was refused in room {} for no sweep", post.user, post.room);
                findings.broken(sentence, [asked, answered]);
            }
        }
    }
}

/// Whether no node may refuse a post for the sweep that was sent then.
fn is_over(view: &View, sweep: &Decision, sent: u64) -> bool {
    // Of a sweep of unknown outcome nothing is known.
    let Some((_, id, _)) = sweep.request.accepted() else { return false };
    let ended = ends(view, id).filter_map(|end| end.request.accepted());
    let is_undone = ended.map(|(line, ..)| view.at(line)).any(|at| at + HOLDS_WITHIN_US < sent);
    let logged = view.rulings.iter().find(|ruling| ruling.source == Source::Log && ruling.id == id);
    let until = logged.and_then(|ruling| ruling.swept?.refuses_until);
    let is_past = until.is_some_and(|until| view.since_the_beginning(until) + OVER_WITHIN_US < sent);
    is_undone || is_past
}
