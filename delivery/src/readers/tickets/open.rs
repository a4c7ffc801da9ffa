//! The streams of long-lived tickets on this node, and how they learn that their ticket is revoked.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chat::PresenterIdx;
use parking_lot::Mutex;
use tokio::sync::watch;
use uuid::Uuid;

use super::record;

/// The rooms that streams on this node have tickets of.
#[derive(Debug, Default)]
pub(super) struct Rooms(Arc<Mutex<Known>>);

type Known = HashMap<PresenterIdx, watch::Sender<Change>>;

/// The tickets of a room.
#[derive(Debug, Default)]
struct Change {
    revision: u64,
    ids: HashSet<Uuid>,
}

/// What follows the tickets of a room.
#[derive(Debug)]
pub(super) struct Watch {
    rooms: Arc<Mutex<Known>>,
    presenter: PresenterIdx,
    /// None only while it is dropped.
    changes: Option<watch::Receiver<Change>>,
}

/// A ticket that a stream has.
#[derive(Debug)]
pub(crate) struct OpenTicket {
    watch: Watch,
    id: Uuid,
    /// The room's tickets, of which this was one, when the stream began. An older list may lack it.
    revision: u64,
}

impl Rooms {
    /// Every change from now on, as soon as this node hears of it.
    pub(super) fn watch(&self, presenter: PresenterIdx) -> Watch {
        let mut rooms = self.0.lock();
        let room = rooms.entry(presenter).or_insert_with(|| watch::Sender::new(Change::default()));
        Watch { rooms: self.0.clone(), presenter, changes: Some(room.subscribe()) }
    }

    /// Applies the tickets of a room. Of a value that cannot be read none holds.
    pub(super) fn apply(&self, presenter: PresenterIdx, revision: u64, value: &[u8]) {
        let rooms = self.0.lock();
        let Some(room) = rooms.get(&presenter) else { return };
        let tickets = record::tickets(value).unwrap_or_else(|error| {
            tracing::error!(%presenter, %error, "the tickets of room {presenter} cannot be read: {error}");
            Vec::new()
        });
        room.send_replace(Change { revision, ids: tickets.into_iter().map(|ticket| ticket.id).collect() });
    }
}

impl Watch {
    /// The stream of this ticket, which the room had at that revision.
    pub(super) fn opened(self, id: Uuid, revision: u64) -> OpenTicket {
        OpenTicket { watch: self, id, revision }
    }
}

impl OpenTicket {
    /// Returns when the ticket is revoked. Cancel safe.
    pub(crate) async fn revoked(&mut self) {
        let OpenTicket { watch: Watch { changes, .. }, id, revision } = self;
        let changes = changes.as_mut().expect("only a drop takes it");
        let is_revoked = |change: &Change| change.revision > *revision && !change.ids.contains(id);
        changes.wait_for(is_revoked).await.expect("the map keeps the sender while there is a receiver");
    }

    /// Whether the ticket is revoked.
    pub(crate) fn is_revoked(&self) -> bool {
        let change = self.watch.changes.as_ref().expect("only a drop takes it").borrow();
        change.revision > self.revision && !change.ids.contains(&self.id)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut rooms = self.rooms.lock();
        drop(self.changes.take());
        if rooms.get(&self.presenter).is_some_and(|room| room.receiver_count() == 0) {
            rooms.remove(&self.presenter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Grantor, LongLived, ShownView};
    use super::*;

    fn value(ids: &[u128]) -> Vec<u8> {
        let ticket = |id: &u128| LongLived {
            id: Uuid::from_u128(*id),
            hash: String::new(),
            name: "OBS".to_owned(),
            view: ShownView::Viewer,
            by: 42.try_into().unwrap(),
            grantor: Grantor::Presenter,
            at: chat::now(),
        };
        record::to_json(&ids.iter().map(ticket).collect::<Vec<_>>()).to_vec()
    }

    #[tokio::test]
    async fn a_ticket_is_revoked_by_a_later_list_without_it_and_by_no_older_one() {
        let (rooms, room) = (Rooms::default(), PresenterIdx::try_from(42).unwrap());
        let mut ticket = rooms.watch(room).opened(Uuid::from_u128(2), 7);
        // A list from before the ticket was made, which is heard of late.
        rooms.apply(room, 6, &value(&[1]));
        assert!(!ticket.is_revoked());
        rooms.apply(room, 8, &value(&[1, 2, 3]));
        assert!(!ticket.is_revoked());
        rooms.apply(room, 9, &value(&[1, 3]));
        assert!(ticket.is_revoked());
        ticket.revoked().await;
        drop(ticket);
        assert!(rooms.0.lock().is_empty());
    }

    #[test]
    fn a_list_that_is_deleted_or_cannot_be_read_revokes_all() {
        for value in ["", "garbage"] {
            let (rooms, room) = (Rooms::default(), PresenterIdx::try_from(42).unwrap());
            let ticket = rooms.watch(room).opened(Uuid::from_u128(1), 1);
            rooms.apply(room, 2, value.as_bytes());
            assert!(ticket.is_revoked(), "{value}");
        }
    }
}
