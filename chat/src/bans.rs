//! Bans as a replay of the log knows them: the latest decision about a user in one place, a room or every room.

use jiff::Timestamp;

use crate::body::Body;
use crate::position::Position;

/// A ban.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ban {
    /// None: permanent.
    pub until: Option<Timestamp>,
}

impl Ban {
    /// Whether it is in force at that time.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// The latest decision about a user's ban. An unban is remembered too, while older decisions may still arrive.
#[derive(Debug, Clone, Copy)]
pub struct LatestBan {
    /// The position of the decision.
    pub position: Position,
    /// None: an unban.
    pub ban: Option<Ban>,
}

impl LatestBan {
    /// The decision of a `user.banned` or `user.unbanned` at that position. None: the event is another.
    pub fn of(position: Position, body: &Body) -> Option<LatestBan> {
        let ban = match body {
            Body::UserBanned(banned) => Some(Ban { until: banned.until }),
            Body::UserUnbanned(_) => None,
            _ => return None,
        };
        Some(LatestBan { position, ban })
    }

    /// Whether it bans the user at that time.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.ban.is_some_and(|ban| ban.holds(now))
    }
}
