//! Who may read a room on this node: viewers by the room's setting `readers`, or the deployment's, and the room's
//! moderators. Also each room's pinned message, which comes from the same events. All of it is replayed from the saved
//! decisions and then from the log's tail. A change reaches the readers of every node with the events of the room.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};

use chat::settings::OwnSettings;
use chat::{Body, EventId, EventKind, Pins, Position, PresenterIdx, Readers, UserIdx};
use jiff::Timestamp;
use nats::{Entry, Log, Start};
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::readers::roles::Roles;

/// The rooms' settings, moderators and pins.
#[derive(Debug)]
pub(crate) struct Access {
    deployment: RwLock<Readers>,
    rooms: RwLock<HashMap<PresenterIdx, Decided>>,
    roles: RwLock<Roles>,
    pins: RwLock<Pins>,
    /// Grows with every change, so that a stream need not look up its room for every event.
    version: AtomicU64,
}

/// The latest decision about a room's settings.
#[derive(Debug)]
struct Decided {
    position: Position,
    /// Only `readers`.
    own: OwnSettings,
}

impl Access {
    pub(crate) fn new(deployment: Readers) -> Access {
        Access {
            deployment: RwLock::new(deployment),
            rooms: RwLock::default(),
            roles: RwLock::default(),
            pins: RwLock::default(),
            version: AtomicU64::new(0),
        }
    }

    /// Applies each change of the deployment's setting, for rooms that have decided nothing themselves.
    pub(crate) async fn follow(&self, mut deployment: watch::Receiver<Readers>) -> Infallible {
        while deployment.changed().await.is_ok() {
            let readers = *deployment.borrow_and_update();
            if std::mem::replace(&mut *self.deployment.write(), readers) != readers {
                self.version.fetch_add(1, Ordering::Release);
            }
        }
        // The owner is gone: the process ends.
        std::future::pending().await
    }

    /// Reads the saved decisions, and those that the log has after them.
    pub(crate) async fn load(&self, log: &Log) -> Result<(), nats::Error> {
        let checkpoints = log.decisions().each(|entry| self.apply(&entry)).await?;
        let mut tail = log.tail(Start::After(checkpoints));
        let status = tail.status();
        loop {
            // `next` hands out a batch only to the branch that handles it: none is lost with a dropped branch.
            tokio::select! {
                entries = tail.next() => {
                    let entries = entries?;
                    entries.iter().filter(|entry| log.counts(entry)).for_each(|entry| self.apply(entry));
                }
                () = status.caught_up() => return Ok(()),
            }
        }
    }

    /// Applies an event, unless a later one about the same is known. Of an event of every room one copy must be
    /// applied: positions in different partitions have no order.
    pub(crate) fn apply(&self, entry: &Entry) {
        self.pin(entry);
        let has_changed = match entry.kind {
            EventKind::RoomUpdated => self.set(entry),
            EventKind::ModeratorAdded
            | EventKind::ModeratorRemoved
            | EventKind::UserBanned
            | EventKind::UserUnbanned => entry.body().is_ok_and(|body| self.roles.write().apply(entry, &body)),
            _ => false,
        };
        if has_changed {
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    /// Applies a decision about the room's pin.
    fn pin(&self, entry: &Entry) {
        let Some(presenter) = entry.presenter else { return };
        let is_about_pin = match entry.kind {
            EventKind::MessagePinned | EventKind::MessageUnpinned => true,
            EventKind::MessageDeleted | EventKind::RoomCleared => self.pinned(presenter).is_some(),
            _ => false,
        };
        if is_about_pin && let Ok(body) = entry.body() {
            self.pins.write().apply(entry.position, presenter, &body);
        }
    }

    /// The room's pinned message.
    pub(crate) fn pinned(&self, presenter: PresenterIdx) -> Option<EventId> {
        self.pins.read().pinned(presenter).map(|(message, _)| message)
    }

    /// Applies a change of settings. Returns whether it is the latest.
    fn set(&self, entry: &Entry) -> bool {
        let (Some(presenter), Ok(Body::RoomUpdated(updated))) = (entry.presenter, entry.body()) else { return false };
        let mut rooms = self.rooms.write();
        let known = rooms.get(&presenter);
        if known.is_some_and(|known| known.position >= entry.position) {
            return false;
        }
        let mut own = known.map(|known| known.own.clone()).unwrap_or_default();
        own.change(&updated.changed, OwnSettings::of_event(&updated.settings, &updated.until));
        let own = own.only_readers();
        rooms.insert(presenter, Decided { position: entry.position, own });
        true
    }

    /// Whether the user acts as a moderator of the room.
    pub(crate) fn moderates(&self, presenter: PresenterIdx, user: UserIdx) -> bool {
        self.roles.read().moderates(presenter, user)
    }

    /// Forgets roles, bans and pins that have ended. Only for when no older decision can arrive any more.
    pub(crate) fn tidy(&self) {
        self.roles.write().tidy();
        self.pins.write().tidy();
    }

    /// Who may read the room.
    pub(crate) fn of(&self, presenter: PresenterIdx) -> Readers {
        let rooms = self.rooms.read();
        let own = rooms.get(&presenter).and_then(|decided| decided.own.readers(Timestamp::now()));
        own.unwrap_or_else(|| *self.deployment.read())
    }

    /// The number of changes so far.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}
