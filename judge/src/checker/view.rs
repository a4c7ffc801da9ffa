//! A history, indexed for the invariants. Everything refers to lines by their number.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chat::{EventId, Position};
use jiff::Timestamp;

use crate::history::{Line, Phase, Reading, ReviewVerdict};

mod changes;
mod erasures;
mod faults;
mod fill;
mod messages;
mod people;
mod places;
mod readers;
mod requests;

pub(crate) use changes::Change;
pub(crate) use erasures::Erasure;
pub(crate) use faults::{Fault, SETTLE_US};
pub(crate) use messages::{Hold, Messages, Pinned, Preview, Previewed, Queued};
pub(crate) use people::{Erased, ErasuresInLog, NoteList, Told, WarningList};
pub(crate) use places::{
    Broadcast, Copied, Followed, Lost, MESSAGE, NOTICE, Part, Place, Room, Ruling, Session, Source, Start, Stream,
    is_decision,
};
pub(crate) use readers::{ReaderSession, Ticket};
pub(crate) use requests::{Answer, Attempt, Decision, Outcome, Post, Request};

/// The indexed history.
#[derive(Debug)]
pub struct View<'a> {
    pub(crate) lines: &'a [Line],
    /// The start of the run.
    began: Timestamp,
    /// How long delivery nodes keep events, in microseconds.
    pub(crate) window: u64,
    /// The deadline of an append, in microseconds.
    pub(crate) append_deadline: u64,
    /// The lease of a delivery node, in microseconds.
    pub(crate) lease: u64,
    pub(crate) posts: BTreeMap<u64, Post<'a>>,
    /// The statuses of the original's surface for accepted posts.
    pub(crate) originals: Vec<u16>,
    /// The post of each text. Texts are unique.
    pub(crate) texts: HashMap<&'a str, u64>,
    pub(crate) rooms: BTreeMap<i64, Room<'a>>,
    /// The first copy of each event of a room in the log, with its room.
    pub(crate) logged: HashMap<EventId, (i64, Place<'a>)>,
    /// The first copy of each event of every room in each epoch. Every partition has a copy of its own.
    pub(crate) everywhere: HashMap<(EventId, u64), Place<'a>>,
    /// Every line of the log with its copies, except connects and disconnects.
    pub(crate) copies: HashMap<Position, Copied>,
    pub(crate) streams: Vec<Stream<'a>>,
    /// Events that a fault removed from the log's disks: the line that records it, and the position.
    pub(crate) lost: HashMap<EventId, (usize, Position)>,
    pub(crate) followed: BTreeMap<u64, Followed<'a>>,
    /// In order of their start.
    pub(crate) sessions: Vec<Session<'a>>,
    /// The sessions of readers, in order of their start.
    pub(crate) readers: Vec<ReaderSession<'a>>,
    /// The tickets of readers.
    pub(crate) tickets: BTreeMap<u64, Ticket<'a>>,
    /// What is known of single messages beside their places.
    pub(crate) messages: Messages<'a>,
    /// What is known of warnings and notes.
    pub(crate) people: people::People<'a>,
    /// The decisions of the log that delete or restore a message, by message, in order.
    changes: HashMap<EventId, Vec<Change>>,
    /// Messages with a restoration that the log does not have, because a disk lost events.
    perhaps_restored: HashSet<EventId>,
    /// Attempts to begin a session in the original's dialect, by session.
    pub(crate) starts: BTreeMap<u32, Start<'a>>,
    pub(crate) decisions: BTreeMap<u64, Decision<'a>>,
    pub(crate) erasures: BTreeMap<u64, Erasure>,
    /// The review hook's verdict on a text, and its line.
    pub(crate) reviews: HashMap<&'a str, (usize, &'a ReviewVerdict)>,
    /// Messages that are in the log with a replaced text.
    pub(crate) replaced: HashSet<EventId>,
    /// Every loss, in order.
    pub(crate) losses: Vec<Lost>,
    /// Accepting answers whose events were lost later.
    pub(crate) told_and_lost: Vec<(usize, EventId, Position)>,
    /// The decision of each reason. Reasons are unique.
    pub(crate) reasons: HashMap<&'a str, u64>,
    /// Every sighting of a decision.
    pub(crate) rulings: Vec<Ruling<'a>>,
    pub(crate) faults: BTreeMap<u64, Fault<'a>>,
    /// The line and the KiB, by part.
    pub(crate) memory: BTreeMap<&'a str, Vec<(usize, u64)>>,
    pub(crate) readings: BTreeSet<Reading>,
    pub(crate) phases: Vec<(Phase, usize)>,
}

