//! Makes histories of a system that keeps its promises: a small world with a log, rooms, presenters who come and go, and
//! moderators, seen from outside. What is not decided by the promises is decided by the seed.

use std::collections::{BTreeMap, HashMap};

use fastrand::Rng;
use jiff::Timestamp;
use nats::{EventId, Position, PresenterIdx, UserIdx};

use crate::history::{Decided, Dialect, Line, Phase, Reading, Surface, What};

/// Microseconds.
const MS: u64 = 1_000;

const ROOMS: i64 = 4;

/// The room whose presenter speaks the original's dialect. Sessions have their room's number before their last two digits.
pub(crate) const CHATTING: i64 = 4;

/// What is older than this may be missing to whoever was away.
const WINDOW: u64 = 400 * MS;

/// So many things are posted or decided.
const STEPS: u64 = 800;

/// When the world begins, in milliseconds since 1970.
const BEGAN_MS: i64 = 1_790_000_000_000;

/// When the broadcasts of every room begin and end, in milliseconds. Some things are said in none.
const BROADCASTS_MS: [(i64, i64); 2] = [(2_000, 15_000), (18_000, 60_000)];

/// An event in the log; `copies` are the times at which the same event came in again.
struct Event {
    stored: u64,
    /// By the clock of an ingest node, in milliseconds.
    sent: i64,
    id: EventId,
    room: i64,
    kind: &'static str,
    user: Option<i64>,
    text: Option<String>,
    target: Option<EventId>,
    copies: Vec<u64>,
}

/// A line that waits for the positions.
enum Draft {
    Ready(What),
    Ok { post: u64, attempt: u32, id: EventId, status: u16 },
    Confirmed { decision: u64, id: EventId },
}

struct World {
    rng: Rng,
    drafts: Vec<(u64, Draft)>,
    events: Vec<Event>,
    /// What was accepted: when, where, what.
    accepted: Vec<(u64, i64, EventId)>,
    /// Since when a user is banned: (room, user) to the time of the confirmation.
    banned: BTreeMap<(i64, i64), u64>,
    decisions: u64,
}

/// A sound history.
pub(crate) fn history(seed: u64) -> Vec<Line> {
    let mut world = World {
        rng: Rng::with_seed(seed),
        drafts: vec![
            (0, Draft::Ready(What::Begins { seed, window_ms: WINDOW / MS })),
            (0, Draft::Ready(What::Phase { phase: Phase::Load })),
        ],
        events: Vec::new(),
        accepted: Vec::new(),
        banned: BTreeMap::new(),
        decisions: 0,
    };
    for step in 0..STEPS {
        let now = (step + 10) * 50 * MS;
        match world.rng.u32(..100) {
            0..8 => world.delete(now),
            8..12 => world.ban_or_unban(now),
            12 => world.clear(now),
            _ => world.post(now, step),
        }
    }
    let end = (STEPS + 20) * 50 * MS;
    world.fault(4_000 * MS, 5_000 * MS);
    world.finish(end)
}

impl World {
    fn draft(&mut self, at: u64, what: What) {
        self.drafts.push((at, Draft::Ready(what)));
    }

    fn between(&mut self, from: u64, to: u64) -> u64 {
        self.rng.u64(from..to)
    }

