//! The decisions that stand: of each subject, such as a user's ban or a room's settings, the last event about it, in
//! the bucket `decisions`. The log decides and the bucket follows it, so that a decision outlives the log's age; who
//! takes what is kept and then reads the log after the checkpoint misses none. What a decision means is not known here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::kv::Operation;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::jetstream::{is_conflict, request, write};
use crate::log::Inner;
use crate::read::entry::Entry;
use crate::read::reader;
use crate::read::reader::{From, Item, Record};
use crate::setup;
use crate::setup::DECISIONS;
use chat::Position;
use chat::{Body, Event};
use chat::{PresenterIdx, UserIdx};

/// Other nodes write what they read of the same log at the same moment; each write settles one of them.
const ATTEMPTS: u32 = 20;

/// Before the next attempt; a replica that answers for the leader may need a moment to know of the other write.
const PAUSE: Duration = Duration::from_millis(10);

/// What a lasting decision is about. Of two decisions about the same subject the later one stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A room's settings.
    Settings(PresenterIdx),
    /// Whether a user may write: in that room, or in every room.
    Ban(Option<PresenterIdx>, UserIdx),
}

/// The bucket of decisions that stand.
#[derive(Debug, Clone)]
pub struct Decisions {
    log: Arc<Inner>,
}

/// What the bucket holds.
#[derive(Debug, Default)]
pub struct Kept {
    /// The decisions, in no order.
    pub entries: Vec<Entry>,
    /// Of each partition: every decision up to that position is among them, or was replaced by one that is.
    pub read: Vec<Position>,
}

/// The value of a key. A checkpoint has no event.
#[derive(Serialize, Deserialize)]
struct Value {
    position: Position,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<Box<RawValue>>,
}

impl Subject {
    /// None: the event decides nothing that lasts.
    pub fn of(event: &Event) -> Option<Subject> {
        match &event.body {
            Body::RoomUpdated(_) => event.presenter.map(Subject::Settings),
            Body::UserBanned(banned) => Some(Subject::Ban(event.presenter, banned.user)),
            Body::UserUnbanned(unbanned) => Some(Subject::Ban(event.presenter, unbanned.user)),
            _ => None,
        }
    }

    fn key(self) -> String {
        match self {
            Subject::Settings(presenter) => format!("settings.{presenter}"),
            Subject::Ban(Some(presenter), user) => format!("ban.{presenter}.{user}"),
            Subject::Ban(None, user) => format!("ban.all.{user}"),
        }
    }
}

impl Decisions {
    pub(crate) fn new(log: &Arc<Inner>) -> Decisions {
        Decisions { log: log.clone() }
    }

    /// Everything that is kept now, at once.
    pub async fn load(&self) -> Result<Kept, Error> {
        let mut entries = HashMap::new();
        let read = self.read(|key, entry| drop(entries.insert(key, entry))).await?;
        Ok(Kept { entries: entries.into_values().collect(), read })
    }

    /// Hands out every decision that is kept now, one by one, so that all of them need not be in memory: each may be of
    /// some 8 KB, and there may be 100,000. One that is written meanwhile may come twice; then the last one stands. Answers
    /// with how far was read, of each partition: up to there every decision came, or was replaced by one that did.
    pub async fn each(&self, mut take: impl FnMut(Entry)) -> Result<Vec<Position>, Error> {
        self.read(|_, entry| take(entry)).await
    }

    /// The same, each with its key.
    async fn read(&self, mut take: impl FnMut(String, Entry)) -> Result<Vec<Position>, Error> {
        let (sink, mut items) = mpsc::channel(256);
        let stop = self.log.stop.child_token();
        let _reading = CancellationToken::drop_guard(stop.clone());
        reader::read(&self.log, &format!("KV_{DECISIONS}"), From::LastPerSubject, stop, sink, |item| item);
        let (mut read, mut reached, mut caught_up) = (HashMap::new(), 0, false);
        loop {
            match items.recv().await.ok_or(Error::Closed)?? {
                Item::Record(record) => {
                    reached = reached.max(record.sequence);
                    match value(&record) {
                        Some(Kind::Decision(entry)) => take(record.subject, entry),
                        Some(Kind::Read(position)) => drop(read.insert(record.subject, position)),
                        None => {}
                    }
                }
                Item::CaughtUp(sequence) => (reached, caught_up) = (reached.max(sequence), true),
                Item::Resumed => {}
            }
            // A key that is written while all are read comes after the others, and not before.
            if caught_up && reached >= self.last_sequence().await? {
                break;
            }
        }
        Ok(read.into_values().collect())
    }

    /// The decision that is kept about the subject.
    pub async fn find(&self, subject: Subject) -> Result<Option<Entry>, Error> {
        let kept = request("reading a decision", self.log.decisions.entry(subject.key())).await?;
        let Some(kept) = kept.filter(|kept| kept.operation == Operation::Put) else { return Ok(None) };
        Ok(match parse(&kept.key, &kept.value) {
            Some(Kind::Decision(entry)) => Some(entry),
            _ => None,
        })
    }

    /// Of the bucket as it is now.
    async fn last_sequence(&self) -> Result<u64, Error> {
        let info = setup::find(&self.log.context, &format!("KV_{DECISIONS}")).await?;
        Ok(info.map_or(0, |info| info.state.last_sequence))
    }

