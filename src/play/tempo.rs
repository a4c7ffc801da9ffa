//! The clock of a recording. It runs at a multiple of the recorded speed, which may change at any moment, or stands.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The clock. It begins at the recording's beginning.
#[derive(Debug)]
pub(crate) struct Tempo {
    pace: watch::Sender<Pace>,
}

/// The recorded time `at` was reached at the instant `since`.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// 0: it stands. None: everything is due at once.
    speed: Option<f64>,
    at: Duration,
    since: Instant,
}

impl Tempo {
    /// `speed` 0: it stands. None: everything is due at once.
    pub(crate) fn new(speed: Option<f64>) -> Tempo {
        Tempo { pace: watch::Sender::new(Pace { speed, at: Duration::ZERO, since: Instant::now() }) }
    }

    /// Goes on from the time that it shows, at another speed.
    pub(crate) fn change(&self, speed: Option<f64>) {
        self.pace.send_modify(|pace| *pace = Pace { speed, at: pace.now(), since: Instant::now() });
    }

    /// Begins again, at the same speed.
    pub(crate) fn rewind(&self) {
        self.pace.send_modify(|pace| *pace = Pace { at: Duration::ZERO, since: Instant::now(), ..*pace });
    }

    /// The recorded time that it shows.
    pub(crate) fn now(&self) -> Duration {
        self.pace.borrow().now()
    }

    /// Waits until it shows this time.
    pub(crate) async fn reach(&self, at: Duration) {
        let mut pace = self.pace.subscribe();
        loop {
            let now = *pace.borrow_and_update();
            let due = async {
                match now.due(at) {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            // Either branch may be dropped: the time is computed again.
            tokio::select! {
                () = due => return,
                Ok(()) = pace.changed() => {}
            }
        }
    }
}

impl Pace {
    fn now(&self) -> Duration {
        self.at + self.speed.map_or(Duration::ZERO, |speed| self.since.elapsed().mul_f64(speed))
    }

    /// When it shows this time, unless the pace changes. None: never.
    fn due(&self, at: Duration) -> Option<Instant> {
        let ahead = at.saturating_sub(self.at);
        match self.speed {
            None => Some(self.since),
            Some(_) if ahead.is_zero() => Some(self.since),
            Some(speed) => (speed > 0.0).then(|| self.since + ahead.div_f64(speed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_time_is_due_by_the_speed_and_the_time_already_shown() {
        let since = Instant::now();
        let due = |speed, at| Pace { speed, at: 10 * SECOND, since }.due(at).map(|due| due - since);
        assert_eq!(due(Some(2.0), 20 * SECOND), Some(5 * SECOND));
        assert_eq!(due(Some(0.5), 11 * SECOND), Some(2 * SECOND));
        assert_eq!(due(Some(1.0), 9 * SECOND), Some(Duration::ZERO));
        assert_eq!(due(Some(0.0), 11 * SECOND), None);
        assert_eq!(due(Some(0.0), 10 * SECOND), Some(Duration::ZERO));
        assert_eq!(due(None, u32::MAX * SECOND), Some(Duration::ZERO));
    }

    #[tokio::test]
    async fn a_clock_that_is_started_reaches_the_time_that_is_waited_for() {
        let tempo = Tempo::new(Some(0.0));
        // Polled in turn: it stands when the wait begins.
        tokio::join!(tempo.reach(SECOND), async { tempo.change(None) });
    }

    #[test]
    fn a_clock_that_stands_keeps_its_time_and_a_rewind_sets_it_to_the_beginning() {
        let tempo = Tempo::new(Some(1e6));
        while tempo.now() < SECOND {
            std::hint::spin_loop();
        }
        tempo.change(Some(0.0));
        let stood = tempo.now();
        assert!(stood >= SECOND && tempo.now() == stood);
        tempo.rewind();
        assert_eq!(tempo.now(), Duration::ZERO);
    }
}
