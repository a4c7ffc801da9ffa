//! What presenters of `chat.v1` are owed: every event of the room since their first welcome, once within a session, or
//! a reported gap. Of two sessions only the newest continues.

use std::collections::{BTreeMap, HashMap};

use chat::{EventId, Position};

use super::Findings;
use super::view::{Place, SETTLE_US, Session, View};
use crate::history::{Dialect, ReaderView};

/// A range of a room's log: after the first position, up to the second. None: from the beginning, to the end.
type Stretch = (Option<Position>, Option<Position>);

fn is_in(position: Position, stretch: &Stretch) -> bool {
    stretch.0.is_none_or(|after| position > after) && stretch.1.is_some_and(|to| position <= to)
}

/// Whether the presenter of a room receives the event.
fn is_for_presenters(place: &Place) -> bool {
    ReaderView::Presenter.shows(place.kind)
}

pub(super) fn presenters_miss_nothing(view: &View, findings: &mut Findings) {
    let mut rooms: BTreeMap<i64, Vec<&Session>> = BTreeMap::new();
    for session in view.sessions.iter().filter(|session| session.dialect == Dialect::V1) {
        within(view, session, "session", is_for_presenters, findings);
        if !session.fresh {
            rooms.entry(session.room).or_default().push(session);
        }
    }
    for (number, sessions) in rooms {
        between(view, number, &sessions, "the presenter", is_for_presenters, findings);
    }
    // The presenter at the end of the run receives everything outside reported gaps.
    for session in view.sessions.iter().filter(|session| session.fresh) {
        between(view, session.room, &[session], "the presenter", is_for_presenters, findings);
    }
}

/// Within a session nothing is skipped of what its client is to see.
pub(super) fn within(
    view: &View,
    session: &Session,
    what: &str,
    is_seen: impl Fn(&Place) -> bool,
    findings: &mut Findings,
) {
    let Some(room) = view.rooms.get(&session.room) else { return };
    let Some(last) = session.reached() else { return };
    let stretch = (session.position, Some(last));
    let came: HashMap<_, usize> = session.frames.iter().map(|frame| (frame.id, frame.line)).collect();
    let is_owed = |place: &&Place| is_seen(place) && !view.may_be_an_erased_one(place);
    for place in room.log.iter().filter(|place| is_in(place.position, &stretch)).filter(is_owed) {
        findings.look();
        if !came.contains_key(&place.id) {
            let sentence = format!(
                "room {}: {what} {} on {} skipped {} and went on",
                session.room, session.number, session.node, place.id
            );
            let frames = session.frames.iter().map(|frame| (frame.line, Some(frame.position)));
            let mut signs = frames.chain(session.keepalives.iter().copied());
            let after = signs.find(|(_, position)| *position >= Some(place.position)).map(|(line, _)| line);
            findings.broken(sentence, [session.welcome, place.line].into_iter().chain(after));
        }
    }
}

/// Events that one session did not deliver are delivered by the next, from the first welcome to the end of the log.
pub(super) fn between(
    view: &View,
    number: i64,
    sessions: &[&Session],
    who: &str,
    is_seen: impl Fn(&Place) -> bool,
    findings: &mut Findings,
) {
    let Some(room) = view.rooms.get(&number) else { return };
    let mut covered: Vec<Stretch> = Vec::new();
    for session in sessions {
        covered.push((session.position, session.reached()));
        if !session.recovered {
            // The reported gap: from the presenter's position to the start of the session.
            covered.push((session.asked, session.position));
        }
    }
    let first = sessions.first().and_then(|session| if session.recovered { session.position } else { session.asked });
    let is_owed = |place: &&Place| is_seen(place) && first.is_none_or(|first| place.position > first);
    for place in room.log.iter().filter(is_owed) {
        findings.look();
        if !covered.iter().any(|stretch| is_in(place.position, stretch)) && !view.may_be_an_erased_one(place) {
            let sentence = format!("room {number}: {} never reached {who}, and no gap was reported", place.id);
            let before =
                sessions.iter().flat_map(|session| &session.frames).filter(|frame| frame.position < place.position);
            let before = before.max_by_key(|frame| frame.position).map(|frame: &Place| frame.line);
            let after =
                sessions.iter().find(|session| session.position.is_some_and(|position| position >= place.position));
            let lines = [Some(place.line), before, after.map(|session| session.welcome)];
            findings.broken(sentence, lines.into_iter().flatten());
        }
    }
}

/// Reporting a gap at every reconnect would satisfy [`presenters_miss_nothing`] and lose messages.
pub(super) fn gaps_have_a_reason(view: &View, findings: &mut Findings) {
    let readers = view.readers.iter().map(|reader| &reader.session);
    for session in view.presenters().chain(readers) {
        let (Some(asked), Some(room)) = (session.asked, view.rooms.get(&session.room)) else { continue };
        findings.look();
        if session.recovered {
            continue;
        }
        // The first message in the reported gap.
        let posted = |place: &&Place| place.text.and_then(|text| view.texts.get(text)).map(|post| &view.posts[post]);
        let missing = (Some(asked), session.position);
        let is_missing = |place: &&Place| is_in(place.position, &missing) && !view.may_be_an_erased_one(place);
        let next = room.log.iter().find(|place| is_missing(place) && place.is_message);
        let Some((next, post)) = next.and_then(|place| Some((place, posted(&place)?))) else { continue };
        let age = view.at(session.welcome).saturating_sub(view.at(post.request.invoked));
        if age < view.left_the_window() {
            let sentence = format!(
                "room {}: session {} on {} reported a gap after {asked}, but {}, the next event, was only {} s old",
                session.room,
                session.number,
                session.node,
                next.id,
                age / 1_000_000
            );
            findings.broken(sentence, [session.welcome, post.request.invoked, next.line]);
        }
    }
}

