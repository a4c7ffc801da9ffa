//! Presence: ingest reports a presenter as connected exactly while a socket is served. The reports decide whether a
//! presenter is asked to reconnect.

use std::collections::HashMap;

use super::Findings;
use super::view::{Answer, Attempt, Fault, SETTLE_US, Session, View};

/// An answer that says whether the room's presenter is connected.
struct Said<'b> {
    room: i64,
    attempt: &'b Attempt<'b>,
    answered: usize,
    connected: bool,
}

fn said<'b>(view: &'b View) -> impl Iterator<Item = Said<'b>> {
    view.posts.values().flat_map(|post| {
        post.request.attempts.values().filter_map(|attempt| match attempt.answered? {
            (answered, Answer::Accepted { connected: Some(connected), .. }) => {
                Some(Said { room: post.room, attempt, answered, connected })
            }
            _ => None,
        })
    })
}

/// The sessions of each room's presenters, in order of their start.
fn sessions<'b>(view: &'b View) -> HashMap<i64, Vec<&'b Session<'b>>> {
    let mut rooms: HashMap<i64, Vec<&Session>> = HashMap::new();
    for session in &view.sessions {
        rooms.entry(session.room).or_default().push(session);
    }
    rooms
}

/// Nodes hear of changes within milliseconds; the machine is busy.
const KNOWN_WITHIN_US: u64 = 3_000_000;

pub(super) fn connected_has_a_socket(view: &View, findings: &mut Findings) {
    let rooms = sessions(view);
    // A claim that could not be withdrawn ends with its node's lease, which may be renewed until the fault is over. A
    // log server that returns to its cluster serves old values for some seconds.
    let forgotten = |fault: &Fault| view.lease + if fault.touches(&["nats"]) { SETTLE_US } else { KNOWN_WITHIN_US };
    for Said { room, attempt, answered, connected } in said(view) {
        let (sent, at) = (view.at(attempt.sent), view.at(answered));
        let sessions = rooms.get(&room).map(Vec::as_slice).unwrap_or_default();
        let ended = |session: &Session| session.ended.map_or(u64::MAX, |ended| view.at(ended));
        let before = || sessions.iter().filter(|session| view.at(session.welcome) <= at);
        let is_served = before().any(|session| ended(session).saturating_add(KNOWN_WITHIN_US) >= sent);
        // A claim is made before the welcome arrives. In the original's dialect nothing may arrive at all.
        let welcomes = sessions.iter().map(|session| view.at(session.welcome));
        let starts = view.starts.values().filter(|start| start.room == room).map(|start| view.at(start.line));
        let around = sent.saturating_sub(KNOWN_WITHIN_US)..=at + KNOWN_WITHIN_US;
        let is_coming = welcomes.chain(starts).any(|begun| around.contains(&begun));
        let last = before().max_by_key(|session| ended(session));
        let Some(last) = last.filter(|_| !is_served && !is_coming) else { continue };
        // Any delivery node may have claimed for a page that gave up before its welcome.
        let parts = ["nats", "delivery", attempt.node];
        // A fault is no excuse if it ended long before the socket did, or more than a lease before the answer.
        let excuses = |fault: &Fault| {
            fault.touches(&parts)
                && view.at(fault.begins) <= at
                && view.healed(fault).saturating_add(SETTLE_US) >= ended(last)
                && view.healed(fault).saturating_add(forgotten(fault)) >= sent
        };
        if view.faults.values().any(excuses) {
            continue;
        }
        findings.look();
        if connected {
            let sentence = format!(
                "room {room}: {} reported the presenter as connected {} ms after the last socket had ended",
                attempt.node,
                (sent - ended(last)) / 1_000
            );
            findings.broken(sentence, [last.welcome, attempt.sent, answered].into_iter().chain(last.ended));
        }
    }
}

pub(super) fn a_socket_is_connected(view: &View, findings: &mut Findings) {
    let rooms = sessions(view);
    for Said { room, attempt, answered, connected } in said(view) {
        let (sent, at) = (view.at(attempt.sent), view.at(answered));
        let sessions = rooms.get(&room).map(Vec::as_slice).unwrap_or_default();
        // The newest session that has begun, if it has lasted a while and goes on.
        let Some(newest) = sessions.iter().rfind(|session| session.welcome < answered) else { continue };
        let is_there = view.at(newest.welcome) + KNOWN_WITHIN_US <= sent
            && newest.ended.is_none_or(|ended| view.at(ended) > at + KNOWN_WITHIN_US);
        let parts = ["nats", newest.node, attempt.node];
        if !is_there || view.disturbed(&parts, sent, at, SETTLE_US) {
            continue;
        }
        findings.look();
        if !connected {
            let sentence = format!(
                "room {room}: {} reported the presenter as absent while session {} on {} was served",
                attempt.node, newest.number, newest.node
            );
            findings.broken(sentence, [newest.welcome, attempt.sent, answered]);
        }
    }
}
