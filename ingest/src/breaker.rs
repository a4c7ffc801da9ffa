//! A circuit breaker: after so many failures in a row nobody asks for a while, then one may try. It knows neither what
//! is asked nor whom.

use std::sync::Mutex;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Breaker {
    tolerated: u32,
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Some: nobody asks before then.
    paused_until: Option<Instant>,
}

/// What a report changed, for whoever logs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    Opened,
    Closed,
}

impl Breaker {
    pub(crate) fn new(tolerated: u32, pause: Duration) -> Breaker {
        Breaker { tolerated, pause, state: Mutex::default() }
    }

    /// Whether to ask. After a pause the first caller may, and the pause begins anew for the others: a probe that
    /// is dropped before it reports therefore blocks nobody.
    pub(crate) fn may_ask(&self, now: Instant) -> bool {
        let mut state = self.state();
        match state.paused_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                state.paused_until = Some(now + self.pause);
                true
            }
        }
    }

    pub(crate) fn succeeded(&self) -> Change {
        let was = std::mem::take(&mut *self.state());
        if was.paused_until.is_some() { Change::Closed } else { Change::None }
    }

    pub(crate) fn failed(&self, now: Instant) -> Change {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures < self.tolerated {
            return Change::None;
        }
        let was_paused = state.paused_until.replace(now + self.pause).is_some();
        if was_paused { Change::None } else { Change::Opened }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_stop_the_questions_until_one_probe_succeeds() {
        let breaker = Breaker::new(3, Duration::from_secs(2));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);

        assert_eq!([breaker.failed(at(0)), breaker.failed(at(0))], [Change::None; 2]);
        assert_eq!(breaker.succeeded(), Change::None);
        assert_eq!([breaker.failed(at(0)), breaker.failed(at(0))], [Change::None; 2]);
        assert!(breaker.may_ask(at(0)), "two in a row are tolerated");
        assert_eq!(breaker.failed(at(0)), Change::Opened);
        assert!(!breaker.may_ask(at(1)));

        assert!(breaker.may_ask(at(2)), "the first after the pause is the probe");
        assert!(!breaker.may_ask(at(2)), "and there is one only");
        assert_eq!(breaker.failed(at(3)), Change::None);
        assert!(!breaker.may_ask(at(4)), "a failed probe begins the pause anew");

        assert!(breaker.may_ask(at(5)));
        assert_eq!(breaker.succeeded(), Change::Closed);
        assert!(breaker.may_ask(at(5)) && breaker.may_ask(at(5)));
    }

    #[test]
    fn a_probe_that_is_never_reported_blocks_nobody_for_longer_than_a_pause() {
        let breaker = Breaker::new(1, Duration::from_secs(2));
        let start = Instant::now();
        breaker.failed(start);
        assert!(breaker.may_ask(start + Duration::from_secs(2)));
        assert!(breaker.may_ask(start + Duration::from_secs(4)));
    }
}
