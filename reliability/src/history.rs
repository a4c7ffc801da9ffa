//! What happened, as it was seen from outside, on one clock: a line for everything that was asked, answered, shown,
//! broken and read. It is a file of NDJSON, so that a run can be looked at with any tool and checked again later. A
//! history knows nothing of right and wrong; that is the checker's business.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chat::{EventId, Position};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Microseconds since the run began; lines stand in this order.
    pub at: u64,
    /// What it was.
    #[serde(flatten)]
    pub what: What,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// The run begins.
    Begins {
        /// By which it can be made again, as far as processes and networks allow.
        seed: u64,
        /// When that is, by the clock of the machine, which is also that of the log's servers.
        began: Timestamp,
        /// How long delivery nodes keep what they can give again, in milliseconds.
        window_ms: u64,
        /// After which an append is given up, in milliseconds.
        append_deadline_ms: u64,
        /// After which a delivery node that is not heard of counts as dead, in milliseconds.
        lease_ms: u64,
    },
    /// A setting of every role is not the default, because the seed chose it so.
    Constant {
        /// As the environment names it, such as `CHATTING_NATS__LEASE_SECONDS`.
        setting: String,
        /// Its value.
        value: String,
    },
    /// Another part of the run begins.
    Phase {
        /// Which.
        phase: Phase,
    },
    /// A message is sent. Attempts of the same post have the same key.
    Invoked {
        /// The post, unique within the run.
        post: u64,
        /// From 1.
        attempt: u32,
        /// The ingest node.
        node: String,
        /// The room.
        room: i64,
        /// Who writes.
        user: i64,
        /// Where it is sent to.
        surface: Surface,
        /// The idempotency key, if there is one.
        key: Option<String>,
        /// The text, unique within the run.
        text: String,
    },
    /// The attempt was answered with a 2xx.
    Ok {
        /// The post.
        post: u64,
        /// The attempt.
        attempt: u32,
        /// The message's id.
        id: EventId,
        /// Where it stands, as the answer has it.
        position: Position,
        /// Of HTTP. On the original's surface 202 asks a presenter to reconnect, and the message is stored all the same.
        status: u16,
        /// Whether the answer takes the room's presenter to be connected; none: it does not say.
        connected: Option<bool>,
    },
    /// The attempt was refused for certain: nothing is stored by it.
    Failed {
        /// The post.
        post: u64,
        /// The attempt.
        attempt: u32,
        /// Of HTTP; 0: the request was never sent.
        status: u16,
        /// The stable code of the refusal.
        code: String,
    },
    /// Nobody knows what became of the attempt.
    Unknown {
        /// The post.
        post: u64,
        /// The attempt.
        attempt: u32,
        /// What was heard instead of an answer.
        why: String,
    },
    /// A page of the original's dialect asks for a session. Nothing answers it, so that what comes of it may be seen
    /// only by what is lost with it.
    Starts {
        /// The session, unique within the run.
        session: u32,
        /// The room.
        room: i64,
        /// The delivery node.
        node: String,
    },
    /// A presenter's session begins; in the original's dialect, where nobody is welcomed: it is seen to have begun.
    Welcome {
        /// The session, unique within the run.
        session: u32,
        /// The room.
        room: i64,
        /// The delivery node.
        node: String,
        /// What is spoken.
        dialect: Dialect,
        /// The position that the presenter came with.
        asked: Option<Position>,
        /// After which events follow; none: the room has none.
        position: Option<Position>,
        /// Whether everything after `asked` (or the saved cursor) follows. If not, a gap is declared.
        recovered: bool,
        /// Whether it is the presenter who comes when all is over, and has seen nothing.
        fresh: bool,
    },
    /// An event arrives on a presenter's socket.
    Frame {
        /// The session.
        session: u32,
        /// The event.
        id: EventId,
        /// Where it stands.
        position: Position,
        /// Its type.
        kind: String,
        /// What is shown, of a message that is not deleted.
        text: Option<String>,
        /// The reason, of a decision.
        reason: Option<String>,
    },
    /// A sign of life arrives on a presenter's socket.
    Keepalive {
        /// The session.
        session: u32,
        /// Up to which nothing is missing.
        position: Option<Position>,
    },
    /// Something arrives on a presenter's socket that has no place there: in the original's dialect whatever it does not
    /// have, in `chat.v1` a complaint, to which presenters here give no cause.
    Strange {
        /// The session.
        session: u32,
        /// The frame.
        text: String,
    },
    /// A presenter's session is over, or what asked for one.
    Ended {
        /// The session.
        session: u32,
        /// The close code, if there was one.
        code: Option<u16>,
    },
    /// A moderator decides. Attempts of the same decision have the same key.
    Decides {
        /// The decision, unique within the run.
        decision: u64,
        /// From 1.
        attempt: u32,
        /// The ingest node.
        node: String,
        /// The room; none: every room.
        room: Option<i64>,
        /// What is decided.
        decided: Decided,
        /// Why, unique within the run.
        reason: String,
    },
    /// The attempt was answered with a 2xx.
    Confirmed {
        /// The decision.
        decision: u64,
        /// The attempt.
        attempt: u32,
        /// The event's id.
        id: EventId,
        /// Where it stands.
        position: Position,
    },
    /// The attempt was refused for certain: nothing is decided by it.
    Refused {
        /// The decision.
        decision: u64,
        /// The attempt.
        attempt: u32,
        /// Of HTTP; 0: the request was never sent.
        status: u16,
        /// The stable code of the refusal.
        code: String,
    },
    /// Nobody knows what became of the attempt.
    Undecided {
        /// The decision.
        decision: u64,
        /// The attempt.
        attempt: u32,
        /// What was heard instead of an answer.
        why: String,
    },
    /// Something is broken, on purpose.
    Breaks {
        /// The fault, unique within the run.
        fault: u64,
        /// What kind of fault, such as `kill nats`.
        kind: String,
        /// The parts that it touches, such as `ingest-0`.
        parts: Vec<String>,
    },
    /// ... and whole again: what was killed is ready, what was held up is released.
    Heals {
        /// The fault.
        fault: u64,
    },
    /// How much memory a process has, now.
    Memory {
        /// The part, such as `ingest-0`.
        part: String,
        /// Resident, in KiB.
        kib: u64,
    },
    /// A fault took an event off the disks of the log: the stream had it before, and has it no more. Nobody can bring it
    /// back, so it is excused, and it alone. It comes between the fault's `breaks` and `heals`.
    Lost {
        /// The fault.
        fault: u64,
        /// The room; none: every room.
        room: Option<i64>,
        /// The event.
        id: EventId,
        /// Where it stood. No other event may ever stand there.
        position: Position,
    },
    /// The review hook was asked about a message, and answered, or did not.
    Reviewed {
        /// The text that it was asked about.
        text: String,
        /// What it said.
        verdict: ReviewVerdict,
    },
    /// All that a user wrote until now is to be erased.
    Erases {
        /// The erasure, unique within the run.
        erasure: u64,
        /// Whose messages.
        user: i64,
        /// They stay, under a number that leads to nobody; else they go.
        anonymises: bool,
    },
    /// The erasure was accepted: it is done, or goes on by itself.
    Erased {
        /// The erasure.
        erasure: u64,
        /// Of HTTP: 200, or 202.
        status: u16,
    },
    /// Nobody knows whether the erasure was accepted.
    NotErased {
        /// The erasure.
        erasure: u64,
        /// What was heard instead of an answer.
        why: String,
    },
    /// A broadcast that runs is replayed while chat plays, from its beginning, and followed.
    ReplayBegins {
        /// The reading, unique within the run.
        replay: u64,
        /// The room.
        room: i64,
        /// The broadcast.
        broadcast: String,
    },
    /// A message of that replay.
    ReplayShows {
        /// The reading.
        replay: u64,
        /// The message.
        id: EventId,
        /// Where it stands.
        position: Position,
        /// The text.
        text: String,
    },
    /// An event, read from the log when all was over; copies too.
    Logged {
        /// The room; none: every room.
        room: Option<i64>,
        /// The event.
        id: EventId,
        /// Where it stands.
        position: Position,
        /// Its type.
        kind: String,
        /// Who wrote it, of a message; whom it is about, of a ban and its end.
        user: Option<i64>,
        /// The text, of a message.
        text: Option<String>,
        /// The message that a deletion is about.
        target: Option<EventId>,
        /// The reason, of a decision.
        reason: Option<String>,
        /// When it was stored, by the clock of the log's servers.
        stored: Timestamp,
    },
    /// A stream of the log, as its servers describe it when all was over.
    Stream {
        /// The epochs of its positions: after a loss another one begins.
        epochs: Vec<u64>,
        /// The first sequence that is still there, or will be.
        first: u64,
        /// The last sequence that was given out.
        last: u64,
        /// Up to here the archive's consumer has acknowledged everything; none: there is no such consumer.
        acknowledged: Option<u64>,
    },
    /// A message, read from the archive when all was over.
    Archived {
        /// The room.
        room: i64,
        /// The message.
        id: EventId,
        /// Where it stands.
        position: Position,
        /// Who wrote it.
        user: i64,
        /// The text.
        text: String,
        /// The decision that took it away, if any.
        deleted: Option<EventId>,
    },
    /// A decision, read from the archive when all was over.
    Audited {
        /// The room; none: every room.
        room: Option<i64>,
        /// The decision.
        id: EventId,
        /// Where it stands.
        position: Position,
        /// Its type.
        kind: String,
        /// Whom it is about, of a ban and its end.
        user: Option<i64>,
        /// The message that a deletion is about.
        target: Option<EventId>,
        /// The reason.
        reason: Option<String>,
    },
    /// A decision, as an archiver lists it for moderators when all was over.
    Listed {
        /// The room; none: every room.
        room: Option<i64>,
        /// The decision.
        id: EventId,
        /// Its type.
        kind: String,
        /// Whom it is about, of a ban and its end.
        user: Option<i64>,
        /// The message that a deletion is about.
        target: Option<EventId>,
        /// The reason.
        reason: Option<String>,
    },
    /// A message, as the archiver replays the room to viewers when all was over.
    Replayed {
        /// The room.
        room: i64,
        /// The message.
        id: EventId,
        /// Where it stands.
        position: Position,
        /// The text.
        text: String,
        /// When it was sent, as the archive has it.
        sent: Timestamp,
    },
    /// A broadcast of the room, as the archiver lists it when all was over.
    Broadcast {
        /// The room.
        room: i64,
        /// The broadcast.
        broadcast: String,
        /// When it began.
        started: Timestamp,
        /// When it ended; none: the archiver does not know.
        ended: Option<Timestamp>,
        /// How long its recording is, in milliseconds, if it has ended.
        duration_ms: Option<i64>,
        /// How many messages the archiver counts in it.
        messages: u64,
    },
    /// A message, as the archiver replays it beside the broadcast's video.
    ReplayedBesideVideo {
        /// The room.
        room: i64,
        /// The broadcast.
        broadcast: String,
        /// How far into the recording, in milliseconds.
        offset_ms: i64,
        /// The message.
        id: EventId,
        /// Where it stands.
        position: Position,
        /// The text.
        text: String,
    },
    /// Something was read to its end.
    Read {
        /// What.
        reading: Reading,
    },
}

