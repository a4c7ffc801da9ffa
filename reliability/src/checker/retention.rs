//! The log is the buffer and the archive the memory: whatever is in the one comes into the other, and nothing leaves the
//! one before that.

use std::collections::HashSet;

use chat::EventId;

use super::Findings;
use super::view::{Place, Source, View};

/// Everything that the archive has: messages and decisions.
fn archived(view: &View) -> HashSet<EventId> {
    let messages = view.rooms.values().flat_map(|room| &room.archive).map(|place| place.id);
    let decisions = view.rulings.iter().filter(|ruling| ruling.source == Source::Archive).map(|ruling| ruling.id);
    messages.chain(decisions).collect()
}

/// Also what nobody was told of: a post of unknown outcome that is in the log is a message like any other.
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
            let sentence = format!("the log has {first} to {last}, and of it {acknowledged} is acknowledged");
            findings.broken(sentence, [stream.line]);
        }
    }
    let erased = view.perhaps_erased();
    for (request, line, id, position) in view.accepted().filter(|(_, _, id, _)| !erased.contains(id)) {
        findings.look();
        let stream = view.stream(position).filter(|_| view.has_left_the_log(position));
        if let Some(stream) = stream.filter(|_| !archived.contains(&id)) {
            let sentence = format!("{id} has left the log, and is not in the archive");
            findings.broken(sentence, [request.invoked, line, stream.line]);
        }
    }
}
