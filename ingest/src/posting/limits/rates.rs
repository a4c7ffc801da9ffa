//! Rates: one cell-rate limiter (GCRA) per user and room, one per user for all rooms, one per user for decisions,
//! one per user for reports, one per user for reads.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use chat::settings::Rate;
use chat::{PresenterIdx, UserIdx};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as Cells, RateLimiter};
use runtime::ShardedLru;

use super::limited::{Quota, Spent, whole_seconds};

/// 200,000 limiters: about 40 MB. Beyond that, the limiter that was unused longest is forgotten. Its user starts with a
/// full quota, so forgetting it refuses nothing.
const MOST_LIMITERS: usize = 200_000;

/// What a rate counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Policy {
    /// A user's messages in that room.
    Room(PresenterIdx),
    /// A user's messages in all rooms.
    User,
    /// A user's decisions in all rooms.
    Decisions,
    /// A user's reports in all rooms.
    Reports,
    /// A user's reads at this node.
    Reads,
}

#[derive(Debug)]
pub(super) struct Rates {
    clock: DefaultClock,
    /// The rate is part of the key: a room that changes its rate starts with new limiters.
    limiters: ShardedLru<(Policy, UserIdx, Rate), Arc<Limiter>>,
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

impl Rates {
    pub(super) fn new() -> Rates {
        Rates { clock: DefaultClock::default(), limiters: ShardedLru::new(MOST_LIMITERS) }
    }

    /// Spends one of the rate.
    pub(super) fn spend(&self, policy: Policy, user: UserIdx, rate: Rate) -> Result<Quota, Spent> {
        let quota = |remaining| Quota { policy: policy.name(), rate, remaining };
        match self.limiter(policy, user, rate).check() {
            Ok(state) => Ok(quota(state.remaining_burst_capacity())),
            Err(until) => {
                let retry_after = whole_seconds(until.wait_time_from(self.clock.now()));
                Err(Spent { retry_after, quota: quota(0) })
            }
        }
    }

    /// Counts one that was stored `age` ago. Within the rate's period it counts as if it were new, because the limiter
    /// cannot spend in the past. That matters only to a node that has just started.
    pub(super) fn count(&self, policy: Policy, user: UserIdx, rate: Rate, age: Duration) {
        if age < Duration::from_secs(rate.seconds.into()) {
            // Two nodes together can have admitted more than the rate. A limiter cannot go below zero.
            let _ = self.limiter(policy, user, rate).check();
        }
    }

    fn limiter(&self, policy: Policy, user: UserIdx, rate: Rate) -> Arc<Limiter> {
        self.limiters.update((policy, user, rate), |limiter| limiter.get_or_insert_with(|| new_limiter(rate)).clone())
    }
}

fn new_limiter(rate: Rate) -> Arc<Limiter> {
    let messages = NonZeroU32::new(rate.messages).expect("a rate is of at least one message");
    let every = Duration::from_secs(rate.seconds.into()) / rate.messages;
    let cells = Cells::with_period(every).expect("a rate has at most 100,000 messages a second");
    Arc::new(RateLimiter::direct(cells.allow_burst(messages)).with_middleware())
}

impl Policy {
    fn name(self) -> &'static str {
        match self {
            Policy::Room(_) => "room",
            Policy::User => "user",
            Policy::Decisions => "decisions",
            Policy::Reports => "reports",
            Policy::Reads => "reads",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_bound_the_user_silent_longest_is_forgotten_and_has_a_full_quota() {
        let (rates, rate) = (Rates::new(), Rate { messages: 1, seconds: 3_600 });
        let spend = |user: usize| rates.spend(Policy::User, UserIdx::try_from(user as i64).unwrap(), rate).is_ok();
        assert!(spend(1) && !spend(1));
        // Twice the bound fills every shard.
        assert!((2..=2 * MOST_LIMITERS).all(spend));
        assert!(rates.limiters.len() <= MOST_LIMITERS.next_multiple_of(64));
        assert!(spend(1), "the user was forgotten");
        assert!(!spend(2 * MOST_LIMITERS), "the latest user was not");
    }
}
