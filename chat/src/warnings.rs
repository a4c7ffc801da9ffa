//! Warnings, replayed from the log: a moderator of a room tells a user what to stop, and an answer to one of the user's
//! next posts there carries it. A user has at most one warning in a room. Of two decisions about it the later position
//! wins. A warning is in force for [`WARNED_FOR`], whether it was sent or not. Saved decisions may be applied in any
//! order before the log.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::body::{Body, User};
use crate::event::Event;
use crate::ids::{EventId, PresenterIdx, UserIdx};
use crate::position::Position;

/// 14 days, the longest time-out: a user who has not written in the room since then is told nothing any more.
pub const WARNED_FOR: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A user is warned in the room, in place of an earlier warning there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserWarned {
    /// The warned user.
    pub user: UserIdx,
    /// The moderator or presenter. The user does not learn who.
    pub by: User,
    /// What the user is told, in the moderator's words. Absent: it was erased, and the warning is no longer in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A warning is withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarningWithdrawn {
    /// The user who was warned.
    pub user: UserIdx,
    /// The moderator or presenter.
    pub by: User,
    /// The reason, in that user's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An answer to the user carried the warning. Whether anybody read it is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarningSent {
    /// The warned user.
    pub user: UserIdx,
    /// The `user.warned`.
    pub target: EventId,
}

/// A warning in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warning {
    /// The id of the decision.
    pub id: EventId,
    /// The position of the decision.
    pub position: Position,
    /// When it was decided.
    pub at: Timestamp,
    /// When it was sent. `None`: no answer has carried it yet.
    pub sent_at: Option<Timestamp>,
}

/// The warnings of all rooms. One takes about 150 bytes, without its reason.
#[derive(Debug, Default)]
pub struct Warnings {
    rooms: HashMap<PresenterIdx, BTreeMap<UserIdx, Latest>>,
    unsent: usize,
}

/// The latest decision about a user in a room, and the latest warning that was sent.
#[derive(Debug, Clone, Copy, Default)]
struct Latest {
    decided: Option<Decided>,
    sent: Option<Sent>,
}

/// An ended warning is remembered while older decisions may still arrive.
#[derive(Debug, Clone, Copy)]
struct Decided {
    position: Position,
    /// Id and time. None: withdrawn or erased.
    warning: Option<(EventId, Timestamp)>,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    position: Position,
    warning: EventId,
    at: Timestamp,
}

impl Latest {
    fn warning(&self) -> Option<Warning> {
        let Decided { position, warning } = self.decided?;
        let (id, at) = warning?;
        let sent_at = self.sent.filter(|sent| sent.warning == id).map(|sent| sent.at);
        Some(Warning { id, position, at, sent_at })
    }

    fn is_unsent(&self) -> bool {
        self.warning().is_some_and(|warning| warning.sent_at.is_none())
    }
}

impl Warning {
    /// Whether it is in force at that time.
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.at + WARNED_FOR
    }
}

impl Warnings {
    /// Applies an event of the room at that position. Returns whether it changed a warning.
    pub fn apply(&mut self, position: Position, presenter: PresenterIdx, event: &Event) -> bool {
        match &event.body {
            Body::UserWarned(warned) => {
                let warning = warned.reason.is_some().then_some((event.id, event.at));
                self.decide(presenter, warned.user, Decided { position, warning })
            }
            Body::WarningWithdrawn(withdrawn) => {
                self.decide(presenter, withdrawn.user, Decided { position, warning: None })
            }
            Body::WarningSent(sent) => {
                let latest = Sent { position, warning: sent.target, at: event.at };
                self.change(presenter, sent.user, |known| {
                    let is_later = known.sent.is_none_or(|known| known.position < position);
                    if is_later {
                        known.sent = Some(latest);
                    }
                    is_later
                })
            }
            _ => false,
        }
    }

    fn decide(&mut self, presenter: PresenterIdx, user: UserIdx, decided: Decided) -> bool {
        self.change(presenter, user, |known| {
            let is_later = known.decided.is_none_or(|known| known.position < decided.position);
            if is_later {
                known.decided = Some(decided);
            }
            is_later
        })
    }

    /// Changes what is known about a user in a room, and keeps count.
    fn change<T>(&mut self, presenter: PresenterIdx, user: UserIdx, change: impl FnOnce(&mut Latest) -> T) -> T {
        let latest = self.rooms.entry(presenter).or_default().entry(user).or_default();
        let before = usize::from(latest.is_unsent());
        let changed = change(latest);
        self.unsent = self.unsent + usize::from(latest.is_unsent()) - before;
        changed
    }

    /// Ends the user's warnings from before that position, in the rooms that `is_here` accepts: the user is erased.
    pub fn erase(&mut self, user: UserIdx, position: Position, is_here: impl Fn(PresenterIdx) -> bool) {
        let of_user = self.rooms.iter().filter(|(room, users)| users.contains_key(&user) && is_here(**room));
        let rooms: Vec<PresenterIdx> = of_user.map(|(room, _)| *room).collect();
        for room in rooms {
            self.change(room, user, |latest| match &mut latest.decided {
                Some(decided) if decided.position < position => decided.warning = None,
                _ => {}
            });
        }
    }

    /// The user's warning in the room.
    pub fn get(&self, presenter: PresenterIdx, user: UserIdx, now: Timestamp) -> Option<Warning> {
        self.rooms.get(&presenter)?.get(&user)?.warning().filter(|warning| warning.holds(now))
    }

    /// How many warnings no answer has carried yet, in all rooms.
    pub fn unsent(&self) -> usize {
        self.unsent
    }

    /// The room's warnings by user, those after `after`.
    pub fn of_room(
        &self,
        presenter: PresenterIdx,
        after: Option<UserIdx>,
        now: Timestamp,
    ) -> impl Iterator<Item = (UserIdx, Warning)> + '_ {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let users = self.rooms.get(&presenter).into_iter().flat_map(move |room| room.range((start, Bound::Unbounded)));
        let warned = users.filter_map(|(user, latest)| Some((*user, latest.warning()?)));
        warned.filter(move |(_, warning)| warning.holds(now))
    }

    /// The position of the latest decision about the user's warning in the room.
    pub fn known(&self, presenter: PresenterIdx, user: UserIdx) -> Option<Position> {
        self.rooms.get(&presenter)?.get(&user)?.decided.map(|decided| decided.position)
    }

    /// The position at which a warning of the user in the room was recorded as sent last.
    pub fn known_sent(&self, presenter: PresenterIdx, user: UserIdx) -> Option<Position> {
        self.rooms.get(&presenter)?.get(&user)?.sent.map(|sent| sent.position)
    }

    /// Forgets warnings that have ended. Only for when no older decision can arrive any more.
    pub fn tidy(&mut self, now: Timestamp) {
        let mut unsent = 0;
        self.rooms.retain(|_, users| {
            users.retain(|_, latest| latest.warning().is_some_and(|warning| warning.holds(now)));
            unsent += users.values().filter(|latest| latest.is_unsent()).count();
            !users.is_empty()
        });
        self.unsent = unsent;
    }
}

#[cfg(test)]
mod tests;
