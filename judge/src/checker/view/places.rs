//! Sightings of events: in the log, in the archive, in replays and on sockets.

use std::collections::BTreeMap;

use chat::{EventId, Position};
use jiff::Timestamp;

use crate::history::{Dialect, Swept};

/// The type of a message.
pub(crate) const MESSAGE: &str = "message.posted";

/// The type of a notice, which is a message of a moderator.
pub(crate) const NOTICE: &str = "notice.posted";

/// The type of a hold.
pub(super) const HELD: &str = "message.held";

/// The type of a release: in the log it is a message with a reason.
pub(super) const RELEASED: &str = "message.released";

/// Whether it is the type of a message or of a notice.
pub(super) fn is_message(kind: &str) -> bool {
    [MESSAGE, NOTICE].contains(&kind)
}

/// A sighting of an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) line: usize,
    pub(crate) id: EventId,
    pub(crate) position: Position,
    pub(crate) text: Option<&'a str>,
    /// The author, if known.
    pub(crate) user: Option<i64>,
    pub(crate) is_message: bool,
    /// The type of the event.
    pub(crate) kind: &'a str,
    /// On a socket and in the log: the message that a decision or a report is about.
    pub(crate) target: Option<EventId>,
    /// In the archive: the decision that deleted it.
    pub(crate) deleted: Option<EventId>,
    /// In the log and in the replay: when it was sent.
    pub(crate) sent: Option<Timestamp>,
    /// Beside the video: the offset in the recording, in milliseconds.
    pub(crate) offset: Option<i64>,
}

impl<'a> Place<'a> {
    /// A message with its text.
    pub(crate) fn shown(line: usize, id: EventId, position: Position, text: &'a str) -> Place<'a> {
        Place {
            line,
            id,
            position,
            text: Some(text),
            user: None,
            is_message: true,
            kind: MESSAGE,
            target: None,
            deleted: None,
            sent: None,
            offset: None,
        }
    }

    /// The message whose text it has: its own, or that of the message that it restores.
    pub(crate) fn shows(&self) -> Option<EventId> {
        self.text.and(if self.is_message { Some(self.id) } else { self.target })
    }
}

/// A line of the log: an event or a copy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Copied {
    pub(crate) line: usize,
    pub(crate) id: EventId,
    /// When it was stored.
    pub(crate) stored: Timestamp,
}

/// Where a decision was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    Log,
    Archive,
    /// The list for moderators.
    List,
    Socket,
}

impl Source {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Source::Log => "in the log",
            Source::Archive => "in the archive",
            Source::List => "in the list of decisions",
            Source::Socket => "on a presenter's socket",
        }
    }
}

/// A sighting of a decision.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ruling<'a> {
    pub(crate) source: Source,
    pub(crate) line: usize,
    /// None: every room.
    pub(crate) room: Option<i64>,
    pub(crate) id: EventId,
    pub(crate) position: Option<Position>,
    pub(crate) kind: &'a str,
    pub(crate) user: Option<i64>,
    pub(crate) target: Option<EventId>,
    pub(crate) reason: Option<&'a str>,
    /// In the log: how far back a ban deletes the user's messages.
    pub(crate) purge_seconds: Option<u32>,
    /// In the log: what a sweep deletes.
    pub(crate) swept: Option<&'a Swept>,
}

/// The types of decision events that only their own request can have caused.
const DECISIONS: [&str; 15] = [
    "message.deleted",
    "message.restored",
    "moderator.added",
    "moderator.removed",
    "note.added",
    "note.deleted",
    "report.closed",
    "room.cleared",
    "room.swept",
    "room.updated",
    "sweep.undone",
    "user.banned",
    "user.unbanned",
    "user.warned",
    "warning.withdrawn",
];

pub(crate) fn is_decision(kind: &str) -> bool {
    DECISIONS.contains(&kind)
}

/// The further types of events that the audit has. An earlier request may have caused them, or a filter, or an answer.
const AUDITED: [&str; 7] =
    [HELD, RELEASED, "message.denied", "message.reported", "message.pinned", "message.unpinned", "warning.sent"];

