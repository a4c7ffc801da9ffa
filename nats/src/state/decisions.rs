//! The decisions in force: for each subject, such as a user's ban or a room's settings, the last event about it, in the
//! bucket `decisions`. The log decides and the bucket follows, so that a decision outlives the log's age. Loading the
//! snapshot, then tailing from the checkpoint, misses nothing. This file does not know what a decision means.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::kv::Operation;
use bytes::Bytes;
use chat::{Body, Event, EventId, EventKind, Position, PresenterIdx, UserIdx, now};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::error::Error;
use crate::jetstream::{find_stream, is_conflict, request, write};
use crate::read::entry::Entry;
use crate::read::item::{Item, ReadFrom, Record};
use crate::read::reader;
use crate::streams;
use crate::streams::DECISIONS;

/// Other nodes write the same decisions of the same log at the same moment. Each round settles one of them.
const ATTEMPTS: u32 = 20;

/// The pause before the next attempt. A replica that answers for the leader may learn of the other write a moment
/// later.
const PAUSE: Duration = Duration::from_millis(10);

/// The subject of a lasting decision. The latest decision about a subject is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A room's settings.
    Settings(PresenterIdx),
    /// Whether a user may write, in that room or in all rooms.
    Ban(Option<PresenterIdx>, UserIdx),
    /// Whether a user is a moderator of that room.
    Moderator(PresenterIdx, UserIdx),
    /// A room's pinned message.
    Pin(PresenterIdx),
    /// Whether a sweep of that room counts.
    Sweep(PresenterIdx, EventId),
    /// A user's warning in that room.
    Warning(PresenterIdx, UserIdx),
    /// Which warning of a user in that room was sent last.
    SentWarning(PresenterIdx, UserIdx),
    /// Whether a note on a user in that room is there.
    Note(PresenterIdx, UserIdx, EventId),
}

/// The bucket of decisions in force. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Decisions {
    context: Arc<Context>,
}

/// A snapshot of the bucket.
#[derive(Debug, Default)]
pub struct DecisionSnapshot {
    /// The decisions, in no particular order.
    pub entries: Vec<Entry>,
    /// The checkpoint of each partition: `entries` has every decision up to that position, unless a later one replaced
    /// it.
    pub checkpoints: Vec<Position>,
}

/// The value of a key. A checkpoint has no event.
#[derive(Serialize, Deserialize)]
struct Value {
    position: Position,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<Box<RawValue>>,
}

impl Subject {
    /// The subject of a decision. `None`: the event decides nothing that lasts.
    pub fn of(event: &Event) -> Option<Subject> {
        match &event.body {
            Body::RoomUpdated(_) => event.presenter.map(Subject::Settings),
            Body::UserBanned(banned) => Some(Subject::Ban(event.presenter, banned.user)),
            Body::UserUnbanned(unbanned) => Some(Subject::Ban(event.presenter, unbanned.user)),
            Body::ModeratorAdded(added) => event.presenter.map(|room| Subject::Moderator(room, added.user)),
            Body::ModeratorRemoved(removed) => event.presenter.map(|room| Subject::Moderator(room, removed.user)),
            Body::MessagePinned(_) | Body::MessageUnpinned(_) => event.presenter.map(Subject::Pin),
            Body::RoomSwept(_) => event.presenter.map(|room| Subject::Sweep(room, event.id)),
            Body::SweepUndone(undone) => event.presenter.map(|room| Subject::Sweep(room, undone.target)),
            Body::UserWarned(warned) => event.presenter.map(|room| Subject::Warning(room, warned.user)),
            Body::WarningWithdrawn(withdrawn) => event.presenter.map(|room| Subject::Warning(room, withdrawn.user)),
            Body::WarningSent(sent) => event.presenter.map(|room| Subject::SentWarning(room, sent.user)),
            Body::NoteAdded(added) => event.presenter.map(|room| Subject::Note(room, added.user, event.id)),
            Body::NoteDeleted(deleted) => event.presenter.map(|room| Subject::Note(room, deleted.user, deleted.target)),
            _ => None,
        }
    }

    fn key(self) -> String {
        match self {
            Subject::Settings(presenter) => format!("settings.{presenter}"),
            Subject::Ban(Some(presenter), user) => format!("ban.{presenter}.{user}"),
            Subject::Ban(None, user) => format!("ban.all.{user}"),
            Subject::Moderator(presenter, user) => format!("moderator.{presenter}.{user}"),
            Subject::Pin(presenter) => format!("pin.{presenter}"),
            Subject::Sweep(presenter, sweep) => format!("sweep.{presenter}.{sweep}"),
            Subject::Warning(presenter, user) => format!("warning.{presenter}.{user}"),
            Subject::SentWarning(presenter, user) => format!("sent-warning.{presenter}.{user}"),
            Subject::Note(presenter, user, note) => format!("note.{presenter}.{user}.{note}"),
        }
    }
}

