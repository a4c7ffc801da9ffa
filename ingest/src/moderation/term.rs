//! Times of decisions: how long a ban or a setting holds, and how far back a ban deletes.

use std::time::Duration;

use jiff::Timestamp;

/// 14 days, as on Twitch.
pub(crate) const LONGEST_TERM_SECONDS: u64 = 14 * 24 * 60 * 60;

/// 1 hour: a flood is noticed within minutes, and older messages have been read.
pub(crate) const LONGEST_PURGE_SECONDS: u32 = 60 * 60;

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

/// How far back a ban deletes the user's messages: 1 second to 1 hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Purge(u32);

impl Purge {
    /// None: `seconds` is out of bounds.
    pub(crate) fn of_seconds(seconds: u64) -> Option<Purge> {
        u32::try_from(seconds).ok().filter(|seconds| (1..=LONGEST_PURGE_SECONDS).contains(seconds)).map(Purge)
    }

    pub(crate) fn seconds(self) -> u32 {
        self.0
    }
}
