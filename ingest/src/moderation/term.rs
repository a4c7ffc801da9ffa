//! The term of a decision: how long a ban or a setting holds.

use std::time::Duration;

use jiff::Timestamp;

/// 14 days, as on Twitch.
pub(crate) const LONGEST_TERM_SECONDS: u64 = 14 * 24 * 60 * 60;

/// 1 second to 14 days. A decision that holds longer has no term, and no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Term(Duration);

impl Term {
    /// None: `seconds` is out of bounds.
    pub(crate) fn of_seconds(seconds: u64) -> Option<Term> {
        (1..=LONGEST_TERM_SECONDS).contains(&seconds).then(|| Term(Duration::from_secs(seconds)))
    }

    pub(crate) fn seconds(self) -> u64 {
        self.0.as_secs()
    }

    /// The end of a decision that is made `now`.
    pub(crate) fn end(self, now: Timestamp) -> Timestamp {
        now + self.0
    }
}
