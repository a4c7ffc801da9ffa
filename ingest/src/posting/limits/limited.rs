//! The outcomes of the limits: a quota, or the limit that refuses.

use std::time::Duration;

use chat::settings::Rate;

/// What is left of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    /// `room`, `user`, `decisions` or `reads`.
    pub(crate) policy: &'static str,
    pub(crate) rate: Rate,
    pub(crate) remaining: u32,
}

/// The limit that refuses a message. Every `retry_after` is in whole seconds, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limited {
    /// The room is in slow mode, and the user posted within its pause.
    SlowMode { retry_after: Duration },
    /// A rate is used up.
    Rate { retry_after: Duration, quota: Quota },
    /// The room is in unique-chat mode, and this text was posted recently.
    Duplicate,
}

/// A rate is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) retry_after: Duration,
    pub(crate) quota: Quota,
}

impl Quota {
    /// A used-up quota, for documents and tests.
    pub(crate) fn example(policy: &'static str) -> Quota {
        Quota { policy, rate: Rate { messages: 20, seconds: 30 }, remaining: 0 }
    }

    /// Seconds until the whole quota is back, rounded up.
    pub(crate) fn reset_seconds(&self) -> u64 {
        let spent = u64::from(self.rate.messages.saturating_sub(self.remaining));
        (spent * u64::from(self.rate.seconds)).div_ceil(self.rate.messages.into())
    }
}

/// Rounded up to whole seconds, at least one, as `Retry-After` requires.
pub(super) fn whole_seconds(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(Duration::from_secs(1))
}