impl<'a> View<'a> {
    /// Indexes a history.
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
            readers: Vec::new(),
            tickets: BTreeMap::new(),
            messages: Messages::default(),
            people: people::People::default(),
            changes: HashMap::new(),
            perhaps_restored: HashSet::new(),
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
        let (mut sessions, mut readers) = (HashMap::new(), HashMap::new());
        for (line, entry) in lines.iter().enumerate() {
            view.posts(line, &entry.what);
            view.sessions(line, &entry.what, &mut sessions);
            view.readers(line, &entry.what, &mut readers);
            view.messages(line, &entry.what, &sessions, &readers);
            view.people(line, &entry.what);
            view.decisions(line, &entry.what);
            view.log(line, &entry.what);
            view.readings(line, &entry.what);
        }
        view.know_what_was_replaced();
        view.set_holds_aside();
        view.fill_rooms();
        view.lose_what_is_in_holes();
        view.excuse_what_was_lost();
        view.follow_deletions();
        view
    }

    /// Whether a fault removed the event from the log's disks. It may be in the log again, if a client sent it again.
    pub(crate) fn is_lost(&self, id: EventId) -> bool {
        self.lost.contains_key(&id)
    }

    /// Whether two positions are the same place in a log that lost its end. Events appended before the loss is noticed
    /// are reported under the old epoch, and are under the new one later.
    pub(crate) fn is_same_place(&self, one: Position, other: Position) -> bool {
        one == other || !self.lost.is_empty() && (one.sequence, one.index) == (other.sequence, other.index)
    }

    /// After how long an event may have left the windows, in microseconds: 90 % of the window, because a node that has
    /// just started counts from its start.
    pub(crate) fn left_the_window(&self) -> u64 {
        self.window / 10 * 9
    }

    /// The time of a line.
    pub(crate) fn at(&self, line: usize) -> u64 {
        self.lines[line].at
    }

    /// The time since the start of the run, in microseconds.
    pub(crate) fn since_the_beginning(&self, time: Timestamp) -> u64 {
        u64::try_from(time.as_microsecond() - self.began.as_microsecond()).unwrap_or(0)
    }

    /// Every request: posts and decisions.
    pub(crate) fn requests(&self) -> impl Iterator<Item = &Request<'a>> {
        let decisions = self.decisions.values().map(|decision| &decision.request);
        self.posts.values().map(|post| &post.request).chain(decisions)
    }

    /// Every accepted request, with the line of the first accepting answer, its id and position.
    pub(crate) fn accepted(&self) -> impl Iterator<Item = (&Request<'a>, usize, EventId, Position)> {
        self.requests().filter_map(|request| {
            let (line, id, position) = request.accepted()?;
            Some((request, line, id, position))
        })
    }

    /// Every accepted post, in the same way.
    pub(crate) fn accepted_posts(&self) -> impl Iterator<Item = (&Post<'a>, usize, EventId, Position)> {
        self.posts.values().filter_map(|post| {
            let (line, id, position) = post.request.accepted()?;
            Some((post, line, id, position))
        })
    }

    /// The request of each event in the log, found by the text of a message or the reason of a decision. That of a
    /// released message is the request for its release, and of several requests for one report the first.
    pub(crate) fn asked_for(&self) -> HashMap<EventId, &Request<'a>> {
        let texts = self.logged.values().map(|(_, place)| (place.id, place.text));
        let texts = texts.chain(self.messages.holds.values().map(|hold| (hold.id, hold.text)));
        let messages = texts.filter_map(|(id, text)| {
            let post = self.posts.get(self.texts.get(text?)?)?;
            Some((id, &post.request))
        });
        let decisions = self.rulings.iter().filter(|ruling| ruling.source == Source::Log).filter_map(|ruling| {
            let decision = self.decisions.get(self.reasons.get(ruling.reason?)?)?;
            Some((ruling.id, &decision.request))
        });
        let mut asked_for: HashMap<EventId, &Request> = HashMap::new();
        for (id, request) in decisions {
            let known = asked_for.entry(id).or_insert(request);
            if request.invoked < known.invoked {
                *known = request;
            }
        }
        for (id, request) in messages {
            asked_for.entry(id).or_insert(request);
        }
        asked_for
    }

    /// The event in the log, for readers of that epoch. An event of every room has a copy in each stream.
    pub(crate) fn place_of(&self, id: EventId, epoch: u64) -> Option<&Place<'a>> {
        let copy = || self.everywhere.get(&(id, epoch));
        // What was appended before a loss was noticed is under the new epoch.
        let under_another_epoch = || {
            let stream = self.streams.iter().find(|stream| stream.epochs.contains(&epoch))?;
            stream.epochs.iter().find_map(|other| self.everywhere.get(&(id, *other)))
        };
        self.logged.get(&id).map(|(_, place)| place).or_else(copy).or_else(under_another_epoch)
    }

    /// Whether it is an event of every room.
    pub(crate) fn is_of_every_room(&self, id: EventId) -> bool {
        let mut epochs = self.streams.iter().flat_map(|stream| stream.epochs);
        epochs.any(|epoch| self.everywhere.contains_key(&(id, *epoch)))
    }

    /// Whether the log has everything that was ever stored.
    pub(crate) fn has_the_whole_log(&self) -> bool {
        self.lost.is_empty() && self.streams.iter().all(|stream| stream.first <= 1)
    }

    /// Whether the position is before the beginning of its stream.
    pub(crate) fn has_left_the_log(&self, position: Position) -> bool {
        self.stream(position).is_some_and(|stream| position.sequence < stream.first)
    }

    /// The stream of a position.
    pub(crate) fn stream(&self, position: Position) -> Option<&Stream<'a>> {
        self.streams.iter().find(|stream| stream.epochs.contains(&position.epoch))
    }

    /// The sessions of presenters during the run.
    pub(crate) fn presenters(&self) -> impl Iterator<Item = &Session<'a>> {
        self.sessions.iter().filter(|session| !session.fresh)
    }
}
