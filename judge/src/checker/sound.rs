//! Generates histories of a system that keeps its promises: a small world with a log, rooms, presenters and moderators,
//! seen from outside. The seed decides everything that the promises leave open.

use std::collections::{BTreeMap, BTreeSet};

use chat::{EventId, PresenterIdx, UserIdx};
use fastrand::Rng;
use jiff::Timestamp;

use crate::history::{Beginning, Decided, Line, MessageObservation, Observation, Phase, Surface, Swept};

mod ends;
mod event;
mod people;
mod queues;
mod raids;
mod readers;
mod rules;
mod sessions;

pub(crate) use queues::WAITING;

/// A millisecond, in microseconds.
const MS: u64 = 1_000;

const ROOMS: i64 = 4;

/// The room with a presenter of the original's dialect. A session's number is the room's, followed by two digits.
pub(crate) const CHATTING: i64 = 4;

/// The room whose presenter's page is reloaded for every session.
pub(crate) const ANEW: i64 = 3;

/// The room whose presenter is away for a while.
const AWAY: i64 = 2;

/// Older events may be missing after an absence.
const WINDOW: u64 = 400 * MS;

/// How long a setting refuses texts in a room.
const QUIET: u64 = 3_000 * MS;

/// The settings that refuse texts, each with its value and the code of the refusal.
const SETTINGS: [(&str, &str, &str); 2] =
    [("presenterOnly", "true", "msg_presenter_only"), ("emojiOnly", "true", "msg_emoji_only")];

/// The users who write nothing but single messages.
pub(crate) const VIEWERS: std::ops::Range<i64> = 100..110;

/// The moderator of the first room, when appointed. The user has no scope, and does not post.
pub(crate) const APPOINTED: i64 = 120;

/// The number of posts and decisions.
const STEPS: u64 = 1_250;

/// The last message that may wait: moderators decide within three seconds.
const LAST_HOLD: u64 = STEPS - 80;

/// The erasures: step, user, and whether the messages are anonymised.
const ERASED: [(u64, i64, bool); 4] = [(230, 109, false), (450, 108, true), (600, 109, false), (900, 108, true)];

/// Whether the user is erased at some time.
pub(crate) fn is_erased(user: i64) -> bool {
    ERASED.iter().any(|(_, erased, _)| *erased == user)
}

/// The author of anonymised messages.
const PSEUDONYM: i64 = -5;

/// The start of the history, in milliseconds since 1970.
const BEGAN_MS: i64 = 1_790_000_000_000;

/// The start and end of each room's broadcasts, in milliseconds. Some messages are outside any broadcast.
const BROADCASTS_MS: [(i64, i64); 2] = [(2_000, 15_000), (18_000, 66_000)];

/// An event in the log. `copies` are the times at which the same event was stored again.
struct Event {
    stored: u64,
    /// By the clock of an ingest node, in milliseconds.
    sent: i64,
    id: EventId,
    /// None: every room.
    room: Option<i64>,
    kind: &'static str,
    /// The author, or the subject of a decision.
    user: Option<i64>,
    text: Option<String>,
    target: Option<EventId>,
    reason: Option<String>,
    /// How far back a ban deletes messages, in seconds.
    purge: Option<u32>,
    /// What a sweep deletes.
    swept: Option<Swept>,
    /// The attributes of a message.
    extras: Option<String>,
    /// The flags of a message.
    flags: Vec<String>,
    /// Of a hold: the text that waits, and until when.
    waiting: Option<String>,
    until: Option<u64>,
    copies: Vec<u64>,
}

/// A line whose positions are not known yet.
enum Draft {
    Ready(Box<Observation>),
    Ok {
        post: u64,
        attempt: u32,
        room: i64,
        id: EventId,
        status: u16,
    },
    Confirmed {
        decision: u64,
        attempt: u32,
        id: EventId,
    },
    /// An answer that the message waits.
    Waits {
        post: u64,
        id: EventId,
    },
}

struct World {
    rng: Rng,
    drafts: Vec<(u64, Draft)>,
    events: Vec<Event>,
    /// Accepted messages that may be deleted: time, room, id. Messages of erased users are left out.
    accepted: Vec<(u64, i64, EventId)>,
    /// Deleted messages that may be restored, in the same form.
    deleted: Vec<(u64, i64, EventId)>,
    /// Whether the first room has a moderator.
    is_appointed: bool,
    /// The current bans. None: every room.
    banned: BTreeSet<(Option<i64>, i64)>,
    /// The rooms in which viewers may not post texts, each with the time of the setting and its place.
    quiet: BTreeMap<i64, (u64, usize)>,
    decisions: u64,
    /// Reported messages with their rooms, and messages that were pinned.
    reported: Vec<(i64, EventId)>,
    pinned: BTreeSet<EventId>,
    /// The number of raids so far, and the dry runs of sweeps against them: when, by which number, of which room.
    raids: u64,
    previews: Vec<(u64, u64, i64, Swept)>,
    people: people::People,
    /// The times at which a room's presenter has a socket.
    served: Vec<(i64, u64, u64)>,
}

