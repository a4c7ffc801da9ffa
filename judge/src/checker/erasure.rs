//! Erased users: their earlier messages are not shown, replayed, or archived under their number, and what moderators
//! said about them before, in warnings and notes, is not in the audit. That other messages stay is checked by
//! `accepted_is_in_the_archive`.

use std::collections::HashMap;

use chat::EventId;

use super::Findings;
use super::view::{Erasure, Post, SETTLE_US, Source, View};
use crate::history::Decided;

/// How long after the answer a message may still be in transit to a presenter, on a busy machine.
const ON_ITS_WAY_US: u64 = 2_000_000;

/// The accepted messages that an accepted erasure definitely covers, each with its first such erasure.
fn erased<'b, 'a>(view: &'b View<'a>) -> HashMap<EventId, (&'b Post<'a>, &'b Erasure, usize)> {
    let accepted = view.accepted_posts().filter_map(|(post, line, id, _)| {
        let about = |erasure: &&Erasure| erasure.user == post.user && erasure.asked > line;
        let erasure = view.erasures.values().filter(about).find(|erasure| erasure.accepted.is_some())?;
        Some((id, (post, erasure, erasure.accepted?)))
    });
    accepted.collect()
}

pub(super) fn erased_is_gone(view: &View, findings: &mut Findings) {
    words_are_gone(view, findings);
    let erased = erased(view);
    erased.values().for_each(|_| findings.look());
    for session in view.all_sessions() {
        for frame in &session.frames {
            let Some((_, erasure, _)) = frame.shows().and_then(|shown| erased.get(&shown)) else { continue };
            // The end of an erasure in the background is unknown.
            let Some(done) = erasure.done else { continue };
            let (from, shown) = (view.at(done), view.at(frame.line));
            let late = shown > from + ON_ITS_WAY_US;
            if late && !view.disturbed(&["nats", session.node], shown, shown, SETTLE_US) {
                let sentence = format!(
                    "room {}: {} was erased and still shown {} ms later on {}",
                    session.room,
                    frame.id,
                    (shown - from) / 1_000,
                    session.node
                );
                findings.broken(sentence, [erasure.asked, done, session.welcome, frame.line]);
            }
        }
    }
    for room in view.rooms.values() {
        for place in &room.archive {
            let Some((post, erasure, accepted)) = erased.get(&place.id) else { continue };
            if !erasure.anonymises || place.user == Some(post.user) {
                let sentence = format!("{} was erased and is still in the archive", place.id);
                findings.broken(sentence, [erasure.asked, *accepted, place.line]);
            }
        }
        for (at, place) in room.replays() {
            if let Some((_, erasure, accepted)) = erased.get(&place.id)
                && !erasure.anonymises
            {
                findings.broken(format!("{} was erased and is {at}", place.id), [erasure.asked, *accepted, place.line]);
            }
        }
    }
}

/// The audit has neither the words nor the number of warnings and notes from before an erasure of their user.
fn words_are_gone(view: &View, findings: &mut Findings) {
    let mut about: HashMap<EventId, (i64, &Erasure, usize)> = HashMap::new();
    for decision in view.decisions.values() {
        let user = match decision.decided {
            Decided::Warn { user } | Decided::Withdraw { user } => *user,
            Decided::Note { user } | Decided::DeleteNote { user, .. } => *user,
            _ => continue,
        };
        let Some((line, id, _)) = decision.request.accepted() else { continue };
        let later = view.erasures.values().filter(|erasure| erasure.user == user && erasure.asked > line);
        if let Some((erasure, accepted)) = later.filter_map(|erasure| Some((erasure, erasure.accepted?))).next() {
            about.insert(id, (user, erasure, accepted));
        }
    }
    for ruling in view.rulings.iter().filter(|ruling| matches!(ruling.source, Source::Archive | Source::List)) {
        let Some((user, erasure, accepted)) = about.get(&ruling.id) else { continue };
        findings.look();
        if ruling.reason.is_some() || ruling.user == Some(*user) {
            let sentence = format!("{} is about an erased user, and {} as before", ruling.id, ruling.source.word());
            findings.broken(sentence, [erasure.asked, *accepted, ruling.line]);
        }
    }
}
