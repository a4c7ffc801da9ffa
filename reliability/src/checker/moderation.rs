//! What moderators decided holds: what was deleted is not shown any more, and nothing else is taken away.

use std::collections::HashMap;

use super::Findings;
use super::view::{Decision, Place, SETTLE_US, View};
use crate::history::Decided;

/// How long after the confirmation a text may still be on its way to a presenter: it is written to the socket before
/// the news comes, and read there later, on a busy machine.
const ON_ITS_WAY_US: u64 = 2_000_000;

/// 40 s: a batch that a killed archiver held is handed out again after 30 s.
const HANDED_OUT_AGAIN_US: u64 = 40_000_000;

/// Every confirmed decision that takes something away, by room.
fn takings<'a, 'b>(view: &'b View<'a>) -> HashMap<i64, Vec<(&'b Decision<'a>, usize)>> {
    let mut rooms: HashMap<i64, Vec<_>> = HashMap::new();
    for decision in view.decisions.values() {
        if let (Some((confirmed, id, _)), Some(room)) = (decision.request.accepted(), decision.request.room)
            // What a fault took off the disks takes nothing away.
            && !view.lost.contains_key(&id)
            && matches!(decision.decided, Decided::Delete { .. } | Decided::Clear)
        {
            rooms.entry(room).or_default().push((decision, confirmed));
        }
    }
    rooms
}

/// For each message that was taken away, the line of the earliest confirmation.
fn taken_away<'b>(view: &'b View) -> HashMap<chat::EventId, (&'b Place<'b>, i64, usize)> {
    let mut taken: HashMap<chat::EventId, (&Place, i64, usize)> = HashMap::new();
    for (number, takings) in takings(view) {
        let Some(room) = view.rooms.get(&number) else { continue };
        let by_id: HashMap<_, &Place> =
            room.log.iter().filter(|place| place.is_message).map(|place| (place.id, place)).collect();
        for (decision, confirmed) in takings {
            let places: Vec<&Place> = match decision.decided {
                Decided::Delete { target } => by_id.get(target).copied().into_iter().collect(),
                _ => by_id.values().copied().filter(|place| view.takes_away(decision, number, place)).collect(),
            };
            for place in places {
                let earliest = taken.entry(place.id).or_insert((place, number, confirmed));
                earliest.2 = earliest.2.min(confirmed);
            }
        }
    }
    taken
}

pub(super) fn deleted_is_not_shown(view: &View, findings: &mut Findings) {
    let taken = taken_away(view);
    taken.values().for_each(|_| findings.look());
    for session in &view.sessions {
        for frame in session.frames.iter().filter(|frame| frame.text.is_some()) {
            let Some((_, _, confirmed)) = taken.get(&frame.id) else { continue };
            let (decided, shown) = (view.at(*confirmed), view.at(frame.line));
            let late = shown > decided + ON_ITS_WAY_US;
            // A node that cannot hear the news may show the old; it hears it before it is whole again.
            if late && !view.disturbed(&["nats", session.node], shown, shown, SETTLE_US) {
                let sentence = format!(
                    "room {}: {} was deleted, and shown {} ms later on {}",
                    session.room,
                    frame.id,
                    (shown - decided) / 1_000,
                    session.node
                );
                findings.broken(sentence, [*confirmed, session.welcome, frame.line]);
            }
        }
    }
    for followed in view.followed.values() {
        for place in &followed.shown {
            let Some((_, _, confirmed)) = taken.get(&place.id) else { continue };
            let (decided, at) = (view.at(*confirmed), view.at(place.line));
            let parts = ["nats", "mongod", "archiver"];
            if at > decided + ON_ITS_WAY_US && !view.disturbed(&parts, decided, at, HANDED_OUT_AGAIN_US) {
                let sentence =
                    format!("room {}: {} was deleted, and shown to who followed it", followed.room, place.id);
                findings.broken(sentence, [*confirmed, place.line]);
            }
        }
    }
    for room in view.rooms.values() {
        for place in &room.archive {
            if let Some((_, _, confirmed)) = taken.get(&place.id)
                && place.deleted.is_none()
            {
                let sentence = format!("{} was deleted, and the archive does not say so", place.id);
                findings.broken(sentence, [*confirmed, place.line]);
            }
        }
        for (at, place) in room.replays() {
            if let Some((_, _, confirmed)) = taken.get(&place.id) {
                findings.broken(format!("{} was deleted, and is {at}", place.id), [*confirmed, place.line]);
            }
        }
    }
}

pub(super) fn nothing_is_deleted_unasked(view: &View, findings: &mut Findings) {
    for (number, room) in &view.rooms {
        let is_about = |decision: &&Decision| !decision.request.is_refused() && decision.request.room == Some(*number);
        let decisions: Vec<&Decision> = view.decisions.values().filter(is_about).collect();
        let targets: std::collections::HashSet<chat::EventId> = decisions
            .iter()
            .filter_map(|decision| match decision.decided {
                Decided::Delete { target } => Some(*target),
                _ => None,
            })
            .collect();
        let clears: Vec<&&Decision> =
            decisions.iter().filter(|decision| matches!(decision.decided, Decided::Clear)).collect();
        let replayed: HashMap<_, usize> = room.replay.iter().map(|place| (place.id, place.line)).collect();
        for place in &room.archive {
            findings.look();
            let may_be =
                targets.contains(&place.id) || clears.iter().any(|clear| view.takes_away(clear, *number, place));
            if place.deleted.is_some() && !may_be {
                findings.broken(format!("{} is deleted, and nobody decided that", place.id), [place.line]);
            }
            let replays = view.readings.contains(&crate::history::Reading::Replay);
            if replays && place.deleted.is_none() && !replayed.contains_key(&place.id) {
                findings.broken(format!("{} is not deleted, and is not replayed", place.id), [place.line]);
            }
        }
    }
}
