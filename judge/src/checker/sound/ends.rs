//! The end of a history: positions, answers, and the readings.

use std::collections::HashMap;

use chat::{EventId, Position};

use super::queues::{pinned, queue};
use super::{BROADCASTS_MS, CHATTING, Draft, ERASED, Event, MS, PSEUDONYM, ROOMS, World, at_ms};
use crate::history::{Dialect, Line, MessageObservation, Observation, Phase, ReaderView, Reading, SeenAt, StreamState};

impl World {
    pub(super) fn finish(mut self, end: u64) -> Vec<Line> {
        self.name_new_accounts();
        self.events.sort_by_key(|event| event.stored);
        self.answer_previews();
        let mut stored: Vec<(u64, usize)> = self
            .events
            .iter()
            .enumerate()
            .flat_map(|(number, event)| event.copies.iter().chain([&event.stored]).map(move |at| (*at, number)))
            .collect();
        stored.sort_unstable();
        let position = |sequence: usize| Position { epoch: 7, sequence: sequence as u64 + 1, index: 0 };
        let mut positions: HashMap<EventId, Position> = HashMap::new();
        for (sequence, (_, number)) in stored.iter().enumerate() {
            positions.entry(self.events[*number].id).or_insert(position(sequence));
        }
        self.draft(end, Observation::Phase { phase: Phase::Healed });
        for room in (1..=ROOMS).filter(|room| *room != CHATTING) {
            self.presenter(room, &positions, end);
        }
        self.chatting(&positions, end);
        let views = [ReaderView::Moderator, ReaderView::Flags, ReaderView::Viewer, ReaderView::Viewer];
        for (room, view) in (1..=ROOMS).zip(views) {
            self.reader(room, view, &positions, end);
        }
        self.draft(end + 500 * MS, Observation::Phase { phase: Phase::Drained });
        self.list_people(end + 6_000 * MS);

        let mut lines: Vec<(u64, Observation)> = Vec::new();
        for (at, draft) in self.drafts {
            let what = match draft {
                Draft::Ready(what) => *what,
                Draft::Ok { post, attempt, room, id, status } => {
                    let served = self.served.iter().any(|(own, from, to)| *own == room && (*from..*to).contains(&at));
                    // The original's surface states presence only to presenters.
                    let connected = (status == 202).then_some(served);
                    Observation::Ok { post, attempt, id, position: positions[&id], status, connected }
                }
                Draft::Waits { post, id } => {
                    let position = positions[&EventId::of_hold(id)];
                    let (attempt, status) = (1, 202);
                    lines.push((at, Observation::Ok { post, attempt, id, position, status, connected: None }));
                    Observation::Message(MessageObservation::Waits { post, attempt })
                }
                Draft::Confirmed { decision, attempt, id } => {
                    Observation::Confirmed { decision, attempt, id, position: positions[&id] }
                }
            };
            lines.push((at, what));
        }
        let after = end + 5_000 * MS;
        for (sequence, (at, number)) in stored.iter().enumerate() {
            let event = &self.events[*number];
            let Event { id, room, kind, user, target, reason, purge, swept, sent, .. } = event;
            let text = event.text.as_ref().or(event.waiting.as_ref()).cloned();
            let attached = event.attached(&[], SeenAt::Log, event.text.as_ref());
            if !event.flags.is_empty() {
                let flags = event.flags.clone();
                lines.push((after, Observation::Message(MessageObservation::Flagged { id: *id, flags })));
            }
            lines.extend(event.hold_ends().into_iter().chain(attached).map(|what| (after, what)));
            lines.push((
                after,
                Observation::Logged {
                    room: *room,
                    id: *id,
                    position: position(sequence),
                    kind: (*kind).to_owned(),
                    user: *user,
                    text,
                    target: *target,
                    reason: reason.clone(),
                    purge_seconds: *purge,
                    swept: swept.clone(),
                    sent: at_ms(*sent),
                    stored: at_ms((at / MS) as i64),
                },
            ));
        }
        let last = stored.len() as u64;
        lines.push((
            after,
            Observation::Stream(StreamState {
                epochs: vec![7],
                first: 1,
                last,
                acknowledged: Some(last),
                holes: Vec::new(),
            }),
        ));
        for event in &self.events {
            let Some((kind, target)) = event.audited() else { continue };
            let Event { room, id, user, ref reason, .. } = *event;
            let (position, is_report) = (positions[&id], kind == "message.reported");
            let is_forgotten = event.is_forgotten(&self.events);
            let user = if is_forgotten { Some(PSEUDONYM) } else { user };
            let (kind, reason) = (kind.to_owned(), reason.clone().filter(|_| !is_forgotten));
            let (audited, listed) = (kind.clone(), reason.clone());
            lines.push((after + 1, Observation::Audited { room, id, position, kind: audited, user, target, reason }));
            if !is_report {
                lines.push((after + 1, Observation::Listed { room, id, kind, user, target, reason: listed }));
            }
        }
        for number in 1..=ROOMS {
            let room: Vec<&Event> = self.events.iter().filter(|event| event.is_of(number)).collect();
            let deletion = |event: &Event| event.deletion(&room, u64::MAX);
            // The author of a message after the erasures. None: the message is removed.
            let left = |event: &Event| match event.user.filter(|_| event.is_erased(u64::MAX, &room)) {
                None => event.user,
                Some(user) => ERASED.iter().any(|(_, erased, stays)| *stays && *erased == user).then_some(PSEUDONYM),
            };
            for event in room.iter().filter(|event| event.text.is_some() && left(event).is_some()) {
                let (id, position, text) = (event.id, positions[&event.id], event.text.clone().unwrap());
                let deleted = deletion(event);
                let user = left(event).unwrap();
                let archived = Observation::Archived { room: number, id, position, user, text: text.clone(), deleted };
                lines.push((after + 1, archived));
                if deleted.is_none() {
                    let sent = at_ms(event.sent);
                    let attached = event.attached(&[], SeenAt::Replay, Some(&text)).filter(|_| user >= 0);
                    let notice = (event.kind == "notice.posted")
                        .then_some(Observation::Message(MessageObservation::Notice { id }));
                    lines.extend(attached.into_iter().chain(notice).map(|what| (after + 2, what)));
                    lines.push((after + 2, Observation::Replayed { room: number, id, position, text, sent }));
                }
            }
            for (place, (began, over)) in BROADCASTS_MS.into_iter().enumerate() {
                // A reader follows the broadcast.
                let replay = number.unsigned_abs() * 10 + place as u64;
                let mut follows = began as u64 * MS;
                let broadcast = format!("broadcast {place} of {number}");
                lines.push((follows, Observation::ReplayBegins { replay, room: number, broadcast }));
                for event in room.iter().filter(|event| (began..=over).contains(&event.sent)) {
                    follows = (follows + 1).max(event.stored + 200 * MS);
                    let is_deleted = event.deletion(&room, follows).is_some();
                    let is_removed = event.is_erased(follows, &room) && left(event).is_none();
                    let Some(text) = event.text.clone().filter(|_| !is_deleted && !is_removed) else { continue };
                    let (id, position) = (event.id, positions[&event.id]);
                    lines.push((follows, Observation::ReplayShows { replay, id, position, text }));
                }
                let broadcast = format!("broadcast {place} of {number}");
                let mut replay = Vec::new();
                let mut offset_ms = 0;
                for event in room.iter().filter(|event| (began..=over).contains(&event.sent)) {
                    let is_shown = deletion(event).is_none() && left(event).is_some();
                    let Some(text) = event.text.clone().filter(|_| is_shown) else { continue };
                    offset_ms = offset_ms.max(event.sent - began);
                    let (id, position, broadcast) = (event.id, positions[&event.id], broadcast.clone());
                    replay.push(Observation::ReplayedBesideVideo {
                        room: number,
                        broadcast,
                        offset_ms,
                        id,
                        position,
                        text,
                    });
                }
                if place == 1 {
                    // A reader follows the first half.
                    let (reading, half) = (number.unsigned_abs(), replay.len() / 2);
                    let begins =
                        Observation::ReplayBegins { replay: reading, room: number, broadcast: broadcast.clone() };
                    let shows = replay[..half].iter().filter_map(|what| match what {
                        Observation::ReplayedBesideVideo { id, position, text, .. } => {
                            let (id, position, text) = (*id, *position, text.clone());
                            Some(Observation::ReplayShows { replay: reading, id, position, text })
                        }
                        _ => None,
                    });
                    lines.extend([begins].into_iter().chain(shows).map(|what| (after, what)));
                }
                // The archiver may not know the end of the last broadcast.
                let is_known = place == 0 || number != 1;
                let started = at_ms(began);
                let (ended, duration_ms) = (is_known.then(|| at_ms(over)), is_known.then_some(over - began));
                let messages = replay.len() as u64;
                let found = Observation::Broadcast { room: number, broadcast, started, ended, duration_ms, messages };
                lines.extend([found].into_iter().chain(replay).map(|what| (after + 2, what)));
            }
            lines.extend(queue(number, &room).into_iter().map(|what| (after + 2, what)));
            let (node, pinned) = ("ingest-0".to_owned(), pinned(&room, u64::MAX));
            let read = MessageObservation::PinRead { room: number, node, pinned };
            lines.push((after + 2, Observation::Message(read)));
            let session = 1_000 + number as u32;
            let node = "delivery-0".to_owned();
            let (dialect, asked, position, recovered, fresh) = (Dialect::V1, None, None, true, true);
            let welcome =
                Observation::Welcome { session, room: number, node, dialect, asked, position, recovered, fresh };
            lines.push((after + 3, welcome));
            let told = room.iter().filter(|event| event.is_for_presenters());
            for event in told.filter(|event| !event.is_erased(u64::MAX, &room)) {
                let text = event.shown(&room, u64::MAX);
                let seen = SeenAt::Presenter(session);
                let parts = event.parts(&room, seen, positions[&event.id], u64::MAX).into_iter();
                lines.extend(parts.map(|what| (after + 4, what)));
                let attached = event.attached(&room, seen, text.as_ref());
                lines.extend(attached.map(|what| (after + 4, what)));
                lines.push((after + 4, event.frame(session, positions[&event.id], text)));
            }
        }
        for reading in [Reading::Log, Reading::Streams, Reading::Archive, Reading::Audit] {
            lines.push((after + 5, Observation::Read { reading }));
        }
        let others =
            [Reading::Replay, Reading::Video, Reading::Fresh, Reading::Reports, Reading::Pins, Reading::People];
        for reading in others {
            lines.push((after + 5, Observation::Read { reading }));
        }
        for at in (0..after).step_by(1_000_000) {
            for (part, kib) in [("ingest-0", 40_000), ("delivery-1", 50_000), ("mongod-0", 200_000)] {
                lines.push((at, Observation::Memory { part: part.to_owned(), kib }));
            }
        }
        lines.sort_by_key(|(at, _)| *at);
        lines.into_iter().map(|(at, what)| Line { at, what }).collect()
    }
}
