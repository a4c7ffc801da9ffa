//! Rates: the generic cell rate algorithm (GCRA), per user and room, per user for all rooms, and per user for decisions.

use std::time::{Duration, Instant};

use chat::{PresenterIdx, UserIdx};

use super::limited::{Quota, whole_seconds};
use crate::moderation::settings::Rate;
use crate::sharded_lru::ShardedLru;

/// 200,000 quotas: about 15 MB. Beyond that, the quota that was unused longest is forgotten. Its user starts with a full
/// one, so forgetting it refuses nothing.
const MOST_QUOTAS: usize = 200_000;

/// What a rate counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Policy {
    /// A user's messages in that room.
    Room(PresenterIdx),
    /// A user's messages in all rooms.
    User,
    /// A user's decisions in all rooms.
    Decisions,
}

#[derive(Debug)]
pub(super) struct Rates {
    began: Instant,
    /// The rate is part of the key: a room that changes its rate starts with new quotas.
    quotas: ShardedLru<(Policy, UserIdx, Rate), FullAt>,
}

/// When the whole quota is back, in nanoseconds since the rates began. A quota whose time is past equals a new one.
#[derive(Debug, Clone, Copy)]
struct FullAt(u64);

/// What [`FullAt::spend`] leaves: how many more may be spent at once. Err: the time until one can be spent.
type Spent = Result<u32, Duration>;

impl Rates {
    pub(super) fn new() -> Rates {
        Rates { began: Instant::now(), quotas: ShardedLru::new(MOST_QUOTAS) }
    }

    /// Spends one of the rate. Err: the shortest time to wait, and the quota.
    pub(super) fn spend(
        &self,
        policy: Policy,
        user: UserIdx,
        rate: Rate,
        now: Instant,
    ) -> Result<Quota, (Duration, Quota)> {
        let quota = |remaining| Quota { policy: policy.name(), rate, remaining };
        match self.try_spend(policy, user, rate, now) {
            Ok(remaining) => Ok(quota(remaining)),
            Err(wait) => Err((whole_seconds(wait), quota(0))),
        }
    }

    /// Counts one that was stored `age` ago. Within the rate's period it counts as if it were new. That matters only to
    /// a node that has just started.
    pub(super) fn count(&self, policy: Policy, user: UserIdx, rate: Rate, age: Duration, now: Instant) {
        if age < Duration::from_secs(rate.seconds.into()) {
            // Two nodes together can have admitted more than the rate. A quota cannot go below zero.
            let _ = self.try_spend(policy, user, rate, now);
        }
    }

    fn try_spend(&self, policy: Policy, user: UserIdx, rate: Rate, now: Instant) -> Spent {
        // 584 years.
        let now = now.saturating_duration_since(self.began).as_nanos() as u64;
        self.quotas.update((policy, user, rate), |quota| {
            let full_at = quota.get_or_insert(FullAt(now));
            full_at.spend(rate, now)
        })
    }
}

impl FullAt {
    fn spend(&mut self, rate: Rate, now: u64) -> Spent {
        let every = u64::from(rate.seconds) * 1_000_000_000 / u64::from(rate.messages);
        let whole = every * u64::from(rate.messages);
        let full_at = self.0.max(now) + every;
        match (now + whole).checked_sub(full_at) {
            Some(left) => {
                self.0 = full_at;
                Ok((left / every) as u32)
            }
            None => Err(Duration::from_nanos(full_at - whole - now)),
        }
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

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use governor::clock::{Clock as _, FakeRelativeClock};
    use governor::middleware::StateInformationMiddleware;
    use governor::{Quota as Cells, RateLimiter};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_user_that_was_silent_longest_is_forgotten_and_refused_nothing() {
        let (rates, rate, now) = (Rates::new(), Rate { messages: 1, seconds: 3_600 }, Instant::now());
        let spend = |user: usize| rates.spend(Policy::User, UserIdx::try_from(user as i64).unwrap(), rate, now).is_ok();
        assert!(spend(1) && !spend(1));
        // Twice the bound fills every shard.
        assert!((2..=2 * MOST_QUOTAS).all(spend));
        assert!(rates.quotas.len() <= MOST_QUOTAS.next_multiple_of(64));
        assert!(spend(1), "the user was forgotten");
        assert!(!spend(2 * MOST_QUOTAS), "the latest user was not");
    }

    proptest! {
        #[test]
        fn a_quota_is_spent_and_comes_back_as_another_implementation_of_the_algorithm_has_it(
            messages in 1..200_u32,
            seconds in 1..100_u32,
            pauses in prop::collection::vec(prop_oneof![Just(0), 0..200_u64, 0..20_000_u64, 0..200_000_u64], 1..100),
        ) {
            let clock = FakeRelativeClock::default();
            let every = Duration::from_secs(seconds.into()) / messages;
            let cells = Cells::with_period(every).unwrap().allow_burst(NonZeroU32::new(messages).unwrap());
            let theirs = RateLimiter::direct_with_clock(cells, clock.clone())
                .with_middleware::<StateInformationMiddleware>();
            let (mut ours, mut now) = (FullAt(0), 0);
            for milliseconds in pauses {
                clock.advance(Duration::from_millis(milliseconds));
                now += milliseconds * 1_000_000;
                let expected = theirs.check();
                let expected = expected
                    .map(|state| state.remaining_burst_capacity())
                    .map_err(|until| until.wait_time_from(clock.now()));
                prop_assert_eq!(ours.spend(Rate { messages, seconds }, now), expected, "after {} ns", now);
            }
        }
    }
}
