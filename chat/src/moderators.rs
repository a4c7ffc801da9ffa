//! The moderators of rooms, replayed from the log: who was appointed, and whose role has ended. Of two decisions about
//! a user in a room the later position wins. A ban from the room ends the role; the end of the ban does not bring it
//! back. Saved decisions may be applied in any order before the log. A ban that is applied before the appointment that
//! precedes it is not remembered, so the log must be replayed in its order.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use crate::body::{Body, User};
use crate::ids::{PresenterIdx, UserIdx};
use crate::position::Position;

/// A user becomes a moderator of the room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeratorAdded {
    /// The new moderator.
    pub user: UserIdx,
    /// The presenter, or a moderator of every room.
    pub by: User,
    /// The reason, in that user's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A user is no longer a moderator of the room. A ban from the room ends the role as well, without this event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeratorRemoved {
    /// The user who was a moderator.
    pub user: UserIdx,
    /// The presenter, or a moderator of every room.
    pub by: User,
    /// The reason, in that user's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The moderators of all rooms. One takes about 50 bytes.
#[derive(Debug, Default)]
pub struct Moderators {
    rooms: HashMap<PresenterIdx, BTreeMap<UserIdx, LatestRole>>,
}

/// The latest decision about a user in a room. An ended role is remembered while older decisions may still arrive.
#[derive(Debug, Clone, Copy)]
struct LatestRole {
    position: Position,
    is_moderator: bool,
}

impl Moderators {
    /// Applies an event of the room at that position. Returns whether it appointed somebody or ended a role.
    pub fn apply(&mut self, position: Position, presenter: PresenterIdx, body: &Body) -> bool {
        match body {
            Body::ModeratorAdded(added) => self.decide(position, presenter, added.user, true),
            Body::ModeratorRemoved(removed) => self.decide(position, presenter, removed.user, false),
            Body::UserBanned(banned) if self.contains(presenter, banned.user) => {
                self.decide(position, presenter, banned.user, false)
            }
            _ => false,
        }
    }

    fn decide(&mut self, position: Position, presenter: PresenterIdx, user: UserIdx, is_moderator: bool) -> bool {
        let is_later = self.known(presenter, user).is_none_or(|known| known < position);
        if is_later {
            self.rooms.entry(presenter).or_default().insert(user, LatestRole { position, is_moderator });
        }
        is_later
    }

    /// Whether the user is a moderator of the room.
    pub fn contains(&self, presenter: PresenterIdx, user: UserIdx) -> bool {
        self.appointment(presenter, user).is_some()
    }

    /// The position of the decision that made the user a moderator of the room. `None`: the user is none.
    pub fn appointment(&self, presenter: PresenterIdx, user: UserIdx) -> Option<Position> {
        let latest = self.rooms.get(&presenter)?.get(&user)?;
        latest.is_moderator.then_some(latest.position)
    }

    /// The position of the latest decision about the user's role in the room.
    pub fn known(&self, presenter: PresenterIdx, user: UserIdx) -> Option<Position> {
        self.rooms.get(&presenter)?.get(&user).map(|latest| latest.position)
    }

    /// The room's moderators by number, those after `after`, each with the position of the appointment.
    pub fn of_room(
        &self,
        presenter: PresenterIdx,
        after: Option<UserIdx>,
    ) -> impl Iterator<Item = (UserIdx, Position)> + '_ {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let room = self.rooms.get(&presenter).into_iter();
        let users = room.flat_map(move |room| room.range((start, Bound::Unbounded)));
        users.filter(|(_, latest)| latest.is_moderator).map(|(user, latest)| (*user, latest.position))
    }

    /// Forgets ended roles. Only for when no older decision can arrive any more.
    pub fn tidy(&mut self) {
        self.rooms.retain(|_, room| {
            room.retain(|_, latest| latest.is_moderator);
            !room.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{Role, UserBanned, UserUnbanned};

    fn room(idx: i64) -> PresenterIdx {
        PresenterIdx::try_from(idx).unwrap()
    }

    fn user(idx: i64) -> UserIdx {
        UserIdx::try_from(idx).unwrap()
    }

    fn at(sequence: u64) -> Position {
        Position { epoch: 1, sequence, index: 0 }
    }

    fn by() -> User {
        User { idx: user(42), nickname: "presenter".to_owned(), role: Role::Presenter }
    }

    fn added(idx: i64) -> Body {
        Body::ModeratorAdded(ModeratorAdded { user: user(idx), by: by(), reason: None })
    }

    fn removed(idx: i64) -> Body {
        Body::ModeratorRemoved(ModeratorRemoved { user: user(idx), by: by(), reason: None })
    }

    fn banned(idx: i64) -> Body {
        Body::UserBanned(UserBanned { user: user(idx), until: None, purge_seconds: None, by: by(), reason: None })
    }

    fn unbanned(idx: i64) -> Body {
        Body::UserUnbanned(UserUnbanned { user: user(idx), by: by(), reason: None })
    }

    #[test]
    fn a_moderator_is_one_in_one_room_until_removed() {
        let mut moderators = Moderators::default();
        assert!(moderators.apply(at(1), room(42), &added(7)));
        assert!(moderators.contains(room(42), user(7)));
        assert!(!moderators.contains(room(43), user(7)));
        assert!(!moderators.contains(room(42), user(8)));
        assert!(moderators.apply(at(2), room(42), &removed(7)));
        assert!(!moderators.contains(room(42), user(7)));
    }

    #[test]
    fn a_ban_ends_the_role_and_its_end_does_not_bring_it_back() {
        let mut moderators = Moderators::default();
        moderators.apply(at(1), room(42), &added(7));
        assert!(!moderators.apply(at(2), room(43), &banned(7)), "a ban from another room");
        assert!(moderators.contains(room(42), user(7)));
        assert!(moderators.apply(at(3), room(42), &banned(7)));
        assert!(!moderators.apply(at(4), room(42), &unbanned(7)));
        assert!(!moderators.contains(room(42), user(7)));
        assert!(!moderators.apply(at(5), room(42), &banned(8)), "a viewer has no role to end");
    }

    #[test]
    fn the_later_position_wins_when_decisions_are_replayed_again() {
        let decisions = [(at(1), added(7)), (at(3), banned(7)), (at(5), added(7)), (at(7), removed(7))];
        // A saved decision first, then the log from before it.
        for saved in 0..decisions.len() {
            let mut moderators = Moderators::default();
            for (position, body) in decisions[saved..=saved].iter().chain(&decisions) {
                moderators.apply(*position, room(42), body);
            }
            assert!(!moderators.contains(room(42), user(7)), "{saved}");
            assert_eq!(moderators.known(room(42), user(7)), Some(at(7)));
        }
    }

    #[test]
    fn moderators_are_listed_by_number_and_ended_roles_are_not() {
        let mut moderators = Moderators::default();
        for (sequence, idx) in [(1, 9), (2, 7), (3, 8)] {
            moderators.apply(at(sequence), room(42), &added(idx));
        }
        moderators.apply(at(4), room(43), &added(5));
        moderators.apply(at(5), room(42), &removed(8));
        let list = |after| -> Vec<_> { moderators.of_room(room(42), after).collect() };
        assert_eq!(list(None), [(user(7), at(2)), (user(9), at(1))]);
        assert_eq!(list(Some(user(7))), [(user(9), at(1))]);
        moderators.apply(at(6), room(43), &removed(5));
        moderators.tidy();
        assert_eq!(moderators.known(room(42), user(8)), None);
        assert_eq!(moderators.rooms.keys().collect::<Vec<_>>(), [&room(42)]);
    }
}
