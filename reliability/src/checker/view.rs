//! A history, in the shape in which the invariants ask about it. Everything refers to lines by their number.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use nats::{EventId, Position};

use crate::history::{Decided, Dialect, Line, Phase, Reading, Surface, What};

/// How a post ended, all its attempts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Accepted: the first answer that said so.
    Ok(usize),
    /// No attempt can have stored it: the last refusal.
    Failed(usize),
    /// It may be stored.
    Unknown,
}

/// A message that somebody sent, perhaps several times.
#[derive(Debug)]
pub(crate) struct Post<'a> {
    /// Where it was first sent.
    pub(crate) invoked: usize,
    pub(crate) room: i64,
    pub(crate) user: i64,
    pub(crate) text: &'a str,
    /// Where each attempt was sent to.
    surfaces: BTreeMap<u32, Surface>,
    /// Every answer that accepted it.
    pub(crate) oks: Vec<(usize, EventId, Position)>,
    refusals: Vec<usize>,
}

impl Outcome {
    /// As reports call it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Outcome::Ok(_) => "accepted",
            Outcome::Failed(_) => "refused",
            Outcome::Unknown => "unknown",
        }
    }
}

impl Post<'_> {
    pub(crate) fn outcome(&self) -> Outcome {
        match (self.oks.first(), self.refusals.last()) {
            (Some((line, ..)), _) => Outcome::Ok(*line),
            // One attempt of unknown outcome is enough for the message to be there.
            (None, Some(line)) if self.refusals.len() == self.surfaces.len() => Outcome::Failed(*line),
            (None, _) => Outcome::Unknown,
        }
    }
}

/// An event in the log, in an archive or on a socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) line: usize,
    pub(crate) id: EventId,
    pub(crate) position: Position,
    /// Of a message that is shown.
    pub(crate) text: Option<&'a str>,
    /// Of the log and the archive.
    pub(crate) user: Option<i64>,
    pub(crate) is_message: bool,
    /// Of the archive.
    pub(crate) deleted: Option<EventId>,
    /// Of the replay.
    pub(crate) sent: Option<Timestamp>,
    /// Of the replay beside the video: how far into the recording, in milliseconds.
    pub(crate) offset: Option<i64>,
}

impl<'a> Place<'a> {
    /// A message that is shown.
    fn shown(line: usize, id: EventId, position: Position, text: &'a str) -> Place<'a> {
        let text = Some(text);
        Place { line, id, position, text, user: None, is_message: true, deleted: None, sent: None, offset: None }
    }
}

/// A presenter's socket, from its welcome to its end.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) number: u32,
    pub(crate) welcome: usize,
    pub(crate) room: i64,
    pub(crate) node: &'a str,
    pub(crate) dialect: Dialect,
    pub(crate) asked: Option<Position>,
    pub(crate) position: Option<Position>,
    pub(crate) recovered: bool,
    pub(crate) fresh: bool,
    pub(crate) frames: Vec<Place<'a>>,
    pub(crate) ended: Option<usize>,
}

/// A socket on which a page of the original's dialect asked for a session.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) line: usize,
    pub(crate) room: i64,
    /// Where the session is among the others, if any sign of it was seen.
    pub(crate) session: Option<usize>,
    /// Whether the server closed it: everything that was written to it has come.
    pub(crate) is_closed: bool,
    /// What came on it that the dialect does not have.
    pub(crate) strange: Vec<(usize, &'a str)>,
}

/// What a presenter would call a broadcast, as the archiver has it.
#[derive(Debug)]
pub(crate) struct Broadcast<'a> {
    pub(crate) line: usize,
    pub(crate) started: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) duration_ms: Option<i64>,
    /// As the archiver counts them.
    pub(crate) messages: u64,
    /// Beside the video, as it was read.
    pub(crate) replay: Vec<Place<'a>>,
}

/// A broadcast, as somebody followed its replay while it ran.
#[derive(Debug)]
pub(crate) struct Followed<'a> {
    pub(crate) line: usize,
    pub(crate) room: i64,
    pub(crate) broadcast: &'a str,
    pub(crate) shown: Vec<Place<'a>>,
}

/// What a moderator decided.
#[derive(Debug)]
pub(crate) struct Decision<'a> {
    pub(crate) asked: usize,
    /// None: every room.
    pub(crate) room: Option<i64>,
    pub(crate) decided: &'a Decided,
    pub(crate) confirmed: Option<(usize, EventId, Position)>,
    pub(crate) refused: bool,
}

