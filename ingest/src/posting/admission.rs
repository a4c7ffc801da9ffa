//! How many requests are worked on at once: as many as the log answers soon. What is beyond is refused at once, because a
//! queue in front of a log that is busy makes everybody wait and nobody faster.
//!
//! The bound follows what appends take, as CoDel's does: where even the quickest append of a while took too long, there is
//! a queue that does not pass by itself, and the bound goes down; else, where it was reached, it goes up.

use parking_lot::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// An append that waits for nobody takes milliseconds. With this much, and the way to it and back, a post is answered well
/// within a second.
const TOO_LONG: Duration = Duration::from_millis(150);

/// How long the bound stays before it is judged again.
const WHILE: Duration = Duration::from_millis(100);

/// The bound is never lower: a disk that is slow by itself gets no faster by it.
const LEAST: usize = 256;

#[derive(Debug)]
pub(crate) struct Admission {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bound: usize,
    inside: usize,
    since: Instant,
    /// In this while: the most that were inside at once, and the quickest append.
    most_inside: usize,
    quickest: Option<Duration>,
}

/// More requests are in hand than the log takes soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overloaded;

/// Leave to work on a request.
#[derive(Debug)]
pub(crate) struct Admitted<'a>(&'a Admission);

impl Admission {
    /// `most` at once, however quick the log is.
    pub(crate) fn new(most: usize) -> Admission {
        let state = State { bound: most, inside: 0, since: Instant::now(), most_inside: 0, quickest: None };
        Admission { most, state: Mutex::new(state) }
    }

    /// Whether it is worth reading a request.
    pub(crate) fn check(&self) -> Result<(), Overloaded> {
        let state = self.state();
        if state.inside < state.bound { Ok(()) } else { Err(Overloaded) }
    }

    /// Begins to work on a request.
    pub(crate) fn enter(&self) -> Result<Admitted<'_>, Overloaded> {
        let mut state = self.state();
        if state.inside >= state.bound {
            return Err(Overloaded);
        }
        state.inside += 1;
        state.most_inside = state.most_inside.max(state.inside);
        Ok(Admitted(self))
    }

    /// An append took so long.
    pub(crate) fn felt(&self, took: Duration) {
        self.felt_at(took, Instant::now());
    }

    fn felt_at(&self, took: Duration, now: Instant) {
        let mut state = self.state();
        let quickest = state.quickest.map_or(took, |quickest| quickest.min(took));
        if now.saturating_duration_since(state.since) < WHILE {
            state.quickest = Some(quickest);
            return;
        }
        let least = LEAST.min(self.most);
        let before = state.bound;
        state.bound = if quickest > TOO_LONG {
            (state.most_inside.min(before) * 3 / 4).max(least)
        } else if state.most_inside * 8 >= before * 7 {
            (before + (before / 4).max(8)).min(self.most)
        } else {
            before
        };
        if before == self.most && state.bound < before {
            tracing::warn!(bound = state.bound, "appends take too long: fewer requests at once are let in");
        } else if before < self.most && state.bound == self.most {
            tracing::info!("appends are quick again: all requests are let in");
        }
        *state = State { since: now, most_inside: state.inside, quickest: None, ..*state };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.0.state().inside -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many whiles in which every append takes so long, with as many inside as there may be.
    fn pass(door: &Admission, whiles: u32, took: Duration) {
        for _ in 0..whiles {
            let mut inside = Vec::new();
            while let Ok(one) = door.enter() {
                inside.push(one);
            }
            let later = door.state().since + WHILE;
            door.felt_at(took, later);
        }
    }

    fn bound(door: &Admission) -> usize {
        door.state().bound
    }

    #[test]
    fn who_comes_when_all_places_are_taken_is_refused_until_one_is_free() {
        let door = Admission::new(2);
        let (first, _second) = (door.enter().unwrap(), door.enter().unwrap());
        assert_eq!(door.check(), Err(Overloaded));
        assert!(door.enter().is_err());
        drop(first);
        assert_eq!(door.check(), Ok(()));
        assert!(door.enter().is_ok());
        assert_eq!(Admission::new(0).check(), Err(Overloaded));
    }

    #[test]
    fn fewer_are_let_in_while_even_the_quickest_append_takes_too_long_and_more_afterwards() {
        let door = Admission::new(4_000);
        pass(&door, 3, TOO_LONG);
        assert_eq!(bound(&door), 4_000);
        pass(&door, 1, TOO_LONG * 2);
        assert_eq!(bound(&door), 3_000);
        pass(&door, 50, TOO_LONG * 2);
        assert_eq!(bound(&door), LEAST);
        pass(&door, 1, Duration::from_millis(5));
        assert_eq!(bound(&door), LEAST + LEAST / 4);
        pass(&door, 30, Duration::from_millis(5));
        assert_eq!(bound(&door), 4_000);
    }

    #[test]
    fn one_quick_append_in_a_while_shows_that_there_is_no_queue() {
        let door = Admission::new(4_000);
        let since = door.state().since;
        door.felt_at(TOO_LONG * 4, since);
        door.felt_at(Duration::from_millis(1), since);
        door.felt_at(TOO_LONG * 4, since + WHILE);
        assert_eq!(bound(&door), 4_000);
    }

    #[test]
    fn a_bound_that_nobody_reaches_stays() {
        let door = Admission::new(4_000);
        pass(&door, 50, TOO_LONG * 2);
        for _ in 0..50 {
            let later = door.state().since + WHILE;
            door.felt_at(Duration::from_millis(1), later);
        }
        // Those that were inside at the beginning were as many as there may be.
        assert!(bound(&door) <= LEAST + LEAST / 4);
    }
}