/// A sound history.
pub(crate) fn history(seed: u64) -> Vec<Line> {
    let mut world = World {
        rng: Rng::with_seed(seed),
        drafts: Vec::new(),
        events: Vec::new(),
        accepted: Vec::new(),
        deleted: Vec::new(),
        is_appointed: false,
        banned: BTreeSet::new(),
        quiet: BTreeMap::new(),
        decisions: 0,
        reported: Vec::new(),
        pinned: BTreeSet::new(),
        raids: 0,
        previews: Vec::new(),
        people: people::People::default(),
        served: Vec::new(),
    };
    world.draft(0, begins(seed));
    world.draft(0, Observation::Phase { phase: Phase::Load });
    for step in 0..STEPS {
        let now = (step + 10) * 50 * MS;
        if world.allow_again(now) {
            continue;
        }
        world.visit(now);
        if let Some((_, user, anonymises)) = ERASED.into_iter().find(|(at, ..)| *at == step) {
            world.erase(now, step, user, anonymises);
            continue;
        }
        match world.rng.u32(..100) {
            0..8 => world.delete(now),
            8..14 => world.ban_or_unban(now),
            14 => world.clear(now),
            15 => world.quieten(now),
            16..20 => world.restore(now),
            20..22 => world.appoint_or_dismiss(now),
            22..27 => world.decide_as_moderator(now),
            27..29 if step < LAST_HOLD => world.hold(now, step),
            29..32 => world.report(now),
            32..34 => world.pin(now),
            34..36 => world.notice(now, step),
            36..38 => world.raid(now, step),
            38..40 if step < LAST_HOLD => world.warn(now),
            40..44 => world.note(now),
            _ => world.post(now, step),
        }
    }
    let end = (STEPS + 20) * 50 * MS;
    world.fault(4_000 * MS, 5_000 * MS);
    world.finish(end)
}

fn begins(seed: u64) -> Observation {
    let (began, window_ms) = (at_ms(0), WINDOW / MS);
    Observation::Begins(Beginning { seed, began, window_ms, append_deadline_ms: 5_000, lease_ms: 10_000 })
}

impl World {
    fn draft(&mut self, at: u64, what: Observation) {
        self.drafts.push((at, Draft::Ready(Box::new(what))));
    }

    fn between(&mut self, from: u64, to: u64) -> u64 {
        self.rng.u64(from..to)
    }