/// Something broken, from when to when.
#[derive(Debug)]
pub(crate) struct Fault<'a> {
    pub(crate) begins: usize,
    pub(crate) heals: Option<usize>,
    pub(crate) kind: &'a str,
    pub(crate) parts: &'a [String],
}

impl Fault<'_> {
    /// Whether it is about one of the parts, or one of all whose names begin so.
    pub(crate) fn touches(&self, parts: &[&str]) -> bool {
        self.parts.iter().any(|part| parts.iter().any(|asked| part.starts_with(asked)))
    }
}

/// A room, everywhere.
#[derive(Debug, Default)]
pub(crate) struct Room<'a> {
    /// The first copy of every event that a presenter gets, by position.
    pub(crate) log: Vec<Place<'a>>,
    /// As it was read.
    pub(crate) archive: Vec<Place<'a>>,
    /// As it was read.
    pub(crate) replay: Vec<Place<'a>>,
    pub(crate) broadcasts: BTreeMap<&'a str, Broadcast<'a>>,
}

impl<'a> Room<'a> {
    /// All that was replayed, as a file and beside videos: where, and the message.
    pub(crate) fn replays(&self) -> impl Iterator<Item = (&'static str, &Place<'a>)> {
        let file = self.replay.iter().map(|place| ("in the replay", place));
        let videos = self.broadcasts.values().flat_map(|broadcast| &broadcast.replay);
        file.chain(videos.map(|place| ("in the replay beside the video", place)))
    }
}

/// The history.
#[derive(Debug)]
pub struct View<'a> {
    pub(crate) lines: &'a [Line],
    /// How long delivery nodes keep what they can give again, in microseconds.
    pub(crate) window: u64,
    pub(crate) posts: BTreeMap<u64, Post<'a>>,
    /// With what the original's surface accepted: the statuses of its answers.
    pub(crate) originals: Vec<u16>,
    /// The post whose text it is. Texts are unique.
    pub(crate) texts: HashMap<&'a str, u64>,
    pub(crate) rooms: BTreeMap<i64, Room<'a>>,
    /// The first copy of each event in the log, and its room.
    pub(crate) logged: HashMap<EventId, (i64, Place<'a>)>,
    /// In the order of their beginning.
    pub(crate) sessions: Vec<Session<'a>>,
    /// In the order of their beginning; those of the original's dialect alone.
    pub(crate) starts: BTreeMap<u32, Start<'a>>,
    pub(crate) decisions: BTreeMap<u64, Decision<'a>>,
    pub(crate) followed: BTreeMap<u64, Followed<'a>>,
    /// What a fault took off the disks of the log, and the line that says so.
    pub(crate) lost: HashMap<EventId, usize>,
    pub(crate) faults: BTreeMap<u64, Fault<'a>>,
    pub(crate) readings: BTreeSet<Reading>,
    pub(crate) phases: Vec<(Phase, usize)>,
}

/// What a presenter is not told: its own coming and going.
const NOT_SHOWN: [&str; 2] = ["presenter.connected", "presenter.disconnected"];

/// The type of the events that are messages.
const MESSAGE: &str = "message.posted";

