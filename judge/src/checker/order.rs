//! One order: sockets, archive and replays have the order of the log. Requests that do not overlap in time are in their
//! real-time order.

use super::Findings;
use super::view::{Place, View};

/// The event in the log.
fn logged<'b>(view: &'b View, place: &Place) -> Option<&'b Place<'b>> {
    view.place_of(place.id, place.position.epoch)
}

/// Checks that a sequence of events ascends, by its own positions and by those in the log.
fn ascends(view: &View, places: &[Place], what: &str, findings: &mut Findings) {
    // A lost event may have been appended again, at its new place. The archive keeps the first.
    let stands = |place: &Place| {
        let logged = logged(view, place).filter(|_| !view.is_lost(place.id));
        let logged = logged.filter(|logged| !view.is_same_place(logged.position, place.position));
        logged.map_or(place.position, |logged| logged.position)
    };
    for pair in places.windows(2) {
        findings.look();
        // Repetitions are another invariant's concern.
        let repeated = pair[0].id == pair[1].id;
        if !repeated && (pair[0].position >= pair[1].position || stands(&pair[0]) >= stands(&pair[1])) {
            let sentence = format!("{what}: {} is before {}", pair[0].id, pair[1].id);
            let logged = pair.iter().filter_map(|place| logged(view, place).map(|logged| logged.line));
            findings.broken(sentence, logged.chain([pair[0].line, pair[1].line]));
        }
    }
}

pub(super) fn sockets_have_the_logs_order(view: &View, findings: &mut Findings) {
    for session in &view.sessions {
        ascends(view, &session.frames, &format!("the socket of room {}", session.room), findings);
    }
}

pub(super) fn archive_has_the_logs_order(view: &View, findings: &mut Findings) {
    for (room, places) in &view.rooms {
        ascends(view, &places.archive, &format!("the archive of room {room}"), findings);
    }
}

pub(super) fn replay_has_the_logs_order(view: &View, findings: &mut Findings) {
    for (room, places) in &view.rooms {
        ascends(view, &places.replay, &format!("the replay of room {room}"), findings);
    }
}

pub(super) fn video_has_the_logs_order(view: &View, findings: &mut Findings) {
    for room in view.rooms.values() {
        for (broadcast, found) in &room.broadcasts {
            ascends(view, &found.replay, &format!("the replay beside the video of {broadcast}"), findings);
        }
    }
}

pub(super) fn earlier_comes_first(view: &View, findings: &mut Findings) {
    let asked_for = view.asked_for();
    for (number, room) in &view.rooms {
        // Among the preceding events, the one that was sent last.
        let mut latest = None;
        // A lost event may have been appended again, at its new place.
        for place in room.log.iter().filter(|place| !view.lost.contains_key(&place.id)) {
            let Some(request) = asked_for.get(&place.id) else { continue };
            findings.look();
            if let (Some((began, before)), Some((ok, ..))) = (latest, request.accepted())
                && began > ok
            {
                let before: &Place = before;
                let sentence =
                    format!("room {number}: {} was accepted before {} was sent, and is after it", place.id, before.id);
                findings.broken(sentence, [request.invoked, ok, began, before.line, place.line]);
            }
            if latest.is_none_or(|(began, _)| began < request.invoked) {
                latest = Some((request.invoked, place));
            }
        }
    }
}