    fn post(&mut self, now: u64, post: u64) {
        let (room, user) = (self.rng.i64(1..=ROOMS), self.rng.i64(VIEWERS));
        // Posts of erased users are rare, and rarest in the original's dialect, because little is owed for them.
        let is_quiet = room == CHATTING || !post.is_multiple_of(3);
        let user = if is_erased(user) && is_quiet { 105 } else { user };
        let (key, text, node) = (format!("key {post}"), format!("text {post}"), format!("ingest-{}", post % 2));
        let (surface, status) = if post.is_multiple_of(3) { (Surface::Original, 200) } else { (Surface::V1, 202) };
        let id = EventId::derived(PresenterIdx::try_from(room).ok(), UserIdx::try_from(user).unwrap(), &key);
        let invoke = |attempt| Observation::Invoked {
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
        // On `/v1`, some have attributes.
        let extras = (post % 3 == 1).then(|| format!("attributes of {post}"));
        if let Some(extras) = extras.clone() {
            self.draft(now, Observation::Message(MessageObservation::Attaches { post, extras }));
        }
        let stored = now + self.between(MS, 60 * MS);
        let answered = stored + self.between(MS, 40 * MS);
        if self.banned.contains(&(Some(room), user)) || self.banned.contains(&(None, user)) {
            let code = "msg_banned".to_owned();
            return self.draft(answered, Observation::Failed { post, attempt: 1, status: 403, code });
        }
        if let Some((_, setting)) = self.quiet.get(&room) {
            let code = SETTINGS[*setting].2.to_owned();
            return self.draft(answered, Observation::Failed { post, attempt: 1, status: 403, code });
        }
        let mut copies = Vec::new();
        let fate = self.rng.u32(..100);
        match fate {
            0..6 => {
                let code = "log_unavailable".to_owned();
                return self.draft(answered, Observation::Failed { post, attempt: 1, status: 503, code });
            }
            6..20 => {
                self.draft(answered, Observation::Unknown { post, attempt: 1, why: "no answer".to_owned() });
                if fate < 12 {
                    return;
                }
                if fate < 16 {
                    self.draft(answered + 10 * MS, invoke(2));
                    copies.push(answered + 15 * MS);
                    self.drafts.push((answered + 20 * MS, Draft::Ok { post, attempt: 2, room, id, status }));
                    self.may_delete(answered + 20 * MS, room, user, id);
                }
            }
            _ => {
                self.drafts.push((answered, Draft::Ok { post, attempt: 1, room, id, status }));
                self.may_delete(answered, room, user, id);
            }
        }
        let (user, text) = (Some(user), Some(text));
        // Clocks differ.
        let sent = (stored / MS) as i64 - self.rng.i64(0..50);
        let posted = Event::of(stored, Some(room), "message.posted");
        self.events.push(Event { sent, id, user, text, extras, copies, ..posted });
    }

    fn may_delete(&mut self, at: u64, room: i64, user: i64, id: EventId) {
        if !is_erased(user) {
            self.accepted.push((at, room, id));
        }
    }

    fn decide(&mut self, now: u64, room: Option<i64>, decided: Decided) {
        self.decide_by(now, room, None, decided);
    }

    /// The id of its event, if it is accepted.
    fn decide_by(&mut self, now: u64, room: Option<i64>, by: Option<i64>, decided: Decided) -> Option<EventId> {
        self.decisions += 1;
        let (decision, id) = (self.decisions, EventId::new());
        let (kind, user, target) = (decided.kind(), decided.user(), decided.target());
        let reason = format!("reason {decision}");
        let decides = |attempt| {
            let (node, decided, reason) = (format!("ingest-{}", attempt % 2), decided.clone(), reason.clone());
            Observation::Decides { decision, attempt, node, room, by, decided, reason }
        };
        self.draft(now, decides(1));
        let stored = now + self.between(MS, 20 * MS);
        // Decisions about users and settings always succeed, so that their effect is certain.
        let fate = if user.is_some() || kind == "room.updated" { 9 } else { self.rng.u32(..10) };
        let (answered, sent) = (stored + 5 * MS, (stored / MS) as i64);
        if by.is_some() && !self.is_appointed {
            let code = "forbidden".to_owned();
            self.draft(answered, Observation::Refused { decision, attempt: 1, status: 403, code });
            return None;
        }
        if fate == 0 {
            let code = "log_unavailable".to_owned();
            self.draft(answered, Observation::Refused { decision, attempt: 1, status: 503, code });
            return None;
        }
        let reason = decided.has_its_own_event().then(|| reason.clone());
        let (purge, mut swept) = (decided.purge_seconds(), decided.swept().cloned());
        if let Some(swept) = &mut swept {
            let seconds = swept.refuses_for.take();
            swept.refuses_until = seconds.map(|seconds| at_ms(sent + i64::from(seconds) * 1_000));
            let seconds = swept.holds_for.take();
            swept.holds_until = seconds.map(|seconds| at_ms(sent + i64::from(seconds) * 1_000));
        }
        self.events.push(Event { id, sent, user, target, reason, purge, swept, ..Event::of(stored, room, kind) });
        let attempt = if fate == 1 {
            self.draft(answered, Observation::Undecided { decision, attempt: 1, why: "no answer".to_owned() });
            self.draft(answered + MS, decides(2));
            2
        } else {
            1
        };
        self.drafts.push((answered + 2 * MS, Draft::Confirmed { decision, attempt, id }));
        Some(id)
    }

    fn delete(&mut self, now: u64) {
        let known: Vec<(i64, EventId)> =
            self.accepted.iter().filter(|(at, ..)| *at < now).map(|(_, room, id)| (*room, *id)).collect();
        if !known.is_empty() {
            let (room, target) = known[self.rng.usize(..known.len())];
            self.deleted.push((now, room, target));
            self.decide(now, Some(room), Decided::Delete { target });
        }
    }

    /// Restores a message that was deleted, or perhaps not.
    fn restore(&mut self, now: u64) {
        let from = if self.rng.u32(..4) > 0 { &self.deleted } else { &self.accepted };
        let known: Vec<(i64, EventId)> =
            from.iter().filter(|(at, ..)| *at < now).map(|(_, room, id)| (*room, *id)).collect();
        if !known.is_empty() {
            let (room, target) = known[self.rng.usize(..known.len())];
            self.decide(now, Some(room), Decided::Restore { target });
        }
    }

    fn erase(&mut self, now: u64, erasure: u64, user: i64, anonymises: bool) {
        self.forget_notes(user);
        self.draft(now, Observation::Erases { erasure, user, anonymises });
        let stored = now + self.between(MS, 20 * MS);
        self.draft(stored + 30 * MS, Observation::Erased { erasure, status: 200 });
        self.events.push(Event { user: Some(user), ..Event::of(stored, None, "user.erased") });
    }

    fn clear(&mut self, now: u64) {
        let room = self.rng.i64(1..=ROOMS);
        self.decide(now, Some(room), Decided::Clear);
    }

    fn fault(&mut self, from: u64, to: u64) {
        let (kind, parts) = ("kill archiver".to_owned(), vec!["archiver-0".to_owned()]);
        self.draft(from, Observation::Breaks { fault: 1, kind, parts });
        self.draft(to, Observation::Heals { fault: 1 });
    }
}

fn at_ms(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(BEGAN_MS + ms).expect("a time of our days")
}
