//! The pinned messages of rooms, replayed from the log: at most one a room. Of two decisions about a room's pin the
//! later position wins. A deletion of the pinned message, or a clear of the room, unpins it. Saved decisions may be
//! applied in any order before the log, which must be replayed in its order.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::body::{Body, User};
use crate::ids::{EventId, PresenterIdx};
use crate::position::Position;

/// A message is pinned, in place of the room's pinned message if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagePinned {
    /// The message or notice. It need not exist.
    pub target: EventId,
    /// The moderator or presenter.
    pub by: User,
}

/// The pinned message is unpinned. A deletion of the message unpins it as well, without this event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageUnpinned {
    /// The message that was pinned.
    pub target: EventId,
    /// The moderator or presenter.
    pub by: User,
}

/// The pinned messages of all rooms. One takes about 50 bytes.
#[derive(Debug, Default)]
pub struct Pins {
    rooms: HashMap<PresenterIdx, LatestPin>,
}

/// The latest decision about a room's pin. An unpinning is remembered while older decisions may still arrive.
#[derive(Debug, Clone, Copy)]
struct LatestPin {
    position: Position,
    message: Option<EventId>,
}

impl Pins {
    /// Applies an event of the room at that position. Returns whether it changed the pin.
    pub fn apply(&mut self, position: Position, presenter: PresenterIdx, body: &Body) -> bool {
        let pinned = self.pinned(presenter).map(|(message, _)| message);
        match body {
            Body::MessagePinned(pin) => self.decide(position, presenter, Some(pin.target)),
            Body::MessageUnpinned(_) => self.decide(position, presenter, None),
            Body::MessageDeleted(deleted) if pinned == Some(deleted.target) => self.decide(position, presenter, None),
            Body::RoomCleared(_) if pinned.is_some() => self.decide(position, presenter, None),
            _ => false,
        }
    }

    fn decide(&mut self, position: Position, presenter: PresenterIdx, message: Option<EventId>) -> bool {
        let is_later = self.known(presenter).is_none_or(|known| known < position);
        if is_later {
            self.rooms.insert(presenter, LatestPin { position, message });
        }
        is_later
    }

    /// The room's pinned message, and the position of the decision that pinned it.
    pub fn pinned(&self, presenter: PresenterIdx) -> Option<(EventId, Position)> {
        let latest = self.rooms.get(&presenter)?;
        Some((latest.message?, latest.position))
    }

    /// The position of the latest decision about the room's pin.
    pub fn known(&self, presenter: PresenterIdx) -> Option<Position> {
        self.rooms.get(&presenter).map(|latest| latest.position)
    }

    /// Forgets unpinnings. Only for when no older decision can arrive any more.
    pub fn tidy(&mut self) {
        self.rooms.retain(|_, latest| latest.message.is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{MessageDeleted, Role, RoomCleared};

    fn room(idx: i64) -> PresenterIdx {
        PresenterIdx::try_from(idx).unwrap()
    }

    fn by() -> User {
        User { idx: room(42).as_user(), nickname: "presenter".to_owned(), role: Role::Presenter }
    }

    fn at(sequence: u64) -> Position {
        Position { epoch: 1, sequence, index: 0 }
    }

    fn pinned(target: EventId) -> Body {
        Body::MessagePinned(MessagePinned { target, by: by() })
    }

    fn deleted(target: EventId) -> Body {
        Body::MessageDeleted(MessageDeleted { target, by: by(), reason: None })
    }

    #[test]
    fn a_room_has_the_pin_of_the_latest_decision() {
        let (mut pins, one, other) = (Pins::default(), EventId::new(), EventId::new());
        assert_eq!(pins.pinned(room(42)), None);
        assert!(pins.apply(at(2), room(42), &pinned(one)));
        assert!(!pins.apply(at(1), room(42), &pinned(other)) && !pins.apply(at(2), room(42), &pinned(other)));
        assert_eq!((pins.pinned(room(42)), pins.pinned(room(43))), (Some((one, at(2))), None));
        assert!(pins.apply(at(3), room(42), &pinned(other)));
        let unpinned = Body::MessageUnpinned(MessageUnpinned { target: other, by: by() });
        assert!(pins.apply(at(4), room(42), &unpinned));
        assert_eq!((pins.pinned(room(42)), pins.known(room(42))), (None, Some(at(4))));
        pins.tidy();
        assert_eq!(pins.known(room(42)), None);
    }

    #[test]
    fn a_deletion_unpins_its_message_by_the_order_of_the_log() {
        let (one, other) = (EventId::new(), EventId::new());
        let cleared = Body::RoomCleared(RoomCleared { by: by(), reason: None });
        for (place, gone, is_pinned) in [
            (at(3), deleted(one), false),
            (at(3), deleted(other), true),
            (at(1), deleted(one), true),
            (at(3), cleared.clone(), false),
            (at(1), cleared, true),
        ] {
            let mut pins = Pins::default();
            pins.apply(at(2), room(42), &pinned(one));
            assert_eq!(pins.apply(place, room(42), &gone), !is_pinned);
            assert!(!pins.apply(place, room(43), &gone));
            assert_eq!(pins.pinned(room(42)).is_some(), is_pinned, "{gone:?} at {place}");
        }
    }
}
