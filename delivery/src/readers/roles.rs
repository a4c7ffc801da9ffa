//! The moderators of rooms, and who is banned from every room: such a user acts as no room's moderator while the ban
//! holds.

use std::collections::HashMap;

use chat::{Body, LatestBan, Moderators, PresenterIdx, UserBanned, UserIdx, UserUnbanned};
use jiff::Timestamp;
use nats::Entry;

/// Roles and bans, replayed from saved decisions and the log.
#[derive(Debug, Default)]
pub(super) struct Roles {
    moderators: Moderators,
    /// From every room.
    bans: HashMap<UserIdx, LatestBan>,
}

impl Roles {
    /// Applies a decision, unless a later one about the same is known. Returns whether something changed.
    pub(super) fn apply(&mut self, entry: &Entry, body: &Body) -> bool {
        if let Some(presenter) = entry.presenter {
            return self.moderators.apply(entry.position, presenter, body);
        }
        let (Body::UserBanned(UserBanned { user, .. }) | Body::UserUnbanned(UserUnbanned { user, .. })) = body else {
            return false;
        };
        let is_later = self.bans.get(user).is_none_or(|known| known.position < entry.position);
        if is_later && let Some(latest) = LatestBan::of(entry.position, body) {
            self.bans.insert(*user, latest);
        }
        is_later
    }

    /// Whether the user acts as a moderator of the room.
    pub(super) fn moderates(&self, presenter: PresenterIdx, user: UserIdx) -> bool {
        let is_banned = || self.bans.get(&user).is_some_and(|latest| latest.holds(Timestamp::now()));
        self.moderators.contains(presenter, user) && !is_banned()
    }

    /// Forgets what has ended. Only for when no older decision can arrive any more.
    pub(super) fn tidy(&mut self) {
        self.moderators.tidy();
        let now = Timestamp::now();
        self.bans.retain(|_, latest| latest.holds(now));
    }
}
