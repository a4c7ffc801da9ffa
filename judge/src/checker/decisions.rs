//! Moderation decisions are accepted like posts: each is in the log and in the audit once, as requested, and no other
//! decision exists.

use std::collections::HashMap;

use chat::EventId;

use super::Findings;
use super::view::{Decision, Ruling, Source, View, is_decision};
use crate::history::Decided;

/// Whether the decision came without its reason, as some do on a socket, and those about an erased user in the audit.
/// The id identifies it then.
fn is_untold(ruling: &Ruling) -> bool {
    let is_forgotten = ruling.source != Source::Log && ruling.user.is_none_or(|user| user < 0);
    ruling.reason.is_none() && (ruling.source == Source::Socket || is_forgotten && is_about_a_person(ruling.kind))
}

/// Whether the decision is a warning, a note or the end of one, or a sweep, which may name users. The audit forgets what
/// it says with the user.
fn is_about_a_person(kind: &str) -> bool {
    ["user.warned", "warning.withdrawn", "note.added", "note.deleted", "room.swept"].contains(&kind)
}

/// Whether the node may leave the reason out: the decision is about every room or about a user who may be erased, or it
/// deletes or restores a message that has left the window, whose author the node no longer knows.
fn may_be_untold(view: &View, decision: &Decision, ruling: &Ruling) -> bool {
    let is_erased = |user: i64| {
        let mut erasures = view.erasures.values();
        erasures.any(|erasure| erasure.user == user && erasure.asked < ruling.line)
    };
    decision.request.room.is_none()
        || match decision.decided {
            // A message that waits is not in the room: the node does not look for its author.
            Decided::Delete { target } | Decided::Restore { target } if view.messages.holds.contains_key(target) => {
                true
            }
            Decided::Delete { target } | Decided::Restore { target } => {
                view.logged.get(target).is_none_or(|(_, place)| {
                    let stored = view.copies.get(&place.position).map(|copied| view.since_the_beginning(copied.stored));
                    let age = stored.map(|stored| view.at(ruling.line).saturating_sub(stored));
                    age.is_none_or(|age| age >= view.left_the_window()) || place.user.is_some_and(is_erased)
                })
            }
            Decided::Ban { user, .. }
            | Decided::Unban { user }
            | Decided::Appoint { user }
            | Decided::Dismiss { user }
            | Decided::Warn { user }
            | Decided::Withdraw { user }
            | Decided::Note { user }
            | Decided::DeleteNote { user, .. } => is_erased(*user),
            // Of the users whom sweeps name, only those of new accounts may be erased.
            Decided::Sweep { swept } if ruling.source != Source::Socket => {
                let logged = view.rulings.iter().filter(|it| it.source == Source::Log && it.id == ruling.id);
                let mut named = logged.filter_map(|it| it.swept?.users.as_ref()).flatten();
                swept.first_seen.is_some() && named.any(|user| is_erased(*user))
            }
            // The node does not know whose messages a sweep is about.
            Decided::Sweep { .. } | Decided::Unsweep { .. } => {
                view.erasures.values().any(|erasure| erasure.asked < ruling.line)
            }
            _ => false,
        }
}

/// Whether the decision is the requested one. A socket shows only a part of it.
fn is_the_same(view: &View, decision: &Decision, ruling: &Ruling) -> bool {
    let asked = (decision.request.room, decision.decided.user(), decision.decided.target(), Some(decision.reason));
    let has_reason = ruling.reason == asked.3 || is_untold(ruling) && may_be_untold(view, decision, ruling);
    let is_of_that_kind = ruling.kind == decision.decided.kind() && has_reason;
    match ruling.source {
        Source::Socket => {
            let is_about_it = ruling.target.is_none() || ruling.target == asked.2;
            is_of_that_kind && is_about_it && (asked.0.is_none() || ruling.room == asked.0)
        }
        _ if is_untold(ruling) => is_of_that_kind && (ruling.room, ruling.target) == (asked.0, asked.2),
        _ => {
            let (purges, swept) = (decision.decided.purge_seconds(), decision.decided.swept());
            let is_swept_so = match (ruling.swept, swept) {
                (Some(logged), Some(requested)) => logged.is_as_requested(requested),
                (logged, requested) => logged == requested,
            };
            let deletes_that = ruling.source != Source::Log || ruling.purge_seconds == purges && is_swept_so;
            is_of_that_kind && deletes_that && (ruling.room, ruling.user, ruling.target, ruling.reason) == asked
        }
    }
}

