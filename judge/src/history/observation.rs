//! The observations in a history.

use chat::{EventId, Position};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Beginning, Decided, Dialect, LostEvent, MessageObservation, PersonObservation, Phase, ReaderObservation, Reading,
    ReviewVerdict, Swept,
};

/// One observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Observation {
    /// The run begins.
    Begins(Beginning),
    /// The seed has chosen a value other than the default for a setting of every role.
    Constant {
        /// The environment variable, such as `CHATTING_NATS__LEASE_SECONDS`.
        setting: String,
        /// Its value.
        value: String,
    },
    /// The next phase of the run begins.
    Phase {
        /// The phase.
        phase: Phase,
    },
    /// An attempt to post a message is sent. Attempts of the same post have the same key.
    Invoked {
        /// The post, unique within the run.
        post: u64,
        /// The attempt, from 1.
        attempt: u32,
        /// The ingest node.
        node: String,
        /// The room.
        room: i64,
        /// The author.
        user: i64,
        /// The HTTP surface.
        surface: super::Surface,
        /// The idempotency key, if any.
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
        /// Its position, according to the answer.
        position: Position,
        /// The HTTP status. A 202 of the original's surface also asks the presenter to reconnect.
        status: u16,
        /// Whether the answer says that the room's presenter is connected. None: it says nothing about it.
        connected: Option<bool>,
    },
    /// The attempt was definitely refused: it stores nothing.
    Failed {
        /// The post.
        post: u64,
        /// The attempt.
        attempt: u32,
        /// The HTTP status. 0: the request was never sent.
        status: u16,
        /// The stable code of the refusal.
        code: String,
    },
    /// The outcome of the attempt is unknown.
    Unknown {
        /// The post.
        post: u64,
        /// The attempt.
        attempt: u32,
        /// The error in place of an answer.
        why: String,
    },
    /// A page of the original's dialect asks for a session. The server does not acknowledge it.
    Starts {
        /// The session, unique within the run.
        session: u32,
        /// The room.
        room: i64,
        /// The delivery node.
        node: String,
    },
    /// A presenter's session begins. The original's dialect has no welcome: the first sign of the session counts.
    Welcome {
        /// The session, unique within the run.
        session: u32,
        /// The room.
        room: i64,
        /// The delivery node.
        node: String,
        /// The dialect.
        dialect: Dialect,
        /// The position that the presenter sent.
        asked: Option<Position>,
        /// The position after which events follow. None: the room has no events.
        position: Option<Position>,
        /// Whether every event after `asked`, or after the saved cursor, follows. If not, a gap is reported.
        recovered: bool,
        /// Whether this is the presenter without a position who reads the room at the end of the run.
        fresh: bool,
    },
    /// A presenter receives an event.
    Frame {
        /// The session.
        session: u32,
        /// The event.
        id: EventId,
        /// Its position.
        position: Position,
        /// Its type.
        kind: String,
        /// The text of a message that is not deleted, or of the message that a restoration brings back.
        text: Option<String>,
        /// The message that a deletion or a restoration is about.
        #[serde(default)]
        target: Option<EventId>,
        /// The reason of a decision.
        reason: Option<String>,
    },
    /// A presenter receives a keepalive.
    Keepalive {
        /// The session.
        session: u32,
        /// The position up to which no event is missing.
        position: Option<Position>,
    },
    /// A presenter receives a frame that the original's dialect does not have, or a `chat.v1` error.
    Strange {
        /// The session.
        session: u32,
        /// The frame.
        text: String,
    },
    /// A presenter's session, or the attempt to begin one, has ended.
    Ended {
        /// The session.
        session: u32,
        /// The close code, if any.
        code: Option<u16>,
    },
    /// An attempt at a moderation decision is sent. Attempts of the same decision have the same key.
    Decides {
        /// The decision, unique within the run.
        decision: u64,
        /// The attempt, from 1.
        attempt: u32,
        /// The ingest node.
        node: String,
        /// The room. None: every room.
        room: Option<i64>,
        /// The user whose only right is that of a moderator of the room. None: somebody with a scope.
        #[serde(default)]
        by: Option<i64>,
        /// The decision's content.
        decided: Decided,
        /// The reason, unique within the run.
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
        /// Its position.
        position: Position,
    },
    /// The attempt was definitely refused: it decides nothing.
    Refused {
        /// The decision.
        decision: u64,
        /// The attempt.
        attempt: u32,
        /// The HTTP status. 0: the request was never sent.
        status: u16,
        /// The stable code of the refusal.
        code: String,
    },
    /// The outcome of the attempt is unknown.
    Undecided {
        /// The decision.
        decision: u64,
        /// The attempt.
        attempt: u32,
        /// The error in place of an answer.
        why: String,
    },
    /// A fault is injected.
    Breaks {
        /// The fault, unique within the run.
        fault: u64,
        /// The kind of fault, such as `kill nats`.
        kind: String,
        /// The affected parts, such as `ingest-0`.
        parts: Vec<String>,
    },
    /// The fault is over: killed processes are ready, blocked ones have resumed.
    Heals {
        /// The fault.
        fault: u64,
    },
    /// The memory of a process.
    Memory {
        /// The part, such as `ingest-0`.
        part: String,
        /// The resident set, in KiB.
        kib: u64,
    },
    /// A fault removed this event from the log's disks. It comes between its `breaks` and `heals`.
    Lost(LostEvent),
    /// The review hook was asked about a message.
    Reviewed {
        /// The text of the question.
        text: String,
        /// The answer.
        verdict: ReviewVerdict,
    },
    /// The erasure of a user's earlier messages is requested.
    Erases {
        /// The erasure, unique within the run.
        erasure: u64,
        /// The author of the messages.
        user: i64,
        /// Whether the messages stay, under a pseudonym. If not, they are removed.
        anonymises: bool,
    },
    /// The erasure was accepted. It is complete, or goes on in the background.
    Erased {
        /// The erasure.
        erasure: u64,
        /// The HTTP status: 200 or 202.
        status: u16,
    },
    /// It is unknown whether the erasure was accepted.
    NotErased {
        /// The erasure.
        erasure: u64,
        /// The error in place of an answer.
        why: String,
    },
    /// A reader follows the replay of a broadcast in progress, from its beginning.
    ReplayBegins {
        /// The reader, unique within the run.
        replay: u64,
        /// The room.
        room: i64,
        /// The broadcast.
        broadcast: String,
    },
    /// A message of that replay.
    ReplayShows {
        /// The reader.
        replay: u64,
        /// The message.
        id: EventId,
        /// Its position.
        position: Position,
        /// The text.
        text: String,
    },
    /// An event that was read from the log at the end of the run. Copies are included.
    Logged {
        /// The room. None: every room.
        room: Option<i64>,
        /// The event.
        id: EventId,
        /// Its position.
        position: Position,
        /// Its type.
        kind: String,
        /// The author of a message, or the user that a decision is about.
        user: Option<i64>,
        /// The text of a message.
        text: Option<String>,
        /// The message that a decision or a report is about.
        target: Option<EventId>,
        /// The reason of a decision. Of a message: that of its release. Of a note: its text.
        reason: Option<String>,
        /// How far back a ban deletes the user's messages.
        #[serde(default)]
        purge_seconds: Option<u32>,
        /// What a sweep deletes.
        #[serde(default)]
        swept: Option<Swept>,
        /// When it happened, by the clock of an ingest node.
        #[serde(default)]
        sent: Timestamp,
        /// When it was stored, by the clock of the log's servers.
        stored: Timestamp,
    },
    /// A stream of the log.
    Stream(super::StreamState),
    /// What is observed of readers and tickets.
    Reader(ReaderObservation),
    /// What is observed of single messages beside their places.
    Message(MessageObservation),
    /// What is observed of warnings and notes.
    Person(PersonObservation),
    /// A message that was read from the archive at the end of the run.
    Archived {
        /// The room.
        room: i64,
        /// The message.
        id: EventId,
        /// Its position.
        position: Position,
        /// The author.
        user: i64,
        /// The text.
        text: String,
        /// The decision that deleted it, if any.
        deleted: Option<EventId>,
    },
    /// A decision that was read from the archive at the end of the run.
    Audited {
        /// The room. None: every room.
        room: Option<i64>,
        /// The decision.
        id: EventId,
        /// Its position.
        position: Position,
        /// Its type.
        kind: String,
        /// The user that it is about. A negative number is the pseudonym of an erased one.
        user: Option<i64>,
        /// The message, the sweep, the warning or the note that it is about.
        target: Option<EventId>,
        /// The reason. Of a note: its text.
        reason: Option<String>,
    },
    /// A decision that an archiver listed for moderators at the end of the run.
    Listed {
        /// The room. None: every room.
        room: Option<i64>,
        /// The decision.
        id: EventId,
        /// Its type.
        kind: String,
        /// The user that it is about. A negative number is the pseudonym of an erased one.
        user: Option<i64>,
        /// The message, the sweep, the warning or the note that it is about.
        target: Option<EventId>,
        /// The reason. Of a note: its text.
        reason: Option<String>,
    },
    /// A message that an archiver replayed at the end of the run.
    Replayed {
        /// The room.
        room: i64,
        /// The message.
        id: EventId,
        /// Its position.
        position: Position,
        /// The text.
        text: String,
        /// When it was sent, according to the archive.
        sent: Timestamp,
    },
    /// A broadcast that the archiver listed at the end of the run.
    Broadcast {
        /// The room.
        room: i64,
        /// The broadcast.
        broadcast: String,
        /// When it began.
        started: Timestamp,
        /// When it ended. None: the archiver does not know.
        ended: Option<Timestamp>,
        /// The length of its recording in milliseconds, once it has ended.
        duration_ms: Option<i64>,
        /// The number of messages that the archiver counts in it.
        messages: u64,
    },
    /// A message that the archiver replayed beside the broadcast's video.
    ReplayedBesideVideo {
        /// The room.
        room: i64,
        /// The broadcast.
        broadcast: String,
        /// Its offset in the recording, in milliseconds.
        offset_ms: i64,
        /// The message.
        id: EventId,
        /// Its position.
        position: Position,
        /// The text.
        text: String,
    },
    /// A source was read completely.
    Read {
        /// The source.
        reading: Reading,
    },
}
