//! Shortened timing settings. Defaults such as ten minutes are never crossed in a run; small values show what happens
//! after a window, a lease or a deadline has passed.

use fastrand::Rng;

/// The choice of timing settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Constants {
    /// The defaults of production.
    Default,
    /// All of them small.
    Small,
    /// The defaults under every second seed, and some of them small under the others.
    Random,
}

/// Each setting with the range of its small values.
///
/// A window of 6 s is shorter than an absence and longer than a reconnect. Keys outlive a client's last attempt, so a
/// retry always counts as the same message.
const SMALL: [(&str, u64, u64); 9] = [
    ("CHATTING_DELIVERY__WINDOW_SECONDS", 6, 12),
    ("CHATTING_DELIVERY__HANDOVER_TIMEOUT_MS", 50, 500),
    ("CHATTING_DELIVERY__SAVE_INTERVAL_MS", 100, 1_000),
    ("CHATTING_DELIVERY__CUT_OFF_GRACE_MS", 2_000, 8_000),
    ("CHATTING_NATS__LEASE_SECONDS", 3, 6),
    ("CHATTING_NATS__APPEND_DEADLINE_MS", 1_000, 3_000),
    ("CHATTING_INGEST__IDEMPOTENCY_SECONDS", 60, 90),
    ("CHATTING_INGEST__ROOMS__LIVE_MS", 100, 1_000),
    ("CHATTING_INGEST__ROOMS__NOT_LIVE_MS", 50, 500),
];

impl Constants {
    /// The settings as environment variables.
    pub fn settings(self, seed: u64) -> Vec<(String, String)> {
        // The nemesis uses the seed itself.
        let mut rng = Rng::with_seed(seed ^ 0xc0_57a7);
        let is_random = self == Constants::Random;
        if self == Constants::Default || is_random && rng.bool() {
            return Vec::new();
        }
        let mut settings = Vec::new();
        for (setting, smallest, largest) in SMALL {
            let value = if is_random { rng.u64(smallest..=largest) } else { smallest };
            if !is_random || rng.bool() {
                settings.push((setting.to_owned(), value.to_string()));
            }
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_constants_follow_the_seed_and_are_sometimes_the_defaults() {
        let all: Vec<_> = (0..40).map(|seed| Constants::Random.settings(seed)).collect();
        assert_eq!(all, (0..40).map(|seed| Constants::Random.settings(seed)).collect::<Vec<_>>());
        assert!(all.iter().any(Vec::is_empty) && all.iter().any(|settings| !settings.is_empty()));
        assert!(Constants::Default.settings(1).is_empty());
        assert_eq!(Constants::Small.settings(1).len(), SMALL.len());
    }
}