/// The decisions whose event no other request can have caused.
fn decisions<'a, 'b>(view: &'b View<'a>) -> impl Iterator<Item = &'b Decision<'a>> {
    view.decisions.values().filter(|decision| decision.decided.has_its_own_event())
}

fn found<'a, 'b>(view: &'b View<'a>, source: Source) -> HashMap<EventId, Vec<&'b Ruling<'a>>> {
    let mut found: HashMap<EventId, Vec<&Ruling>> = HashMap::new();
    for ruling in view.rulings.iter().filter(|ruling| ruling.source == source) {
        found.entry(ruling.id).or_default().push(ruling);
    }
    found
}

pub(super) fn decided_is_in_the_log(view: &View, findings: &mut Findings) {
    let found = found(view, Source::Log);
    for decision in decisions(view) {
        let Some((confirmed, id, position)) = decision.request.accepted() else { continue };
        findings.look();
        let lines = [decision.request.invoked, confirmed];
        let places = found.get(&id).map(Vec::as_slice).unwrap_or_default();
        match places.iter().find(|ruling| !is_the_same(view, decision, ruling)) {
            Some(other) => {
                let sentence = format!("the decision {id} is not in the log as it was requested");
                findings.broken(sentence, lines.into_iter().chain([other.line]));
            }
            // If it has left the log since, the archive has to have it.
            None if places.is_empty() && !view.has_left_the_log(position) && !view.lost.contains_key(&id) => {
                findings.broken(format!("the decision {id} was confirmed and is not in the log"), lines);
            }
            None => {}
        }
        // An event of every room is in each partition.
        if decision.request.room.is_none() && !places.is_empty() {
            for stream in &view.streams {
                let is_its = |position: chat::Position| stream.epochs.contains(&position.epoch);
                let has_it = |ruling: &&Ruling| ruling.position.is_some_and(is_its);
                if !places.iter().any(has_it) {
                    let sentence = format!("the decision {id} is about every room, but not in every partition");
                    findings.broken(sentence, lines.into_iter().chain([stream.line]));
                }
            }
        }
    }
}

pub(super) fn decided_is_in_the_audit(view: &View, findings: &mut Findings) {
    for source in [Source::Archive, Source::List] {
        let found = found(view, source);
        for decision in decisions(view) {
            let Some((confirmed, id, _)) = decision.request.accepted() else { continue };
            findings.look();
            let lines = [decision.request.invoked, confirmed];
            match found.get(&id).map(Vec::as_slice).unwrap_or_default() {
                [one] if is_the_same(view, decision, one) => {}
                [] if view.lost.contains_key(&id) => {}
                [] => {
                    findings.broken(format!("the decision {id} was confirmed and is not {}", source.word()), lines);
                }
                [one] => {
                    let sentence = format!("the decision {id} is not {} as it was requested", source.word());
                    findings.broken(sentence, lines.into_iter().chain([one.line]));
                }
                [one, other, ..] => {
                    let sentence = format!("the decision {id} is {} twice", source.word());
                    findings.broken(sentence, lines.into_iter().chain([one.line, other.line]));
                }
            }
        }
    }
}

pub(super) fn no_decision_is_invented(view: &View, findings: &mut Findings) {
    let told = |ruling: &Ruling| ruling.reason.and_then(|reason| view.reasons.get(reason));
    let of_id: HashMap<_, _> =
        view.rulings.iter().filter_map(|ruling| told(ruling).map(|decision| (ruling.id, decision))).collect();
    for ruling in view.rulings.iter().filter(|ruling| is_decision(ruling.kind)) {
        findings.look();
        let (id, at) = (ruling.id, ruling.source.word());
        // If the only copy was lost with the log's end, or has left the log, it cannot be looked up.
        let is_in_archive = ruling.source != Source::Socket;
        if is_untold(ruling) && (view.lost.contains_key(&id) || is_in_archive && !view.has_the_whole_log()) {
            continue;
        }
        let decision = if is_untold(ruling) { of_id.get(&id).copied() } else { told(ruling) };
        let Some(decision) = decision.map(|decision| &view.decisions[decision]) else {
            findings.broken(format!("the decision {id} is {at}, and was never requested"), [ruling.line]);
            continue;
        };
        let lines = [decision.request.invoked, ruling.line];
        if decision.request.is_refused() {
            findings.broken(format!("the decision {id} was refused and is {at}"), lines);
        } else if !is_the_same(view, decision, ruling) {
            findings.broken(format!("the decision {id} is {at}, and differs from the request"), lines);
        } else if decision.request.accepted().is_some_and(|(_, confirmed, _)| confirmed != id) {
            findings.broken(format!("the decision {id} is {at}, and was confirmed under another id"), lines);
        }
    }
}
