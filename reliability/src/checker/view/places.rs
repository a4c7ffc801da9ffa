//! Where events are found: in the log, in the archive, in replays and on sockets.

use std::collections::BTreeMap;

use chat::{EventId, Position};
use jiff::Timestamp;

use crate::history::Dialect;

/// An event in the log, in an archive or on a socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) line: usize,
    pub(crate) id: EventId,
    pub(crate) position: Position,
    pub(crate) text: Option<&'a str>,
    /// Who wrote it, where that is said.
    pub(crate) user: Option<i64>,
    pub(crate) is_message: bool,
    /// In the archive: by which decision it is gone.
    pub(crate) deleted: Option<EventId>,
    /// In the replay: when it was sent.
    pub(crate) sent: Option<Timestamp>,
    /// Beside the video: how far into the recording, in milliseconds.
    pub(crate) offset: Option<i64>,
}

impl<'a> Place<'a> {
    /// A message that is shown.
    pub(crate) fn shown(line: usize, id: EventId, position: Position, text: &'a str) -> Place<'a> {
        let text = Some(text);
        Place { line, id, position, text, user: None, is_message: true, deleted: None, sent: None, offset: None }
    }
}

/// A line of the log, the first of its event or another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Copied {
    pub(crate) line: usize,
    pub(crate) id: EventId,
    /// When it was stored.
    pub(crate) stored: Timestamp,
}

/// Where a decision is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    Log,
    Archive,
    /// As archivers list it for moderators.
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

/// A decision, wherever it is found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ruling<'a> {
    pub(crate) source: Source,
    pub(crate) line: usize,
    /// None: every room, or on a socket.
    pub(crate) room: Option<i64>,
    pub(crate) id: EventId,
    pub(crate) position: Option<Position>,
    pub(crate) kind: &'a str,
    pub(crate) user: Option<i64>,
    pub(crate) target: Option<EventId>,
    pub(crate) reason: Option<&'a str>,
}

/// The types of the events that are decisions.
const DECISIONS: [&str; 5] = ["message.deleted", "room.cleared", "room.updated", "user.banned", "user.unbanned"];

pub(super) fn is_decision(kind: &str) -> bool {
    DECISIONS.contains(&kind)
}

/// What the log's servers say of a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream<'a> {
    pub(crate) line: usize,
    pub(crate) epochs: &'a [u64],
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) acknowledged: Option<u64>,
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
    /// Signs of life, with what they say of the session's place.
    pub(crate) keepalives: Vec<(usize, Option<Position>)>,
    /// What came on a socket of `chat.v1` that has no place there.
    pub(crate) strange: Vec<(usize, &'a str)>,
    pub(crate) ended: Option<usize>,
    /// Whether its node ended it because of a newer one.
    pub(crate) is_replaced: bool,
}

impl Session<'_> {
    /// How far it says to have come.
    pub(crate) fn reached(&self) -> Option<Position> {
        let frames = self.frames.iter().map(|frame| frame.position);
        frames.chain(self.keepalives.iter().filter_map(|(_, position)| *position)).max()
    }
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

/// What a fault took off the disks of the log.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) line: usize,
    /// None: every room.
    pub(crate) room: Option<i64>,
    pub(crate) id: EventId,
}

/// A broadcast, as somebody followed its replay while it ran.
#[derive(Debug)]
pub(crate) struct Followed<'a> {
    pub(crate) line: usize,
    pub(crate) room: i64,
    pub(crate) broadcast: &'a str,
    pub(crate) shown: Vec<Place<'a>>,
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
