//! The tickets of readers. The bucket `tickets` has the long-lived tickets of a room in one value, so that a bound on
//! their number holds over all nodes. The bucket `one_use_tickets` has one key a ticket, and NATS removes it after
//! [`ONE_USE_TICKET_LIFE`]. This file does not know what a ticket shows, and sees no secret.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::kv;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use bytes::Bytes;
use chat::PresenterIdx;
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

use crate::context::Context;
use crate::error::Error;
use crate::jetstream::{is_conflict, request, write};
use crate::read::item::{Item, ReadFrom};
use crate::read::reader;
use crate::streams;
use crate::streams::{ONE_USE_TICKETS, TICKETS};

/// 30 s: from the answer that has a one-use ticket to the request that uses it.
pub const ONE_USE_TICKET_LIFE: Duration = Duration::from_secs(30);

/// The tickets of all nodes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tickets {
    context: Arc<Context>,
}

/// A value of a bucket of tickets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTickets {
    /// The value as it was stored.
    pub value: Bytes,
    /// Its revision, which the next write names.
    pub revision: u64,
}

/// The changes of rooms' long-lived tickets. Dropping it ends the reading.
#[derive(Debug)]
pub struct TicketChanges {
    items: mpsc::Receiver<Result<Item, Error>>,
    _reading: DropGuard,
}

impl Tickets {
    pub(crate) fn new(context: &Arc<Context>) -> Tickets {
        Tickets { context: context.clone() }
    }

    /// The long-lived tickets of the room, from the bucket's leader. `None`: it never had any.
    pub async fn of_room(&self, presenter: PresenterIdx) -> Result<Option<StoredTickets>, Error> {
        last(&self.context.tickets, TICKETS, &presenter.to_string()).await
    }

    /// Replaces the long-lived tickets of the room, if the revision is still the newest; 0: if it has none. Returns
    /// once the change is durable. `false`: another node was faster, and nothing changed.
    pub async fn replace(&self, presenter: PresenterIdx, value: Bytes, revision: u64) -> Result<bool, Error> {
        update(&self.context.tickets, &presenter.to_string(), value, revision).await
    }

    /// Stores a one-use ticket of the room under a key, which has letters and digits only. Returns once it is durable.
    pub async fn put_one_use(&self, presenter: PresenterIdx, key: &str, value: Bytes) -> Result<(), Error> {
        if update(&self.context.one_use_tickets, &format!("{presenter}.{key}"), value, 0).await? {
            return Ok(());
        }
        Err(Error::JetStream { doing: WRITING, source: "the key of a one-use ticket is taken".into() })
    }

    /// The one-use ticket under the key, from the bucket's leader. `None`: there is none, it was used, or its time is
    /// over.
    pub async fn one_use(&self, presenter: PresenterIdx, key: &str) -> Result<Option<StoredTickets>, Error> {
        last(&self.context.one_use_tickets, ONE_USE_TICKETS, &format!("{presenter}.{key}")).await
    }

    /// Uses the one-use ticket of that revision. `false`: another request was faster. After an error it may be used.
    pub async fn use_up(&self, presenter: PresenterIdx, key: &str, revision: u64) -> Result<bool, Error> {
        update(&self.context.one_use_tickets, &format!("{presenter}.{key}"), Bytes::new(), revision).await
    }

    /// The long-lived tickets of every room that has any, and every later change.
    pub fn changes(&self) -> TicketChanges {
        // A full channel slows the reader down. Nothing is lost.
        let (sink, items) = mpsc::channel(64);
        let stop = self.context.tasks.stop().child_token();
        let reading = stop.clone().drop_guard();
        reader::read(&self.context, &streams::of_bucket(TICKETS), ReadFrom::LastPerSubject, stop, sink, |item| item);
        TicketChanges { items, _reading: reading }
    }
}

impl TicketChanges {
    /// The next room, and its tickets as they are stored. An empty value: none. Cancel safe.
    pub async fn next(&mut self) -> Result<(PresenterIdx, StoredTickets), Error> {
        loop {
            let Item::Record(record) = self.items.recv().await.ok_or(Error::Closed)?? else { continue };
            let key = record.subject.splitn(3, '.').nth(2);
            match key.and_then(|key| key.parse().ok()) {
                Some(presenter) => {
                    return Ok((presenter, StoredTickets { value: record.payload, revision: record.sequence }));
                }
                None => tracing::warn!(subject = %record.subject, "a key of the bucket `tickets` is no presenterIdx"),
            }
        }
    }
}

const READING: &str = "reading a ticket";
const WRITING: &str = "writing a ticket";

/// The newest value of the key. A member of a cluster that lags could show a ticket that was revoked or used.
async fn last(bucket: &kv::Store, name: &str, key: &str) -> Result<Option<StoredTickets>, Error> {
    let subject = format!("$KV.{name}.{key}");
    let asking = async {
        match bucket.stream.get_last_raw_message_by_subject(&subject).await {
            Ok(last) => Ok(Some(last)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error),
        }
    };
    Ok(request(READING, asking).await?.map(|last| StoredTickets { value: last.payload, revision: last.sequence }))
}

/// Writes the key, if the revision is still the newest.
async fn update(bucket: &kv::Store, key: &str, value: Bytes, revision: u64) -> Result<bool, Error> {
    match write(WRITING, || bucket.update(key, value.clone(), revision)).await? {
        Ok(_revision) => Ok(true),
        Err(error) if is_conflict(&error) => Ok(false),
        Err(error) => Err(Error::JetStream { doing: WRITING, source: error.into() }),
    }
}
