//! Fills a view from the lines of a history.

use std::collections::{BTreeSet, HashMap, HashSet};

use chat::EventId;

use super::places::{HELD, MESSAGE, RELEASED, is_audited, is_decision, is_message};
use super::{
    Answer, Broadcast, Copied, Decision, Erasure, Fault, Followed, Lost, Place, Post, Request, Ruling, Session, Source,
    Start, Stream, View,
};
use crate::history::{Beginning, FLIP_A_BIT, LostEvent, Observation, ReviewVerdict, StreamState, Surface};

/// The close code of a session that a newer one replaced.
const REPLACED: u16 = 4002;

/// Events that presenters do not receive: their own connects and disconnects.
const NOT_SHOWN: [&str; 2] = ["presenter.connected", "presenter.disconnected"];

/// The status of an erasure that is complete. With another 2xx the archiver carries it on in the background.
const DONE: u16 = 200;

impl<'a> View<'a> {
    /// Gives each message that the review hook replaced its original text, wherever it was found.
    pub(super) fn know_what_was_replaced(&mut self) {
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
        let readers = self.readers.iter_mut().map(|reader| &mut reader.session);
        let shown = self.sessions.iter_mut().chain(readers).flat_map(|session| &mut session.frames);
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

    /// After a flipped bit, the events in holes of the log are lost too. The fault itself noted only what was lost at
    /// once. Nobody can tell when the rest went, so there is no loss that presenters must have been told of.
    pub(super) fn lose_what_is_in_holes(&mut self) {
        let flips = self.faults.values().filter(|fault| fault.kind == FLIP_A_BIT).map(|fault| fault.begins);
        let Some(flip) = flips.min() else { return };
        for entry in &self.lines[flip..] {
            let (Observation::Ok { id, position, .. }
            | Observation::Confirmed { id, position, .. }
            | Observation::Frame { id, position, .. }
            | Observation::Archived { id, position, .. }
            | Observation::Audited { id, position, .. }) = &entry.what
            else {
                continue;
            };
            if self.stream(*position).is_some_and(|stream| stream.has_a_hole_at(position.sequence)) {
                self.lost.entry(*id).or_insert((flip, *position));
            }
        }
    }

    /// Treats requests whose events a disk lost as requests of unknown outcome.
    pub(super) fn excuse_what_was_lost(&mut self) {
        let lost: HashSet<EventId> = self.lost.keys().copied().collect();
        let (posts, decisions) = (self.posts.values_mut(), self.decisions.values_mut());
        let requests = posts.map(|post| &mut post.request).chain(decisions.map(|decision| &mut decision.request));
        for request in requests {
            self.told_and_lost.extend(request.forget(&lost));
        }
    }

    /// Fills each room with its own events, and with the events of every room that are in its partition.
    pub(super) fn fill_rooms(&mut self) {
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

    pub(super) fn posts(&mut self, line: usize, what: &'a Observation) {
        match what {
            Observation::Invoked { post, attempt, node, room, user, surface, text, .. } => {
                self.texts.insert(text, *post);
                let (room, user) = (*room, *user);
                let new = || Post { request: Request::new(line, Some(room)), room, user, text };
                let post = self.posts.entry(*post).or_insert_with(new);
                post.request.send(*attempt, line, node, *surface);
            }
            Observation::Ok { post, attempt, id, position, status, connected } => {
                let Some(Post { request, .. }) = self.posts.get_mut(post) else { return };
                request.oks.push((line, *id, *position));
                let (status, connected) = (*status, *connected);
                request.answer(*attempt, line, Answer::Accepted { status, connected });
                if request.attempts.get(attempt).is_some_and(|attempt| attempt.surface == Surface::Original) {
                    self.originals.push(status);
                }
            }
            Observation::Failed { post, attempt, status, code } => {
                let Some(Post { request, .. }) = self.posts.get_mut(post) else { return };
                request.answer(*attempt, line, Answer::Refused { status: *status, code });
            }
            Observation::Unknown { post, attempt, .. } => {
                let Some(Post { request, .. }) = self.posts.get_mut(post) else { return };
                request.answer(*attempt, line, Answer::Unknown);
            }
            _ => {}
        }
    }

    pub(super) fn sessions(&mut self, line: usize, what: &'a Observation, places: &mut HashMap<u32, usize>) {
        match what {
            Observation::Starts { session, room, node } => {
                let start = Start { line, room: *room, node, session: None, is_closed: false, strange: Vec::new() };
                self.starts.insert(*session, start);
            }
            Observation::Welcome { session, room, node, dialect, asked, position, recovered, fresh } => {
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
                    parts: Vec::new(),
                    keepalives: Vec::new(),
                    strange: Vec::new(),
                    ended: None,
                    is_replaced: false,
                });
            }
            Observation::Frame { session, id, position, kind, text, target, reason } => {
                let Some(session) = places.get(session) else { return };
                let (id, position, text, is_message) = (*id, *position, text.as_deref(), is_message(kind));
                let target = *target;
                let place = Place { text, is_message, kind, target, ..Place::shown(line, id, position, "") };
                self.sessions[*session].frames.push(place);
                if is_decision(kind) {
                    let room = Some(self.sessions[*session].room);
                    let (source, position, reason) = (Source::Socket, Some(position), reason.as_deref());
                    let (user, purge_seconds, swept) = (None, None, None);
                    self.rulings.push(Ruling {
                        source,
                        line,
                        room,
                        id,
                        position,
                        kind,
                        user,
                        target,
                        reason,
                        purge_seconds,
                        swept,
                    });
                }
            }
            Observation::Keepalive { session, position } => {
                if let Some(session) = places.get(session) {
                    self.sessions[*session].keepalives.push((line, *position));
                }
            }
            Observation::Strange { session, text } => {
                if let Some(start) = self.starts.get_mut(session) {
                    start.strange.push((line, text));
                } else if let Some(session) = places.get(session) {
                    self.sessions[*session].strange.push((line, text));
                }
            }
            Observation::Ended { session, code } => {
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

    pub(super) fn decisions(&mut self, line: usize, what: &'a Observation) {
        match what {
            Observation::Decides { decision, attempt, node, room, by, decided, reason } => {
                self.reasons.insert(reason, *decision);
                let new = || Decision { request: Request::new(line, *room), by: *by, decided, reason };
                let decision = self.decisions.entry(*decision).or_insert_with(new);
                decision.request.send(*attempt, line, node, Surface::V1);
            }
            Observation::Confirmed { decision, attempt, id, position } => {
                let Some(Decision { request, .. }) = self.decisions.get_mut(decision) else { return };
                request.oks.push((line, *id, *position));
                request.answer(*attempt, line, Answer::Accepted { status: 202, connected: None });
            }
            Observation::Refused { decision, attempt, status, code } => {
                let Some(Decision { request, .. }) = self.decisions.get_mut(decision) else { return };
                request.answer(*attempt, line, Answer::Refused { status: *status, code });
            }
            Observation::Undecided { decision, attempt, .. } => {
                let Some(Decision { request, .. }) = self.decisions.get_mut(decision) else { return };
                request.answer(*attempt, line, Answer::Unknown);
            }
            Observation::Erases { erasure, user, anonymises } => {
                let (user, anonymises) = (*user, *anonymises);
                let erasure_ = Erasure { user, anonymises, asked: line, accepted: None, done: None };
                self.erasures.insert(*erasure, erasure_);
            }
            Observation::Erased { erasure, status } => {
                if let Some(erasure) = self.erasures.get_mut(erasure) {
                    erasure.accepted = Some(line);
                    erasure.done = (*status == DONE).then_some(line);
                }
            }
            Observation::Breaks { fault, kind, parts } => {
                self.faults.insert(*fault, Fault { begins: line, heals: None, kind, parts });
            }
            Observation::Heals { fault } => {
                if let Some(fault) = self.faults.get_mut(fault) {
                    fault.heals = Some(line);
                }
            }
            _ => {}
        }
    }

    pub(super) fn log(&mut self, line: usize, what: &'a Observation) {
        match what {
            Observation::Logged {
                room,
                id,
                position,
                kind,
                user,
                text,
                target,
                reason,
                purge_seconds,
                swept,
                sent,
                stored,
            } => {
                if NOT_SHOWN.contains(&kind.as_str()) {
                    return;
                }
                let (id, position, user, is_message) = (*id, *position, *user, is_message(kind));
                self.copies.insert(position, Copied { line, id, stored: *stored });
                let audited = if kind == MESSAGE && reason.is_some() { RELEASED } else { kind.as_str() };
                if is_audited(audited) {
                    let (source, position, reason) = (Source::Log, Some(position), reason.as_deref());
                    let (room, target, purge_seconds, kind) = (*room, *target, *purge_seconds, audited);
                    let swept = swept.as_ref();
                    self.rulings.push(Ruling {
                        source,
                        line,
                        room,
                        id,
                        position,
                        kind,
                        user,
                        target,
                        reason,
                        purge_seconds,
                        swept,
                    });
                }
                let mut text = text.as_deref();
                if kind == HELD {
                    self.hold(line, (id, position), (*room, *target), user, text);
                    // It shows no message.
                    text = None;
                }
                let (sent, target) = (Some(*sent), *target);
                let place =
                    Place { text, user, is_message, kind, target, sent, ..Place::shown(line, id, position, "") };
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
            Observation::Stream(StreamState { epochs, first, last, acknowledged, holes }) => {
                let (first, last, acknowledged) = (*first, *last, *acknowledged);
                self.streams.push(Stream { line, epochs, first, last, acknowledged, holes });
            }
            _ => {}
        }
    }

    pub(super) fn readings(&mut self, line: usize, what: &'a Observation) {
        match what {
            Observation::Archived { room, id, position, user, text, deleted } => {
                let (user, deleted) = (Some(*user), *deleted);
                let place = Place { user, deleted, ..Place::shown(line, *id, *position, text) };
                self.rooms.entry(*room).or_default().archive.push(place);
            }
            Observation::Audited { room, id, position, kind, user, target, reason } => {
                let (source, position, reason) = (Source::Archive, Some(*position), reason.as_deref());
                let (room, id, user, target) = (*room, *id, *user, *target);
                let (purge_seconds, swept) = (None, None);
                self.rulings.push(Ruling {
                    source,
                    line,
                    room,
                    id,
                    position,
                    kind,
                    user,
                    target,
                    reason,
                    purge_seconds,
                    swept,
                });
            }
            Observation::Listed { room, id, kind, user, target, reason } => {
                let (source, position, reason) = (Source::List, None, reason.as_deref());
                let (room, id, user, target) = (*room, *id, *user, *target);
                let (purge_seconds, swept) = (None, None);
                self.rulings.push(Ruling {
                    source,
                    line,
                    room,
                    id,
                    position,
                    kind,
                    user,
                    target,
                    reason,
                    purge_seconds,
                    swept,
                });
            }
            Observation::Replayed { room, id, position, text, sent } => {
                let place = Place { sent: Some(*sent), ..Place::shown(line, *id, *position, text) };
                self.rooms.entry(*room).or_default().replay.push(place);
            }
            Observation::Broadcast { room, broadcast, started, ended, duration_ms, messages } => {
                let (started, ended, duration_ms, messages) = (*started, *ended, *duration_ms, *messages);
                let found = Broadcast { line, started, ended, duration_ms, messages, replay: Vec::new() };
                self.rooms.entry(*room).or_default().broadcasts.insert(broadcast, found);
            }
            Observation::ReplayedBesideVideo { room, broadcast, offset_ms, id, position, text } => {
                let place = Place { offset: Some(*offset_ms), ..Place::shown(line, *id, *position, text) };
                let room = self.rooms.entry(*room).or_default();
                if let Some(broadcast) = room.broadcasts.get_mut(broadcast.as_str()) {
                    broadcast.replay.push(place);
                }
            }
            Observation::ReplayBegins { replay, room, broadcast } => {
                let followed = Followed { line, room: *room, broadcast, shown: Vec::new() };
                self.followed.insert(*replay, followed);
            }
            Observation::ReplayShows { replay, id, position, text } => {
                if let Some(followed) = self.followed.get_mut(replay) {
                    followed.shown.push(Place::shown(line, *id, *position, text));
                }
            }
            Observation::Reviewed { text, verdict } => drop(self.reviews.insert(text, (line, verdict))),
            Observation::Lost(LostEvent { room, id, position, .. }) => {
                self.lost.insert(*id, (line, *position));
                self.losses.push(Lost { line, room: *room, id: *id });
            }
            Observation::Memory { part, kib } => self.memory.entry(part).or_default().push((line, *kib)),
            Observation::Read { reading } => drop(self.readings.insert(*reading)),
            Observation::Begins(Beginning { began, window_ms, append_deadline_ms, lease_ms, .. }) => {
                self.began = *began;
                self.window = window_ms * 1_000;
                self.append_deadline = append_deadline_ms * 1_000;
                self.lease = lease_ms * 1_000;
            }
            Observation::Phase { phase } => self.phases.push((*phase, line)),
            _ => {}
        }
    }
}
