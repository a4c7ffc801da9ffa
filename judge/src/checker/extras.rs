//! The attributes of a message, its emotes, and the message that it answers, arrive as they were sent, wherever its
//! text arrives.

use chat::EventId;

use super::Findings;
use super::view::{Place, View};
use crate::history::{Dialect, SeenAt};

pub(super) fn attributes_arrive_unchanged(view: &View, findings: &mut Findings) {
    for session in view.sessions.iter().filter(|session| session.dialect == Dialect::V1) {
        for frame in &session.frames {
            compare(view, SeenAt::Presenter(session.number), frame.shows(), frame, findings);
        }
    }
    for session in view.readers.iter().map(|reader| &reader.session) {
        for frame in &session.frames {
            compare(view, SeenAt::Reader(session.number), frame.shows(), frame, findings);
        }
    }
    for (_, place) in view.logged.values() {
        compare(view, SeenAt::Log, place.shows(), place, findings);
    }
    for place in view.rooms.values().flat_map(|room| &room.replay) {
        compare(view, SeenAt::Replay, place.shows(), place, findings);
    }
}

/// `shown`: the message whose text it has.
fn compare(view: &View, at: SeenAt, shown: Option<EventId>, place: &Place, findings: &mut Findings) {
    let Some((message, post)) = shown.zip(place.text.and_then(|text| view.texts.get(text))) else { return };
    let sent = view.messages.attaches.get(post);
    let seen = view.messages.attached.get(&(at, message));
    // An erasure removes attributes, and keeps texts and emotes.
    if sent.is_none() && seen.is_none() || view.may_be_erased(&view.posts[post]) {
        return;
    }
    findings.look();
    if sent.map(|(_, extras)| extras) != seen.map(|(_, extras)| extras) {
        let lines = [sent, seen].into_iter().flatten().map(|(line, _)| *line);
        let sentence =
            format!("the attributes of {message}, its emotes, or what it answers, did not arrive as they were sent");
        findings.broken(sentence, lines.chain([place.line]));
    }
}