    fn post(&mut self, now: u64, post: u64) {
        let (room, user) = (self.rng.i64(1..=ROOMS), self.rng.i64(100..110));
        let (key, text, node) = (format!("key {post}"), format!("text {post}"), format!("ingest-{}", post % 2));
        let (surface, status) = if post.is_multiple_of(3) { (Surface::Original, 200) } else { (Surface::V1, 202) };
        let id = EventId::derived(PresenterIdx::try_from(room).ok(), UserIdx::try_from(user).unwrap(), &key);
        let invoke = |attempt| What::Invoked {
            post,
            attempt,
            node: node.clone(),
            room,
            user,
            surface,
            key: Some(key.clone()),
            text: text.clone(),
        };
        self.draft(now, invoke(1));
        let stored = now + self.between(MS, 60 * MS);
        let answered = stored + self.between(MS, 40 * MS);
        if self.banned.contains_key(&(room, user)) {
            let code = "msg_banned".to_owned();
            return self.draft(answered, What::Failed { post, attempt: 1, status: 403, code });
        }
        let mut copies = Vec::new();
        let fate = self.rng.u32(..100);
        match fate {
            0..6 => {
                let code = "log_unavailable".to_owned();
                return self.draft(answered, What::Failed { post, attempt: 1, status: 503, code });
            }
            6..20 => {
                self.draft(answered, What::Unknown { post, attempt: 1, why: "no answer".to_owned() });
                if fate < 12 {
                    return;
                }
                if fate < 16 {
                    self.draft(answered + 10 * MS, invoke(2));
                    copies.push(answered + 15 * MS);
                    self.drafts.push((answered + 20 * MS, Draft::Ok { post, attempt: 2, id, status }));
                    self.accepted.push((answered + 20 * MS, room, id));
                }
            }
            _ => {
                self.drafts.push((answered, Draft::Ok { post, attempt: 1, id, status }));
                self.accepted.push((answered, room, id));
            }
        }
        let (user, text) = (Some(user), Some(text));
        // No two clocks agree.
        let sent = (stored / MS) as i64 - self.rng.i64(0..50);
        self.events.push(Event { stored, sent, id, room, kind: "message.posted", user, text, target: None, copies });
    }

    fn decide(&mut self, now: u64, room: i64, decided: Decided, kind: &'static str) -> u64 {
        self.decisions += 1;
        let (decision, id) = (self.decisions, EventId::new());
        let target = match decided {
            Decided::Delete { target } => Some(target),
            _ => None,
        };
        self.draft(now, What::Decides { decision, node: "ingest-0".to_owned(), room: Some(room), decided });
        let stored = now + self.between(MS, 20 * MS);
        let sent = (stored / MS) as i64;
        self.events.push(Event { stored, sent, id, room, kind, user: None, text: None, target, copies: vec![] });
        let confirmed = stored + 5 * MS;
        self.drafts.push((confirmed, Draft::Confirmed { decision, id }));
        confirmed
    }

    fn delete(&mut self, now: u64) {
        let known: Vec<(i64, EventId)> =
            self.accepted.iter().filter(|(at, ..)| *at < now).map(|(_, room, id)| (*room, *id)).collect();
        if !known.is_empty() {
            let (room, target) = known[self.rng.usize(..known.len())];
            self.decide(now, room, Decided::Delete { target }, "message.deleted");
        }
    }

    fn clear(&mut self, now: u64) {
        let room = self.rng.i64(1..=ROOMS);
        self.decide(now, room, Decided::Clear, "room.cleared");
    }

    fn ban_or_unban(&mut self, now: u64) {
        let (room, user) = (self.rng.i64(1..=ROOMS), self.rng.i64(100..110));
        if self.banned.remove(&(room, user)).is_some() {
            self.decide(now, room, Decided::Unban { user }, "user.unbanned");
        } else {
            let confirmed = self.decide(now, room, Decided::Ban { user }, "user.banned");
            self.banned.insert((room, user), confirmed);
        }
    }

    fn fault(&mut self, from: u64, to: u64) {
        let (kind, parts) = ("kill archiver".to_owned(), vec!["archiver-0".to_owned()]);
        self.draft(from, What::Breaks { fault: 1, kind, parts });
        self.draft(to, What::Heals { fault: 1 });
    }

