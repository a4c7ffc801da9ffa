//! Rate limits: slow mode, message rates per room and over all rooms, unique chat, and rates of moderation decisions
//! and of reads.
//!
//! Every ingest node counts what it admits and, from the log, what other nodes admitted. The limits therefore hold over
//! all nodes, but for the milliseconds that the log takes. Memory is bounded whatever the number of users: the users
//! that have been silent longest are forgotten first. A message that passes the limits may still be refused elsewhere.

mod limited;
mod rates;
mod slow_mode;
mod unique_chat;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use chat::{EventId, PresenterIdx, Role, UserIdx};
use parking_lot::RwLock;
use runtime::ShardedLru;
use serde::Deserialize;

use self::rates::{Policy, Rates};
use self::slow_mode::{SlowMode, Writing};
use self::unique_chat::{Claim, UniqueChat};
use chat::settings::{Rate, Settings};

pub(crate) use self::limited::{Limited, Quota, Spent};

/// 100,000 messages between this node's append and its own tail: seconds of traffic at the highest rate, about 6 MB.
/// Beyond that, the oldest are counted twice. A message that never comes into the log stays until it is the oldest.
const MOST_APPENDING: usize = 100_000;

/// The section `[ingest.limits]` of the configuration.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// The rate of the messages of the presenter, or of a moderator, in a room.
    pub moderator_rate: Rate,
    /// The rate of the messages of any user in all rooms together.
    pub user_rate: Rate,
    /// The rate of the decisions of any user in all rooms together: `messages` counts decisions.
    pub decision_rate: Rate,
    /// The rate of the reports of any user in all rooms together: `messages` counts reports.
    pub report_rate: Rate,
    /// The rate of the reads of any user at this node: `messages` counts requests.
    pub read_rate: Rate,
    /// The active bans of a room.
    pub bans_in_room: usize,
    /// The active bans from every room.
    pub bans_everywhere: usize,
    /// The moderators of a room.
    pub moderators_in_room: usize,
    /// The messages of a room that wait for a moderator.
    pub holds_in_room: usize,
}

/// A message to be admitted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// The message's id. A retry that arrives before the first try is answered has the same id, so neither slow mode
    /// nor unique chat refuses it.
    pub(crate) id: EventId,
    pub(crate) presenter: PresenterIdx,
    pub(crate) user: UserIdx,
    pub(crate) role: Role,
    pub(crate) text: &'a str,
}

/// A message of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observed<'a> {
    pub(crate) id: EventId,
    /// How long ago it was stored, so that messages from before this node's start count no longer than they should.
    pub(crate) age: Duration,
    pub(crate) presenter: PresenterIdx,
    pub(crate) user: UserIdx,
    pub(crate) role: Role,
    pub(crate) text: &'a str,
}

/// A reservation for one message. Dropped before [`Reservation::stored`], it releases its place in slow mode and its
/// text in unique chat, so that a message that is refused elsewhere blocks no other. What it took of the rates stays
/// spent.
#[derive(Debug)]
#[must_use = "dropping a reservation releases it"]
pub(crate) struct Reservation<'a> {
    /// The quota of the rate with the least left.
    pub(crate) quota: Quota,
    limits: &'a Limits,
    id: EventId,
    writing: Option<Writing<'a>>,
    claim: Option<Claim<'a>>,
}

#[derive(Debug)]
pub(crate) struct Limits {
    config: RwLock<LimitsConfig>,
    rates: Rates,
    slow_mode: SlowMode,
    unique_chat: UniqueChat,
    /// Messages, decisions and reports that this node counted and has not seen in the log yet.
    appending: ShardedLru<EventId, ()>,
}

impl LimitsConfig {
    /// Err: what is out of bounds, naming the key.
    pub(crate) fn check(&self) -> Result<(), String> {
        let rates = [
            ("moderator_rate", self.moderator_rate),
            ("user_rate", self.user_rate),
            ("decision_rate", self.decision_rate),
            ("report_rate", self.report_rate),
            ("read_rate", self.read_rate),
        ];
        for (name, rate) in rates {
            if !rate.is_valid() {
                return Err(format!("ingest.limits.{name} must be {{ messages = 1 to 100000, seconds = 1 to 3600 }}"));
            }
        }
        Ok(())
    }

    fn room_rate(&self, role: Role, settings: &Settings) -> Rate {
        match role {
            Role::Viewer => settings.message_rate,
            Role::Presenter | Role::Moderator => self.moderator_rate,
        }
    }
}

impl Limits {
    /// Err: a sentence that names the key that is out of bounds.
    pub(crate) fn new(config: &LimitsConfig) -> Result<Limits, String> {
        config.check()?;
        Ok(Limits {
            config: RwLock::new(*config),
            rates: Rates::new(),
            slow_mode: SlowMode::new(),
            unique_chat: UniqueChat::new(),
            appending: ShardedLru::new(MOST_APPENDING),
        })
    }

