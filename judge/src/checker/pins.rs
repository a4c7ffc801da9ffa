//! Pinned messages: a welcome has the pin that the room's decisions before it made, and at the end every node has the
//! last one.

use std::collections::HashMap;

use chat::EventId;

use super::Findings;
use super::view::{Decision, Pinned, Place, Request, Room, SETTLE_US, Source, View};
use crate::history::Decided;

/// How long after its confirmation a decision may be missing from a welcome: the news has to cross the nodes, on a busy
/// machine.
const KNOWN_WITHIN_US: u64 = 3_000_000;

/// A state of a room's pin: the event that made it, and the pinned message.
struct State<'b, 'a> {
    made: &'b Place<'a>,
    pinned: Option<EventId>,
    request: Option<&'b Request<'a>>,
}

pub(super) fn the_last_pin_shows(view: &View, findings: &mut Findings) {
    confirmed_is_there(view, findings);
    // A pin that a disk lost shows no more, and the one before it may. One that has left the log shows all the same.
    if !view.has_the_whole_log() {
        return;
    }
    let asked_for = view.asked_for();
    let rooms: HashMap<i64, Vec<State>> =
        view.rooms.iter().map(|(number, room)| (*number, states(view, room, &asked_for))).collect();
    for told in &view.messages.pinned {
        let Some(states) = rooms.get(&told.room).filter(|states| !states.is_empty()) else { continue };
        findings.look();
        if !may_show(view, states, told) {
            let at = view.at(told.line);
            let from = at.saturating_sub(KNOWN_WITHIN_US);
            if !view.disturbed(&["nats", told.node], from, at, SETTLE_US) {
                let shown = told.pinned.map_or("no pin".to_owned(), |pinned| format!("the pin {pinned}"));
                let sentence = format!("room {}: a welcome on {} has {shown}", told.room, told.node);
                let made = states
                    .iter()
                    .rev()
                    .find(|state| view.at(confirmed(state).unwrap_or(usize::MAX - 1).min(told.line)) < from);
                findings.broken(sentence, [told.line].into_iter().chain(made.map(|state| state.made.line)));
            }
        }
    }
    for told in &view.messages.pins_read {
        let last = rooms.get(&told.room).and_then(|states| states.last());
        findings.look();
        if told.pinned != last.and_then(|last| last.pinned) {
            let sentence = format!("room {}: {} has another pin than the log's last", told.room, told.node);
            findings.broken(sentence, [told.line].into_iter().chain(last.map(|last| last.made.line)));
        }
    }
}

/// The states of a room's pin, in the order of the log.
fn states<'b, 'a>(
    view: &'b View<'a>,
    room: &'b Room<'a>,
    asked_for: &HashMap<EventId, &'b Request<'a>>,
) -> Vec<State<'b, 'a>> {
    let mut states: Vec<State> = Vec::new();
    let requested: HashMap<EventId, &Decision> = view
        .decisions
        .values()
        .filter(|it| matches!(it.decided, Decided::Pin { .. } | Decided::Unpin))
        .filter_map(|it| Some((it.request.accepted()?.1, it)))
        .collect();
    for place in &room.log {
        let pinned = states.last().and_then(|state| state.pinned);
        let becomes = match place.kind {
            "message.pinned" => place.target,
            "message.deleted" if pinned.is_none() || pinned != place.target => continue,
            "message.unpinned" | "message.deleted" | "room.cleared" => None,
            _ => continue,
        };
        let request = requested.get(&place.id).map(|it| &it.request).or_else(|| asked_for.get(&place.id).copied());
        states.push(State { made: place, pinned: becomes, request });
    }
    states
}

fn confirmed(state: &State) -> Option<usize> {
    state.request.and_then(|request| Some(request.accepted()?.0))
}

/// Whether a node that has read the log up to some place may show that pin: everything that was confirmed some time
/// before is known, and what was asked for later is not.
fn may_show(view: &View, states: &[State], told: &Pinned) -> bool {
    let is_known = |state: &State| {
        let line = confirmed(state).filter(|line| *line < told.line);
        line.is_some_and(|line| view.at(line) + KNOWN_WITHIN_US < view.at(told.line))
    };
    let known = states.iter().rposition(is_known);
    let may_be_known = |state: &State| state.request.is_none_or(|request| request.invoked < told.line);
    let before = match known {
        Some(known) => states[known].pinned == told.pinned,
        None => told.pinned.is_none(),
    };
    let mut later = states[known.map_or(0, |known| known + 1)..].iter();
    before || later.any(|state| may_be_known(state) && state.pinned == told.pinned)
}

/// Every confirmed decision about a pin is in the log and once in the audit, and no other is.
fn confirmed_is_there(view: &View, findings: &mut Findings) {
    for decision in view.decisions.values() {
        if !matches!(decision.decided, Decided::Pin { .. } | Decided::Unpin) {
            continue;
        }
        let Some((line, id, position)) = decision.request.accepted() else { continue };
        findings.look();
        let lines = [decision.request.invoked, line];
        let is_it = |room: Option<i64>, kind: &str, target: Option<EventId>| {
            let is_about = decision.decided.target().is_none() || decision.decided.target() == target;
            room == decision.request.room && kind == decision.decided.kind() && is_about
        };
        match view.logged.get(&id) {
            Some((room, place)) if is_it(Some(*room), place.kind, place.target) => {}
            None if view.is_lost(id) || view.has_left_the_log(position) => {}
            _ => findings.broken(format!("the pin {id} is not in the log as it was requested"), lines),
        }
        for source in [Source::Archive, Source::List] {
            let its = view.rulings.iter().filter(|it| it.source == source && it.id == id);
            let right = its.filter(|it| is_it(it.room, it.kind, it.target)).count();
            if right != 1 && !view.is_lost(id) {
                findings.broken(format!("the pin {id} is not {} once, as it was requested", source.word()), lines);
            }
        }
    }
    let is_asked = |target: Option<EventId>| {
        let wanted = target.map(|target| Decided::Pin { target });
        view.decisions.values().any(|it| Some(it.decided) == wanted.as_ref() && !it.request.is_refused())
    };
    for pin in view.rulings.iter().filter(|it| it.source == Source::Log && it.kind == "message.pinned") {
        findings.look();
        if !is_asked(pin.target) {
            findings.broken(format!("the pin {} is in the log, and nobody asked for it", pin.id), [pin.line]);
        }
    }
}