/// Where a message is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Surface {
    /// `/v1`, with a token.
    V1,
    /// `/send/message`, with what a gateway forwards.
    Original,
}

/// What presenters speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// `chat.v1`.
    V1,
    /// That of `/chatting`.
    Original,
}

/// The parts of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Chat plays, things break.
    Load,
    /// Everything is whole again, and nothing is posted any more but what shows that a presenter is told of it.
    Healed,
    /// Everything accepted was seen in its places.
    Drained,
    /// That did not happen in time.
    NotDrained,
}

/// What a moderator decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decided", rename_all = "snake_case")]
pub enum Decided {
    /// To delete a message.
    Delete {
        /// Which.
        target: EventId,
    },
    /// To delete everything that stands before.
    Clear,
    /// That a user may not write in the room any more.
    Ban {
        /// Who.
        user: i64,
    },
    /// That a user may write again.
    Unban {
        /// Who.
        user: i64,
    },
    /// How the room is.
    Configure {
        /// The setting, such as `presenterOnly`.
        setting: String,
        /// Its value, as JSON; `null`: the default again.
        value: String,
    },
}

/// What a review hook says of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum ReviewVerdict {
    /// It may stand.
    Allow,
    /// It may not.
    Deny,
    /// Another text stands in its place.
    Replace {
        /// Which, unique within the run.
        with: String,
    },
    /// Nothing that is understood.
    NoAnswer,
}

