//! What is known of single messages beside their places: holds, attributes, reports, pins and traces.

use std::collections::{BTreeMap, HashMap, HashSet};

use chat::{EventId, Position};
use jiff::Timestamp;

use super::{Answer, Part, Place, Session, Source, View};
use crate::history::{MessageObservation, Observation, SeenAt, Swept};

/// A hold in the log: its first copy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hold<'a> {
    pub(crate) line: usize,
    /// The event of the hold.
    pub(crate) id: EventId,
    pub(crate) room: i64,
    pub(crate) position: Position,
    pub(crate) user: Option<i64>,
    pub(crate) text: Option<&'a str>,
    /// When it ends, by the clock of the log's servers.
    pub(crate) until: Timestamp,
}

/// The pinned message of a room, as a node told it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pinned<'a> {
    pub(crate) line: usize,
    pub(crate) room: i64,
    pub(crate) node: &'a str,
    pub(crate) pinned: Option<EventId>,
}

/// A trace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traced<'a> {
    pub(crate) line: usize,
    pub(crate) room: i64,
    pub(crate) id: EventId,
    pub(crate) position: Position,
    pub(crate) presenter: &'a str,
    pub(crate) archived: bool,
    pub(crate) deleted: Option<EventId>,
    pub(crate) found: Option<bool>,
}

/// A message in the queue of reports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Queued<'a> {
    pub(crate) line: usize,
    pub(crate) room: i64,
    pub(crate) id: EventId,
    pub(crate) count: usize,
    pub(crate) reports: &'a [EventId],
    pub(crate) closed: Option<EventId>,
}

/// A dry run of a sweep.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Preview<'a> {
    /// The line of the request.
    pub(crate) asked: usize,
    pub(crate) room: i64,
    pub(crate) swept: &'a Swept,
    /// None: the request has failed.
    pub(crate) answered: Option<Previewed<'a>>,
}

/// Its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Previewed<'a> {
    pub(crate) line: usize,
    pub(crate) messages: usize,
    pub(crate) complete: bool,
    pub(crate) latest: &'a [EventId],
}

