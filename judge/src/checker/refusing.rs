//! Sweeps with a span forward: posts that match are refused or held, everywhere within a second, until the span is over
//! or the sweep is undone. What another node accepted in that second before a sweep that refuses is deleted: see
//! [`super::moderation`].

use std::collections::HashMap;

use chat::EventId;
use jiff::Timestamp;

use super::Findings;
use super::rules::{HOLDS_WITHIN_US, RECONNECTED_US, deafens};
use super::view::{Answer, Decision, Post, Ruling, Source, View};
use crate::deletions::{ChangeKind, matches};
use crate::history::{Decided, ReviewVerdict, Swept};

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
            let may_refuse = has_sweep(view, post.room, sent, answered, |swept| swept.refuses_for.is_some());
            if !may_refuse && !view.faulty(sent, view.at(answered), RECONNECTED_US, deafens) {
                let sentence = format!("user {} was refused in room {} for no sweep", post.user, post.room);
                findings.broken(sentence, [asked, answered]);
            }
        }
    }
}

pub(super) fn sweeps_hold(view: &View, findings: &mut Findings) {
    let holding: Vec<(&Ruling, &Swept, Timestamp)> = view
        .rulings
        .iter()
        .filter(|ruling| ruling.source == Source::Log)
        .filter_map(|ruling| Some((ruling, ruling.swept?, ruling.swept?.holds_until?)))
        .collect();
    for (post, ok, id, position) in view.accepted_posts() {
        let Some((room, place)) = view.logged.get(&id).filter(|_| !view.messages.holds.contains_key(&id)) else {
            continue;
        };
        let posted = view.posted(*room, place, false);
        let of_room = holding.iter().filter(|(sweep, ..)| sweep.room == Some(*room) && posted.is_viewers);
        for (sweep, swept, until) in of_room.filter(|(sweep, ..)| sweep.position.is_some_and(|it| it < position)) {
            let confirmed = view.decision_of(sweep).and_then(|decision| decision.request.accepted());
            let Some((confirmed, ..)) = confirmed.filter(|_| posted.sent < *until && matches(swept, &posted)) else {
                continue;
            };
            findings.look();
            let (sent, answered) = (view.at(post.request.invoked), view.at(ok));
            let is_undone = ends(view, sweep.id).any(|end| view.at(end.request.invoked) < answered);
            let is_late = sent > view.at(confirmed) + HOLDS_WITHIN_US;
            if is_late && !is_undone && !view.faulty(sent, answered, RECONNECTED_US, deafens) {
                let sentence = format!(
                    "user {} posted to room {} what {} had held for {} ms",
                    post.user,
                    post.room,
                    sweep.id,
                    (sent - view.at(confirmed)) / 1_000
                );
                findings.broken(sentence, [confirmed, post.request.invoked, ok, sweep.line]);
            }
        }
    }
}

pub(super) fn sweeps_stop_holding(view: &View, findings: &mut Findings) {
    for post in view.posts.values() {
        let Some((held, ..)) = post.request.held.first() else { continue };
        findings.look();
        // A retry is answered as the first attempt was.
        let sent = view.at(post.request.invoked);
        let by_hook = matches!(view.reviews.get(post.text), Some((_, ReviewVerdict::Hold)));
        let may_hold = by_hook || has_sweep(view, post.room, sent, *held, |swept| swept.holds_for.is_some());
        if !may_hold && !view.faulty(sent, view.at(*held), RECONNECTED_US, deafens) {
            let sentence = format!("user {} was held in room {} for no sweep, by no hook", post.user, post.room);
            findings.broken(sentence, [post.request.invoked, *held]);
        }
    }
}

/// Whether a sweep of that kind was asked for in the room before the answer, and not over when the post was sent.
fn has_sweep(view: &View, room: i64, sent: u64, answered: usize, wanted: impl Fn(&Swept) -> bool) -> bool {
    view.decisions.values().any(|decision| {
        let Decided::Sweep { swept } = decision.decided else { return false };
        let is_asked = !decision.request.is_refused() && view.at(decision.request.invoked) < view.at(answered);
        is_asked && decision.request.room == Some(room) && wanted(swept) && !is_over(view, decision, sent)
    })
}

/// Whether no node may refuse or hold a post for the sweep that was sent then.
fn is_over(view: &View, sweep: &Decision, sent: u64) -> bool {
    // Of a sweep of unknown outcome nothing is known.
    let Some((_, id, _)) = sweep.request.accepted() else { return false };
    let ended = ends(view, id).filter_map(|end| end.request.accepted());
    let is_undone = ended.map(|(line, ..)| view.at(line)).any(|at| at + HOLDS_WITHIN_US < sent);
    let logged = view.rulings.iter().find(|ruling| ruling.source == Source::Log && ruling.id == id);
    let until = logged.and_then(|ruling| ruling.swept?.refuses_until.or(ruling.swept?.holds_until));
    let is_past = until.is_some_and(|until| view.since_the_beginning(until) + OVER_WITHIN_US < sent);
    is_undone || is_past
}
