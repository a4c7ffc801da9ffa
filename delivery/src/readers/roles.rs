//! The moderators of rooms, and who is banned from every room: such a user acts as no room's moderator while the ban
//! holds.

use std::collections::HashMap;

use chat::{Body, Moderators, Position, PresenterIdx, UserIdx};
use jiff::Timestamp;
use nats::Entry;

/// Roles and bans, replayed from saved decisions and the log.
#[derive(Debug, Default)]
pub(super) struct Roles {
    moderators: Moderators,
    /// From every room.
    bans: HashMap<UserIdx, LatestBan>,
}

/// The latest decision about a user's ban.
#[derive(Debug, Clone, Copy)]
struct LatestBan {
    position: Position,
    ban: Option<Ban>,
}

#[derive(Debug, Clone, Copy)]
struct Ban {
    /// None: permanent.
    until: Option<Timestamp>,
}

impl Roles {
    /// Applies a decision, unless a later one about the same is known. Returns whether something changed.
    pub(super) fn apply(&mut self, entry: &Entry, body: &Body) -> bool {
        if let Some(presenter) = entry.presenter {
            return self.moderators.apply(entry.position, presenter, body);
        }
        let (user, ban) = match body {
            Body::UserBanned(banned) => (banned.user, Some(Ban { until: banned.until })),
            Body::UserUnbanned(unbanned) => (unbanned.user, None),
            _ => return false,
        };
        let is_later = self.bans.get(&user).is_none_or(|known| known.position < entry.position);
        if is_later {
            self.bans.insert(user, LatestBan { position: entry.position, ban });
        }
        is_later
    }

    /// Whether the user acts as a moderator of the room.
    pub(super) fn moderates(&self, presenter: PresenterIdx, user: UserIdx) -> bool {
        let is_banned = || self.bans.get(&user).is_some_and(LatestBan::holds);
        self.moderators.contains(presenter, user) && !is_banned()
    }

    /// Forgets what has ended. Only for when no older decision can arrive any more.
    pub(super) fn tidy(&mut self) {
        self.moderators.tidy();
        self.bans.retain(|_, latest| latest.holds());
    }
}

impl LatestBan {
    fn holds(&self) -> bool {
        self.ban.is_some_and(|ban| ban.until.is_none_or(|until| until > Timestamp::now()))
    }
}
