//! Rates: one cell-rate limiter (GCRA) per user and room, and one per user for all rooms together.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use chat::{PresenterIdx, UserIdx};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as Cells, RateLimiter};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::whole_seconds;
use crate::moderation::settings::Rate;

/// 200,000 limiters: some 90 MB. Beyond, who has not written for longest begins anew, which never forbids anything.
const MOST_LIMITERS: u64 = 200_000;

/// An hour: the longest time that a rate can have, after which an unused limiter is as good as a new one.
const IDLE: Duration = Duration::from_secs(3_600);

/// How much is left, and of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    /// `room`, `user` or `decisions`.
    pub(crate) policy: &'static str,
    pub(crate) rate: Rate,
    pub(crate) remaining: u32,
}

/// What a rate is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Policy {
    /// A user in that room.
    Room(PresenterIdx),
    /// A user in all rooms.
    User,
    /// What a user decides, in all rooms.
    Decisions,
}

#[derive(Debug)]
pub(super) struct Rates {
    clock: DefaultClock,
    /// The rate belongs to the key: a room that changes it begins with new limiters.
    limiters: Cache<(Policy, UserIdx, Rate), Arc<Limiter>>,
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

impl Rates {
    pub(super) fn new() -> Rates {
        // Least recently used, and not by frequency: the default does not let in who comes new to a full cache, and
        // nothing would limit them.
        let limiters = Cache::builder()
            .max_capacity(MOST_LIMITERS)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(IDLE)
            .build();
        Rates { clock: DefaultClock::default(), limiters }
    }

    /// Takes one message of the rate. Err: how long to wait, at least, and the quota.
    pub(super) fn spend(&self, policy: Policy, user: UserIdx, rate: Rate) -> Result<Quota, (Duration, Quota)> {
        let quota = |remaining| Quota { policy: policy.name(), rate, remaining };
        match self.limiter(policy, user, rate).check() {
            Ok(state) => Ok(quota(state.remaining_burst_capacity())),
            Err(until) => {
                let retry_after = whole_seconds(until.wait_time_from(self.clock.now()));
                Err((retry_after, quota(0)))
            }
        }
    }

    /// Takes one message that was written so long ago. What is left of it by now cannot be told, so that within the
    /// time of the rate it counts as one of now; that makes a difference only to a node that has just started.
    pub(super) fn count(&self, policy: Policy, user: UserIdx, rate: Rate, age: Duration) {
        if age < Duration::from_secs(rate.seconds.into()) {
            // Two nodes can have admitted more than the rate together; more than everything cannot be taken.
            let _ = self.limiter(policy, user, rate).check();
        }
    }

    fn limiter(&self, policy: Policy, user: UserIdx, rate: Rate) -> Arc<Limiter> {
        self.limiters.get_with((policy, user, rate), || {
            let messages = NonZeroU32::new(rate.messages).expect("a rate is of at least one message");
            let every = Duration::from_secs(rate.seconds.into()) / rate.messages;
            let cells = Cells::with_period(every).expect("a rate has at most 100,000 messages a second");
            Arc::new(RateLimiter::direct(cells.allow_burst(messages)).with_middleware())
        })
    }
}

impl Policy {
    fn name(self) -> &'static str {
        match self {
            Policy::Room(_) => "room",
            Policy::User => "user",
            Policy::Decisions => "decisions",
        }
    }
}

impl Quota {
    /// A quota that is used up, for documents and tests.
    pub(crate) fn example(policy: &'static str) -> Quota {
        Quota { policy, rate: Rate { messages: 20, seconds: 30 }, remaining: 0 }
    }

    /// Seconds until all of it is back, rounded up.
    pub(crate) fn reset_seconds(&self) -> u64 {
        let spent = u64::from(self.rate.messages.saturating_sub(self.remaining));
        (spent * u64::from(self.rate.seconds)).div_ceil(self.rate.messages.into())
    }
}
