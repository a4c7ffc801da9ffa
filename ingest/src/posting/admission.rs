//! Admission control: bounds the requests in progress to as many as the log answers quickly. Requests beyond the bound
//! are refused at once, because a queue in front of a busy log makes everyone wait and nobody faster.
//!
//! The bound follows append latency, as in CoDel. If even the quickest append of an interval exceeds the target, there
//! is a standing queue, and the bound goes down. Otherwise the bound goes up if it was reached.

use parking_lot::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// 150 ms: an append without a queue takes milliseconds, and a post whose append takes this long is still answered well
/// within a second.
const TARGET: Duration = Duration::from_millis(150);

/// How often the bound is adjusted.
const INTERVAL: Duration = Duration::from_millis(100);

/// The lowest bound: a lower one does not make a slow disk faster.
const LEAST: usize = 256;

#[derive(Debug)]
pub(crate) struct Admission {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bound: usize,
    in_hand: usize,
    since: Instant,
    /// In this interval: the highest `in_hand`, and the quickest append.
    peak: usize,
    quickest: Option<Duration>,
}

/// The bound is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overloaded;

/// A permit to work on a request.
#[derive(Debug)]
pub(crate) struct Admitted<'a>(&'a Admission);

impl Admission {
    /// At most `most` requests at once, however quick the log is.
    pub(crate) fn new(most: usize) -> Admission {
        let state = State { bound: most, in_hand: 0, since: Instant::now(), peak: 0, quickest: None };
        Admission { most, state: Mutex::new(state) }
    }

    /// The requests in progress, and how many there may be.
    pub(crate) fn load(&self) -> (usize, usize) {
        let state = self.state();
        (state.in_hand, state.bound)
    }

    /// Whether a request would be admitted now. If not, it is not worth reading.
    pub(crate) fn check(&self) -> Result<(), Overloaded> {
        let state = self.state();
        if state.in_hand < state.bound { Ok(()) } else { Err(Overloaded) }
    }

    /// Admits a request. The permit ends it when it is dropped.
    pub(crate) fn enter(&self) -> Result<Admitted<'_>, Overloaded> {
        let mut state = self.state();
        if state.in_hand >= state.bound {
            return Err(Overloaded);
        }
        state.in_hand += 1;
        state.peak = state.peak.max(state.in_hand);
        Ok(Admitted(self))
    }

    /// Records an append that began then and ends now.
    pub(crate) fn observe_append(&self, began: Instant) {
        let now = Instant::now();
        self.observe_append_at(now.saturating_duration_since(began), now);
    }

    fn observe_append_at(&self, took: Duration, now: Instant) {
        let mut state = self.state();
        let quickest = state.quickest.map_or(took, |quickest| quickest.min(took));
        if now.saturating_duration_since(state.since) < INTERVAL {
            state.quickest = Some(quickest);
            return;
        }
        let least = LEAST.min(self.most);
        let before = state.bound;
        state.bound = if quickest > TARGET {
            (state.peak.min(before) * 3 / 4).max(least)
        } else if state.peak * 8 >= before * 7 {
            (before + (before / 4).max(8)).min(self.most)
        } else {
            before
        };
        if before == self.most && state.bound < before {
            tracing::warn!(bound = state.bound, "appends are slow: admitting fewer concurrent requests");
        } else if before < self.most && state.bound == self.most {
            tracing::info!("appends are fast again: admitting all requests");
        }
        *state = State { since: now, peak: state.in_hand, quickest: None, ..*state };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.0.state().in_hand -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passes intervals in which every append takes that long and the bound is reached.
    fn pass(admission: &Admission, intervals: u32, took: Duration) {
        for _ in 0..intervals {
            let mut in_hand = Vec::new();
            while let Ok(one) = admission.enter() {
                in_hand.push(one);
            }
            let later = admission.state().since + INTERVAL;
            admission.observe_append_at(took, later);
        }
    }

    fn bound(admission: &Admission) -> usize {
        admission.state().bound
    }

    #[test]
    fn requests_over_the_bound_are_refused_until_a_place_is_free() {
        let admission = Admission::new(2);
        let (first, _second) = (admission.enter().unwrap(), admission.enter().unwrap());
        assert_eq!(admission.check(), Err(Overloaded));
        assert!(admission.enter().is_err());
        drop(first);
        assert_eq!(admission.check(), Ok(()));
        assert!(admission.enter().is_ok());
        assert_eq!(Admission::new(0).check(), Err(Overloaded));
    }

    #[test]
    fn the_bound_falls_while_every_append_exceeds_the_target_and_rises_afterwards() {
        let admission = Admission::new(4_000);
        pass(&admission, 3, TARGET);
        assert_eq!(bound(&admission), 4_000);
        pass(&admission, 1, TARGET * 2);
        assert_eq!(bound(&admission), 3_000);
        pass(&admission, 50, TARGET * 2);
        assert_eq!(bound(&admission), LEAST);
        pass(&admission, 1, Duration::from_millis(5));
        assert_eq!(bound(&admission), LEAST + LEAST / 4);
        pass(&admission, 30, Duration::from_millis(5));
        assert_eq!(bound(&admission), 4_000);
    }

    #[test]
    fn one_quick_append_in_an_interval_keeps_the_bound() {
        let admission = Admission::new(4_000);
        let since = admission.state().since;
        admission.observe_append_at(TARGET * 4, since);
        admission.observe_append_at(Duration::from_millis(1), since);
        admission.observe_append_at(TARGET * 4, since + INTERVAL);
        assert_eq!(bound(&admission), 4_000);
    }

    #[test]
    fn a_bound_that_was_not_reached_does_not_rise() {
        let admission = Admission::new(4_000);
        pass(&admission, 50, TARGET * 2);
        for _ in 0..50 {
            let later = admission.state().since + INTERVAL;
            admission.observe_append_at(Duration::from_millis(1), later);
        }
        // The bound was reached at the beginning of the first interval, so it may rise once.
        assert!(bound(&admission) <= LEAST + LEAST / 4);
    }
}
