//! Messages that wait, reports, pins and notices.

use std::collections::{BTreeMap, BTreeSet};

use chat::{EventId, PresenterIdx, UserIdx};

use super::{Draft, Event, MS, ROOMS, World, at_ms};
use crate::history::{Decided, MessageObservation, Observation, ReviewVerdict, Surface};

/// The author of messages that wait.
pub(crate) const WAITING: i64 = 111;

/// The author of notices.
const HERALD: i64 = 130;

/// The first of the users who report.
const FIRST_REPORTER: i64 = 140;

/// How long a message waits.
pub(super) const WAITS: u64 = 10_000 * MS;

impl World {
    /// A message that waits for a moderator, and what becomes of it.
    pub(super) fn hold(&mut self, now: u64, post: u64) {
        let rooms: Vec<i64> = (1..=ROOMS).filter(|room| !self.quiet.contains_key(room)).collect();
        let Some(room) = self.rng.choice(rooms) else { return };
        let (user, text, node) = (WAITING, format!("text {post}"), "ingest-0".to_owned());
        let key = format!("key {post}");
        let id = EventId::derived(PresenterIdx::try_from(room).ok(), UserIdx::try_from(user).unwrap(), &key);
        let (surface, key) = (Surface::V1, Some(key));
        self.draft(now, Observation::Invoked { post, attempt: 1, node, room, user, surface, key, text: text.clone() });
        let (said, verdict) = (text.clone(), ReviewVerdict::Hold);
        self.draft(now, Observation::Reviewed { text: said, verdict });
        let stored = now + self.between(MS, 20 * MS);
        self.drafts.push((stored + 5 * MS, Draft::Waits { post, id }));
        let held = Event::of(stored, Some(room), "message.held");
        let (user, text) = (Some(user), Some(text));
        let (until, waiting, target) = (Some(stored + WAITS), text.clone(), Some(id));
        self.events.push(Event { id: EventId::of_hold(id), user, until, waiting, target, ..held });
        let decided = now + self.between(1_000 * MS, 3_000 * MS);
        // In turn, so that each history has all of them.
        let is_released = match self.events.iter().filter(|event| event.kind == "message.held").count() % 5 {
            0 => return,
            fate => fate > 2,
        };
        let both = [Decided::Release { target: id }, Decided::Deny { target: id }];
        let [release, deny] = both;
        let (first, other) = if is_released { (release, deny) } else { (deny, release) };
        let decision = self.ask(decided, room, &first);
        let stored = decided + 10 * MS;
        let (kind, text) = if is_released { ("message.posted", text) } else { ("message.denied", None) };
        let target = (!is_released).then_some(id);
        let reason = Some(format!("reason {decision}"));
        self.events.push(Event { id, user, text, target, reason, ..Event::of(stored, Some(room), kind) });
        self.drafts.push((stored + 5 * MS, Draft::Confirmed { decision, attempt: 1, id }));
        // Another moderator decides otherwise, and too late.
        let decision = self.ask(stored + 50 * MS, room, &other);
        let code = if is_released { "already_released" } else { "already_denied" }.to_owned();
        self.draft(stored + 60 * MS, Observation::Refused { decision, attempt: 1, status: 409, code });
    }

    /// The first attempt at a decision. Returns its number.
    fn ask(&mut self, at: u64, room: i64, decided: &Decided) -> u64 {
        self.decisions += 1;
        let (decision, node, decided) = (self.decisions, "ingest-1".to_owned(), decided.clone());
        let (room, by, reason) = (Some(room), None, format!("reason {decision}"));
        self.draft(at, Observation::Decides { decision, attempt: 1, node, room, by, decided, reason });
        decision
    }

    /// A user reports a message, some of them twice, or a moderator closes reports.
    pub(super) fn report(&mut self, now: u64) {
        if let Some((room, target)) = self.reported.last().copied().filter(|_| self.rng.u32(..3) == 0) {
            return self.decide(now, Some(room), Decided::CloseReports { target });
        }
        let known: Vec<(i64, EventId)> =
            self.accepted.iter().filter(|(at, ..)| *at < now).map(|(_, room, id)| (*room, *id)).collect();
        if known.is_empty() {
            return;
        }
        let (room, target) = known[self.rng.usize(..known.len())];
        let user = FIRST_REPORTER + self.rng.i64(..3);
        let decided = Decided::Report { target, user };
        let decision = self.ask(now, room, &decided);
        let stored = now + self.between(MS, 20 * MS);
        let earlier = self.events.iter().find(|it| it.user == Some(user) && it.target == Some(target));
        let id = earlier.map_or_else(EventId::new, |earlier| earlier.id);
        if earlier.is_none() {
            let (target, user, reason) = (Some(target), Some(user), Some(format!("reason {decision}")));
            let reported = Event::of(stored, Some(room), "message.reported");
            self.events.push(Event { id, user, target, reason, ..reported });
            self.reported.push((room, decided.target().expect("it is about a message")));
        }
        self.drafts.push((stored + 5 * MS, Draft::Confirmed { decision, attempt: 1, id }));
    }

