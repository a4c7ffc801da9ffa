//! One order: a room's, which is the log's, on every socket, in the archive and in every replay; and it is an order in
//! which what was over before something else began comes first.

use super::Findings;
use super::view::{Place, View};

/// Where the log has it.
fn logged<'b>(view: &'b View, place: &Place) -> Option<&'b Place<'b>> {
    view.place_of(place.id, place.position.epoch)
}

/// Whether what was read goes up by its own positions and by those that the log has for it.
fn ascends(view: &View, places: &[Place], what: &str, findings: &mut Findings) {
    let stands = |place: &Place| {
        let logged = logged(view, place).filter(|logged| !view.is_same_place(logged.position, place.position));
        logged.map_or(place.position, |logged| logged.position)
    };
    for pair in places.windows(2) {
        findings.look();
        // The same one twice is another invariant's business.
        let repeated = pair[0].id == pair[1].id;
        if !repeated && (pair[0].position >= pair[1].position || stands(&pair[0]) >= stands(&pair[1])) {
            let sentence = format!("{what}: {} comes before {}", pair[0].id, pair[1].id);
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
        // Of those that stand before, the one that began last.
        let mut latest = None;
        for place in &room.log {
            let Some(request) = asked_for.get(&place.id) else { continue };
            findings.look();
            if let (Some((began, before)), Some((ok, ..))) = (latest, request.accepted())
                && began > ok
            {
                let before: &Place = before;
                let sentence = format!(
                    "room {number}: {} was accepted before {} was sent, and stands after it",
                    place.id, before.id
                );
                findings.broken(sentence, [request.invoked, ok, began, before.line, place.line]);
            }
            if latest.is_none_or(|(began, _)| began < request.invoked) {
                latest = Some((request.invoked, place));
            }
        }
    }
}
