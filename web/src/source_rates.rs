//! How often one source may do something that costs others: open a connection, or send what is refused. The sources are
//! those of [`fair_slots`](crate::fair_slots). The table of them is bounded.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use runtime::ShardedLru;
use serde::Deserialize;

use crate::fair_slots::Source;

/// A rate of one source. Quota returns evenly: of 2,000 in 10 s one every 5 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceRate {
    /// How many at once. 0: no limit.
    pub count: u32,
    /// The time in which the whole quota returns.
    pub seconds: NonZeroU32,
}

impl SourceRate {
    /// No limit.
    pub const UNLIMITED: SourceRate = SourceRate { count: 0, seconds: NonZeroU32::MIN };
}

/// 50,000 sources, some 10 MB by the size of their entries. Beyond that, the source that was quiet longest is forgotten
/// and has its full quota again: a crowd of sources makes the limit looser, and shuts nobody out.
const MOST_SOURCES: usize = 50_000;

/// What is left of a rate for each source.
#[derive(Debug)]
pub struct SourceRates {
    /// None: no limit.
    quota: Option<Quota>,
    limiters: ShardedLru<Source, Arc<DefaultDirectRateLimiter>>,
}

impl SourceRates {
    /// Every source has its full quota.
    pub fn new(rate: SourceRate) -> SourceRates {
        SourceRates::of_sources(rate, MOST_SOURCES)
    }

    fn of_sources(rate: SourceRate, most_sources: usize) -> SourceRates {
        /// A rate of more than one in a nanosecond is none.
        const SHORTEST: Duration = Duration::from_nanos(1);
        let whole = Duration::from_secs(rate.seconds.get().into());
        let quota = NonZeroU32::new(rate.count).map(|count| {
            let every = (whole / rate.count).max(SHORTEST);
            Quota::with_period(every).expect("the period is not zero").allow_burst(count)
        });
        SourceRates { quota, limiters: ShardedLru::new(most_sources) }
    }

    /// Spends one. False: the source has none left. A source that cannot be told from others has no limit.
    pub fn spend(&self, source: Source) -> bool {
        match self.quota {
            Some(quota) if source != Source::Unknown => {
                let limiter =
                    |known: &mut Option<_>| known.get_or_insert_with(|| Arc::new(RateLimiter::direct(quota))).clone();
                self.limiters.update(source, limiter).check().is_ok()
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(count: u32, seconds: u32) -> SourceRates {
        SourceRates::new(SourceRate { count, seconds: NonZeroU32::new(seconds).unwrap() })
    }

    fn network(address: &str) -> Source {
        Source::of_peer(address.parse().unwrap(), &[])
    }

    fn spent(rates: &SourceRates, source: Source) -> usize {
        (0..100).filter(|_| rates.spend(source)).count()
    }

    #[test]
    fn each_source_has_a_quota_of_its_own() {
        let rates = rates(3, 3_600);
        assert_eq!(spent(&rates, network("192.0.2.1")), 3);
        assert_eq!(spent(&rates, network("192.0.2.2")), 3);
        assert_eq!(spent(&rates, Source::User(1)), 3);
    }

    #[test]
    fn the_addresses_of_one_host_share_a_quota() {
        let rates = rates(3, 3_600);
        assert_eq!(spent(&rates, network("2001:db8::1")), 3);
        assert_eq!(spent(&rates, network("2001:db8::ffff:1")), 0);
        assert_eq!(spent(&rates, network("2001:db8:0:1::1")), 3);
    }

    #[test]
    fn peers_behind_a_proxy_and_unlimited_rates_have_no_limit() {
        assert_eq!(spent(&rates(3, 3_600), Source::Unknown), 100);
        assert_eq!(spent(&SourceRates::new(SourceRate::UNLIMITED), network("192.0.2.1")), 100);
        assert_eq!(spent(&rates(u32::MAX, 1), network("192.0.2.1")), 100);
    }

    #[test]
    fn quota_returns() {
        let (rates, source) = (rates(1, 1), network("192.0.2.1"));
        assert!(rates.spend(source));
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while !rates.spend(source) {
            assert!(std::time::Instant::now() < deadline, "the quota of a second is back after one");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_crowd_of_sources_is_forgotten_in_part() {
        let hour = NonZeroU32::new(3_600).unwrap();
        let rates = SourceRates::of_sources(SourceRate { count: 3, seconds: hour }, 100);
        for number in 0..10_000 {
            assert!(rates.spend(Source::User(number)));
        }
        assert!(rates.limiters.len() <= 100, "{}", rates.limiters.len());
    }
}