impl Decided {
    /// The type of the event that says so.
    pub fn kind(&self) -> &'static str {
        match self {
            Decided::Delete { .. } => "message.deleted",
            Decided::Clear => "room.cleared",
            Decided::Ban { .. } => "user.banned",
            Decided::Unban { .. } => "user.unbanned",
            Decided::Configure { .. } => "room.updated",
        }
    }

    /// Whom it is about.
    pub fn user(&self) -> Option<i64> {
        match self {
            Decided::Ban { user } | Decided::Unban { user } => Some(*user),
            Decided::Delete { .. } | Decided::Clear | Decided::Configure { .. } => None,
        }
    }

    /// Which message it is about.
    pub fn target(&self) -> Option<EventId> {
        match self {
            Decided::Delete { target } => Some(*target),
            Decided::Clear | Decided::Ban { .. } | Decided::Unban { .. } | Decided::Configure { .. } => None,
        }
    }
}

/// What is read when all is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// The whole log.
    Log,
    /// What the log's servers say of its streams.
    Streams,
    /// The whole archive.
    Archive,
    /// Every decision, in the archive and as moderators have it listed.
    Audit,
    /// Every room, as its viewers would have it replayed.
    Replay,
    /// Every broadcast, beside its video.
    Video,
    /// Every room, on the socket of a presenter who has seen nothing.
    Fresh,
}