    /// From now on these. Users start with the full quota of a rate that changed.
    pub(crate) fn set(&self, config: &LimitsConfig) {
        *self.config.write() = *config;
    }

    /// Charges a message to the limits. Err: the limit that refuses it.
    pub(crate) fn admit(&self, ask: &Ask<'_>, settings: &Settings) -> Result<Reservation<'_>, Limited> {
        let Ask { id, presenter, user, role, text } = *ask;
        let config = *self.config.read();
        let (is_viewer, now) = (role == Role::Viewer, Instant::now());

        let pause = Duration::from_secs(settings.slow_mode_seconds.into());
        let writing = match is_viewer && !pause.is_zero() {
            true => self.slow_mode.begin(id, presenter, user, pause, now)?,
            false => None,
        };
        let limited = |Spent { retry_after, quota }| Limited::Rate { retry_after, quota };
        let in_room =
            self.rates.spend(Policy::Room(presenter), user, config.room_rate(role, settings)).map_err(limited)?;
        let in_all = self.rates.spend(Policy::User, user, config.user_rate).map_err(limited)?;
        let claim = match is_viewer && settings.unique_chat {
            true => self.unique_chat.claim(id, presenter, text, now)?,
            false => None,
        };
        let quota = if in_all.remaining < in_room.remaining { in_all } else { in_room };
        Ok(Reservation { quota, limits: self, id, writing, claim })
    }

    /// Counts a message of the log, from any node. `settings` are those of its room.
    pub(crate) fn observe(&self, message: &Observed<'_>, settings: &Settings) {
        let Observed { id, age, presenter, user, role, text } = *message;
        let now = Instant::now();

        // This node has already counted what it admitted itself.
        if self.appending.remove(id).is_none() {
            let config = *self.config.read();
            self.rates.count(Policy::Room(presenter), user, config.room_rate(role, settings), age);
            self.rates.count(Policy::User, user, config.user_rate, age);
        }
        // These are idempotent, and an append of this node with unknown outcome is not recorded in them yet.
        if role == Role::Viewer && settings.slow_mode_seconds > 0 {
            self.slow_mode.wrote(id, presenter, user, age, now);
        }
        if settings.unique_chat {
            self.unique_chat.said(id, presenter, text, age, now);
        }
    }

    /// Charges a decision that is about to be appended.
    pub(crate) fn decide(&self, id: EventId, user: UserIdx) -> Result<Quota, Spent> {
        let quota = self.rates.spend(Policy::Decisions, user, self.config.read().decision_rate)?;
        self.appending.insert(id, ());
        Ok(quota)
    }

    /// Charges a report that is about to be appended.
    pub(crate) fn report(&self, id: EventId, user: UserIdx) -> Result<Quota, Spent> {
        let quota = self.rates.spend(Policy::Reports, user, self.config.read().report_rate)?;
        self.appending.insert(id, ());
        Ok(quota)
    }

    /// Charges a read. Only this node counts it: it is not in the log.
    pub(crate) fn read(&self, user: UserIdx) -> Result<(), Spent> {
        self.rates.spend(Policy::Reads, user, self.config.read().read_rate).map(drop)
    }

    /// Counts a decision of the log, from any node. `age` is how long ago it was stored.
    pub(crate) fn observe_decision(&self, id: EventId, user: UserIdx, age: Duration) {
        if self.appending.remove(id).is_none() {
            self.rates.count(Policy::Decisions, user, self.config.read().decision_rate, age);
        }
    }

    /// Counts a report of the log, from any node. `age` is how long ago it was stored.
    pub(crate) fn observe_report(&self, id: EventId, user: UserIdx, age: Duration) {
        if self.appending.remove(id).is_none() {
            self.rates.count(Policy::Reports, user, self.config.read().report_rate, age);
        }
    }

    /// The maximum number of bans in a room, or in every room if `presenter` is none.
    pub(crate) fn most_bans(&self, presenter: Option<PresenterIdx>) -> usize {
        let config = self.config.read();
        if presenter.is_some() { config.bans_in_room } else { config.bans_everywhere }
    }

    /// The maximum number of moderators of a room.
    pub(crate) fn most_moderators(&self) -> usize {
        self.config.read().moderators_in_room
    }

    /// The maximum number of held messages of a room.
    pub(crate) fn most_holds(&self) -> usize {
        self.config.read().holds_in_room
    }
}

impl Reservation<'_> {
    /// The message is about to be appended. When the log shows it, it is not counted again.
    pub(crate) fn appending(&self) {
        self.limits.appending.insert(self.id, ());
    }

    /// The message is in the log.
    pub(crate) fn stored(self) {
        if let Some(writing) = self.writing {
            writing.done();
        }
        if let Some(claim) = self.claim {
            claim.keep();
        }
    }
}