    /// Pins a message that was never pinned, or unpins.
    pub(super) fn pin(&mut self, now: u64) {
        let known: Vec<(i64, EventId)> = self
            .accepted
            .iter()
            .filter(|(at, _, id)| *at < now && !self.pinned.contains(id))
            .map(|(_, room, id)| (*room, *id))
            .collect();
        if known.is_empty() {
            return;
        }
        let (room, target) = known[self.rng.usize(..known.len())];
        if self.rng.u32(..4) == 0 {
            return self.decide(now, Some(room), Decided::Unpin);
        }
        self.pinned.insert(target);
        self.decide(now, Some(room), Decided::Pin { target });
    }

    pub(super) fn notice(&mut self, now: u64, post: u64) {
        let (room, user, text) = (self.rng.i64(1..=ROOMS), HERALD, format!("notice {post}"));
        let (id, node, surface, key) = (EventId::new(), "ingest-0".to_owned(), Surface::Notice, None);
        self.draft(now, Observation::Invoked { post, attempt: 1, node, room, user, surface, key, text: text.clone() });
        let stored = now + self.between(MS, 20 * MS);
        let (user, text) = (Some(user), Some(text));
        self.events.push(Event { id, user, text, ..Event::of(stored, Some(room), "notice.posted") });
        self.drafts.push((stored + 5 * MS, Draft::Ok { post, attempt: 1, room, id, status: 202 }));
    }
}

impl Event {
    /// An event with nothing but its kind.
    pub(super) fn of(stored: u64, room: Option<i64>, kind: &'static str) -> Event {
        let sent = (stored / MS) as i64;
        let (user, text, target, reason, purge, swept) = (None, None, None, None, None, None);
        let (extras, waiting, until, copies) = (None, None, None, Vec::new());
        Event {
            stored,
            sent,
            id: EventId::new(),
            room,
            kind,
            user,
            text,
            target,
            reason,
            purge,
            swept,
            extras,
            flags: Vec::new(),
            waiting,
            until,
            copies,
        }
    }

    /// Its document in the audit: the type, and the message that it is about. None: it has none.
    pub(super) fn audited(&self) -> Option<(&'static str, Option<EventId>)> {
        match self.kind {
            "message.posted" => self.reason.is_some().then_some(("message.released", Some(self.id))),
            "notice.posted" => Some((self.kind, Some(self.id))),
            "user.erased" => None,
            _ => Some((self.kind, self.target)),
        }
    }

    /// When the hold ends. It precedes the hold in the log.
    pub(super) fn hold_ends(&self) -> Option<Observation> {
        let until = at_ms((self.until? / MS) as i64);
        Some(Observation::Message(MessageObservation::HoldEnds { hold: self.id, until }))
    }
}

/// The pinned message of the room at that time. `room`: its events in order.
pub(super) fn pinned(room: &[&Event], at: u64) -> Option<EventId> {
    let mut pinned = None;
    for event in room.iter().filter(|event| event.stored <= at) {
        match event.kind {
            "message.pinned" => pinned = event.target,
            "message.deleted" if event.target == pinned => pinned = None,
            "message.unpinned" | "room.cleared" => pinned = None,
            _ => {}
        }
    }
    pinned
}

/// The queue of reports of a room.
pub(super) fn queue(number: i64, room: &[&Event]) -> Vec<Observation> {
    let mut reported: BTreeMap<EventId, Vec<&Event>> = BTreeMap::new();
    for event in room.iter().filter(|event| event.kind == "message.reported") {
        reported.entry(event.target.expect("a report is about a message")).or_default().push(event);
    }
    let row = |(id, reports): (EventId, Vec<&Event>)| {
        let author = room.iter().find(|event| event.id == id)?.user;
        let latest = reports.last()?.stored;
        let closes = |event: &&&Event| match event.kind {
            "report.closed" | "message.deleted" => event.target == Some(id),
            "room.cleared" => true,
            "user.banned" => event.user == author && event.room.is_some(),
            _ => false,
        };
        let closed = room.iter().filter(|event| event.stored > latest).find(closes).map(|event| event.id);
        let count = reports.iter().map(|report| report.user).collect::<BTreeSet<_>>().len();
        let reports = reports.iter().rev().map(|report| report.id).collect();
        Some(Observation::Message(MessageObservation::Queued { room: number, id, count, reports, closed }))
    };
    reported.into_iter().filter_map(row).collect()
}
