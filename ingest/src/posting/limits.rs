//! How much one may write: slow mode, so many messages in a time in a room and in all rooms together, and no message
//! twice where a room wants that. Every ingest node counts what it admits and, from the log, what the others admitted,
//! so that the limits hold over all nodes, but for the milliseconds that the log takes. What moderators decide has a rate
//! too. Memory is bounded whatever the
//! number of users: who has not written for longest is forgotten first. Whether a message is accepted in the end is not
//! decided here.

mod rates;
mod slow_mode;
mod unique_chat;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use chat::{EventId, PresenterIdx, Role, UserIdx};
use moka::sync::Cache;

use self::rates::{Policy, Rates};
use self::slow_mode::{SlowMode, Writing};
use self::unique_chat::{Claim, UniqueChat};
use crate::config::LimitsConfig;
use crate::moderation::settings::{Rate, Settings};

pub(crate) use self::rates::Quota;

/// 100,000 messages between this node's append and its own tail: seconds of them at the highest rate. Beyond, some are
/// counted twice.
const MOST_APPENDING: u64 = 100_000;

/// 60 s: much longer than the append deadline, after which a message may still come into the log, or never.
const LONGEST_APPENDING: Duration = Duration::from_secs(60);

/// A message that somebody wants to write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// What it is called if it is accepted: a retry that comes before the first try was answered is the same message,
    /// and neither slow mode nor unique chat holds it up.
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
    /// How long ago it was stored, so that what was written before this node's start counts only as long as it should.
    pub(crate) age: Duration,
    pub(crate) presenter: PresenterIdx,
    pub(crate) user: UserIdx,
    pub(crate) role: Role,
    pub(crate) text: &'a str,
}

/// Leave to write one message. Dropped before [`Admission::stored`] it gives back what it holds, so that a message that
/// was refused elsewhere delays and forbids no other; what it took of the rates stays spent.
#[derive(Debug)]
#[must_use = "what is dropped is given back"]
pub(crate) struct Admission {
    /// The rate of which least is left.
    pub(crate) quota: Quota,
    id: EventId,
    writing: Option<Writing>,
    claim: Option<Claim>,
    appending: Cache<EventId, ()>,
}

/// Why a message may not be written now. Every `retry_after` is in whole seconds, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limited {
    /// The room is in slow mode, and the user wrote a moment ago.
    SlowMode { retry_after: Duration },
    /// A rate is used up.
    Rate { retry_after: Duration, quota: Quota },
    /// The room wants no message twice, and this one was there a moment ago.
    Duplicate,
}

/// Why a decision may not be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyDecisions {
    pub(crate) retry_after: Duration,
    pub(crate) quota: Quota,
}

#[derive(Debug)]
pub(crate) struct Limits {
    moderator_rate: Rate,
    user_rate: Rate,
    decision_rate: Rate,
    bans_in_room: usize,
    bans_everywhere: usize,
    rates: Rates,
    slow_mode: SlowMode,
    unique_chat: UniqueChat,
    /// Messages that this node admitted and has not seen in the log yet.
    appending: Cache<EventId, ()>,
}

impl Limits {
    /// Err: what is out of bounds, naming the key.
    pub(crate) fn new(config: &LimitsConfig) -> Result<Limits, String> {
        config.check()?;
        Ok(Limits {
            moderator_rate: config.moderator_rate,
            user_rate: config.user_rate,
            decision_rate: config.decision_rate,
            bans_in_room: config.bans_in_room,
            bans_everywhere: config.bans_everywhere,
            rates: Rates::new(),
            slow_mode: SlowMode::new(),
            unique_chat: UniqueChat::new(),
            appending: Cache::builder().max_capacity(MOST_APPENDING).time_to_live(LONGEST_APPENDING).build(),
        })
    }

    /// Takes what a message costs, or says why it may not be written.
    pub(crate) fn admit(&self, ask: &Ask<'_>, settings: &Settings) -> Result<Admission, Limited> {
        let Ask { id, presenter, user, role, text } = *ask;
        let is_viewer = role == Role::Viewer;

        let pause = Duration::from_secs(settings.slow_mode_seconds.into());
        let writing = match is_viewer && !pause.is_zero() {
            true => self.slow_mode.begin(id, presenter, user, pause, Instant::now())?,
            false => None,
        };
        let limited = |(retry_after, quota)| Limited::Rate { retry_after, quota };
        let in_room =
            self.rates.spend(Policy::Room(presenter), user, self.room_rate(role, settings)).map_err(limited)?;
        let in_all = self.rates.spend(Policy::User, user, self.user_rate).map_err(limited)?;
        let claim = match is_viewer && settings.unique_chat {
            true => self.unique_chat.claim(id, presenter, text)?,
            false => None,
        };
        let quota = if in_all.remaining < in_room.remaining { in_all } else { in_room };
        Ok(Admission { quota, id, writing, claim, appending: self.appending.clone() })
    }

    /// Counts a message of the log, by whichever node. `settings` are those of its room.
    pub(crate) fn observe(&self, message: &Observed<'_>, settings: &Settings) {
        let Observed { id, age, presenter, user, role, text } = *message;

        // What this node admitted it has counted already.
        if self.appending.remove(&id).is_none() {
            self.rates.count(Policy::Room(presenter), user, self.room_rate(role, settings), age);
            self.rates.count(Policy::User, user, self.user_rate, age);
        }
        // These say the same twice without harm, and of an own append of unknown outcome they have said nothing yet.
        if role == Role::Viewer && settings.slow_mode_seconds > 0 {
            self.slow_mode.wrote(id, presenter, user, age);
        }
        if settings.unique_chat {
            self.unique_chat.said(id, presenter, text, age);
        }
    }

    /// Takes what a decision costs, which is about to be appended.
    pub(crate) fn decide(&self, id: EventId, user: UserIdx) -> Result<Quota, TooManyDecisions> {
        let spent = self.rates.spend(Policy::Decisions, user, self.decision_rate);
        let quota = spent.map_err(|(retry_after, quota)| TooManyDecisions { retry_after, quota })?;
        self.appending.insert(id, ());
        Ok(quota)
    }

    /// Counts a decision of the log, by whichever node, that was stored so long ago.
    pub(crate) fn observe_decision(&self, id: EventId, user: UserIdx, age: Duration) {
        if self.appending.remove(&id).is_none() {
            self.rates.count(Policy::Decisions, user, self.decision_rate, age);
        }
    }

    /// How many bans a room can have, or every room together.
    pub(crate) fn most_bans(&self, presenter: Option<PresenterIdx>) -> usize {
        if presenter.is_some() { self.bans_in_room } else { self.bans_everywhere }
    }

    fn room_rate(&self, role: Role, settings: &Settings) -> Rate {
        match role {
            Role::Viewer => settings.message_rate,
            Role::Presenter | Role::Moderator => self.moderator_rate,
        }
    }
}

impl Admission {
    /// The message is about to be appended: when the log shows it, it is known to be counted.
    pub(crate) fn appending(&self) {
        self.appending.insert(self.id, ());
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

/// So many whole seconds, at least one: what a header can say.
fn whole_seconds(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(Duration::from_secs(1))
}