/// What is known of single messages.
#[derive(Debug, Default)]
pub(crate) struct Messages<'a> {
    /// The holds of the log, by message.
    pub(crate) holds: HashMap<EventId, Hold<'a>>,
    /// The end of each hold, by its event.
    pub(super) ends: HashMap<EventId, Timestamp>,
    /// The lines of answers that say that the message waits.
    waits: HashSet<usize>,
    /// The `replyTo` and the attributes of posts, each with its line.
    pub(crate) attaches: BTreeMap<u64, (usize, &'a str)>,
    /// Those that were seen with messages, each with its line.
    pub(crate) attached: HashMap<(SeenAt, EventId), (usize, &'a str)>,
    /// The lines that show messages as notices in replays, by message.
    pub(crate) notices: HashMap<EventId, usize>,
    /// The pins of welcomes.
    pub(crate) pinned: Vec<Pinned<'a>>,
    /// The pins at the end of the run.
    pub(crate) pins_read: Vec<Pinned<'a>>,
    /// The acknowledgements of each room's presenter, each with its line.
    pub(crate) acknowledged: HashMap<i64, Vec<(usize, Position)>>,
    pub(crate) traces: Vec<Traced<'a>>,
    pub(crate) queue: Vec<Queued<'a>>,
    /// The flags of the log's messages.
    pub(crate) flags: HashMap<EventId, &'a [String]>,
    /// The dry runs of sweeps.
    pub(crate) previews: BTreeMap<u64, Preview<'a>>,
}

impl<'a> View<'a> {
    /// `sessions` and `readers`: the place of each session by its number.
    pub(super) fn messages(
        &mut self,
        line: usize,
        what: &'a Observation,
        sessions: &HashMap<u32, usize>,
        readers: &HashMap<u32, usize>,
    ) {
        let Observation::Message(what) = what else { return };
        match what {
            MessageObservation::Waits { post, attempt } => {
                let attempt = self.posts.get(post).and_then(|post| post.request.attempts.get(attempt));
                if let Some((answered, Answer::Accepted { .. })) = attempt.and_then(|attempt| attempt.answered) {
                    self.messages.waits.insert(answered);
                }
            }
            MessageObservation::HoldEnds { hold, until } => drop(self.messages.ends.insert(*hold, *until)),
            MessageObservation::Attaches { post, extras } => {
                self.messages.attaches.entry(*post).or_insert((line, extras));
            }
            MessageObservation::Attached { seen, id, extras } => {
                self.messages.attached.insert((*seen, *id), (line, extras));
            }
            MessageObservation::Flagged { id, flags } => drop(self.messages.flags.insert(*id, flags)),
            MessageObservation::Previews { preview, room, swept, .. } => {
                let asked = Preview { asked: line, room: *room, swept, answered: None };
                self.messages.previews.insert(*preview, asked);
            }
            MessageObservation::Previewed { preview, messages, complete, latest } => {
                let (messages, complete) = (*messages, *complete);
                if let Some(asked) = self.messages.previews.get_mut(preview) {
                    asked.answered = Some(Previewed { line, messages, complete, latest });
                }
            }
            MessageObservation::Notice { id } => drop(self.messages.notices.insert(*id, line)),
            MessageObservation::Pinned { seen, pinned } => {
                if let Some(session) = self.session(*seen, sessions, readers) {
                    let (room, node, pinned) = (session.room, session.node, *pinned);
                    self.messages.pinned.push(Pinned { line, room, node, pinned });
                }
            }
            MessageObservation::PinRead { room, node, pinned } => {
                self.messages.pins_read.push(Pinned { line, room: *room, node, pinned: *pinned });
            }
            MessageObservation::Part { seen, id, position, kind, sweep, target, text, members } => {
                if let Some(session) = self.session(*seen, sessions, readers) {
                    let (text, is_message, target) = (text.as_deref(), false, Some(*target));
                    let place = Place { text, is_message, kind, target, ..Place::shown(line, *id, *position, "") };
                    session.parts.push(Part { sweep: *sweep, place, members });
                }
            }
            MessageObservation::Acknowledges { session, position } => {
                if let Some(place) = sessions.get(session) {
                    let of_room = self.messages.acknowledged.entry(self.sessions[*place].room).or_default();
                    of_room.push((line, *position));
                }
            }
            MessageObservation::Traced { room, id, position, presenter, archived, deleted, found } => {
                let (room, id, position, archived) = (*room, *id, *position, *archived);
                let (deleted, found) = (*deleted, *found);
                self.messages.traces.push(Traced { line, room, id, position, presenter, archived, deleted, found });
            }
            MessageObservation::Queued { room, id, count, reports, closed } => {
                let (room, id, count, closed) = (*room, *id, *count, *closed);
                self.messages.queue.push(Queued { line, room, id, count, reports, closed });
            }
        }
    }

    fn session(
        &mut self,
        seen: SeenAt,
        sessions: &HashMap<u32, usize>,
        readers: &HashMap<u32, usize>,
    ) -> Option<&mut Session<'a>> {
        match seen {
            SeenAt::Presenter(session) => sessions.get(&session).map(|place| &mut self.sessions[*place]),
            SeenAt::Reader(session) => readers.get(&session).map(|place| &mut self.readers[*place].session),
            SeenAt::Log | SeenAt::Replay => None,
        }
    }

    /// A copy of a hold in the log.
    pub(super) fn hold(
        &mut self,
        line: usize,
        (id, position): (EventId, Position),
        (room, message): (Option<i64>, Option<EventId>),
        user: Option<i64>,
        text: Option<&'a str>,
    ) {
        let (Some(room), Some(message)) = (room, message) else { return };
        let until = self.messages.ends.get(&id).copied().unwrap_or_default();
        let hold = Hold { line, id, room, position, user, text, until };
        let first = self.messages.holds.entry(message).or_insert(hold);
        if first.position > position {
            *first = hold;
        }
    }

    /// Sets answers aside that promise no place in the room yet: the message waits for a moderator.
    pub(super) fn set_holds_aside(&mut self) {
        let (has_losses, lost) = (!self.lost.is_empty(), &self.lost);
        let Messages { holds, waits, .. } = &self.messages;
        let is_held = |line: usize, id: EventId, position: Position| {
            let is_there = |hold: &Hold| {
                let same = (hold.position.sequence, hold.position.index) == (position.sequence, position.index);
                hold.position == position || has_losses && same
            };
            waits.contains(&line) || holds.get(&id).is_some_and(is_there) || lost.contains_key(&EventId::of_hold(id))
        };
        for post in self.posts.values_mut() {
            post.request.set_aside(is_held);
        }
    }

    /// The holds of a room that ended before their time: a reader that comes later does not see them.
    pub(crate) fn ended_holds(&self, number: i64) -> HashSet<EventId> {
        let Some(room) = self.rooms.get(&number) else { return HashSet::new() };
        let purging = self.rulings.iter().filter(|it| it.source == Source::Log && it.purge_seconds.is_some());
        let purges: HashSet<EventId> = purging.map(|ruling| ruling.id).collect();
        let ends = |hold: &Hold, message: EventId| {
            let mut later = room.log.iter().filter(|event| event.position > hold.position);
            let is_ended = later.any(|event| match event.kind {
                "room.cleared" => true,
                "message.deleted" => event.target == Some(message),
                "user.banned" => event.user == hold.user && purges.contains(&event.id),
                _ => false,
            });
            // A node may know a decision that a disk lost.
            let may_be_decided = self.logged.contains_key(&message) || !self.lost.is_empty();
            is_ended || may_be_decided || self.erasures.values().any(|erasure| Some(erasure.user) == hold.user)
        };
        let of_room = self.messages.holds.iter().filter(|(_, hold)| hold.room == number);
        of_room.filter(|(message, hold)| ends(hold, **message)).map(|(_, hold)| hold.id).collect()
    }

    /// Whether a hold of the message came before every other event with the message's id.
    pub(crate) fn is_held_first(&self, message: EventId) -> bool {
        self.messages.holds.get(&message).is_some_and(|hold| {
            let decided = self.logged.get(&message).map(|(_, place)| place.position);
            decided.is_none_or(|decided| hold.position < decided)
        })
    }
}
