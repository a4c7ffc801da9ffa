//! How full a window is, and how far it reaches back.

use std::time::{Duration, Instant};

use super::Window;

/// What a window holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
    /// The bound on the bytes.
    pub(crate) most_bytes: usize,
    /// How long ago its oldest event arrived. Zero without events.
    pub(crate) age: Duration,
}

impl Window {
    /// What it holds now.
    pub(crate) fn usage(&self, now: Instant) -> Usage {
        let age = self.by_age.first().map_or(Duration::ZERO, |(arrived, _)| now.saturating_duration_since(*arrived));
        Usage { events: self.events, bytes: self.bytes, most_bytes: self.bounds.bytes, age }
    }
}