/// How soon after its acceptance a connected presenter receives an event, on a busy machine.
const SHOWN_WITHIN_US: u64 = 4_000_000;

/// How soon after a fault delivery works again. Short, so that even a run of less than a minute has such times.
const SHOWN_AGAIN_US: u64 = 4_000_000;

/// A node that delivers nothing would satisfy [`presenters_miss_nothing`] as long as its presenters move on.
pub(super) fn presenters_keep_up(view: &View, findings: &mut Findings) {
    let sessions = view.presenters().filter(|session| session.dialect == Dialect::V1);
    keep_up(view, sessions.map(|session| (session, ReaderView::Presenter)), "session", findings);
}

/// A session receives what its client is to see of the accepted events.
pub(super) fn keep_up<'a: 'b, 'b>(
    view: &View,
    sessions: impl Iterator<Item = (&'b Session<'a>, ReaderView)>,
    what: &str,
    findings: &mut Findings,
) {
    let mut rooms: BTreeMap<i64, Vec<(usize, EventId)>> = BTreeMap::new();
    let erased = view.perhaps_erased();
    for (request, accepted, id, _) in view.accepted().filter(|(_, _, id, _)| !erased.contains(id)) {
        for room in view.rooms.keys().filter(|room| request.room.is_none_or(|about| about == **room)) {
            rooms.entry(*room).or_default().push((accepted, id));
        }
    }
    for (session, sees) in sessions {
        let came: HashMap<_, usize> = session.frames.iter().map(|frame| (frame.id, frame.line)).collect();
        // The presenter had the event from an earlier session.
        let epoch = view.rooms.get(&session.room).and_then(|room| room.log.first()).map(|place| place.position.epoch);
        let place = |id: &EventId| view.place_of(*id, epoch.unwrap_or_default());
        let is_new = |id: &EventId| {
            place(id).is_some_and(|place| sees.shows(place.kind) && session.position < Some(place.position))
        };
        let there = session.welcome..session.ended.unwrap_or(usize::MAX);
        let posts = rooms.get(&session.room).into_iter().flatten();
        for (accepted, id) in posts.filter(|(accepted, id)| there.contains(accepted) && is_new(id)) {
            let at = view.at(*accepted);
            let until = at + SHOWN_WITHIN_US;
            let left = session.ended.is_some_and(|ended| view.at(ended) < until);
            if left || view.disturbed(&["nats", session.node], at, until, SHOWN_AGAIN_US) {
                continue;
            }
            findings.look();
            let frame = came.get(id).copied();
            if frame.is_none_or(|frame| view.at(frame) > until) {
                let sentence = format!(
                    "room {}: {id} did not reach {what} {} on {} within {} s, without a fault",
                    session.room,
                    session.number,
                    session.node,
                    SHOWN_WITHIN_US / 1_000_000
                );
                findings.broken(sentence, [session.welcome, *accepted].into_iter().chain(frame));
            }
        }
    }
}

pub(super) fn sockets_repeat_nothing(view: &View, findings: &mut Findings) {
    for session in &view.sessions {
        let mut seen = HashMap::new();
        for frame in &session.frames {
            findings.look();
            if let Some(first) = seen.insert(frame.id, frame.line) {
                let sentence =
                    format!("room {}: {} was delivered twice in session {}", session.room, frame.id, session.number);
                findings.broken(sentence, [session.welcome, first, frame.line]);
            }
        }
    }
}

/// How long after the newer welcome an older session may receive new posts: the news has to cross the cluster, on a
/// busy machine.
const REPLACED_WITHIN_US: u64 = 2_000_000;

pub(super) fn newest_session_wins(view: &View, findings: &mut Findings) {
    let mut newest: HashMap<i64, &Session> = HashMap::new();
    for newer in view.presenters() {
        let Some(older) = newest.insert(newer.room, newer) else { continue };
        // An older session that has already ended receives nothing. If it was closed for the newer one, the promise was
        // kept.
        if older.ended.is_some_and(|ended| ended < newer.welcome) {
            if older.is_replaced {
                findings.look();
            }
            continue;
        }
        findings.look();
        let replaced = view.at(newer.welcome) + REPLACED_WITHIN_US;
        let late = older.frames.iter().find(|frame| {
            let posted = frame.text.and_then(|text| view.texts.get(text)).map(|post| view.posts[post].request.invoked);
            posted.is_some_and(|posted| view.at(posted) > replaced)
        });
        // A node that is paused, or cut off from the log, cannot know. It has no new events either.
        if let Some(late) = late
            && !view.disturbed(&["nats", older.node, newer.node], view.at(late.line), view.at(late.line), SETTLE_US)
        {
            let sentence = format!(
                "room {}: session {} was replaced by {} and still received {}",
                newer.room, older.number, newer.number, late.id
            );
            findings.broken(sentence, [older.welcome, newer.welcome, late.line]);
        }
    }
}