pub(super) fn is_audited(kind: &str) -> bool {
    is_decision(kind) || AUDITED.contains(&kind)
}

/// A stream, as the log's servers describe it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream<'a> {
    pub(crate) line: usize,
    pub(crate) epochs: &'a [u64],
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) acknowledged: Option<u64>,
    pub(crate) holes: &'a [(u64, u64)],
}

impl Stream<'_> {
    pub(crate) fn has_a_hole_at(&self, sequence: u64) -> bool {
        self.holes.iter().any(|(first, last)| (*first..=*last).contains(&sequence))
    }
}

/// What a sweep or its end did to a message, as a session received it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) sweep: EventId,
    /// The event, with the message as its target.
    pub(crate) place: Place<'a>,
    /// Its further members, as a reader received them.
    pub(crate) members: &'a [String],
}

/// A presenter's session, from its welcome to its end.
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
    pub(crate) parts: Vec<Part<'a>>,
    /// The line and the position of each keepalive.
    pub(crate) keepalives: Vec<(usize, Option<Position>)>,
    /// Unexpected frames of `chat.v1`.
    pub(crate) strange: Vec<(usize, &'a str)>,
    pub(crate) ended: Option<usize>,
    /// Whether the node closed it for a newer session.
    pub(crate) is_replaced: bool,
}

impl<'a> Session<'a> {
    /// Every event that it received, parts of sweeps too.
    pub(crate) fn received(&self) -> impl Iterator<Item = &Place<'a>> {
        self.frames.iter().chain(self.parts.iter().map(|part| &part.place))
    }

    /// The highest position that the session has reported.
    pub(crate) fn reached(&self) -> Option<Position> {
        let frames = self.frames.iter().map(|frame| frame.position);
        frames.chain(self.keepalives.iter().filter_map(|(_, position)| *position)).max()
    }
}

/// An attempt to begin a session in the original's dialect.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) line: usize,
    pub(crate) room: i64,
    pub(crate) node: &'a str,
    /// The index of its session, if there was any sign of it.
    pub(crate) session: Option<usize>,
    /// Whether the server closed it. If so, everything written to it has arrived.
    pub(crate) is_closed: bool,
    /// Frames that the dialect does not have.
    pub(crate) strange: Vec<(usize, &'a str)>,
}

/// A broadcast, as the archiver lists it.
#[derive(Debug)]
pub(crate) struct Broadcast<'a> {
    pub(crate) line: usize,
    pub(crate) started: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) duration_ms: Option<i64>,
    /// The archiver's count.
    pub(crate) messages: u64,
    /// The replay beside the video, in the order of reading.
    pub(crate) replay: Vec<Place<'a>>,
}

/// An event that a fault removed from the log's disks.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) line: usize,
    /// None: every room.
    pub(crate) room: Option<i64>,
    pub(crate) id: EventId,
}

/// A replay that was followed while the broadcast was in progress.
#[derive(Debug)]
pub(crate) struct Followed<'a> {
    pub(crate) line: usize,
    pub(crate) room: i64,
    pub(crate) broadcast: &'a str,
    pub(crate) shown: Vec<Place<'a>>,
}

/// A room, in all places.
#[derive(Debug, Default)]
pub(crate) struct Room<'a> {
    /// The first copy of every event that presenters receive, by position.
    pub(crate) log: Vec<Place<'a>>,
    /// In the order of reading.
    pub(crate) archive: Vec<Place<'a>>,
    /// In the order of reading.
    pub(crate) replay: Vec<Place<'a>>,
    pub(crate) broadcasts: BTreeMap<&'a str, Broadcast<'a>>,
}

impl<'a> Room<'a> {
    /// Every replayed message, with its place in words: as a file and beside videos.
    pub(crate) fn replays(&self) -> impl Iterator<Item = (&'static str, &Place<'a>)> {
        let file = self.replay.iter().map(|place| ("in the replay", place));
        let videos = self.broadcasts.values().flat_map(|broadcast| &broadcast.replay);
        file.chain(videos.map(|place| ("in the replay beside the video", place)))
    }
}