impl Decisions {
    pub(crate) fn new(context: &Arc<Context>) -> Decisions {
        Decisions { context: context.clone() }
    }

    /// Loads a snapshot of everything.
    pub async fn load(&self) -> Result<DecisionSnapshot, Error> {
        let mut entries = HashMap::new();
        let checkpoints = self.read(|key, entry| drop(entries.insert(key, entry))).await?;
        Ok(DecisionSnapshot { entries: entries.into_values().collect(), checkpoints })
    }

    /// Hands out every decision, one by one, so that memory need not hold them all: most have up to 8 KB, a sweep may
    /// have 64 KB, and there may be 100,000. A decision that is written meanwhile may come twice; the last one is in
    /// force. Returns the checkpoint of each partition: every decision up to there was handed out, unless a later one
    /// replaced it.
    pub async fn each(&self, mut take: impl FnMut(Entry)) -> Result<Vec<Position>, Error> {
        self.read(|_, entry| take(entry)).await
    }

    /// As [`Decisions::each`], with the key of each decision.
    async fn read(&self, mut take: impl FnMut(String, Entry)) -> Result<Vec<Position>, Error> {
        let (sink, mut items) = mpsc::channel(256);
        let stop = self.context.tasks.stop().child_token();
        let _reading = CancellationToken::drop_guard(stop.clone());
        reader::read(&self.context, &streams::of_bucket(DECISIONS), ReadFrom::LastPerSubject, stop, sink, |item| item);
        let (mut checkpoints, mut reached, mut caught_up) = (HashMap::new(), 0, false);
        loop {
            match items.recv().await.ok_or(Error::Closed)?? {
                Item::Record(record) => {
                    reached = reached.max(record.sequence);
                    match value(&record) {
                        Some(Stored::Decision(entry)) => take(record.subject.to_string(), entry),
                        Some(Stored::Checkpoint(position)) => {
                            checkpoints.insert(record.subject.to_string(), position);
                        }
                        None => {}
                    }
                }
                Item::CaughtUp(sequence) => (reached, caught_up) = (reached.max(sequence), true),
                Item::Resumed => {}
            }
            // A key that is written during the read comes after the others, instead of in its place.
            if caught_up && reached >= self.last_sequence().await? {
                break;
            }
        }
        Ok(checkpoints.into_values().collect())
    }

    /// The decision about the subject.
    pub async fn find(&self, subject: Subject) -> Result<Option<Entry>, Error> {
        let kept = request("reading a decision", self.context.decisions.entry(subject.key())).await?;
        let Some(kept) = kept.filter(|kept| kept.operation == Operation::Put) else { return Ok(None) };
        Ok(match parse(&kept.key, &kept.value) {
            Some(Stored::Decision(entry)) => Some(entry),
            _ => None,
        })
    }

    /// Whether the user is a moderator of the room, and not banned from every room.
    pub async fn moderates(&self, presenter: PresenterIdx, user: UserIdx) -> Result<bool, Error> {
        let appointed = self.find(Subject::Moderator(presenter, user)).await?;
        if !appointed.is_some_and(|kept| kept.kind == EventKind::ModeratorAdded) {
            return Ok(false);
        }
        let ban = self.find(Subject::Ban(None, user)).await?;
        Ok(match ban.and_then(|kept| kept.body().ok()) {
            Some(Body::UserBanned(banned)) => banned.until.is_some_and(|until| until <= now()),
            _ => true,
        })
    }

    /// The bucket's present last sequence.
    async fn last_sequence(&self) -> Result<u64, Error> {
        let info = find_stream(&self.context.jetstream, &streams::of_bucket(DECISIONS)).await?;
        Ok(info.map_or(0, |info| info.state.last_sequence))
    }

    /// Keeps a decision, unless the bucket has a later one about the subject. Returns once it is durable.
    pub async fn keep(&self, subject: Subject, position: Position, decision: &Event) -> Result<(), Error> {
        let event = serde_json::from_slice(&decision.to_line()).expect("the line of an event is JSON");
        self.put(&subject.key(), Value { position, event: Some(event) }).await
    }