impl<'a> View<'a> {
    /// The view of a history.
    pub fn of(lines: &'a [Line]) -> View<'a> {
        let mut view = View {
            lines,
            window: 0,
            posts: BTreeMap::new(),
            originals: Vec::new(),
            texts: HashMap::new(),
            rooms: BTreeMap::new(),
            logged: HashMap::new(),
            sessions: Vec::new(),
            starts: BTreeMap::new(),
            decisions: BTreeMap::new(),
            followed: BTreeMap::new(),
            lost: HashMap::new(),
            faults: BTreeMap::new(),
            readings: BTreeSet::new(),
            phases: Vec::new(),
        };
        let mut sessions = HashMap::new();
        for (line, entry) in lines.iter().enumerate() {
            view.posts(line, &entry.what);
            view.sessions(line, &entry.what, &mut sessions);
            view.decisions(line, &entry.what);
            view.readings(line, &entry.what);
        }
        let first_copies: Vec<(i64, Place)> = view.logged.values().copied().collect();
        for (room, place) in first_copies {
            view.rooms.entry(room).or_default().log.push(place);
        }
        for room in view.rooms.values_mut() {
            room.log.sort_by_key(|place| place.position);
        }
        view
    }

    fn posts(&mut self, line: usize, what: &'a What) {
        match what {
            What::Invoked { post, attempt, room, user, surface, text, .. } => {
                self.texts.insert(text, *post);
                let (invoked, room, user, surfaces) = (line, *room, *user, BTreeMap::new());
                let (oks, refusals) = (Vec::new(), Vec::new());
                let new = || Post { invoked, room, user, text, surfaces, oks, refusals };
                self.posts.entry(*post).or_insert_with(new).surfaces.insert(*attempt, *surface);
            }
            What::Ok { post, attempt, id, position, status } => {
                if let Some(post) = self.posts.get_mut(post) {
                    post.oks.push((line, *id, *position));
                    if post.surfaces.get(attempt) == Some(&Surface::Original) {
                        self.originals.push(*status);
                    }
                }
            }
            What::Failed { post, .. } => {
                if let Some(post) = self.posts.get_mut(post) {
                    post.refusals.push(line);
                }
            }
            _ => {}
        }
    }

    fn sessions(&mut self, line: usize, what: &'a What, places: &mut HashMap<u32, usize>) {
        match what {
            What::Starts { session, room, .. } => {
                let start = Start { line, room: *room, session: None, is_closed: false, strange: Vec::new() };
                self.starts.insert(*session, start);
            }
            What::Welcome { session, room, node, dialect, asked, position, recovered, fresh } => {
                places.insert(*session, self.sessions.len());
                if let Some(start) = self.starts.get_mut(session) {
                    start.session = Some(self.sessions.len());
                }
                self.sessions.push(Session {
                    number: *session,
                    welcome: line,
                    room: *room,
                    node,
                    dialect: *dialect,
                    asked: *asked,
                    position: *position,
                    recovered: *recovered,
                    fresh: *fresh,
                    frames: Vec::new(),
                    ended: None,
                });
            }
            What::Frame { session, id, position, kind, text } => {
                let (id, position, text, is_message) = (*id, *position, text.as_deref(), kind == MESSAGE);
                let place = Place { text, is_message, ..Place::shown(line, id, position, "") };
                if let Some(session) = places.get(session) {
                    self.sessions[*session].frames.push(place);
                }
            }
            What::Strange { session, text } => {
                if let Some(start) = self.starts.get_mut(session) {
                    start.strange.push((line, text));
                }
            }
            What::Ended { session, code } => {
                if let Some(start) = self.starts.get_mut(session) {
                    start.is_closed = code.is_some();
                }
                if let Some(session) = places.get(session) {
                    self.sessions[*session].ended = Some(line);
                }
            }
            _ => {}
        }
    }

    fn decisions(&mut self, line: usize, what: &'a What) {
        match what {
            What::Decides { decision, room, decided, .. } => {
                let asked = Decision { asked: line, room: *room, decided, confirmed: None, refused: false };
                self.decisions.insert(*decision, asked);
            }
            What::Confirmed { decision, id, position } => {
                if let Some(decision) = self.decisions.get_mut(decision) {
                    decision.confirmed = Some((line, *id, *position));
                }
            }
            What::Refused { decision, .. } => {
                if let Some(decision) = self.decisions.get_mut(decision) {
                    decision.refused = true;
                }
            }
            What::Breaks { fault, kind, parts } => {
                self.faults.insert(*fault, Fault { begins: line, heals: None, kind, parts });
            }
            What::Heals { fault } => {
                if let Some(fault) = self.faults.get_mut(fault) {
                    fault.heals = Some(line);
                }
            }
            _ => {}
        }
    }

    fn readings(&mut self, line: usize, what: &'a What) {
        match what {
            What::Logged { room: Some(room), id, position, kind, user, text } => {
                if NOT_SHOWN.contains(&kind.as_str()) {
                    return;
                }
                let (id, position, text, is_message) = (*id, *position, text.as_deref(), kind == MESSAGE);
                let place = Place { text, user: *user, is_message, ..Place::shown(line, id, position, "") };
                let first = self.logged.entry(id).or_insert((*room, place));
                if first.1.position > position {
                    *first = (*room, place);
                }
            }
            What::Archived { room, id, position, user, text, deleted } => {
                let (user, deleted) = (Some(*user), *deleted);
                let place = Place { user, deleted, ..Place::shown(line, *id, *position, text) };
                self.rooms.entry(*room).or_default().archive.push(place);
            }
            What::Replayed { room, id, position, text, sent } => {
                let place = Place { sent: Some(*sent), ..Place::shown(line, *id, *position, text) };
                self.rooms.entry(*room).or_default().replay.push(place);
            }
            What::Broadcast { room, broadcast, started, ended, duration_ms, messages } => {
                let (started, ended, duration_ms, messages) = (*started, *ended, *duration_ms, *messages);
                let found = Broadcast { line, started, ended, duration_ms, messages, replay: Vec::new() };
                self.rooms.entry(*room).or_default().broadcasts.insert(broadcast, found);
            }
            What::ReplayedBesideVideo { room, broadcast, offset_ms, id, position, text } => {
                let place = Place { offset: Some(*offset_ms), ..Place::shown(line, *id, *position, text) };
                let room = self.rooms.entry(*room).or_default();
                if let Some(broadcast) = room.broadcasts.get_mut(broadcast.as_str()) {
                    broadcast.replay.push(place);
                }
            }
            What::ReplayBegins { replay, room, broadcast } => {
                let followed = Followed { line, room: *room, broadcast, shown: Vec::new() };
                self.followed.insert(*replay, followed);
            }
            What::ReplayShows { replay, id, position, text } => {
                if let Some(followed) = self.followed.get_mut(replay) {
                    followed.shown.push(Place::shown(line, *id, *position, text));
                }
            }
            What::Lost { id, .. } => drop(self.lost.entry(*id).or_insert(line)),
            What::Read { reading } => drop(self.readings.insert(*reading)),
            What::Begins { window_ms, .. } => self.window = window_ms * 1_000,
            What::Phase { phase } => self.phases.push((*phase, line)),
            _ => {}
        }
    }

    /// After how long what was said may have left the windows, in microseconds. A tenth less than they keep it: a node that
    /// has just started reckons from when it began to.
    pub(crate) fn left_the_window(&self) -> u64 {
        self.window / 10 * 9
    }

    /// When a line was written.
    pub(crate) fn at(&self, line: usize) -> u64 {
        self.lines[line].at
    }

    /// What was accepted: the post, the line that said so first, and what it said.
    pub(crate) fn accepted(&self) -> impl Iterator<Item = (&Post<'a>, usize, EventId, Position)> {
        self.posts
            .values()
            .filter_map(|post| post.oks.first().map(|(line, id, position)| (post, *line, *id, *position)))
    }

    /// Sessions of presenters who were there while things happened.
    pub(crate) fn presenters(&self) -> impl Iterator<Item = &Session<'a>> {
        self.sessions.iter().filter(|session| !session.fresh)
    }

