//! The sessions of presenters.

use std::collections::HashMap;

use chat::{EventId, Position};

use super::queues::pinned;
use super::{ANEW, AWAY, CHATTING, Draft, Event, MS, WINDOW, World};
use crate::history::{Dialect, MessageObservation, Observation, SeenAt};

impl World {
    /// A presenter's sessions. Some overlap, and some report a gap.
    pub(super) fn presenter(&mut self, room: i64, positions: &HashMap<EventId, Position>, end: u64) {
        let (mut begins, mut next, mut number) = (0, 0, 0);
        let mut drafts = Vec::new();
        let events: Vec<&Event> =
            self.events.iter().filter(|event| event.is_of(room) && event.is_for_presenters()).collect();
        let (mut asked, mut shown) = (None, Vec::<u64>::new());
        while begins < end {
            number += 1;
            let session = room as u32 * 100 + number;
            let longest = if room == AWAY { 4_000 * MS } else { 6_000 * MS };
            // A reloaded page has no position, and receives some events again.
            let is_anew = room == ANEW && next > 0;
            let has_gap = next > 0 && !is_anew && self.rng.u32(..5) == 0;
            if is_anew {
                let again = shown.iter().rev().take(3).take_while(|at| **at + 900 * MS > begins).count();
                next -= again;
                shown.truncate(next);
            }
            if has_gap {
                begins += 2 * WINDOW;
            }
            let ends =
                if number == 6 { begins.max(end) + 400 * MS } else { begins + self.rng.u64(3_000 * MS..longest) };
            let declared = if has_gap { self.rng.usize(..4) } else { 0 };
            let mut skipped = 0;
            while skipped < declared && events.get(next + 1).is_some_and(|event| event.stored + WINDOW < begins) {
                asked = asked.or(Some(positions[&events[0].id]));
                next += 1;
                skipped += 1;
            }
            let position = next.checked_sub(1).map(|last| positions[&events[last].id]);
            let (node, dialect) = (format!("delivery-{}", number % 2), Dialect::V1);
            let (recovered, fresh) = (skipped == 0, false);
            let asked_for = asked.filter(|_| !is_anew);
            drafts.push((
                begins,
                Observation::Welcome { session, room, node, dialect, asked: asked_for, position, recovered, fresh },
            ));
            let pinned = pinned(&events, begins);
            let seen = SeenAt::Presenter(session);
            drafts.push((begins, Observation::Message(MessageObservation::Pinned { seen, pinned })));
            let mut at = begins;
            let leaves = room == AWAY && number == 3;
            let overlaps = !leaves && self.rng.bool();
            let replaced = if overlaps { ends.saturating_sub(500 * MS) } else { ends };
            while let Some(event) = events.get(next) {
                at = (at + 1).max(event.stored + self.rng.u64(1..10 * MS));
                if at >= replaced {
                    break;
                }
                let position = positions[&event.id];
                if event.is_erased(at, &events) {
                    next += 1;
                    continue;
                }
                let text = event.shown(&events, at);
                let parts = event.parts(&events, seen, position, at).into_iter();
                drafts.extend(parts.map(|part| (at, part)));
                drafts.extend(event.attached(&events, seen, text.as_ref()).map(|attached| (at, attached)));
                drafts.push((at, event.frame(session, position, text)));
                if self.rng.u32(..10) == 0 {
                    drafts.push((at, Observation::Keepalive { session, position: Some(position) }));
                    let acknowledges = MessageObservation::Acknowledges { session, position };
                    drafts.push((at, Observation::Message(acknowledges)));
                    if event.text.is_some() {
                        let (id, presenter) = (event.id, "acknowledged".to_owned());
                        let traced = MessageObservation::Traced {
                            room,
                            id,
                            position,
                            presenter,
                            archived: true,
                            deleted: event.deletion(&events, at),
                            found: Some(true),
                        };
                        drafts.push((at, Observation::Message(traced)));
                    }
                }
                shown.push(at);
                asked = Some(position);
                next += 1;
            }
            drafts.push((ends, Observation::Ended { session, code: None }));
            self.served.push((room, begins, ends));
            begins = if overlaps { replaced + 1 } else { ends + 100 * MS };
            if leaves {
                begins += 16_000 * MS;
            }
        }
        self.drafts.extend(drafts.into_iter().map(|(at, what)| (at, Draft::Ready(Box::new(what)))));
    }

    /// The sessions of the original's dialect. The server closes some when the next one begins: they lose nothing.
    /// Others break and lose what was in transit. Some never begin. A few messages repeat.
    pub(super) fn chatting(&mut self, positions: &HashMap<EventId, Position>, end: u64) {
        let (room, mut begins, mut cursor, mut number) = (CHATTING, 0, 0, 0);
        let mut drafts = Vec::new();
        let events: Vec<&Event> = self.events.iter().filter(|event| event.is_of(room)).collect();
        loop {
            number += 1;
            let session = room as u32 * 100 + number;
            let (node, dialect) = (format!("delivery-{}", number % 2), Dialect::Original);
            drafts.push((begins, Observation::Starts { session, room, node: node.clone() }));
            let ends = begins + self.rng.u64(3_000 * MS..6_000 * MS);
            let is_last = ends > end;
            let ends = if is_last { end + 400 * MS } else { ends };
            // The number of messages in transit.
            let lost = self.rng.usize(..3);
            let lose = |cursor: usize, before: u64| {
                let written = events[cursor..].iter().take(lost).take_while(|event| event.stored < before);
                cursor + written.count()
            };
            // In turn, so that every history has each kind.
            if number % 4 == 3 && !is_last {
                drafts.push((begins + 300 * MS, Observation::Ended { session, code: None }));
                cursor = lose(cursor, begins + 300 * MS);
                begins += 400 * MS;
                continue;
            }
            let is_closed = number % 4 == 1;
            let (asked, position, recovered, fresh) = (None, None, true, false);
            let begun = begins + 20 * MS;
            drafts.push((
                begun,
                Observation::Welcome { session, room, node, dialect, asked, position, recovered, fresh },
            ));
            let again = self.rng.usize(..4);
            let shown = events[..cursor].iter().rev().take(again);
            let mut next = cursor - shown.take_while(|event| event.stored + 900 * MS > begins).count();
            let mut at = begun;
            while let Some(event) = events.get(next) {
                at = (at + 1).max(event.stored + self.rng.u64(1..10 * MS));
                if at >= ends {
                    break;
                }
                next += 1;
                let is_deleted = event.deletion(&events, at).is_some();
                let is_gone = is_deleted || event.is_erased(at, &events);
                let is_message = event.kind == "message.posted";
                let Some(text) = event.text.clone().filter(|_| is_message && !is_gone) else { continue };
                drafts.push((at, event.frame(session, positions[&event.id], Some(text))));
            }
            cursor = next.max(cursor);
            self.served.push((room, begun, ends));
            // The next session has begun when the older one is closed.
            drafts.push((ends + 50 * MS, Observation::Ended { session, code: is_closed.then_some(4_002) }));
            if is_last {
                break;
            }
            begins = ends + if is_closed { 0 } else { 100 * MS };
            if !is_closed {
                cursor = lose(cursor, begins);
            }
        }
        self.drafts.extend(drafts.into_iter().map(|(at, what)| (at, Draft::Ready(Box::new(what)))));
    }
}
