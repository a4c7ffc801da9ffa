//! The replay beside the video: every message sent during the broadcast that is not deleted, no other, at offsets that
//! never go back.

use std::collections::HashMap;

use super::Findings;
use super::view::{Place, View};

/// A batch that a killed or paused archiver holds is redelivered after 30 s, and written then.
const COMES_AGAIN_US: u64 = 35_000_000;

/// A reader that follows a broadcast in progress sees the final replay: no message appears later at a position that the
/// reader has passed.
pub(super) fn video_is_followed_in_order(view: &View, findings: &mut Findings) {
    for followed in view.followed.values() {
        let mut passed: Option<&Place> = None;
        let mut shown = HashMap::new();
        for place in &followed.shown {
            findings.look();
            if let Some(before) = passed.filter(|before| before.position >= place.position) {
                let sentence = format!("room {}: {} was shown after {}", followed.room, place.id, before.id);
                findings.broken(sentence, [followed.line, before.line, place.line]);
            }
            passed = Some(place);
            shown.insert(place.id, place.line);
        }
        let end = view.rooms.get(&followed.room).and_then(|room| room.broadcasts.get(followed.broadcast));
        let replay = end.iter().flat_map(|broadcast| &broadcast.replay);
        // A restored message may have been deleted when it was its turn.
        let is_missing = |place: &&Place| !shown.contains_key(&place.id) && view.changes(place.id).is_empty();
        for place in replay.filter(is_missing) {
            let Some(past) = followed.shown.iter().find(|shown| shown.position > place.position) else { continue };
            findings.look();
            // A message that waited for a broken archiver or store may come late.
            let posted = place.text.and_then(|text| view.texts.get(text)).map(|post| view.posts[post].request.invoked);
            let from = posted.map_or(0, |posted| view.at(posted));
            if !view.disturbed(&["archiver", "mongod", "nats", "ingest"], from, view.at(past.line), COMES_AGAIN_US) {
                let sentence = format!(
                    "room {}: a reader that followed broadcast {} was never shown {}, which is before {}",
                    followed.room, followed.broadcast, place.id, past.id
                );
                findings.broken(sentence, [followed.line, past.line, place.line]);
            }
        }
    }
}

pub(super) fn video_offsets_never_descend(view: &View, findings: &mut Findings) {
    for broadcast in view.rooms.values().flat_map(|room| room.broadcasts.values()) {
        let (mut latest, mut before) = (0, broadcast.line);
        for place in &broadcast.replay {
            let Some(offset) = place.offset else { continue };
            findings.look();
            if offset < latest || broadcast.duration_ms.is_some_and(|duration| offset > duration) {
                let duration = broadcast.duration_ms.map_or("?".to_owned(), |duration| duration.to_string());
                let sentence =
                    format!("{} is at offset {offset} ms of {duration} ms, after one at {latest} ms", place.id);
                findings.broken(sentence, [broadcast.line, before, place.line]);
            }
            (latest, before) = (latest.max(offset), place.line);
        }
    }
}

/// A message's broadcast follows from its time in the archive, not from its position: a message sent just before the
/// start of a broadcast may be in the log after one sent just after it.
pub(super) fn video_replay_is_complete(view: &View, findings: &mut Findings) {
    for (number, room) in &view.rooms {
        let sent: HashMap<_, _> = room.replay.iter().map(|place| (place.id, place)).collect();
        for (name, broadcast) in &room.broadcasts {
            let holds = |place: &Place| {
                place
                    .sent
                    .is_some_and(|sent| sent >= broadcast.started && broadcast.ended.is_none_or(|ended| sent <= ended))
            };
            let shown: HashMap<_, _> = broadcast.replay.iter().map(|place| (place.id, place.line)).collect();
            for place in room.replay.iter().filter(|place| holds(place)) {
                findings.look();
                if !shown.contains_key(&place.id) {
                    let sentence = format!(
                        "room {number}: {} was sent during broadcast {name} and is missing from its replay",
                        place.id
                    );
                    findings.broken(sentence, [broadcast.line, place.line]);
                }
            }
            for place in &broadcast.replay {
                if sent.get(&place.id).is_some_and(|exported| !holds(exported)) {
                    let sentence = format!(
                        "room {number}: {} is in the replay of broadcast {name} but was sent at another time",
                        place.id
                    );
                    findings.broken(sentence, [broadcast.line, sent[&place.id].line, place.line]);
                }
            }
            findings.look();
            if broadcast.messages != broadcast.replay.len() as u64 {
                let (counted, shown) = (broadcast.messages, broadcast.replay.len());
                let sentence = format!("room {number}: broadcast {name} counts {counted} messages and shows {shown}");
                findings.broken(sentence, [broadcast.line]);
            }
        }
    }
}
