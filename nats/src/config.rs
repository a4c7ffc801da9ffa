//! The section `[nats]`: its settings and their bounds. The defaults are in `src/defaults.toml`, nowhere else.

use std::time::Duration;

use conf::{Problem, Problems, Secret, Size, Span};
use serde::Deserialize;

use crate::address;
use crate::address::ServerUrl;
use crate::error::Error;
use crate::login::{Login, LoginSource};
use crate::nkey;
use crate::node_name::NodeName;
use crate::streams::MAX_MESSAGE_BYTES;
use crate::tls_config::TlsConfig;

const SECTION: &str = "nats";

/// One batch has to fit.
const LEAST_SIZE: Size = Size::from_bytes(MAX_MESSAGE_BYTES as u64);

/// The section `[nats]` of the configuration; `src/defaults.toml` documents every member.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Server addresses, `nats://host:port` or `tls://host:port`; any one of a cluster is enough. Before the host there
    /// may be a login, `user:password@` or `token@`, the same in all.
    pub urls: Vec<ServerUrl>,
    /// The path of a credentials file (JWT and nkey), empty for none.
    #[serde(default)]
    pub credentials: String,
    /// The seed of an nkey, empty for none.
    #[serde(default)]
    pub nkey: Secret,
    /// Where each connection finds the login of the three members above anew.
    #[serde(skip)]
    pub login: LoginSource,
    /// TLS to the servers.
    pub tls: TlsConfig,
    /// Into how many streams the log is split. Fixed when the log is created.
    pub partitions: u32,
    /// How many servers keep each stream: 1, 3 or 5.
    pub replicas: usize,
    /// The age at which a batch leaves the log.
    pub max_age: Span,
    /// The age below which no batch leaves the log, however full it is.
    pub min_age: Span,
    /// The size at which a partition is full and refuses appends.
    pub max_size: Size,
    /// The time for the acknowledgement of an append. Without one the outcome is unknown.
    pub append_deadline: Span,
    /// How many events may wait for the append before theirs, in each partition.
    pub append_queue: usize,
    /// How long an event may wait for its turn while the log takes appends.
    pub append_queue_wait: Span,
    /// The time without a renewal after which a delivery node counts as dead.
    pub lease: Span,
    /// What this process is called, which its batches carry. The process sets it: it is the same for every section.
    #[serde(skip)]
    pub node: Option<NodeName>,
}

impl Config {
    /// Every setting that cannot work.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::of(SECTION);
        let is_right = self.replicas % 2 == 1 && self.replicas <= 5;
        problems.require(!self.urls.is_empty(), "urls", "must name at least one server");
        if let Err(reason) = Login::of(self) {
            problems.require(false, "urls", reason);
        }
        if let Err(reason) = nkey::check(&self.nkey) {
            problems.require(false, "nkey", reason);
        }
        let reason = "is set beside nats.credentials, which has an nkey: remove one of the two";
        problems.require(self.nkey.bytes().is_empty() || self.credentials.is_empty(), "nkey", reason);
        problems.within("partitions", self.partitions, 1..=1_024);
        problems.require(is_right, "replicas", "must be 1, 3 or 5");
        let reason = "must be at least 1h: after an outage, MongoDB is filled from the log";
        problems.require(self.max_age >= Span::from_hours(1), "max_age", reason);
        let reason = format!("must be at least {LEAST_SIZE}, the size of one batch");
        problems.require(self.max_size >= LEAST_SIZE, "max_size", reason);
        let deadlines = Span::from_millis(100)..=Span::from_secs(60);
        let reason = "must be 100ms to 1m: half of the window in which a retry is recognised";
        problems.require(deadlines.contains(&self.append_deadline), "append_deadline", reason);
        problems.at_least("append_queue", self.append_queue, 1);
        problems.at_least("append_queue_wait", self.append_queue_wait, Span::from_millis(1));
        problems.within("lease", self.lease, Span::from_secs(1)..=Span::from_secs(300));
        let mut problems = problems.found();
        problems.extend(self.tls.problems());
        problems
    }

    /// The setting with the login.
    pub(crate) fn login_key(&self) -> &'static str {
        match (self.credentials.is_empty(), self.nkey.text().is_empty()) {
            (false, _) => "nats.credentials",
            (true, false) => "nats.nkey",
            (true, true) => "nats.urls",
        }
    }

    /// Whether both name the same servers, whatever their logins are: a login changes without a restart.
    pub fn has_servers_of(&self, other: &Config) -> bool {
        address::are_same_servers(&self.urls, &other.urls)
    }

    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.problems().into_iter().next().map_or(Ok(()), |problem| Err(problem.into()))
    }

    pub(crate) fn append_deadline(&self) -> Duration {
        self.append_deadline.get()
    }

    pub(crate) fn longest_queue(&self) -> Duration {
        self.append_queue_wait.get()
    }

    pub(crate) fn max_age(&self) -> Duration {
        self.max_age.get()
    }

    pub(crate) fn min_age(&self) -> Duration {
        self.min_age.get()
    }

    /// As JetStream counts it.
    pub(crate) fn max_bytes(&self) -> i64 {
        i64::try_from(self.max_size.bytes()).expect("a size is at most 2^53 - 1")
    }

    pub(crate) fn lease(&self) -> Duration {
        self.lease.get()
    }
}