    /// Removes the decision of that position, which has no effect any more, unless the bucket has another about the
    /// subject.
    pub async fn forget(&self, subject: Subject, decision: Position) -> Result<(), Error> {
        let key = subject.key();
        let Some(kept) = request("reading a decision", self.context.decisions.entry(&key)).await? else {
            return Ok(());
        };
        if position(&kept.value) != Some(decision) {
            return Ok(());
        }
        // If another node was faster, its decision stays.
        let purge = self.context.decisions.purge_expect_revision(&key, Some(kept.revision));
        request("forgetting a decision", purge).await
    }

    /// Rewrites the decision of that position, unless the bucket has another about the subject.
    pub async fn reword(
        &self,
        subject: Subject,
        position: Position,
        change: impl FnOnce(&mut Event),
    ) -> Result<(), Error> {
        let key = subject.key();
        let Some(kept) = request("reading a decision", self.context.decisions.entry(&key)).await? else {
            return Ok(());
        };
        if kept.operation != Operation::Put || self::position(&kept.value) != Some(position) {
            return Ok(());
        }
        let Some(Stored::Decision(entry)) = parse(&key, &kept.value) else { return Ok(()) };
        let Ok(mut decision) = entry.event() else { return Ok(()) };
        change(&mut decision);
        let event = serde_json::from_slice(&decision.to_line()).expect("the line of an event is JSON");
        let value = Value { position, event: Some(event) };
        let json: Bytes = serde_json::to_vec(&value).expect("a value has string keys only").into();
        // If another node was faster, the caller retries.
        request("rewording a decision", self.context.decisions.update(&key, json, kept.revision))
            .await
            .map(|_revision| ())
    }

    /// The checkpoint of the partition: the bucket has every decision up to there. `None`: no node has set it yet.
    pub(crate) async fn checkpoint(&self, partition: u32) -> Result<Option<Position>, Error> {
        let key = format!("read.{partition}");
        let kept = request("reading a decision", self.context.decisions.entry(&key)).await?;
        Ok(kept.filter(|kept| kept.operation == Operation::Put).and_then(|kept| position(&kept.value)))
    }

    /// Sets the checkpoint of each partition: the bucket has every decision up to there. A checkpoint only moves
    /// forward.
    pub async fn set_checkpoints(&self, checkpoints: impl IntoIterator<Item = Position>) -> Result<(), Error> {
        for position in checkpoints {
            let Some(partition) = self.context.timelines.partition(position) else { continue };
            self.put(&format!("read.{partition}"), Value { position, event: None }).await?;
        }
        Ok(())
    }

    /// Writes the value, unless the key has one of a later position.
    ///
    /// A write that arrives after its deadline does no harm: it names the revision that it replaces, so it fails once
    /// another write was faster.
    async fn put(&self, key: &str, value: Value) -> Result<(), Error> {
        let json: Bytes = serde_json::to_vec(&value).expect("a value has string keys only").into();
        for _ in 0..ATTEMPTS {
            let present = request("reading a decision", self.context.decisions.entry(key)).await?;
            if let Some(present) = &present
                && present.operation == Operation::Put
                && let Some(kept) = position(&present.value)
                && self.context.timelines.further(kept, value.position) == kept
            {
                return Ok(());
            }
            let revision = present.map_or(0, |present| present.revision);
            match write("keeping a decision", || self.context.decisions.update(key, json.clone(), revision)).await? {
                Ok(_) => return Ok(()),
                Err(error) if is_conflict(&error) => sleep(PAUSE).await,
                Err(error) => return Err(Error::JetStream { doing: "keeping a decision", source: error.into() }),
            }
        }
        Err(Error::JetStream { doing: "keeping a decision", source: "other nodes keep writing the same key".into() })
    }
}

/// A value of the bucket.
enum Stored {
    Decision(Entry),
    Checkpoint(Position),
}

/// `None`: a deletion marker, or a foreign value.
fn value(record: &Record) -> Option<Stored> {
    if record.payload.is_empty() { None } else { parse(&record.subject, &record.payload) }
}

/// `None`: a foreign value.
fn parse(key: &str, value: &[u8]) -> Option<Stored> {
    let read = serde_json::from_slice::<Value>(value).map_err(|error| error.to_string());
    let kind = read.and_then(|Value { position, event }| match event {
        None => Ok(Stored::Checkpoint(position)),
        Some(event) => {
            let line = Bytes::copy_from_slice(event.get().as_bytes());
            Entry::read(position, line).map(Stored::Decision).map_err(|malformed| malformed.reason.to_string())
        }
    });
    kind.inspect_err(|error| {
        tracing::warn!(key, error, "a value of the bucket `decisions` is not a decision");
    })
    .ok()
}

/// `None`: a foreign value.
fn position(value: &[u8]) -> Option<Position> {
    serde_json::from_slice::<Value>(value).ok().map(|value| value.position)
}