    /// Keeps a decision, unless a later one about the subject is kept already. Returns once that is durable.
    pub async fn keep(&self, subject: Subject, position: Position, decision: &Event) -> Result<(), Error> {
        let event = serde_json::from_slice(&decision.to_line()).expect("the line of an event is JSON");
        self.put(&subject.key(), Value { position, event: Some(event) }).await
    }

    /// Forgets the decision of that position, which has no effect any more, unless another about the subject is kept.
    pub async fn forget(&self, subject: Subject, decision: Position) -> Result<(), Error> {
        let key = subject.key();
        let Some(kept) = request("reading a decision", self.log.decisions.entry(&key)).await? else { return Ok(()) };
        if position(&kept.value) != Some(decision) {
            return Ok(());
        }
        // If it fails because somebody was faster, it is their decision that is kept.
        let purge = self.log.decisions.purge_expect_revision(&key, Some(kept.revision));
        request("forgetting a decision", purge).await
    }

    /// Keeps the decision of that position in other words, unless another about the subject is kept.
    pub async fn reword(
        &self,
        subject: Subject,
        position: Position,
        change: impl FnOnce(&mut Event),
    ) -> Result<(), Error> {
        let key = subject.key();
        let Some(kept) = request("reading a decision", self.log.decisions.entry(&key)).await? else { return Ok(()) };
        if kept.operation != Operation::Put || self::position(&kept.value) != Some(position) {
            return Ok(());
        }
        let Some(Kind::Decision(entry)) = parse(&key, &kept.value) else { return Ok(()) };
        let Ok(mut decision) = entry.event() else { return Ok(()) };
        change(&mut decision);
        let event = serde_json::from_slice(&decision.to_line()).expect("the line of an event is JSON");
        let value = Value { position, event: Some(event) };
        let json: Bytes = serde_json::to_vec(&value).expect("a value has string keys only").into();
        // If it fails because somebody was faster, it is tried again.
        request("rewording a decision", self.log.decisions.update(&key, json, kept.revision)).await.map(|_revision| ())
    }

    /// Up to where every decision of the partition is kept; none where nobody said so yet.
    pub(crate) async fn checkpoint(&self, partition: u32) -> Result<Option<Position>, Error> {
        let key = format!("read.{partition}");
        let kept = request("reading a decision", self.log.decisions.entry(&key)).await?;
        Ok(kept.filter(|kept| kept.operation == Operation::Put).and_then(|kept| position(&kept.value)))
    }

    /// Says that of each partition every decision up to that position has been kept. It only moves forward.
    pub async fn set_read(&self, read: impl IntoIterator<Item = Position>) -> Result<(), Error> {
        for position in read {
            let Some(partition) = self.log.timelines.partition(position) else { continue };
            self.put(&format!("read.{partition}"), Value { position, event: None }).await?;
        }
        Ok(())
    }

    /// Writes the value, unless the key has one of a later position.
    ///
    /// A write that arrives after its deadline does no harm: it names the revision that it replaces, and so comes to
    /// nothing once another has been written.
    async fn put(&self, key: &str, value: Value) -> Result<(), Error> {
        let json: Bytes = serde_json::to_vec(&value).expect("a value has string keys only").into();
        for _ in 0..ATTEMPTS {
            let present = request("reading a decision", self.log.decisions.entry(key)).await?;
            if let Some(present) = &present
                && present.operation == Operation::Put
                && let Some(kept) = position(&present.value)
                && self.log.timelines.further(kept, value.position) == kept
            {
                return Ok(());
            }
            let revision = present.map_or(0, |present| present.revision);
            match write("keeping a decision", || self.log.decisions.update(key, json.clone(), revision)).await? {
                Ok(_) => return Ok(()),
                Err(error) if is_conflict(&error) => sleep(PAUSE).await,
                Err(error) => return Err(Error::JetStream { doing: "keeping a decision", source: error.into() }),
            }
        }
        Err(Error::JetStream { doing: "keeping a decision", source: "others write the same key all the time".into() })
    }
}

/// What a key has.
enum Kind {
    Decision(Entry),
    Read(Position),
}

/// None: it is the marker of what was forgotten, or not one of ours.
fn value(record: &Record) -> Option<Kind> {
    if record.payload.is_empty() { None } else { parse(&record.subject, &record.payload) }
}

/// None: the value is not one of ours.
fn parse(key: &str, value: &[u8]) -> Option<Kind> {
    let read = serde_json::from_slice::<Value>(value).map_err(|error| error.to_string());
    let kind = read.and_then(|Value { position, event }| match event {
        None => Ok(Kind::Read(position)),
        Some(event) => {
            let line = Bytes::copy_from_slice(event.get().as_bytes());
            Entry::read(position, line).map(Kind::Decision).map_err(|malformed| malformed.reason.to_string())
        }
    });
    kind.inspect_err(|error| {
        tracing::warn!(key, error, "a value of the bucket `decisions` is not a decision");
    })
    .ok()
}

/// None: the value is not one of ours.
fn position(value: &[u8]) -> Option<Position> {
    serde_json::from_slice::<Value>(value).ok().map(|value| value.position)
}
