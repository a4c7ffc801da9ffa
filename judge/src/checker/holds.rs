//! Messages that wait for a moderator: they are in the log and in the audit, shown nowhere before their release, and
//! never if they were denied or their time was over. Of several decisions about one message the log's first counts.

use chat::EventId;

use super::Findings;
use super::moderation::lags;
use super::view::{Answer, Decision, Hold, Place, Source, View};
use crate::history::{Decided, Dialect, ReaderView};

/// The codes for a decision after another one.
const ALREADY_RELEASED: &str = "already_released";
const ALREADY_DENIED: &str = "already_denied";

/// The types of decisions about a held message, in the audit.
const RELEASED: &str = "message.released";
const DENIED: &str = "message.denied";

pub(super) fn held_is_in_the_log(view: &View, findings: &mut Findings) {
    for post in view.posts.values() {
        for (line, id, position) in &post.request.held {
            findings.look();
            let event = EventId::of_hold(*id);
            let lines = [post.request.invoked, *line];
            match view.messages.holds.get(id) {
                Some(hold)
                    if hold.room == post.room
                        && hold.text == Some(post.text)
                        && hold.user == Some(post.user)
                        && view.is_same_place(hold.position, *position) => {}
                Some(hold) => {
                    let sentence = format!("the hold of {id} is not in the log as it was sent and answered");
                    findings.broken(sentence, lines.into_iter().chain([hold.line]));
                }
                None if view.is_lost(event) || view.has_left_the_log(*position) => {}
                None => findings.broken(format!("{id} waits for a moderator, and the log has no hold of it"), lines),
            }
            for source in [Source::Archive, Source::List] {
                let times = view.rulings.iter().filter(|it| it.source == source && it.id == event).count();
                if times != 1 && !view.is_lost(event) {
                    findings.broken(format!("the hold of {id} is {times} times {}", source.word()), lines);
                }
            }
        }
    }
}

/// What became of a held message: the first event with the message's id.
enum Fate<'b> {
    /// It came into the room at that place.
    Released(&'b Place<'b>),
    /// It must be shown nowhere. The line that says so.
    Hidden(usize),
}

fn fate<'b>(view: &'b View, message: EventId, hold: &Hold) -> Fate<'b> {
    match view.logged.get(&message) {
        Some((_, place)) if place.is_message => Fate::Released(place),
        Some((_, place)) => Fate::Hidden(place.line),
        None => Fate::Hidden(hold.line),
    }
}

/// The decisions of that kind about the message.
fn about<'a, 'b>(view: &'b View<'a>, wanted: &Decided) -> Vec<&'b Decision<'a>> {
    view.decisions.values().filter(|decision| decision.decided == wanted).collect()
}

pub(super) fn held_is_not_shown(view: &View, findings: &mut Findings) {
    for (message, hold) in view.messages.holds.iter().filter(|(message, _)| view.is_held_first(**message)) {
        findings.look();
        let fate = fate(view, *message, hold);
        let mut since = None;
        if let Fate::Released(place) = fate {
            let releases = about(view, &Decided::Release { target: *message });
            since = releases.iter().map(|release| release.request.invoked).min();
            // Two tries of a post can be judged differently: if the hook fails for one of them, it is not held.
            let post = hold.text.and_then(|text| view.texts.get(text)).map(|post| &view.posts[post]);
            let is_tried_once = post.is_some_and(|post| post.request.attempts.len() < 2);
            if since.is_none() && is_tried_once {
                findings.broken(
                    format!("{message} was held, and is in the room without a release"),
                    [hold.line, place.line],
                );
            }
            let stored = view.copies.get(&place.position).map(|copied| copied.stored);
            if since.is_some() && stored.is_some_and(|stored| stored > hold.until) {
                findings.broken(format!("{message} was released after its time"), [hold.line, place.line]);
            }
        }
        for (line, at) in shown(view, *message) {
            match (&fate, since) {
                (Fate::Hidden(_), _) if view.is_lost(*message) => {}
                (Fate::Hidden(why), _) => {
                    findings.broken(format!("{message} was held and never released, and is {at}"), [*why, line]);
                }
                (Fate::Released(place), Some(asked)) if line < asked => {
                    let sentence = format!("{message} was held, and was {at} before its release");
                    findings.broken(sentence, [hold.line, line, place.line]);
                }
                (Fate::Released(_), _) => {}
            }
        }
    }
    for session in view.sessions.iter().filter(|session| session.dialect == Dialect::V1) {
        for frame in session.frames.iter().filter(|frame| !ReaderView::Presenter.shows(frame.kind)) {
            let sentence = format!("room {}: a presenter received a {}", session.room, frame.kind);
            findings.broken(sentence, [session.welcome, frame.line]);
        }
    }
}

