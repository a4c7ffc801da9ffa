//! Answers of ingest: their positions, their delay, and requests of unknown outcome that take effect too late.

use super::Findings;
use super::view::{Attempt, Fault, View};

pub(super) fn answers_have_the_logs_positions(view: &View, findings: &mut Findings) {
    for request in view.requests() {
        for (line, id, position) in &request.oks {
            // Events that have left the log, or that a disk lost, cannot be looked up.
            if view.has_left_the_log(*position) || view.lost.contains_key(id) {
                continue;
            }
            findings.look();
            match view.copies.get(position) {
                Some(copied) if copied.id == *id => {}
                Some(copied) => {
                    let sentence =
                        format!("the answer says that {id} is at {position}, where the log has {}", copied.id);
                    findings.broken(sentence, [request.invoked, *line, copied.line]);
                }
                // The event is in the log under another epoch.
                None if view
                    .place_of(*id, position.epoch)
                    .is_some_and(|it| view.is_same_place(it.position, *position)) => {}
                None => {
                    let sentence = format!("the answer says that {id} is at {position}, where the log has nothing");
                    findings.broken(sentence, [request.invoked, *line]);
                }
            }
        }
    }
}

/// Time beside the deadline of an append: 1 s for the room server, twice 2 s to look an append up in the log, and 1 s
/// for a busy machine.
const BESIDE_US: u64 = 6_000_000;

/// Clients reconnect to a node within this time after a fault.
const REACHED_US: u64 = 4_000_000;

/// Whether a fault may have delayed the request or its answer. An unreachable log is no excuse: the append has a
/// deadline.
fn holds_up(fault: &Fault, node: &str) -> bool {
    fault.touches(&[node]) && !fault.kind.ends_with("ingest to nats") && !fault.kind.starts_with("clock step")
}

pub(super) fn answered_in_time(view: &View, findings: &mut Findings) {
    let within = view.append_deadline + BESIDE_US;
    for attempt in view.requests().flat_map(|request| request.attempts.values()) {
        let Some((answered, _)) = attempt.answered else { continue };
        let (sent, at) = (view.at(attempt.sent), view.at(answered));
        if view.faulty(sent, at, REACHED_US, |fault| holds_up(fault, attempt.node)) {
            continue;
        }
        findings.look();
        let took = at.saturating_sub(sent);
        if took > within {
            let sentence =
                format!("{} answered after {} ms, or not at all, without a fault", attempt.node, took / 1_000);
            findings.broken(sentence, [attempt.sent, answered]);
        }
    }
}

/// Time before the append: the request to the room server, on a busy machine.
const BEFORE_US: u64 = 3_000_000;

/// The latest moment at which the attempt may take effect.
fn latest(view: &View, attempt: &Attempt) -> u64 {
    let within = view.append_deadline + BEFORE_US;
    let mut latest = view.at(attempt.sent) + within;
    // A request that is held up on its way takes effect after it arrives. Another fault may hold it up again.
    let mut faults: Vec<&Fault> = view.faults.values().filter(|fault| holds_up(fault, attempt.node)).collect();
    faults.sort_by_key(|fault| fault.begins);
    for fault in faults {
        let overlaps = view.at(fault.begins) <= latest && view.healed(fault) >= view.at(attempt.sent);
        if overlaps {
            latest = latest.max(view.healed(fault).saturating_add(within));
        }
    }
    latest
}

pub(super) fn nothing_takes_effect_late(view: &View, findings: &mut Findings) {
    let asked_for = view.asked_for();
    for copied in view.copies.values() {
        let Some(request) = asked_for.get(&copied.id) else { continue };
        findings.look();
        let stored = view.since_the_beginning(copied.stored);
        if request.attempts.values().all(|attempt| stored > latest(view, attempt)) {
            let last = request.attempts.values().max_by_key(|attempt| attempt.sent);
            let lines = last.into_iter().flat_map(|last| [Some(last.sent), last.answered.map(|(line, _)| line)]);
            let sent = last.map_or(0, |last| view.at(last.sent));
            let sentence = format!("{} was stored {} ms after it was last sent", copied.id, (stored - sent) / 1_000);
            findings.broken(sentence, lines.flatten().chain([copied.line]));
        }
    }
}
