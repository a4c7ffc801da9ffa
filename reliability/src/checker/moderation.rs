//! Moderation decisions hold: deleted messages are not shown, and no other message is removed.

use std::collections::HashMap;

use super::Findings;
use super::view::{Decision, Place, SETTLE_US, View};
use crate::history::Decided;

/// How long after the confirmation a message may still be in transit to a presenter: it was written to the socket
/// before the deletion arrived, and is read later, on a busy machine.
const ON_ITS_WAY_US: u64 = 2_000_000;

/// 40 s: a batch that a killed archiver held is redelivered after 30 s.
const HANDED_OUT_AGAIN_US: u64 = 40_000_000;

/// 180 s: after the log lost its end, archivers restart and read all of it again before new events. One hour of chat
/// took 150 s on a busy machine.
const READ_AGAIN_US: u64 = 180_000_000;

/// 5 s: the archive marks the messages of a cleared room in steps of 1,000. Those of an hour took 3.6 s on a busy
/// machine.
const CLEARED_WITHIN_US: u64 = 5_000_000;

/// Whether the archive may not have reached the decision yet.
fn lags(view: &View, decided: u64, at: u64) -> bool {
    view.disturbed(&["nats", "mongod", "archiver"], decided, at, HANDED_OUT_AGAIN_US)
        || view.faulty(decided, at, READ_AGAIN_US, |fault| fault.kind.starts_with("archiver ended by itself"))
}

/// A deleted message.
struct Taken {
    /// The line of the earliest confirmation.
    confirmed: usize,
    /// No replay may show the message after this time.
    replayed_until: u64,
}

/// Every confirmed decision that deletes messages, by room.
fn takings<'a, 'b>(view: &'b View<'a>) -> HashMap<i64, Vec<(&'b Decision<'a>, usize)>> {
    let mut rooms: HashMap<i64, Vec<_>> = HashMap::new();
    for decision in view.decisions.values() {
        if let (Some((confirmed, id, _)), Some(room)) = (decision.request.accepted(), decision.request.room)
            // A decision that a disk lost deletes nothing.
            && !view.lost.contains_key(&id)
            && matches!(decision.decided, Decided::Delete { .. } | Decided::Clear)
        {
            rooms.entry(room).or_default().push((decision, confirmed));
        }
    }
    rooms
}

/// Every deleted message.
fn taken_away(view: &View) -> HashMap<chat::EventId, Taken> {
    let mut taken: HashMap<chat::EventId, Taken> = HashMap::new();
    for (number, takings) in takings(view) {
        let Some(room) = view.rooms.get(&number) else { continue };
        let by_id: HashMap<_, &Place> =
            room.log.iter().filter(|place| place.is_message).map(|place| (place.id, place)).collect();
        for (decision, confirmed) in takings {
            let (places, within): (Vec<&Place>, u64) = match decision.decided {
                Decided::Delete { target } => (by_id.get(target).copied().into_iter().collect(), ON_ITS_WAY_US),
                _ => {
                    let places = by_id.values().copied().filter(|place| view.takes_away(decision, number, place));
                    (places.collect(), CLEARED_WITHIN_US)
                }
            };
            let replayed_until = view.at(confirmed) + within;
            for place in places {
                let earliest = taken.entry(place.id).or_insert(Taken { confirmed, replayed_until });
                earliest.confirmed = earliest.confirmed.min(confirmed);
                earliest.replayed_until = earliest.replayed_until.min(replayed_until);
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
            let Some(Taken { confirmed, .. }) = taken.get(&frame.id) else { continue };
            let (decided, shown) = (view.at(*confirmed), view.at(frame.line));
            let late = shown > decided + ON_ITS_WAY_US;
            // A node that is cut off may show deleted messages. It catches up before the fault is over.
            if late && !view.disturbed(&["nats", session.node], shown, shown, SETTLE_US) {
                let sentence = format!(
                    "room {}: {} was deleted and still shown {} ms later on {}",
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
            let Some(Taken { confirmed, replayed_until }) = taken.get(&place.id) else { continue };
            let (decided, at) = (view.at(*confirmed), view.at(place.line));
            if at > *replayed_until && !lags(view, decided, at) {
                let sentence = format!(
                    "room {}: {} was deleted and still shown {} ms later to a reader that followed the replay",
                    followed.room,
                    place.id,
                    (at - decided) / 1_000
                );
                findings.broken(sentence, [*confirmed, place.line]);
            }
        }
    }
    for room in view.rooms.values() {
        for place in &room.archive {
            if let Some(Taken { confirmed, .. }) = taken.get(&place.id)
                && place.deleted.is_none()
            {
                let sentence = format!("{} was deleted, but not in the archive", place.id);
                findings.broken(sentence, [*confirmed, place.line]);
            }
        }
        for (at, place) in room.replays() {
            if let Some(Taken { confirmed, .. }) = taken.get(&place.id) {
                findings.broken(format!("{} was deleted and is {at}", place.id), [*confirmed, place.line]);
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
                findings.broken(format!("{} is deleted without a decision", place.id), [place.line]);
            }
            let replays = view.readings.contains(&crate::history::Reading::Replay);
            if replays && place.deleted.is_none() && !replayed.contains_key(&place.id) {
                findings.broken(format!("{} is not deleted and is missing from the replay", place.id), [place.line]);
            }
        }
    }
}
