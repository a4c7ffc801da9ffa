//! What moderators decided holds: what was deleted is not shown any more, nothing else is taken away, and who was
//! banned is silent.

use std::collections::HashMap;

use super::Findings;
use super::view::{Decision, Fault, Outcome, Place, SETTLE_US, View};
use crate::history::Decided;

/// How long after the confirmation a text may still be on its way to a presenter: it is written to the socket before
/// the news comes, and read there later, on a busy machine.
const ON_ITS_WAY_US: u64 = 2_000_000;

/// Every confirmed decision that takes something away, by room.
fn takings<'a, 'b>(view: &'b View<'a>) -> HashMap<i64, Vec<(&'b Decision<'a>, usize)>> {
    let mut rooms: HashMap<i64, Vec<_>> = HashMap::new();
    for decision in view.decisions.values() {
        if let (Some((confirmed, ..)), Some(room)) = (decision.confirmed, decision.room)
            && matches!(decision.decided, Decided::Delete { .. } | Decided::Clear)
        {
            rooms.entry(room).or_default().push((decision, confirmed));
        }
    }
    rooms
}

/// For each message that was taken away, the line of the earliest confirmation.
fn taken_away<'b>(view: &'b View) -> HashMap<nats::EventId, (&'b Place<'b>, i64, usize)> {
    let mut taken: HashMap<nats::EventId, (&Place, i64, usize)> = HashMap::new();
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
        let decisions: Vec<&Decision> =
            view.decisions.values().filter(|decision| !decision.refused && decision.room == Some(*number)).collect();
        let targets: std::collections::HashSet<nats::EventId> = decisions
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

/// What waits in a node that cannot reach the log is appended within the deadline of an append, 5 s, once it can.
const RECONNECTED_US: u64 = 6_000_000;

/// Whether ingest nodes could not hear what was decided. One that was killed or stopped is no such case: it answers only
/// once it has read that; nor is one that clients do not reach.
fn deafens(fault: &Fault) -> bool {
    fault.touches(&["nats"]) || fault.kind.starts_with("pause ingest") || fault.kind.ends_with("ingest to nats")
}

/// Within a second, as `docs/moderation.md` has it.
const SILENT_WITHIN_US: u64 = 1_000_000;

pub(super) fn banned_is_silent(view: &View, findings: &mut Findings) {
    // Of each user in each room what was decided, in the order of the asking; moderators of this history do not
    // contradict each other about one user at once.
    let mut decided: HashMap<(Option<i64>, i64), Vec<&Decision>> = HashMap::new();
    for decision in view.decisions.values() {
        if let Decided::Ban { user } | Decided::Unban { user } = decision.decided {
            decided.entry((decision.room, *user)).or_default().push(decision);
        }
    }
    for post in view.posts.values() {
        let Some(decisions) = decided.get(&(Some(post.room), post.user)) else { continue };
        let sent = view.at(post.invoked);
        let before = decisions.iter().filter(|decision| view.at(decision.asked) < sent);
        let Some(last) = before.max_by_key(|decision| decision.asked) else { continue };
        let (Decided::Ban { .. }, Some((confirmed, ..))) = (last.decided, last.confirmed) else { continue };
        if sent <= view.at(confirmed) + SILENT_WITHIN_US {
            continue;
        }
        // Lifted while the post was on its way: either answer is right.
        let answered = match post.outcome() {
            Outcome::Ok(line) | Outcome::Failed(line) => view.at(line),
            Outcome::Unknown => u64::MAX,
        };
        if decisions.iter().any(|decision| (sent..answered).contains(&view.at(decision.asked))) {
            continue;
        }
        findings.look();
        if let Some((ok, ..)) = post.oks.first()
            && !view.faulty(sent, answered, RECONNECTED_US, deafens)
        {
            let sentence = format!(
                "user {} was banned from room {} and posted {} ms later",
                post.user,
                post.room,
                (sent - view.at(confirmed)) / 1_000
            );
            findings.broken(sentence, [last.asked, confirmed, post.invoked, *ok]);
        }
    }
}
