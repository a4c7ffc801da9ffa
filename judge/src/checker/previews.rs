//! What the log tells ingest about sweeps: dry runs say what a sweep would delete, and a sweep of new accounts is about
//! those who are new. That a dry run changes nothing is judged with all decisions ([`super::decisions`]): the log has
//! none with its reason.

use std::collections::{HashMap, HashSet};

use chat::EventId;

use super::Findings;
use super::view::{Place, Preview, Previewed, Source, View};
use crate::deletions::matches;

/// The most messages that an answer lists.
const MOST_LISTED: usize = 100;

/// 2 s: by how much a node's idea of the log's clock may differ from the times of events.
const CLOCKS_US: u64 = 2_000_000;

const SECOND_US: u64 = 1_000_000;

pub(super) fn dry_runs_are_true(view: &View, findings: &mut Findings) {
    // After a loss, nobody knows what the log had then.
    if !view.has_the_whole_log() {
        return;
    }
    let accepted: HashMap<EventId, usize> = view.accepted_posts().map(|(_, line, id, _)| (id, line)).collect();
    for preview in view.messages.previews.values() {
        let Some(answer) = preview.answered else { continue };
        let Previewed { line, messages, complete, latest } = answer;
        if messages.min(MOST_LISTED) != latest.len() {
            let sentence = format!("a dry run counts {messages} messages and lists {}", latest.len());
            findings.broken(sentence, [preview.asked, line]);
        }
        let mut listed: HashSet<&EventId> = HashSet::new();
        for id in latest {
            findings.look();
            if !listed.insert(id) {
                findings.broken(format!("a dry run lists {id} twice"), [preview.asked, line]);
            }
            if let Some(wrong) = is_listed_wrongly(view, preview, line, *id) {
                findings.broken(format!("a dry run lists {id}, which {wrong}"), [preview.asked, line]);
            }
        }
        if !complete || messages > latest.len() {
            continue;
        }
        for place in view.rooms.get(&preview.room).map(|room| room.log.as_slice()).unwrap_or_default() {
            let is_missing = !listed.contains(&place.id);
            let accepted = accepted.get(&place.id).filter(|accepted| **accepted < preview.asked);
            let Some(accepted) = accepted.filter(|_| must_be_listed(view, preview, line, place)) else { continue };
            findings.look();
            if is_missing {
                let sentence = format!("a dry run lacks {}, which it would delete", place.id);
                findings.broken(sentence, [*accepted, preview.asked, line, place.line]);
            }
        }
    }
}

fn is_listed_wrongly(view: &View, preview: &Preview, answered: usize, id: EventId) -> Option<&'static str> {
    let Some((room, place)) = view.logged.get(&id).filter(|(_, place)| place.is_message) else {
        return Some("is no message of the log");
    };
    let posted = view.posted(*room, place, false);
    let since = view.at(preview.asked).saturating_sub(u64::from(preview.swept.seconds_back) * SECOND_US + CLOCKS_US);
    let known = |confirmed: Option<usize>| confirmed.filter(|confirmed| *confirmed < preview.asked);
    match () {
        () if *room != preview.room => Some("is in another room"),
        () if !matches(preview.swept, &posted) => Some("does not match"),
        () if view.since_the_beginning(posted.sent) < since => Some("is too old"),
        () if view.hidden_from(id, answered, |change| known(change.confirmed)).is_some() => Some("was deleted"),
        () => None,
    }
}

/// Whether the message is one that no decision may have touched before the answer.
fn must_be_listed(view: &View, preview: &Preview, answered: usize, place: &Place) -> bool {
    let since = view.at(answered).saturating_sub(u64::from(preview.swept.seconds_back) * SECOND_US);
    let sent = place.sent.map_or(0, |sent| view.since_the_beginning(sent));
    place.is_message
        && sent >= since + CLOCKS_US
        && matches(preview.swept, &view.posted(preview.room, place, false))
        && view.changes(place.id).iter().all(|change| change.requested > answered)
        && !view.may_be_an_erased_one(place)
}

/// When a user first wrote in a room.
#[derive(Debug, Clone, Copy)]
struct First {
    /// The line of the log.
    line: usize,
    /// By the clock of the author's node, and by that of the log.
    sent: u64,
    stored: u64,
    /// The line of the first answer.
    accepted: Option<usize>,
}

pub(super) fn new_accounts_are_found(view: &View, findings: &mut Findings) {
    if !view.has_the_whole_log() {
        return;
    }
    let accepted: HashMap<EventId, usize> = view.accepted_posts().map(|(_, line, id, _)| (id, line)).collect();
    let mut first: HashMap<(i64, i64), First> = HashMap::new();
    let mut others: HashSet<(i64, i64)> = HashSet::new();
    for (room, place) in view.logged.values().filter(|(_, place)| place.is_message) {
        let (Some(user), Some(copied)) = (place.user, view.copies.get(&place.position)) else { continue };
        if !view.posted(*room, place, false).is_viewers {
            others.insert((*room, user));
        }
        let stored = view.since_the_beginning(copied.stored);
        let sent = place.sent.map_or(stored, |sent| view.since_the_beginning(sent));
        let its = First { line: place.line, sent, stored, accepted: accepted.get(&place.id).copied() };
        let known = first.entry((*room, user)).or_insert(its);
        if stored < known.stored {
            *known = its;
        }
    }
    for ruling in view.rulings.iter().filter(|ruling| ruling.source == Source::Log) {
        let (Some(room), Some(swept), Some(decision)) = (ruling.room, ruling.swept, view.decision_of(ruling)) else {
            continue;
        };
        let requested = decision.decided.swept();
        let Some((requested, seconds)) = requested.and_then(|asked| Some((asked, asked.first_seen?))) else { continue };
        let is_first = view.logged.get(&ruling.id).is_some_and(|(_, place)| Some(place.position) == ruling.position);
        let copied = ruling.position.and_then(|position| view.copies.get(&position));
        let (Some(copied), Some(found)) = (copied.filter(|_| is_first), swept.users.as_ref()) else { continue };
        let (asked, stored) = (view.at(decision.request.invoked), view.since_the_beginning(copied.stored));
        let span = u64::from(seconds) * SECOND_US;
        // The node has read the log between the two.
        let newest = stored.saturating_sub(span) + CLOCKS_US;
        let oldest = asked.saturating_sub(span + CLOCKS_US);
        for ((of, user), of_user) in &first {
            let First { line, sent, stored, accepted } = *of_user;
            let is_asked_for = requested.users.as_ref().is_none_or(|users| users.contains(user));
            if *of != room || !is_asked_for {
                continue;
            }
            let is_viewer = !others.contains(&(room, *user));
            let is_known = accepted.is_some_and(|accepted| accepted < decision.request.invoked);
            let is_new = is_viewer && sent.min(stored) >= newest && is_known;
            let is_old = !is_viewer && is_known || sent.max(stored) < oldest;
            if !is_new && !is_old {
                continue;
            }
            findings.look();
            if found.contains(user) != is_new {
                let what = if is_new { "new, and the sweep is not about" } else { "not new, and the sweep is about" };
                let sentence = format!("in room {room} user {user} was {what} this user: {}", ruling.id);
                findings.broken(sentence, [decision.request.invoked, line, ruling.line]);
            }
        }
    }
}
