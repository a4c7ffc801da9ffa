//! Limits a log line to one a minute, however often its event happens.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// When the line was last logged.
#[derive(Debug)]
pub(crate) struct LogThrottle(Mutex<Option<Instant>>);

/// A minute: often enough to be noticed, too rare to fill a disk.
const PAUSE: Duration = Duration::from_secs(60);

impl LogThrottle {
    pub(crate) fn new() -> LogThrottle {
        LogThrottle(Mutex::new(None))
    }

    /// Whether to log the line now.
    pub(crate) fn may_log(&self, now: Instant) -> bool {
        let mut last = self.0.lock();
        let may_log = last.is_none_or(|last| now.duration_since(last) >= PAUSE);
        if may_log {
            *last = Some(now);
        }
        may_log
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_a_minute() {
        let (throttle, start) = (LogThrottle::new(), Instant::now());
        assert!(throttle.may_log(start));
        assert!(!throttle.may_log(start + Duration::from_secs(59)));
        assert!(throttle.may_log(start + Duration::from_secs(60)));
    }
}
