//! The log is a buffer for the archive: every event in the log is archived, and none leaves the log before that.

use std::collections::HashSet;

use chat::EventId;

use super::Findings;
use super::view::{Place, Source, View};

/// Everything in the archive: messages and decisions.
fn archived(view: &View) -> HashSet<EventId> {
    let messages = view.rooms.values().flat_map(|room| &room.archive).map(|place| place.id);
    let decisions = view.rulings.iter().filter(|ruling| ruling.source == Source::Archive).map(|ruling| ruling.id);
    messages.chain(decisions).collect()
}

/// Includes posts of unknown outcome: if they are in the log, they are archived.
pub(super) fn logged_is_archived(view: &View, findings: &mut Findings) {
    let archived = archived(view);
    let is_owed = |place: &Place| place.is_message && !view.may_be_an_erased_one(place);
    let messages = view.logged.values().filter(|(_, place)| is_owed(place)).map(|(_, place)| (place.id, place.line));
    let decisions = view.rulings.iter().filter(|ruling| ruling.source == Source::Log);
    for (id, line) in messages.chain(decisions.map(|ruling| (ruling.id, ruling.line))) {
        findings.look();
        if !archived.contains(&id) {
            findings.broken(format!("{id} is in the log and not in the archive"), [line]);
        }
    }
}

pub(super) fn nothing_leaves_the_log_unarchived(view: &View, findings: &mut Findings) {
    let archived = archived(view);
    for stream in &view.streams {
        findings.look();
        if stream.acknowledged.is_none_or(|acknowledged| stream.first > acknowledged.saturating_add(1)) {
            let (first, last) = (stream.first, stream.last);
            let acknowledged = stream.acknowledged.map_or("nothing".to_owned(), |sequence| sequence.to_string());
            let sentence = format!(
                "the log has sequences {first} to {last}, but only those up to {acknowledged} are acknowledged"
            );
            findings.broken(sentence, [stream.line]);
        }
    }
    let erased = view.perhaps_erased();
    for (request, line, id, position) in view.accepted().filter(|(_, _, id, _)| !erased.contains(id)) {
        findings.look();
        let stream = view.stream(position).filter(|_| view.has_left_the_log(position));
        if let Some(stream) = stream.filter(|_| !archived.contains(&id)) {
            let sentence = format!("{id} has left the log and is not in the archive");
            findings.broken(sentence, [request.invoked, line, stream.line]);
        }
    }
}
