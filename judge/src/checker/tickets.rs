//! Tickets: a one-use ticket opens one stream, a long-lived one any number until it is revoked. Then its streams end.

use super::Findings;
use super::view::{ReaderSession, SETTLE_US, Ticket, View};

/// How long after the answer to a revocation a stream may still begin or continue: the news has to cross the nodes, on
/// a busy machine.
const REVOKED_WITHIN_US: u64 = 2_000_000;

pub(super) fn tickets_open_until_spent(view: &View, findings: &mut Findings) {
    for (number, ticket) in &view.tickets {
        let opened: Vec<&ReaderSession> = view.readers.iter().filter(|reader| reader.ticket == Some(*number)).collect();
        if ticket.one_use {
            if ticket.shown.len() > 1 {
                findings.look();
            }
            if let [one, other, ..] = opened.as_slice() {
                let sentence = format!("room {}: a one-use ticket opened two streams", ticket.room);
                findings.broken(sentence, [ticket.made, one.session.welcome, other.session.welcome]);
            }
        }
        if let Some(revoked) = ticket.revoked {
            findings.look();
            ends(view, ticket, revoked, &opened, findings);
        }
        opens(view, ticket, findings);
    }
}

/// A revoked ticket opens nothing, and its streams end.
fn ends(view: &View, ticket: &Ticket, revoked: usize, opened: &[&ReaderSession], findings: &mut Findings) {
    for session in opened.iter().map(|reader| &reader.session) {
        let signs =
            session.frames.iter().map(|frame| frame.line).chain(session.keepalives.iter().map(|(line, _)| *line));
        let end = view.at(revoked) + REVOKED_WITHIN_US;
        let Some(late) = signs.chain([session.welcome]).find(|line| view.at(*line) > end) else { continue };
        // A node that is cut off does not hear of it. It refuses new streams.
        if !view.disturbed(&["nats", session.node], view.at(revoked), view.at(late), SETTLE_US) {
            let sentence = format!("room {}: a revoked ticket kept a stream open on {}", ticket.room, session.node);
            findings.broken(sentence, [ticket.made, revoked, session.welcome, late]);
        }
    }
}

/// A ticket that is neither used nor revoked opens a stream.
fn opens(view: &View, ticket: &Ticket, findings: &mut Findings) {
    for (refused, node) in &ticket.refused {
        let is_spent = if ticket.one_use {
            // A request without an answer may have used it.
            ticket.shown.iter().filter(|shown| *shown < refused).count() > 1
        } else {
            ticket.revoked.is_some_and(|revoked| revoked < *refused)
        };
        let at = view.at(*refused);
        if !is_spent && !view.disturbed(&["nats", node], view.at(ticket.made), at, SETTLE_US) {
            let sentence = format!("room {}: a valid ticket was refused on {node}", ticket.room);
            findings.broken(sentence, [ticket.made, *refused]);
        }
    }
}
