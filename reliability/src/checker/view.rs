//! A history, in the shape in which the invariants ask about it. Everything refers to lines by their number.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chat::{EventId, Position};
use jiff::Timestamp;

use crate::history::{Decided, Line, Phase, Reading, ReviewVerdict, Surface, What};

mod erasures;
mod faults;
mod places;
mod requests;

pub(crate) use erasures::Erasure;
pub(crate) use faults::{Fault, SETTLE_US};
use places::is_decision;
pub(crate) use places::{Broadcast, Copied, Followed, Lost, Place, Room, Ruling, Session, Source, Start, Stream};
pub(crate) use requests::{Answer, Attempt, Decision, Outcome, Post, Request};

/// The close code of a session that a newer one has replaced.
const REPLACED: u16 = 4002;

/// The history.
#[derive(Debug)]
pub struct View<'a> {
    pub(crate) lines: &'a [Line],
    /// When it began.
    began: Timestamp,
    /// How long delivery nodes keep what they can give again, in microseconds.
    pub(crate) window: u64,
    /// After which an append is given up, in microseconds.
    pub(crate) append_deadline: u64,
    /// After which a node that is not heard of counts as dead, in microseconds.
    pub(crate) lease: u64,
    pub(crate) posts: BTreeMap<u64, Post<'a>>,
    /// With what the original's surface accepted: the statuses of its answers.
    pub(crate) originals: Vec<u16>,
    /// The post whose text it is. Texts are unique.
    pub(crate) texts: HashMap<&'a str, u64>,
    pub(crate) rooms: BTreeMap<i64, Room<'a>>,
    /// The first copy of each event of a room in the log, and its room.
    pub(crate) logged: HashMap<EventId, (i64, Place<'a>)>,
    /// The first copy of each event of every room, in each epoch: every partition has it at a place of its own.
    pub(crate) everywhere: HashMap<(EventId, u64), Place<'a>>,
    /// Every line of the log, copies too, but for presenters' coming and going.
    pub(crate) copies: HashMap<Position, Copied>,
    pub(crate) streams: Vec<Stream<'a>>,
    /// What a fault took off the log's disks: the line that says so, and where it stood.
    pub(crate) lost: HashMap<EventId, (usize, Position)>,
    pub(crate) followed: BTreeMap<u64, Followed<'a>>,
    /// In the order of their beginning.
    pub(crate) sessions: Vec<Session<'a>>,
    /// In the order of their beginning; those of the original's dialect alone.
    pub(crate) starts: BTreeMap<u32, Start<'a>>,
    pub(crate) decisions: BTreeMap<u64, Decision<'a>>,
    pub(crate) erasures: BTreeMap<u64, Erasure>,
    /// What the review hook said of a text, and the line.
    pub(crate) reviews: HashMap<&'a str, (usize, &'a ReviewVerdict)>,
    /// The messages in whose place another text stands in the log.
    pub(crate) replaced: HashSet<EventId>,
    /// Every loss of them, in its order.
    pub(crate) losses: Vec<Lost>,
    /// The answers that accepted what was lost later.
    pub(crate) told_and_lost: Vec<(usize, EventId, Position)>,
    /// The decision whose reason it is. Reasons are unique.
    pub(crate) reasons: HashMap<&'a str, u64>,
    /// Wherever a decision was found.
    pub(crate) rulings: Vec<Ruling<'a>>,
    pub(crate) faults: BTreeMap<u64, Fault<'a>>,
    /// Of each part the line and the KiB.
    pub(crate) memory: BTreeMap<&'a str, Vec<(usize, u64)>>,
    pub(crate) readings: BTreeSet<Reading>,
    pub(crate) phases: Vec<(Phase, usize)>,
}

/// What a presenter is not told: its own coming and going.
const NOT_SHOWN: [&str; 2] = ["presenter.connected", "presenter.disconnected"];

/// The status of an erasure that is done. Another one that is accepted goes on by itself.
const DONE: u16 = 200;

