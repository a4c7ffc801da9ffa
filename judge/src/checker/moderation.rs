//! Moderation decisions hold: deleted messages are not shown, restored ones are, and no other message is removed.

use std::collections::{HashMap, HashSet};

use chat::EventId;

use super::Findings;
use super::view::{Change, Decision, Place, SETTLE_US, Session, View};
use crate::history::Decided;
use crate::history::FORGET_READERS;

/// How long after the confirmation a message may still be in transit to a presenter: it was written to the socket
/// before the deletion arrived, and is read later, on a busy machine.
const ON_ITS_WAY_US: u64 = 2_000_000;

/// 40 s: a batch that a killed archiver held is redelivered after 30 s.
const HANDED_OUT_AGAIN_US: u64 = 40_000_000;

/// 180 s: if the log's server forgets how far the archivers have read, they read all of the log again before new
/// events. One hour of chat took 150 s on a busy machine.
const READ_AGAIN_US: u64 = 180_000_000;

/// 5 s: the archive marks the messages of a cleared room in steps of 1,000. Those of an hour took 3.6 s on a busy
/// machine.
const CLEARED_WITHIN_US: u64 = 5_000_000;

/// Whether the archive may not have reached the decision yet.
pub(super) fn lags(view: &View, decided: u64, at: u64) -> bool {
    view.disturbed(&["nats", "mongod", "archiver"], decided, at, HANDED_OUT_AGAIN_US)
        || view.faulty(decided, at, READ_AGAIN_US, |fault| fault.kind == FORGET_READERS)
        || view.faulty(decided, at, HANDED_OUT_AGAIN_US, |fault| fault.kind.starts_with("archiver ended by itself"))
}

/// A message whose text was shown although a deletion must have hidden it: the deletion and its confirmation, and the
/// time since then in milliseconds. A node that is cut off may show deleted messages. It catches up before the fault is
/// over.
pub(super) fn shown_although_hidden<'b>(
    view: &'b View,
    session: &Session,
    frame: &Place,
) -> Option<(EventId, &'b Change, usize, u64)> {
    let message = frame.shows()?;
    let (change, confirmed) = view.hidden_by(message, frame.line, |_| ON_ITS_WAY_US)?;
    let shown = view.at(frame.line);
    let is_excused = view.disturbed(&["nats", session.node], shown, shown, SETTLE_US);
    (!is_excused).then_some((message, change, confirmed, (shown - view.at(confirmed)) / 1_000))
}

pub(super) fn deleted_is_not_shown(view: &View, findings: &mut Findings) {
    let deleted = view.changed().filter(|(_, changes)| changes.iter().any(|it| it.deletes() && it.confirmed.is_some()));
    deleted.for_each(|_| findings.look());
    for session in &view.sessions {
        for frame in session.received() {
            if let Some((message, _, confirmed, late)) = shown_although_hidden(view, session, frame) {
                let (room, node) = (session.room, session.node);
                let sentence = format!("room {room}: {message} was deleted and still shown {late} ms later on {node}");
                findings.broken(sentence, [confirmed, session.welcome, frame.line]);
            }
        }
    }
    for followed in view.followed.values() {
        for place in &followed.shown {
            let within = |change: &Change| if change.clears { CLEARED_WITHIN_US } else { ON_ITS_WAY_US };
            let Some((_, confirmed)) = view.hidden_by(place.id, place.line, within) else { continue };
            let (decided, at) = (view.at(confirmed), view.at(place.line));
            if !lags(view, decided, at) {
                let sentence = format!(
                    "room {}: {} was deleted and still shown {} ms later to a reader that followed the replay",
                    followed.room,
                    place.id,
                    (at - decided) / 1_000
                );
                findings.broken(sentence, [confirmed, place.line]);
            }
        }
    }
    for room in view.rooms.values() {
        for place in room.archive.iter().filter(|place| place.deleted.is_none()) {
            if let Some(change) = view.deletion(place.id) {
                let sentence = format!("{} was deleted, but not in the archive", place.id);
                findings.broken(sentence, [change.line, place.line]);
            }
        }
        for (at, place) in room.replays() {
            if let Some(change) = view.deletion(place.id) {
                findings.broken(format!("{} was deleted and is {at}", place.id), [change.line, place.line]);
            }
        }
    }
}