/// Writes a history while it happens.
#[derive(Debug)]
pub struct Recorder {
    began: Instant,
    file: Mutex<BufWriter<File>>,
}

impl Recorder {
    /// A new file; the clock begins now.
    pub fn create(file: &Path) -> anyhow::Result<Recorder> {
        let created = File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(Recorder { began: Instant::now(), file: Mutex::new(BufWriter::new(created)) })
    }

    /// When the run began, by the clock of the machine.
    pub fn began(&self) -> Timestamp {
        Timestamp::now() - self.elapsed()
    }

    /// How long ago the run began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Notes what happens now.
    pub fn note(&self, what: What) {
        let mut file = self.file.lock();
        // Under the lock, so that the lines stand in the order of their times.
        let at = u64::try_from(self.began.elapsed().as_micros()).expect("a run takes less than 584,000 years");
        let line = serde_json::to_string(&Line { at, what }).expect("a line has no map with other keys than text");
        // A history with a hole would be judged as if something had been lost: better none.
        writeln!(file, "{line}").expect("the history can be written");
    }

    /// Makes what was noted readable.
    pub fn flush(&self) -> anyhow::Result<()> {
        self.file.lock().flush().context("cannot write the history")
    }
}

/// Reads a history.
pub fn read(file: &Path) -> anyhow::Result<Vec<Line>> {
    let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = BufReader::new(opened).lines().enumerate();
    lines
        .map(|(number, line)| {
            serde_json::from_str(&line?).with_context(|| format!("{}, line {}", file.display(), number + 1))
        })
        .collect()
}
