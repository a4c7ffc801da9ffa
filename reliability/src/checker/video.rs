//! What a player shows beside the video of a broadcast: all that was sent in its time and is not deleted, and nothing
//! else, each at a time in the recording that never goes back.

use std::collections::HashMap;

use super::Findings;
use super::view::{Place, View};

pub(super) fn video_offsets_never_descend(view: &View, findings: &mut Findings) {
    for broadcast in view.rooms.values().flat_map(|room| room.broadcasts.values()) {
        let (mut latest, mut before) = (0, broadcast.line);
        for place in &broadcast.replay {
            let Some(offset) = place.offset else { continue };
            findings.look();
            if offset < latest || broadcast.duration_ms.is_some_and(|duration| offset > duration) {
                let duration = broadcast.duration_ms.map_or("?".to_owned(), |duration| duration.to_string());
                let sentence = format!("{} is shown at {offset} ms of {duration}, after {latest} ms", place.id);
                findings.broken(sentence, [broadcast.line, before, place.line]);
            }
            (latest, before) = (latest.max(offset), place.line);
        }
    }
}

/// A replay that is followed is read while the archive is written; what it has passed it does not come back to. What
/// was there when all was over tells what there was to show.
pub(super) fn followed_replays_skip_nothing(view: &View, findings: &mut Findings) {
    for (number, shown) in view.followed.values() {
        let mut seen: HashMap<_, usize> = HashMap::new();
        for place in shown {
            findings.look();
            if let Some(first) = seen.insert(place.id, place.line) {
                let sentence = format!("room {number}: {} came twice in a replay that was followed", place.id);
                findings.broken(sentence, [first, place.line]);
            }
        }
        for pair in shown.windows(2).filter(|pair| pair[0].position > pair[1].position) {
            let sentence =
                format!("room {number}: {} came before {} in a replay that was followed", pair[0].id, pair[1].id);
            findings.broken(sentence, [pair[0].line, pair[1].line]);
        }
        let positions = shown.iter().map(|place| place.position);
        let Some((first, last)) = positions.clone().min().zip(positions.max()) else { continue };
        let broadcasts = view.rooms.get(number).into_iter().flat_map(|room| room.broadcasts.values());
        for place in broadcasts.flat_map(|broadcast| &broadcast.replay) {
            if first < place.position && place.position < last && !seen.contains_key(&place.id) {
                let after = shown.iter().find(|after| after.position > place.position);
                let sentence = format!("room {number}: a replay that was followed skipped {}", place.id);
                findings.broken(sentence, [Some(place.line), after.map(|after| after.line)].into_iter().flatten());
            }
        }
    }
}

/// Which messages belong to it is judged by the times that the archive has of them, and not by where they stand: what
/// was sent just before a broadcast began may stand behind what was sent just after.
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
                    let sentence = format!("room {number}: {} was sent in broadcast {name} and is not in it", place.id);
                    findings.broken(sentence, [broadcast.line, place.line]);
                }
            }
            for place in &broadcast.replay {
                if sent.get(&place.id).is_some_and(|exported| !holds(exported)) {
                    let sentence = format!("room {number}: {} is in broadcast {name}, sent at another time", place.id);
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