/// The type of the events that are messages.
const MESSAGE: &str = "message.posted";

impl<'a> View<'a> {
    /// The view of a history.
    pub fn of(lines: &'a [Line]) -> View<'a> {
        let mut view = View {
            lines,
            began: Timestamp::UNIX_EPOCH,
            window: 0,
            append_deadline: 0,
            lease: 0,
            posts: BTreeMap::new(),
            originals: Vec::new(),
            texts: HashMap::new(),
            rooms: BTreeMap::new(),
            logged: HashMap::new(),
            everywhere: HashMap::new(),
            copies: HashMap::new(),
            streams: Vec::new(),
            lost: HashMap::new(),
            followed: BTreeMap::new(),
            sessions: Vec::new(),
            starts: BTreeMap::new(),
            decisions: BTreeMap::new(),
            erasures: BTreeMap::new(),
            reviews: HashMap::new(),
            replaced: HashSet::new(),
            losses: Vec::new(),
            told_and_lost: Vec::new(),
            reasons: HashMap::new(),
            rulings: Vec::new(),
            faults: BTreeMap::new(),
            memory: BTreeMap::new(),
            readings: BTreeSet::new(),
            phases: Vec::new(),
        };
        let mut sessions = HashMap::new();
        for (line, entry) in lines.iter().enumerate() {
            view.posts(line, &entry.what);
            view.sessions(line, &entry.what, &mut sessions);
            view.decisions(line, &entry.what);
            view.log(line, &entry.what);
            view.readings(line, &entry.what);
        }
        view.know_what_was_replaced();
        view.fill_rooms();
        view.excuse_what_was_lost();
        view
    }

    /// A text that the review hook put in the place of another stands for that one, wherever it is found.
    fn know_what_was_replaced(&mut self) {
        let texts: HashMap<&str, &'a str> = self
            .reviews
            .iter()
            .filter_map(|(text, (_, verdict))| match verdict {
                ReviewVerdict::Replace { with } => Some((with.as_str(), *text)),
                _ => None,
            })
            .collect();
        let sent = |place: &mut Place<'a>| match place.text.and_then(|text| texts.get(text)) {
            Some(text) => {
                place.text = Some(text);
                true
            }
            None => false,
        };
        for (id, (_, place)) in &mut self.logged {
            if sent(place) {
                self.replaced.insert(*id);
            }
        }
        let shown = self.sessions.iter_mut().flat_map(|session| &mut session.frames);
        let followed = self.followed.values_mut().flat_map(|followed| &mut followed.shown);
        shown.chain(followed).for_each(|place| {
            sent(place);
        });
        for room in self.rooms.values_mut() {
            let videos = room.broadcasts.values_mut().flat_map(|broadcast| &mut broadcast.replay);
            room.archive.iter_mut().chain(&mut room.replay).chain(videos).for_each(|place| {
                sent(place);
            });
        }
    }

    /// Of what the disks of the log have lost nobody owes anything any more: as if its outcome was unknown.
    fn excuse_what_was_lost(&mut self) {
        let lost: HashSet<EventId> = self.lost.keys().copied().collect();
        let (posts, decisions) = (self.posts.values_mut(), self.decisions.values_mut());
        let requests = posts.map(|post| &mut post.request).chain(decisions.map(|decision| &mut decision.request));
        for request in requests {
            self.told_and_lost.extend(request.forget(&lost));
        }
    }

    /// Whether a fault took it off the disks of the log. It may be there again, because somebody sent it again.
    pub(crate) fn is_lost(&self, id: EventId) -> bool {
        self.lost.contains_key(&id)
    }

    /// Whether two positions are the same place in a log that lost its end. What is appended before the loss is noticed is
    /// told under the old epoch, and has the new one afterwards.
    pub(crate) fn is_same_place(&self, one: Position, other: Position) -> bool {
        one == other || !self.lost.is_empty() && (one.sequence, one.index) == (other.sequence, other.index)
    }