    fn finish(mut self, end: u64) -> Vec<Line> {
        self.events.sort_by_key(|event| event.stored);
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
        self.draft(end, What::Phase { phase: Phase::Healed });
        for room in (1..=ROOMS).filter(|room| *room != CHATTING) {
            self.presenter(room, &positions, end);
        }
        self.chatting(&positions, end);
        self.draft(end + 500 * MS, What::Phase { phase: Phase::Drained });

        let mut lines: Vec<(u64, What)> = Vec::new();
        for (at, draft) in self.drafts {
            let what = match draft {
                Draft::Ready(what) => what,
                Draft::Ok { post, attempt, id, status } => {
                    What::Ok { post, attempt, id, position: positions[&id], status }
                }
                Draft::Confirmed { decision, id } => What::Confirmed { decision, id, position: positions[&id] },
            };
            lines.push((at, what));
        }
        let after = end + 5_000 * MS;
        for (sequence, (_, number)) in stored.iter().enumerate() {
            let Event { id, room, kind, user, text, .. } = &self.events[*number];
            let (kind, user, text) = ((*kind).to_owned(), *user, text.clone());
            let position = position(sequence);
            lines.push((after, What::Logged { room: Some(*room), id: *id, position, kind, user, text }));
        }
        for number in 1..=ROOMS {
            let room: Vec<&Event> = self.events.iter().filter(|event| event.room == number).collect();
            let shown = |id: EventId| room.iter().find(|event| event.takes(id, &room)).map(|event| event.id);
            for event in room.iter().filter(|event| event.text.is_some()) {
                let (id, position, text) = (event.id, positions[&event.id], event.text.clone().unwrap());
                let deleted = shown(id);
                let user = event.user.unwrap();
                let archived = What::Archived { room: number, id, position, user, text: text.clone(), deleted };
                lines.push((after + 1, archived));
                if deleted.is_none() {
                    let sent = at_ms(event.sent);
                    lines.push((after + 2, What::Replayed { room: number, id, position, text, sent }));
                }
            }
            for (place, (began, over)) in BROADCASTS_MS.into_iter().enumerate() {
                let broadcast = format!("broadcast {place} of {number}");
                let mut replay = Vec::new();
                let mut offset_ms = 0;
                for event in room.iter().filter(|event| (began..=over).contains(&event.sent)) {
                    let Some(text) = event.text.clone().filter(|_| shown(event.id).is_none()) else { continue };
                    offset_ms = offset_ms.max(event.sent - began);
                    let (id, position, broadcast) = (event.id, positions[&event.id], broadcast.clone());
                    replay.push(What::ReplayedBesideVideo { room: number, broadcast, offset_ms, id, position, text });
                }
                if place == 0 {
                    // Somebody followed it for a while.
                    let (reading, half) = (number.unsigned_abs(), replay.len() / 2);
                    let begins = What::ReplayBegins { replay: reading, room: number, broadcast: broadcast.clone() };
                    let shows = replay[..half].iter().filter_map(|what| match what {
                        What::ReplayedBesideVideo { id, position, text, .. } => {
                            let (id, position, text) = (*id, *position, text.clone());
                            Some(What::ReplayShows { replay: reading, id, position, text })
                        }
                        _ => None,
                    });
                    lines.extend([begins].into_iter().chain(shows).map(|what| (after, what)));
                }
                // The archiver may not know when the last one ended.
                let is_known = place == 0 || number != 1;
                let started = at_ms(began);
                let (ended, duration_ms) = (is_known.then(|| at_ms(over)), is_known.then_some(over - began));
                let messages = replay.len() as u64;
                let found = What::Broadcast { room: number, broadcast, started, ended, duration_ms, messages };
                lines.extend([found].into_iter().chain(replay).map(|what| (after + 2, what)));
            }
            let session = 1_000 + number as u32;
            let node = "delivery-0".to_owned();
            let (dialect, asked, position, recovered, fresh) = (Dialect::V1, None, None, true, true);
            let welcome = What::Welcome { session, room: number, node, dialect, asked, position, recovered, fresh };
            lines.push((after + 3, welcome));
            for event in &room {
                let text = event.text.clone().filter(|_| shown(event.id).is_none());
                let (id, position, kind) = (event.id, positions[&event.id], event.kind.to_owned());
                lines.push((after + 4, What::Frame { session, id, position, kind, text }));
            }
        }
        for reading in [Reading::Log, Reading::Archive, Reading::Replay, Reading::Video, Reading::Fresh] {
            lines.push((after + 5, What::Read { reading }));
        }
        lines.sort_by_key(|(at, _)| *at);
        lines.into_iter().map(|(at, what)| Line { at, what }).collect()
    }

