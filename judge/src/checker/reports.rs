//! Reports: a user's reports of a message are one, and the moderators' queue has it, open until a decision closes it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chat::EventId;

use super::Findings;
use super::view::{Place, Queued, Room, Ruling, Source, View};
use crate::history::{Decided, Reading};

/// The type of a report.
const REPORTED: &str = "message.reported";

/// The reports of one message that the queue shows.
const MOST_SHOWN: usize = 20;

/// Who reported what.
type Report = (Option<i64>, Option<EventId>, Option<i64>);

/// The requests of all reports: whether one may be stored, and every accepting answer.
type Requested = HashMap<Report, (bool, Vec<(usize, EventId)>)>;

pub(super) fn reports_are_queued_until_closed(view: &View, findings: &mut Findings) {
    let mut requested: Requested = HashMap::new();
    for decision in view.decisions.values() {
        let Decided::Report { target, user } = decision.decided else { continue };
        let (may_be, accepted) =
            requested.entry((decision.request.room, Some(*target), Some(*user))).or_insert((false, Vec::new()));
        *may_be |= !decision.request.is_refused();
        accepted.extend(decision.request.oks.iter().map(|(line, id, _)| (*line, *id)));
    }
    let log: Vec<&Ruling> = view.rulings.iter().filter(|it| is_report(it, Source::Log)).collect();
    accepted_once(view, &requested, findings);
    let mut first: HashMap<Report, &Ruling> = HashMap::new();
    for report in &log {
        findings.look();
        let who = (report.room, report.target, report.user);
        if !requested.get(&who).is_some_and(|(may_be, _)| *may_be) {
            findings.broken(format!("the report {} is in the log, and nobody made it", report.id), [report.line]);
        }
        let one = first.entry(who).or_insert(report);
        if one.id != report.id && view.lost.is_empty() {
            findings.broken(
                format!("the log has two reports of one user: {} and {}", one.id, report.id),
                [one.line, report.line],
            );
        }
    }
    // A queue also has what a disk lost from the log, or what has left it.
    if view.has_the_whole_log() && view.readings.contains(&Reading::Reports) {
        for (number, room) in &view.rooms {
            queue(view, *number, room, findings);
        }
    }
}

fn is_report(ruling: &Ruling, source: Source) -> bool {
    ruling.source == source && ruling.kind == REPORTED
}

/// Every accepted report is in the log and in the archive, under one id.
fn accepted_once(view: &View, requested: &Requested, findings: &mut Findings) {
    for ((_, target, user), (_, accepted)) in requested {
        let Some((line, id)) = accepted.first() else { continue };
        findings.look();
        if let Some((other, _)) = accepted.iter().find(|(_, other)| other != id && view.lost.is_empty()) {
            findings.broken("two reports of one message by one user were two".to_owned(), [*line, *other]);
        }
        if view.is_lost(*id) {
            continue;
        }
        let its = |source: Source| view.rulings.iter().filter(move |it| it.id == *id && is_report(it, source));
        let is_it = |it: &Ruling| (it.target, it.user) == (*target, *user);
        if view.has_the_whole_log() && !its(Source::Log).any(is_it) {
            findings.broken(format!("the report {id} was accepted and is not in the log as it was made"), [*line]);
        }
        if its(Source::Archive).filter(|it| it.target == *target).count() != 1 {
            findings.broken(format!("the report {id} was accepted and is not once in the archive"), [*line]);
        }
    }
}

/// Whether the event closes the reports of the message.
fn closes(event: &Place, message: &Place) -> bool {
    match event.kind {
        "report.closed" | "message.deleted" => event.target == Some(message.id),
        "room.cleared" => true,
        "user.banned" => event.user == message.user,
        _ => false,
    }
}

/// The queue of a room is what the log makes of its reports.
fn queue(view: &View, number: i64, room: &Room, findings: &mut Findings) {
    let mut queued: HashMap<EventId, &Queued> = HashMap::new();
    for row in view.messages.queue.iter().filter(|row| row.room == number) {
        if let Some(first) = queued.insert(row.id, row) {
            findings.broken(format!("room {number}: {} is in the queue twice", row.id), [first.line, row.line]);
        }
    }
    let archived: HashMap<EventId, &Place> = room.archive.iter().map(|place| (place.id, place)).collect();
    let mut reported: BTreeMap<EventId, Vec<&Place>> = BTreeMap::new();
    // Bans in every room close nothing.
    let of_room = |place: &&Place| view.logged.contains_key(&place.id);
    let log: Vec<&Place> = room.log.iter().filter(of_room).collect();
    for place in log.iter().filter(|place| place.kind == REPORTED) {
        if let Some(target) = place.target.filter(|target| archived.contains_key(target)) {
            reported.entry(target).or_default().push(place);
        }
    }
    for row in queued.values().filter(|row| !reported.contains_key(&row.id)) {
        findings.broken(format!("room {number}: {} is in the queue and was not reported", row.id), [row.line]);
    }
    for (message, reports) in reported {
        findings.look();
        let Some(latest) = reports.last() else { continue };
        let Some(row) = queued.get(&message) else {
            findings.broken(format!("room {number}: {message} was reported and is not in the queue"), [latest.line]);
            continue;
        };
        let lines = [latest.line, row.line];
        let users: BTreeSet<Option<i64>> = reports.iter().map(|report| report.user).collect();
        let shown: BTreeSet<EventId> = row.reports.iter().copied().collect();
        let owed: BTreeSet<EventId> = reports.iter().rev().take(MOST_SHOWN).map(|report| report.id).collect();
        if row.count != users.len() || shown != owed {
            findings.broken(format!("room {number}: the queue does not have the reports of {message}"), lines);
        }
        let mut later = log.iter().filter(|event| event.position > latest.position);
        let closed = later.find(|event| closes(event, archived[&message]));
        if row.closed != closed.map(|event| event.id) {
            let sentence = format!("room {number}: the queue does not say by what the reports of {message} are closed");
            findings.broken(sentence, lines.into_iter().chain(closed.map(|event| event.line)));
        }
    }
}
