//! What the archiver has to be told.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use serde::Deserialize;

/// The section `[archiver]` of the configuration; `src/defaults.toml` documents every member.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the reading side and health are served. The binary binds it.
    pub listen: SocketAddr,
    /// The listener for operators.
    pub admin: web::AdminConfig,
    /// Timeouts and bounds of that listener; its grace period is also that of the writes in hand.
    pub http: web::ServeConfig,
    /// MongoDB, a replica set: `mongodb://…` or `mongodb+srv://…`. It may hold a password.
    pub uri: ConnectionString,
    /// The database that holds the collections.
    pub database: String,
    /// How many events go into one write.
    pub batch_events: NonZeroUsize,
    /// How many bytes of events go into one write.
    pub batch_bytes: NonZeroUsize,
    /// Milliseconds that a batch that is not full waits for more.
    pub batch_wait_ms: u64,
    /// How many batches are gathered or written at once. With `batch_bytes` it bounds the memory.
    pub batches_in_hand: NonZeroUsize,
    /// Milliseconds to find a primary before a write counts as failed (and is tried again).
    pub server_selection_timeout_ms: u64,
    /// Milliseconds for a connection to be made, and for a heartbeat to be answered.
    pub connect_timeout_ms: u64,
    /// Milliseconds for one request to MongoDB, finding a primary included.
    pub request_timeout_ms: u64,
    /// How long what is kept.
    pub retention: crate::RetentionConfig,
    /// Bounds of the reading side.
    pub reads: ReadsConfig,
}

/// The section `[archiver.reads]`: what those who read the archive may cost those who write it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadsConfig {
    /// Requests at once, streams excepted; more are answered 503 at once.
    pub max_in_flight: usize,
    /// Those of them of one user.
    pub max_in_flight_of_user: usize,
    /// Exports and replays at once that go on for as long as their reader takes.
    pub max_streams: usize,
    /// Those of them of one user.
    pub max_streams_of_user: usize,
    /// Milliseconds for one question to MongoDB, on its side too.
    pub timeout_ms: u64,
    /// Milliseconds after which a stream whose reader takes nothing is cut.
    pub stall_timeout_ms: u64,
}

impl ReadsConfig {
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

impl Config {
    /// All that can be seen to be wrong without asking anybody, naming the keys. `log_age`: how long the log holds what.
    pub fn complaints(&self, log_age: Duration) -> Vec<String> {
        self.retention.wrong(log_age).iter().map(crate::Error::to_string).collect()
    }

    pub(crate) fn batch_wait(&self) -> Duration {
        Duration::from_millis(self.batch_wait_ms)
    }

    pub(crate) fn server_selection_timeout(&self) -> Duration {
        Duration::from_millis(self.server_selection_timeout_ms)
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    pub(crate) fn grace(&self) -> Duration {
        Duration::from_millis(self.http.grace_ms)
    }
}

/// The address of MongoDB, credentials included, so Debug does not show it.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct ConnectionString(String);

impl ConnectionString {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What the driver says of it. Where there are credentials, its words may repeat them: a password with a slash is
    /// read as a port.
    pub(crate) fn complaint(&self, error: &mongodb::error::Error) -> String {
        let lower = self.0.to_ascii_lowercase();
        // Of the options two may hold secrets as well: tlsCertificateKeyFilePassword and authMechanismProperties.
        if ["@", "password", "properties"].iter().any(|part| lower.contains(part)) {
            return "is not a connection string of MongoDB: are user name and password percent-encoded?".to_owned();
        }
        error.kind.to_string()
    }
}

impl From<String> for ConnectionString {
    fn from(uri: String) -> ConnectionString {
        ConnectionString(uri)
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[connection string]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wrong_connection_string_is_refused_without_the_password() {
        for uri in [
            "mongodb://user:hun/ter2@host",
            "mongodb://user:hunter2@",
            "user:hunter2@host",
            "mongodb://a:b:c",
            "",
            "mongodb://host/?authMechanismProperties=hunter2",
            "mongodb://host/?tlsCertificateKeyFilePassword=hunter2&tls=hun",
        ] {
            let uri = ConnectionString::from(uri.to_owned());
            let error = mongodb::options::ClientOptions::parse(uri.as_str()).await.unwrap_err();
            let complaint = uri.complaint(&error);
            assert!(!complaint.is_empty() && !complaint.contains("hun"), "{complaint}");
            assert_eq!(format!("{uri:?}"), "[connection string]");
        }
    }
}
