//! What the log has to be told.

use std::time::Duration;

use async_nats::ConnectOptions;
use serde::Deserialize;

use crate::address;
use crate::address::ServerUrl;
use crate::error::Error;
use crate::streams::MAX_MESSAGE_BYTES;

/// The section `[nats]` of the configuration; `src/defaults.toml` documents every member.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Server addresses, `nats://host:port` or `tls://host:port`; any one of a cluster is enough. Before the host there may
    /// be a login, `user:password@` or `token@`, the same in all.
    pub urls: Vec<ServerUrl>,
    /// The path of a credentials file (JWT and nkey), empty for none.
    #[serde(default)]
    pub credentials: String,
    /// Into how many streams the log is split. Fixed when the log is created.
    pub partitions: u32,
    /// How many servers keep each stream: 1, 3 or 5.
    pub replicas: usize,
    /// Hours after which a batch leaves the log.
    pub max_age_hours: u64,
    /// Minutes within which no batch leaves the log, however full it is.
    pub min_age_minutes: u64,
    /// Bytes after which a partition is full and appends are refused.
    pub max_bytes: i64,
    /// Milliseconds within which an append is acknowledged, or its outcome is unknown.
    pub append_deadline_ms: u64,
    /// How many events may wait for the append before theirs, in each partition.
    pub append_queue: usize,
    /// Milliseconds for which an event waits for its turn at most, while the log takes appends.
    pub append_queue_ms: u64,
    /// Seconds after which a delivery node that was not heard of counts as dead.
    pub lease_seconds: u64,
}

impl Config {
    /// All that cannot work, naming the keys.
    pub fn complaints(&self) -> Vec<String> {
        self.wrong().map(|error| error.to_string()).collect()
    }

    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.wrong().next().map_or(Ok(()), Err)
    }

    fn wrong(&self) -> impl Iterator<Item = Error> {
        let addresses = address::servers(&self.urls, !self.credentials.is_empty(), ConnectOptions::new()).err();
        let checks = [
            ("urls", !self.urls.is_empty(), "must name at least one server"),
            ("partitions", (1..=1_024).contains(&self.partitions), "must be 1 to 1024"),
            ("replicas", [1, 3, 5].contains(&self.replicas), "must be 1, 3 or 5"),
            (
                "max_age_hours",
                self.max_age_hours > 0,
                "must be at least 1: the log is what MongoDB is filled from after an outage",
            ),
            (
                "max_bytes",
                self.max_bytes >= i64::from(MAX_MESSAGE_BYTES),
                "must be at least 524288, the size of one batch",
            ),
            (
                "append_deadline_ms",
                (100..=60_000).contains(&self.append_deadline_ms),
                "must be 100 to 60000: half of the window in which a retry is recognised",
            ),
            ("append_queue", self.append_queue > 0, "must be at least 1"),
            ("append_queue_ms", self.append_queue_ms > 0, "must be at least 1"),
            ("lease_seconds", (1..=300).contains(&self.lease_seconds), "must be 1 to 300"),
        ];
        let wrong = checks.into_iter().filter(|(_, is_right, _)| !is_right);
        let wrong = wrong.map(|(key, _, reason)| (key, reason)).chain(addresses.map(|reason| ("urls", reason)));
        wrong.map(|(key, reason)| Error::Config { key, reason: reason.to_owned() })
    }

    pub(crate) fn append_deadline(&self) -> Duration {
        Duration::from_millis(self.append_deadline_ms)
    }

    pub(crate) fn longest_queue(&self) -> Duration {
        Duration::from_millis(self.append_queue_ms)
    }

    pub(crate) fn max_age(&self) -> Duration {
        Duration::from_secs(self.max_age_hours.saturating_mul(60 * 60))
    }

    pub(crate) fn min_age(&self) -> Duration {
        Duration::from_secs(self.min_age_minutes.saturating_mul(60))
    }

    pub(crate) fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }
}
