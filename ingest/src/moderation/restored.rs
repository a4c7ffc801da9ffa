//! The messages that are known to be restored, so that a second restoration is refused. A deletion, or whatever else
//! may have deleted the message again, makes it unknown: what is unknown is accepted, as a deletion is, and changes
//! nothing if the message was not deleted. So it is enough to know the latest restorations.

use std::collections::VecDeque;

use chat::{Body, EventId, PresenterIdx, UserBanned};
use parking_lot::Mutex;

/// 1,000: a second restoration follows the first soon. Each decision looks through all of them.
const MOST: usize = 1_000;

/// The latest restored messages that nothing has deleted since, with their rooms. The oldest first.
#[derive(Debug, Default)]
pub(crate) struct RestoredMessages {
    messages: Mutex<VecDeque<(PresenterIdx, EventId)>>,
}

impl RestoredMessages {
    /// Applies an event of the room, in the log's order.
    pub(crate) fn apply(&self, room: PresenterIdx, body: &Body) {
        match body {
            Body::MessageRestored(restored) => {
                let mut messages = self.messages.lock();
                messages.retain(|message| *message != (room, restored.target));
                if messages.len() == MOST {
                    messages.pop_front();
                }
                messages.push_back((room, restored.target));
            }
            Body::MessageDeleted(deleted) => {
                self.messages.lock().retain(|message| *message != (room, deleted.target));
            }
            Body::RoomCleared(_) | Body::RoomSwept(_) | Body::UserBanned(UserBanned { purge_seconds: Some(_), .. }) => {
                self.messages.lock().retain(|(other, _)| *other != room);
            }
            _ => {}
        }
    }

    /// Whether the message of the room is known to be restored, and not deleted since.
    pub(crate) fn contains(&self, room: PresenterIdx, message: EventId) -> bool {
        self.messages.lock().contains(&(room, message))
    }
}

#[cfg(test)]
mod tests {
    use chat::{MessageDeleted, MessageRestored, Role, RoomCleared, User};

    use super::*;

    fn room(idx: i64) -> PresenterIdx {
        PresenterIdx::try_from(idx).unwrap()
    }

    fn by() -> User {
        User { idx: room(42).as_user(), nickname: "presenter".to_owned(), role: Role::Presenter }
    }

    fn restored(target: EventId) -> Body {
        Body::MessageRestored(MessageRestored { target, by: by(), reason: None })
    }

    fn deleted(target: EventId) -> Body {
        Body::MessageDeleted(MessageDeleted { target, by: by(), reason: None })
    }

    #[test]
    fn a_restored_message_is_known_until_anything_may_have_deleted_it_again() {
        let (restorations, message) = (RestoredMessages::default(), EventId::new());
        let is_known = || restorations.contains(room(42), message);
        assert!(!is_known());
        let ban = |purge_seconds| {
            Body::UserBanned(UserBanned { user: by().idx, until: None, purge_seconds, by: by(), reason: None })
        };
        let cleared = Body::RoomCleared(RoomCleared { by: by(), reason: None });
        for again in [deleted(message), cleared, ban(Some(600))] {
            restorations.apply(room(42), &restored(message));
            restorations.apply(room(42), &restored(message));
            restorations.apply(room(43), &again);
            restorations.apply(room(42), &deleted(EventId::new()));
            restorations.apply(room(42), &ban(None));
            assert!(is_known() && !restorations.contains(room(43), message));
            restorations.apply(room(42), &again);
            assert!(!is_known());
        }
    }

    #[test]
    fn the_latest_restorations_are_known() {
        let restorations = RestoredMessages::default();
        let messages: Vec<EventId> = (0..=MOST).map(|_| EventId::new()).collect();
        messages.iter().for_each(|message| restorations.apply(room(42), &restored(*message)));
        assert!(!restorations.contains(room(42), messages[0]));
        assert!(messages[1..].iter().all(|message| restorations.contains(room(42), *message)));
    }
}