    /// One presenter's sessions, one after the other, sometimes overlapping, sometimes with a declared gap.
    fn presenter(&mut self, room: i64, positions: &HashMap<EventId, Position>, end: u64) {
        let (mut begins, mut next, mut number) = (0, 0, 0);
        let mut drafts = Vec::new();
        let events: Vec<&Event> = self.events.iter().filter(|event| event.room == room).collect();
        let mut asked = None;
        while begins < end {
            number += 1;
            let session = room as u32 * 100 + number;
            let has_gap = next > 0 && self.rng.u32(..5) == 0;
            if has_gap {
                begins += 2 * WINDOW;
            }
            let ends =
                if number == 6 { begins.max(end) + 400 * MS } else { begins + self.rng.u64(3_000 * MS..6_000 * MS) };
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
            drafts.push((begins, What::Welcome { session, room, node, dialect, asked, position, recovered, fresh }));
            let mut at = begins;
            let overlaps = self.rng.bool();
            let replaced = if overlaps { ends.saturating_sub(500 * MS) } else { ends };
            while let Some(event) = events.get(next) {
                at = (at + 1).max(event.stored + self.rng.u64(1..10 * MS));
                if at >= replaced {
                    break;
                }
                let deleted = events.iter().any(|other| other.stored <= at && other.takes(event.id, &events));
                let (id, position, kind) = (event.id, positions[&event.id], event.kind.to_owned());
                let text = event.text.clone().filter(|_| !deleted);
                drafts.push((at, What::Frame { session, id, position, kind, text }));
                asked = Some(position);
                next += 1;
            }
            drafts.push((ends, What::Ended { session, code: None }));
            begins = if overlaps { replaced + 1 } else { ends + 100 * MS };
        }
        self.drafts.extend(drafts.into_iter().map(|(at, what)| (at, Draft::Ready(what))));
    }

    /// The sessions of a presenter who speaks the original's dialect: some are closed by the server when the next one
    /// begins, and lose nothing; some break, with what was in them; some come to nothing. A little comes again.
    fn chatting(&mut self, positions: &HashMap<EventId, Position>, end: u64) {
        let (room, mut begins, mut cursor, mut number) = (CHATTING, 0, 0, 0);
        let mut drafts = Vec::new();
        let events: Vec<&Event> = self.events.iter().filter(|event| event.room == room).collect();
        loop {
            number += 1;
            let session = room as u32 * 100 + number;
            let (node, dialect) = (format!("delivery-{}", number % 2), Dialect::Original);
            drafts.push((begins, What::Starts { session, room, node: node.clone() }));
            let ends = begins + self.rng.u64(3_000 * MS..6_000 * MS);
            let is_last = ends > end;
            let ends = if is_last { end + 400 * MS } else { ends };
            // What is in a connection that breaks.
            let lost = self.rng.usize(..3);
            let lose = |cursor: usize, before: u64| {
                let written = events[cursor..].iter().take(lost).take_while(|event| event.stored < before);
                cursor + written.count()
            };
            // In turn, so that every history has each of them, and each before a session that has begun.
            if number % 4 == 3 && !is_last {
                drafts.push((begins + 300 * MS, What::Ended { session, code: None }));
                cursor = lose(cursor, begins + 300 * MS);
                begins += 400 * MS;
                continue;
            }
            let is_closed = number % 4 == 1;
            let (asked, position, recovered, fresh) = (None, None, true, false);
            let begun = begins + 20 * MS;
            drafts.push((begun, What::Welcome { session, room, node, dialect, asked, position, recovered, fresh }));
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
                let is_deleted = events.iter().any(|other| other.stored <= at && other.takes(event.id, &events));
                let Some(text) = event.text.clone().filter(|_| !is_deleted) else { continue };
                let (id, position, kind) = (event.id, positions[&event.id], event.kind.to_owned());
                drafts.push((at, What::Frame { session, id, position, kind, text: Some(text) }));
            }
            cursor = next.max(cursor);
            // The next one has begun by the time at which the older is closed.
            drafts.push((ends + 50 * MS, What::Ended { session, code: is_closed.then_some(4_002) }));
            if is_last {
                break;
            }
            begins = ends + if is_closed { 0 } else { 100 * MS };
            if !is_closed {
                cursor = lose(cursor, begins);
            }
        }
        self.drafts.extend(drafts.into_iter().map(|(at, what)| (at, Draft::Ready(what))));
    }
}

fn at_ms(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(BEGAN_MS + ms).expect("a time of our days")
}

impl Event {
    /// Whether this decision takes that message of the room away.
    fn takes(&self, id: EventId, room: &[&Event]) -> bool {
        let stored = || room.iter().find(|event| event.id == id).is_some_and(|event| event.stored < self.stored);
        self.target == Some(id) || (self.kind == "room.cleared" && stored())
    }
}