/// Where the message was seen as one of the room: lines, and places in words.
fn shown(view: &View, message: EventId) -> Vec<(usize, &'static str)> {
    let of_session = |frames: &[Place], at: &'static str| -> Vec<(usize, &'static str)> {
        let its = frames.iter().filter(|frame| frame.is_message && frame.id == message);
        its.map(|frame| (frame.line, at)).collect()
    };
    let mut shown = Vec::new();
    for session in &view.sessions {
        shown.extend(of_session(&session.frames, "on a presenter's socket"));
    }
    for reader in &view.readers {
        shown.extend(of_session(&reader.session.frames, "given to a reader"));
    }
    // An archiver that catches up takes a message out of the archive that it has just stored: it was denied before its
    // release. A replay that is followed may show it meanwhile.
    let held = view.messages.holds.get(&message).and_then(|hold| view.copies.get(&hold.position));
    let since = held.map_or(0, |held| view.since_the_beginning(held.stored));
    for followed in view.followed.values() {
        let its = of_session(&followed.shown, "in a followed replay");
        shown.extend(its.into_iter().filter(|(line, _)| !lags(view, since, view.at(*line))));
    }
    for room in view.rooms.values() {
        shown.extend(of_session(&room.archive, "in the archive"));
        shown.extend(room.replays().filter(|(_, place)| place.id == message).map(|(at, place)| (place.line, at)));
    }
    shown
}

pub(super) fn holds_are_decided_once(view: &View, findings: &mut Findings) {
    for decision in view.decisions.values() {
        let (message, releases) = match decision.decided {
            Decided::Release { target } => (*target, true),
            Decided::Deny { target } => (*target, false),
            _ => continue,
        };
        let first = view.logged.get(&message).map(|(_, place)| place);
        let is_gone = view.is_lost(message) || view.is_lost(EventId::of_hold(message));
        for attempt in decision.request.attempts.values() {
            let Some((line, answer)) = attempt.answered else { continue };
            // Whether the answer says that the message was released.
            let says_released = match answer {
                Answer::Accepted { .. } => releases,
                Answer::Refused { code: ALREADY_RELEASED, .. } => true,
                Answer::Refused { code: ALREADY_DENIED, .. } => false,
                Answer::Refused { .. } | Answer::Unknown => continue,
            };
            findings.look();
            if first.is_none_or(|first| first.is_message != says_released) && !is_gone {
                let said = if says_released { "released" } else { "denied" };
                let sentence = format!("the answer says that {message} is {said}, and the log does not");
                findings.broken(sentence, [attempt.sent, line].into_iter().chain(first.map(|first| first.line)));
            }
        }
        if let Some((_, id, _)) = decision.request.accepted().filter(|(_, id, _)| *id != message) {
            let sentence = format!("the decision about {message} was confirmed as {id}");
            findings.broken(sentence, [decision.request.invoked]);
        }
    }
    let log = view.rulings.iter().filter(|it| it.source == Source::Log && [RELEASED, DENIED].contains(&it.kind));
    for ruling in log.filter(|it| view.logged.get(&it.id).is_some_and(|(_, first)| first.line == it.line)) {
        findings.look();
        let message = ruling.id;
        let Some(decision) = view.decision_of(ruling).filter(|it| it.decided.target() == Some(message)) else {
            findings.broken(format!("{message} was decided, and nobody asked for it"), [ruling.line]);
            continue;
        };
        let lines = [decision.request.invoked, ruling.line];
        if decision.decided.kind() != ruling.kind || decision.request.is_refused() {
            findings.broken(format!("the decision about {message} is not the one that was asked for"), lines);
        }
        for source in [Source::Archive, Source::List] {
            let mut its = view.rulings.iter().filter(|it| it.source == source && it.id == message);
            let is_right = its.next().is_some_and(|it| it.kind == ruling.kind) && its.next().is_none();
            if !is_right && view.lost.is_empty() {
                let sentence = format!("the decision about {message} is not {} as in the log, once", source.word());
                findings.broken(sentence, lines);
            }
        }
        // Whatever was answered before a release counts.
        let deletions = about(view, &Decided::Delete { target: message });
        let ended = deletions.iter().filter_map(|deletion| deletion.request.accepted()).map(|(line, ..)| line).min();
        if let Some(ended) = ended.filter(|ended| *ended < decision.request.invoked && ruling.kind == RELEASED) {
            let sentence = format!("{message} was deleted while it waited, and released later");
            findings.broken(sentence, lines.into_iter().chain([ended]));
        }
    }
}
