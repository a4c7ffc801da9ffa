//! How large the latest writes were, and how long they took.

use std::collections::VecDeque;
use std::time::Duration;

use super::milliseconds;

/// 1,000: the latest writes whose size and time are kept. At full speed they cover half a minute.
const MOST: usize = 1_000;

/// The latest writes.
#[derive(Debug, Default)]
pub(super) struct RecentWrites(VecDeque<Write>);

#[derive(Debug, Clone, Copy)]
struct Write {
    events: u64,
    commit_ms: u64,
}

/// What the latest writes were like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Recent {
    pub(crate) writes: usize,
    pub(crate) events: Spread,
    pub(crate) commit_ms: Spread,
}

/// The median, the 99th percentile and the maximum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Spread {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

impl RecentWrites {
    pub(super) fn add(&mut self, events: u64, took: Duration) {
        let RecentWrites(writes) = self;
        if writes.len() == MOST {
            writes.pop_front();
        }
        writes.push_back(Write { events, commit_ms: milliseconds(took) });
    }

    pub(super) fn summary(&self) -> Recent {
        let RecentWrites(writes) = self;
        Recent {
            writes: writes.len(),
            events: spread(writes.iter().map(|write| write.events)),
            commit_ms: spread(writes.iter().map(|write| write.commit_ms)),
        }
    }
}

fn spread(values: impl Iterator<Item = u64>) -> Spread {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    let at = |percent: usize| values.get((values.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    let at = |percent| at(percent).unwrap_or_default();
    Spread { p50: at(50), p99: at(99), max: at(100) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_names_values_that_were_there() {
        assert_eq!(spread([].into_iter()), Spread::default());
        assert_eq!(spread([7].into_iter()), Spread { p50: 7, p99: 7, max: 7 });
        assert_eq!(spread([3, 1, 2].into_iter()), Spread { p50: 2, p99: 3, max: 3 });
        assert_eq!(spread((1..=1_000).rev()), Spread { p50: 500, p99: 990, max: 1_000 });
    }

    #[test]
    fn only_the_last_writes_are_remembered() {
        let mut writes = RecentWrites::default();
        (0..1_500).for_each(|events| writes.add(events, Duration::from_millis(3)));
        let recent = writes.summary();
        assert_eq!((recent.writes, recent.events.max, recent.events.p50), (1_000, 1_499, 999));
        assert_eq!(recent.commit_ms, Spread { p50: 3, p99: 3, max: 3 });
    }
}