    /// The decisions that take messages away, confirmed or perhaps made: each with whether it takes that place.
    pub(crate) fn takes_away(&self, decision: &Decision, room: i64, place: &Place) -> bool {
        match decision.decided {
            Decided::Delete { target } => decision.room == Some(room) && *target == place.id,
            Decided::Clear => decision.room == Some(room) && self.clears(decision, place),
            _ => false,
        }
    }

    fn clears(&self, decision: &Decision, place: &Place) -> bool {
        decision.confirmed.is_none_or(|(_, id, position)| {
            let stands = self.logged.get(&id).map_or(position, |(_, decision)| decision.position);
            place.position < stands
        })
    }

    /// Whether one of the parts was broken at some moment from one time to another, or so lately before, less than
    /// `settle` microseconds, that it may not have recovered.
    pub(crate) fn disturbed(&self, parts: &[&str], from: u64, to: u64, settle: u64) -> bool {
        self.faulty(from, to, settle, |fault| fault.touches(parts))
    }

    /// The same of the faults that count.
    pub(crate) fn faulty(&self, from: u64, to: u64, settle: u64, counts: impl Fn(&Fault) -> bool) -> bool {
        self.faults.values().filter(|fault| counts(fault)).any(|fault| {
            let healed = fault.heals.map_or(u64::MAX, |line| self.at(line) + settle);
            self.at(fault.begins) <= to && from <= healed
        })
    }
}

/// 10 s: after a fault a connection is noticed to be dead, made again, and read from where it was.
pub(crate) const SETTLE_US: u64 = 10_000_000;