/// Whether the log has every decision about the message, as far as the archive tells. A decision that a disk lost may
/// have been archived before.
fn is_whole(view: &View, place: &Place) -> bool {
    !view.is_perhaps_restored(place.id) && place.deleted.is_none_or(|decision| view.logged.contains_key(&decision))
}

/// The archive, and a presenter who reads the room at the end, have each message in the state in which the last of its
/// decisions in the log left it.
pub(super) fn deletions_have_the_logs_order(view: &View, findings: &mut Findings) {
    for room in view.rooms.values() {
        for place in room.archive.iter().filter(|place| is_whole(view, place)) {
            let Some(last) = view.changes(place.id).last() else { continue };
            findings.look();
            let deletion = view.deletion(place.id);
            match (deletion, place.deleted) {
                (None, Some(_)) => {
                    let sentence = format!("{} was restored, and is deleted in the archive", place.id);
                    findings.broken(sentence, [last.line, place.line]);
                }
                (Some(first), Some(by)) if first.decision() != by => {
                    let first_by = first.decision();
                    let sentence =
                        format!("{} is deleted by {by} in the archive, and by {first_by} in the log", place.id);
                    findings.broken(sentence, [first.line, place.line]);
                }
                // A missing mark is `deleted_is_not_shown`'s concern.
                _ => {}
            }
        }
    }
    for session in view.sessions.iter().filter(|session| session.fresh) {
        let is_withheld =
            |frame: &&Place| frame.is_message && frame.text.is_none() && !view.is_perhaps_restored(frame.id);
        for frame in session.frames.iter().filter(is_withheld) {
            let Some(last) = view.changes(frame.id).last() else { continue };
            findings.look();
            if view.deletion(frame.id).is_none() {
                let sentence = format!("{} was restored, and shown without its text on {}", frame.id, session.node);
                findings.broken(sentence, [last.line, session.welcome, frame.line]);
            }
        }
    }
}

pub(super) fn nothing_is_deleted_unasked(view: &View, findings: &mut Findings) {
    for (number, room) in &view.rooms {
        let is_about = |decision: &&Decision| !decision.request.is_refused() && decision.request.room == Some(*number);
        let decisions: Vec<&Decision> = view.decisions.values().filter(is_about).collect();
        let targets: HashSet<EventId> = decisions
            .iter()
            .filter_map(|decision| match decision.decided {
                Decided::Delete { target } => Some(*target),
                _ => None,
            })
            .collect();
        // Those about many messages.
        let is_wide = |decided: &Decided| {
            let purges = matches!(decided, Decided::Ban { purge_seconds: Some(_), .. });
            purges || matches!(decided, Decided::Clear | Decided::Sweep { .. })
        };
        let wide: Vec<&&Decision> = decisions.iter().filter(|decision| is_wide(decision.decided)).collect();
        let replayed: HashMap<_, usize> = room.replay.iter().map(|place| (place.id, place.line)).collect();
        for place in &room.archive {
            findings.look();
            let may_be =
                || targets.contains(&place.id) || wide.iter().any(|wide| view.takes_away(wide, *number, place));
            if place.deleted.is_some() && !may_be() {
                findings.broken(format!("{} is deleted without a decision", place.id), [place.line]);
            }
            let replays = view.readings.contains(&crate::history::Reading::Replay);
            if replays && place.deleted.is_none() && !replayed.contains_key(&place.id) {
                findings.broken(format!("{} is not deleted and is missing from the replay", place.id), [place.line]);
            }
        }
        let shown = view.all_sessions().filter(|session| session.room == *number);
        for (session, frame) in shown.flat_map(|session| session.frames.iter().map(move |frame| (session, frame))) {
            if !frame.is_message || frame.text.is_some() || view.is_lost(frame.id) {
                continue;
            }
            findings.look();
            // The decisions of the log first: nearly every one is among them.
            let has_deleted = |change: &Change| change.deletes() && change.requested < frame.line;
            let deletes = |decision: &&Decision| {
                decision.request.invoked < frame.line && view.takes_away(decision, *number, frame)
            };
            if !view.changes(frame.id).iter().any(has_deleted) && !decisions.iter().any(deletes) {
                let sentence = format!("{} was shown without its text, and nothing had deleted it", frame.id);
                findings.broken(sentence, [session.welcome, frame.line]);
            }
        }
    }
}
