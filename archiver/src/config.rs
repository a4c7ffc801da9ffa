//! The section `[archiver]`: its settings and their bounds. The defaults are in `src/defaults.toml`, nowhere else.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use conf::{Problem, Problems, Size, Span};
use mongodb::options::Tls;
use serde::Deserialize;

/// The section `[archiver]` of the configuration; `src/defaults.toml` documents every member.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the reading side and health are served. The binary binds it.
    pub listen: SocketAddr,
    /// The listener for operators.
    pub admin: web::AdminConfig,
    /// The certificate of the main listener.
    pub tls: tls::ServerConfig,
    /// Timeouts and bounds of that listener; its grace period is also that of the writes in hand.
    pub http: web::ServeConfig,
    /// MongoDB, a replica set: `mongodb://…` or `mongodb+srv://…`. It may hold a password.
    pub uri: ConnectionString,
    /// The database that holds the collections.
    pub database: String,
    /// How many events go into one write.
    pub batch_events: NonZeroUsize,
    /// The size of the events that go into one write.
    pub batch_size: Size,
    /// How long a batch that is not full waits for more.
    pub batch_wait: Span,
    /// How many batches are gathered or written at once. With `batch_size` it bounds the memory.
    pub batches_in_hand: NonZeroUsize,
    /// The time to find a primary before a write counts as failed (and is tried again).
    pub server_selection_timeout: Span,
    /// The time to connect, and for the answer to a heartbeat.
    pub connect_timeout: Span,
    /// The time for one request to MongoDB, finding a primary included.
    pub request_timeout: Span,
    /// How long the archive keeps its documents.
    pub retention: crate::RetentionConfig,
    /// The index of texts.
    pub text_index: TextIndexConfig,
    /// Bounds of the reading side.
    pub reads: ReadsConfig,
    /// The pages for moderators and analysts.
    pub console: console::Config,
}

/// The section `[archiver.text_index]`: the index that text searches of a room read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextIndexConfig {
    /// How many messages of a room are indexed together. 0: none are.
    pub part: u64,
}

/// The messages of a part. Smaller ones have more documents than they spare reading; larger ones take memory.
const PARTS: RangeInclusive<u64> = 64..=65_536;

/// The section `[archiver.reads]`: bounds that keep readers of the archive from slowing its writer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadsConfig {
    /// Concurrent requests, without streams. More get 503 at once.
    pub max_in_flight: usize,
    /// Those of one user.
    pub max_in_flight_of_user: usize,
    /// Concurrent exports and replays, which last as long as their reader takes.
    pub max_streams: usize,
    /// Those of one user.
    pub max_streams_of_user: usize,
    /// The time for one query, on the side of MongoDB too.
    pub timeout: Span,
    /// The time after which a stream is cut whose reader takes nothing.
    pub stall_timeout: Span,
}

impl ReadsConfig {
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.get()
    }
}

impl Config {
    /// Every setting that cannot work, as far as it shows before anything is connected. `log_age` is the age at which
    /// an event leaves the log.
    pub fn problems(&self, log_age: Duration) -> Vec<Problem> {
        let mut problems = Problems::of("archiver");
        problems.at_least("batch_size", self.batch_size, Size::from_bytes(1));
        let part = self.text_index.part;
        let reason = format!("must be 0, for none, or {} to {}", PARTS.start(), PARTS.end());
        problems.require(part == 0 || PARTS.contains(&part), "text_index.part", reason);
        let mut problems = problems.found();
        problems.extend(self.retention.problems(log_age));
        problems
    }

    pub(crate) fn batch_wait(&self) -> Duration {
        self.batch_wait.get()
    }

    pub(crate) fn server_selection_timeout(&self) -> Duration {
        self.server_selection_timeout.get()
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        self.connect_timeout.get()
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        self.request_timeout.get()
    }

    pub(crate) fn grace(&self) -> Duration {
        self.http.grace.get()
    }
}

/// The address of MongoDB, credentials included, so Debug does not show it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ConnectionString(String);

impl ConnectionString {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The file with the certificate that the archiver shows to MongoDB. None: it shows none.
    pub fn certificate_file(&self) -> Option<PathBuf> {
        match mongodb::options::ConnectionString::parse(&self.0).ok()?.tls {
            Some(Tls::Enabled(options)) => options.cert_key_file_path,
            _ => None,
        }
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

    #[test]
    fn the_file_with_the_certificate_is_an_option_of_the_connection_string() {
        let file = |options: &str| ConnectionString::from(format!("mongodb://host/{options}")).certificate_file();
        assert_eq!(file("?tls=true&tlsCertificateKeyFile=/a/b.pem"), Some("/a/b.pem".into()));
        assert_eq!((file(""), file("?tls=true"), file("?tls=hun")), (None, None, None));
    }

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