    /// Each room's own events, and those of every room that stand in its partition.
    fn fill_rooms(&mut self) {
        let first_copies: Vec<(i64, Place)> = self.logged.values().copied().collect();
        for (room, place) in first_copies {
            self.rooms.entry(room).or_default().log.push(place);
        }
        for room in self.rooms.values_mut() {
            let epochs: BTreeSet<u64> = room.log.iter().map(|place| place.position.epoch).collect();
            let of_every_room = self.everywhere.iter().filter(|((_, epoch), _)| epochs.contains(epoch));
            room.log.extend(of_every_room.map(|(_, place)| *place));
            room.log.sort_by_key(|place| place.position);
        }
    }

    fn posts(&mut self, line: usize, what: &'a What) {
        match what {
            What::Invoked { post, attempt, node, room, user, surface, text, .. } => {
                self.texts.insert(text, *post);
                let (room, user) = (*room, *user);
                let new = || Post { request: Request::new(line, Some(room)), room, user, text };
                let post = self.posts.entry(*post).or_insert_with(new);
                post.request.send(*attempt, line, node, *surface);
            }
            What::Ok { post, attempt, id, position, status, connected } => {
                let Some(Post { request, .. }) = self.posts.get_mut(post) else { return };
                request.oks.push((line, *id, *position));
                let (status, connected) = (*status, *connected);
                request.answer(*attempt, line, Answer::Accepted { status, connected });
                if request.attempts.get(attempt).is_some_and(|attempt| attempt.surface == Surface::Original) {
                    self.originals.push(status);
                }
            }
            What::Failed { post, attempt, status, code } => {
                let Some(Post { request, .. }) = self.posts.get_mut(post) else { return };
                request.answer(*attempt, line, Answer::Refused { status: *status, code });
            }
            What::Unknown { post, attempt, .. } => {
                let Some(Post { request, .. }) = self.posts.get_mut(post) else { return };
                request.answer(*attempt, line, Answer::Unknown);
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
                    keepalives: Vec::new(),
                    strange: Vec::new(),
                    ended: None,
                    is_replaced: false,
                });
            }
            What::Frame { session, id, position, kind, text, reason } => {
                let Some(session) = places.get(session) else { return };
                let (id, position, text, is_message) = (*id, *position, text.as_deref(), kind == MESSAGE);
                let place = Place { text, is_message, ..Place::shown(line, id, position, "") };
                self.sessions[*session].frames.push(place);
                if is_decision(kind) {
                    let room = Some(self.sessions[*session].room);
                    let (source, position, reason) = (Source::Socket, Some(position), reason.as_deref());
                    let (user, target) = (None, None);
                    self.rulings.push(Ruling { source, line, room, id, position, kind, user, target, reason });
                }
            }
            What::Keepalive { session, position } => {
                if let Some(session) = places.get(session) {
                    self.sessions[*session].keepalives.push((line, *position));
                }
            }
            What::Strange { session, text } => {
                if let Some(start) = self.starts.get_mut(session) {
                    start.strange.push((line, text));
                } else if let Some(session) = places.get(session) {
                    self.sessions[*session].strange.push((line, text));
                }
            }
            What::Ended { session, code } => {
                if let Some(start) = self.starts.get_mut(session) {
                    start.is_closed = code.is_some();
                }
                if let Some(session) = places.get(session) {
                    self.sessions[*session].ended = Some(line);
                    self.sessions[*session].is_replaced = *code == Some(REPLACED);
                }
            }
            _ => {}
        }
    }

    fn decisions(&mut self, line: usize, what: &'a What) {
        match what {
            What::Decides { decision, attempt, node, room, decided, reason } => {
                self.reasons.insert(reason, *decision);
                let new = || Decision { request: Request::new(line, *room), decided, reason };
                let decision = self.decisions.entry(*decision).or_insert_with(new);
                decision.request.send(*attempt, line, node, Surface::V1);
            }
            What::Confirmed { decision, attempt, id, position } => {
                let Some(Decision { request, .. }) = self.decisions.get_mut(decision) else { return };
                request.oks.push((line, *id, *position));
                request.answer(*attempt, line, Answer::Accepted { status: 202, connected: None });
            }
            What::Refused { decision, attempt, status, code } => {
                let Some(Decision { request, .. }) = self.decisions.get_mut(decision) else { return };
                request.answer(*attempt, line, Answer::Refused { status: *status, code });
            }
            What::Undecided { decision, attempt, .. } => {
                let Some(Decision { request, .. }) = self.decisions.get_mut(decision) else { return };
                request.answer(*attempt, line, Answer::Unknown);
            }
            What::Erases { erasure, user, anonymises } => {
                let (user, anonymises) = (*user, *anonymises);
                let erasure_ = Erasure { user, anonymises, asked: line, accepted: None, done: None };
                self.erasures.insert(*erasure, erasure_);
            }
            What::Erased { erasure, status } => {
                if let Some(erasure) = self.erasures.get_mut(erasure) {
                    erasure.accepted = Some(line);
                    erasure.done = (*status == DONE).then_some(line);
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

    fn log(&mut self, line: usize, what: &'a What) {
        match what {
            What::Logged { room, id, position, kind, user, text, target, reason, stored } => {
                if NOT_SHOWN.contains(&kind.as_str()) {
                    return;
                }
                let (id, position, user, is_message) = (*id, *position, *user, kind == MESSAGE);
                self.copies.insert(position, Copied { line, id, stored: *stored });
                if is_decision(kind) {
                    let (source, position, reason) = (Source::Log, Some(position), reason.as_deref());
                    let (room, target) = (*room, *target);
                    self.rulings.push(Ruling { source, line, room, id, position, kind, user, target, reason });
                }
                let text = text.as_deref();
                let place = Place { text, user, is_message, ..Place::shown(line, id, position, "") };
                match room {
                    Some(room) => {
                        let first = self.logged.entry(id).or_insert((*room, place));
                        if first.1.position > position {
                            *first = (*room, place);
                        }
                    }
                    None => {
                        let first = self.everywhere.entry((id, position.epoch)).or_insert(place);
                        if first.position > position {
                            *first = place;
                        }
                    }
                }
            }
            What::Stream { epochs, first, last, acknowledged } => {
                let (first, last, acknowledged) = (*first, *last, *acknowledged);
                self.streams.push(Stream { line, epochs, first, last, acknowledged });
            }
            _ => {}
        }
    }

    fn readings(&mut self, line: usize, what: &'a What) {
        match what {
            What::Archived { room, id, position, user, text, deleted } => {
                let (user, deleted) = (Some(*user), *deleted);
                let place = Place { user, deleted, ..Place::shown(line, *id, *position, text) };
                self.rooms.entry(*room).or_default().archive.push(place);
            }
            What::Audited { room, id, position, kind, user, target, reason } => {
                let (source, position, reason) = (Source::Archive, Some(*position), reason.as_deref());
                let (room, id, user, target) = (*room, *id, *user, *target);
                self.rulings.push(Ruling { source, line, room, id, position, kind, user, target, reason });
            }
            What::Listed { room, id, kind, user, target, reason } => {
                let (source, position, reason) = (Source::List, None, reason.as_deref());
                let (room, id, user, target) = (*room, *id, *user, *target);
                self.rulings.push(Ruling { source, line, room, id, position, kind, user, target, reason });
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
            What::Reviewed { text, verdict } => drop(self.reviews.insert(text, (line, verdict))),
            What::Lost { room, id, position, .. } => {
                self.lost.insert(*id, (line, *position));
                self.losses.push(Lost { line, room: *room, id: *id });
            }
            What::Memory { part, kib } => self.memory.entry(part).or_default().push((line, *kib)),
            What::Read { reading } => drop(self.readings.insert(*reading)),
            What::Begins { began, window_ms, append_deadline_ms, lease_ms, .. } => {
                self.began = *began;
                self.window = window_ms * 1_000;
                self.append_deadline = append_deadline_ms * 1_000;
                self.lease = lease_ms * 1_000;
            }
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

    /// How long after the beginning that was, in microseconds.
    pub(crate) fn since_the_beginning(&self, time: Timestamp) -> u64 {
        u64::try_from(time.as_microsecond() - self.began.as_microsecond()).unwrap_or(0)
    }

    /// Everything that was asked for: posts, and decisions.
    pub(crate) fn requests(&self) -> impl Iterator<Item = &Request<'a>> {
        let decisions = self.decisions.values().map(|decision| &decision.request);
        self.posts.values().map(|post| &post.request).chain(decisions)
    }

    /// Everything that was accepted: the request, the line that said so first, and what it said.
    pub(crate) fn accepted(&self) -> impl Iterator<Item = (&Request<'a>, usize, EventId, Position)> {
        self.requests().filter_map(|request| {
            let (line, id, position) = request.accepted()?;
            Some((request, line, id, position))
        })
    }

    /// The posts that were accepted, in the same way.
    pub(crate) fn accepted_posts(&self) -> impl Iterator<Item = (&Post<'a>, usize, EventId, Position)> {
        self.posts.values().filter_map(|post| {
            let (line, id, position) = post.request.accepted()?;
            Some((post, line, id, position))
        })
    }

    /// For each event in the log what it was asked for by: by the text of a message, or the reason of a decision.
    pub(crate) fn asked_for(&self) -> HashMap<EventId, &Request<'a>> {
        let messages = self.logged.values().filter_map(|(_, place)| {
            let post = self.posts.get(self.texts.get(place.text?)?)?;
            Some((place.id, &post.request))
        });
        let decisions = self.rulings.iter().filter(|ruling| ruling.source == Source::Log).filter_map(|ruling| {
            let decision = self.decisions.get(self.reasons.get(ruling.reason?)?)?;
            Some((ruling.id, &decision.request))
        });
        messages.chain(decisions).collect()
    }

    /// Where the log has the event, if it has it, for who reads that epoch.
    pub(crate) fn place_of(&self, id: EventId, epoch: u64) -> Option<&Place<'a>> {
        self.logged.get(&id).map(|(_, place)| place).or_else(|| self.everywhere.get(&(id, epoch)))
    }

    /// Whether it is an event of every room.
    pub(crate) fn is_of_every_room(&self, id: EventId) -> bool {
        let mut epochs = self.streams.iter().flat_map(|stream| stream.epochs);
        epochs.any(|epoch| self.everywhere.contains_key(&(id, *epoch)))
    }

    /// Whether the log may have let it go: its servers say that it begins behind it.
    pub(crate) fn has_left_the_log(&self, position: Position) -> bool {
        self.stream(position).is_some_and(|stream| position.sequence < stream.first)
    }

    /// The stream that a position is of.
    pub(crate) fn stream(&self, position: Position) -> Option<&Stream<'a>> {
        self.streams.iter().find(|stream| stream.epochs.contains(&position.epoch))
    }

    /// Sessions of presenters who were there while things happened.
    pub(crate) fn presenters(&self) -> impl Iterator<Item = &Session<'a>> {
        self.sessions.iter().filter(|session| !session.fresh)
    }

    /// The decisions that take messages away, confirmed or perhaps made: each with whether it takes that place.
    pub(crate) fn takes_away(&self, decision: &Decision, room: i64, place: &Place) -> bool {
        match decision.decided {
            Decided::Delete { target } => decision.request.room == Some(room) && *target == place.id,
            Decided::Clear => decision.request.room == Some(room) && self.clears(decision, place),
            _ => false,
        }
    }

    fn clears(&self, decision: &Decision, place: &Place) -> bool {
        decision.request.accepted().is_none_or(|(_, id, position)| {
            let stands = self.logged.get(&id).map_or(position, |(_, decision)| decision.position);
            place.position < stands
        })
    }
}
