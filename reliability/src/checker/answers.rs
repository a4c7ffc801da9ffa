//! What ingest answers: where things stand, in time, and what it does not know the outcome of has no effect later on.

use super::Findings;
use super::view::{Attempt, Fault, View};

pub(super) fn answers_have_the_logs_positions(view: &View, findings: &mut Findings) {
    for request in view.requests() {
        for (line, id, position) in &request.oks {
            // What has left the log cannot be looked up there.
            if view.has_left_the_log(*position) {
                continue;
            }
            findings.look();
            match view.copies.get(position) {
                Some(copied) if copied.id == *id => {}
                Some(copied) => {
                    let sentence = format!("{id} was said to stand at {position}, where the log has {}", copied.id);
                    findings.broken(sentence, [request.invoked, *line, copied.line]);
                }
                // It is there under another epoch.
                None if view
                    .place_of(*id, position.epoch)
                    .is_some_and(|it| view.is_same_place(it.position, *position)) => {}
                None => {
                    let sentence = format!("{id} was said to stand at {position}, where the log has nothing");
                    findings.broken(sentence, [request.invoked, *line]);
                }
            }
        }
    }
}

/// Beside the deadline of the append: 1 s for the room server, twice 2 s to find in the log what was appended, and a
/// busy machine.
const BESIDE_US: u64 = 6_000_000;

/// After a fault the node is connected to its clients again.
const REACHED_US: u64 = 4_000_000;

/// Whether a request may have been held up before the node dealt with it, or its answer after. The log is no excuse: for
/// its absence the deadline was made.
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
        if at - sent > within {
            let sentence = format!(
                "{} answered after {} ms, or not at all, and nothing had held it up",
                attempt.node,
                (at - sent) / 1_000
            );
            findings.broken(sentence, [attempt.sent, answered]);
        }
    }
}

/// Before the append the room server is asked; and the machine is busy.
const BEFORE_US: u64 = 3_000_000;

/// The latest moment at which the attempt may take effect.
fn latest(view: &View, attempt: &Attempt) -> u64 {
    let within = view.append_deadline + BEFORE_US;
    let mut latest = view.at(attempt.sent) + within;
    // What is held up on its way to the node is dealt with when it comes there, and that may be held up again.
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
        if request.is_in_doubt() {
            findings.look();
        }
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
