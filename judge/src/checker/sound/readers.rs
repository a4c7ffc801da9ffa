//! The sessions of readers, and their tickets.

use std::collections::HashMap;

use chat::{EventId, Position};

use super::queues::pinned;
use super::{Draft, Event, MS, WINDOW, World};
use crate::history::{MessageObservation, Observation, ReaderObservation, ReaderView, SeenAt};

/// The room whose reader has a new ticket for each session. Other viewers have one until it is revoked.
pub(crate) const ONE_USE: i64 = 3;

/// After so many sessions a long-lived ticket is revoked.
const SESSIONS: u32 = 3;

impl World {
    /// A reader's sessions, one after another. The reader has the room's number, and each session that number followed
    /// by two digits.
    pub(super) fn reader(&mut self, room: i64, view: ReaderView, positions: &HashMap<EventId, Position>, end: u64) {
        let number = room.unsigned_abs();
        let (mut begins, mut next, mut count) = (0, 0, 0);
        let mut asked: Option<Position> = None;
        let mut ticket = None;
        let mut drafts: Vec<(u64, Observation)> = Vec::new();
        let events: Vec<&Event> = self.events.iter().filter(|event| event.is_of(room)).collect();
        while begins < end {
            count += 1;
            let (session, node) = (room as u32 * 100 + count, format!("delivery-{}", count % 2));
            let has_gap = next > 0 && self.rng.u32(..5) == 0;
            if has_gap {
                begins += 2 * WINDOW;
            }
            let ends = begins + self.rng.u64(3_000 * MS..6_000 * MS);
            // The last one is there when everything has reached its places.
            let ends = if ends > end { end + 600 * MS } else { ends };
            let declared = if has_gap { self.rng.usize(..4) } else { 0 };
            let mut skipped = 0;
            while skipped < declared && events.get(next + 1).is_some_and(|event| event.stored + WINDOW < begins) {
                asked = asked.or(Some(positions[&events[0].id]));
                next += 1;
                skipped += 1;
            }
            let beginning = Position { epoch: 7, sequence: 0, index: u32::MAX };
            let position = next.checked_sub(1).map_or(beginning, |last| positions[&events[last].id]);
            let one_use = room == ONE_USE;
            if view == ReaderView::Viewer {
                if one_use || ticket.is_none() {
                    let number = number * 1_000 + u64::from(count);
                    ticket = Some(number);
                    drafts.push((begins, ReaderObservation::Ticket { ticket: number, room, one_use }.into()));
                }
                let shows = |ticket| ReaderObservation::Shows { ticket, node: node.clone() };
                drafts.extend(ticket.map(|ticket| (begins, shows(ticket).into())));
            }
            let recovered = skipped == 0;
            drafts.push((
                begins,
                ReaderObservation::Welcome {
                    session,
                    number,
                    room,
                    node: node.clone(),
                    view,
                    ticket,
                    asked,
                    position,
                    recovered,
                }
                .into(),
            ));
            let seen = SeenAt::Reader(session);
            let pinned = pinned(&events, begins);
            drafts.push((begins, Observation::Message(MessageObservation::Pinned { seen, pinned })));
            let mut at = begins;
            while let Some(event) = events.get(next) {
                at = (at + 1).max(event.stored + self.rng.u64(1..10 * MS));
                if at >= ends {
                    break;
                }
                next += 1;
                if event.is_erased(at, &events) || !view.shows(event.kind) {
                    continue;
                }
                let (id, position, kind) = (event.id, positions[&event.id], event.kind.to_owned());
                let (text, target) = (event.shown(&events, at), event.target);
                let members = event.members(view, text.is_some());
                let parts = event.parts(&events, seen, position, at).into_iter();
                drafts.extend(parts.map(|part| (at, part)));
                drafts.extend(event.attached(&events, seen, text.as_ref()).map(|attached| (at, attached)));
                let received = ReaderObservation::Event { session, id, position, kind, text, target, members };
                drafts.push((at, received.into()));
                if self.rng.u32(..10) == 0 {
                    drafts.push((at, ReaderObservation::Keepalive { session, position }.into()));
                }
                asked = Some(position);
            }
            drafts.push((ends, ReaderObservation::Ended { session }.into()));
            let is_spent = one_use || count % SESSIONS == 0;
            if let Some(spent) = ticket.filter(|_| is_spent) {
                if !one_use {
                    drafts.push((ends, ReaderObservation::Revoked { ticket: spent }.into()));
                }
                let shows = ReaderObservation::Shows { ticket: spent, node: node.clone() };
                drafts.push((ends + 10 * MS, shows.into()));
                drafts.push((ends + 20 * MS, ReaderObservation::Refused { ticket: spent, node }.into()));
                ticket = None;
            }
            begins = ends + 100 * MS;
        }
        self.drafts.extend(drafts.into_iter().map(|(at, what)| (at, Draft::Ready(Box::new(what)))));
    }
}

impl Event {
    /// Its members for a reader, besides those of every event.
    fn members(&self, view: ReaderView, has_text: bool) -> Vec<String> {
        let mut members: Vec<&str> = match self.kind {
            "message.posted" if !has_text => vec!["deleted"],
            "message.posted" if view != ReaderView::Viewer => vec!["flags"],
            "message.restored" if view == ReaderView::Flags && has_text => vec!["message.flags"],
            "user.banned" if self.purge.is_some() => vec!["purgeSeconds"],
            _ => vec![],
        };
        if view == ReaderView::Moderator && self.reason.is_some() {
            members.extend(["by", "reason"]);
        }
        members.into_iter().map(str::to_owned).collect()
    }
}
