//! What is worth a line of the log once a minute, however often it happens.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// When it was last said.
#[derive(Debug)]
pub(crate) struct Seldom(Mutex<Option<Instant>>);

/// A minute: often enough to be seen, too seldom to fill a disk.
const PAUSE: Duration = Duration::from_secs(60);

impl Seldom {
    pub(crate) fn new() -> Seldom {
        Seldom(Mutex::new(None))
    }

    /// Whether to say it now.
    pub(crate) fn may_say(&self, now: Instant) -> bool {
        let mut said = self.0.lock();
        let may = said.is_none_or(|said| now.duration_since(said) >= PAUSE);
        if may {
            *said = Some(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_a_minute() {
        let (seldom, start) = (Seldom::new(), Instant::now());
        assert!(seldom.may_say(start));
        assert!(!seldom.may_say(start + Duration::from_secs(59)));
        assert!(seldom.may_say(start + Duration::from_secs(60)));
    }
}
