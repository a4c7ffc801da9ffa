//! A notice is a notice wherever it is seen, and the audit has it once. Everything else about notices is judged with
//! messages.

use super::Findings;
use super::view::{MESSAGE, NOTICE, Place, Source, View};

pub(super) fn notices_are_notices(view: &View, findings: &mut Findings) {
    let is_notice = |place: &Place| {
        let post = place.text.and_then(|text| view.texts.get(text))?;
        Some(view.posts[post].is_notice())
    };
    let shown = view.all_sessions().flat_map(|session| &session.frames);
    let places = view.logged.values().map(|(_, place)| place).chain(shown);
    for place in places.filter(|place| place.is_message) {
        let Some(is_notice) = is_notice(place) else { continue };
        findings.look();
        let kind = if is_notice { NOTICE } else { MESSAGE };
        if place.kind != kind {
            findings.broken(format!("{} is a {kind} and was seen as a {}", place.id, place.kind), [place.line]);
        }
    }
    for place in view.rooms.values().flat_map(|room| &room.replay) {
        let Some(is_notice) = is_notice(place) else { continue };
        let marked = view.messages.notices.get(&place.id);
        findings.look();
        if marked.is_some() != is_notice {
            let sentence = format!("the replay is wrong about whether {} is a notice", place.id);
            findings.broken(sentence, marked.copied().into_iter().chain([place.line]));
        }
    }
    for (post, line, id, _) in view.accepted_posts().filter(|(post, ..)| post.is_notice()) {
        for source in [Source::Archive, Source::List] {
            findings.look();
            let its = |it: &&super::view::Ruling| it.source == source && it.id == id && it.kind == NOTICE;
            let times = view.rulings.iter().filter(its).count();
            if times != 1 && !view.is_lost(id) {
                let sentence = format!("the notice {id} is {times} times {}", source.word());
                findings.broken(sentence, [post.request.invoked, line]);
            }
        }
    }
}
