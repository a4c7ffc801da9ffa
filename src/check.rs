//! `chatting-server check`: whether a NATS server fsyncs an append before it acknowledges, according to its monitoring
//! endpoint. The durability of a 2xx depends on it, and no acknowledgement shows it.

use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use conf::shown;
use serde::Deserialize;

/// The oldest version that this project was tested with.
const AT_LEAST: [u64; 3] = [2, 15, 1];

const DEADLINE: Duration = Duration::from_secs(5);

/// The findings about one server.
#[derive(Debug)]
pub struct Report {
    url: String,
    version: String,
    sync: Sync,
}

/// What the server's acknowledgement guarantees.
#[derive(Debug, PartialEq, Eq)]
enum Sync {
    /// Stored and fsynced.
    Always,
    /// Stored, and fsynced within this many seconds.
    Within(u64),
    /// JetStream is disabled on this server.
    NoJetStream,
}

/// The members of `/varz` that this command reads.
#[derive(Debug, Deserialize)]
struct Varz {
    version: String,
    #[serde(default)]
    jetstream: JetStream,
}

#[derive(Debug, Default, Deserialize)]
struct JetStream {
    config: Option<JetStreamConfig>,
}

#[derive(Debug, Deserialize)]
struct JetStreamConfig {
    /// Nanoseconds.
    #[serde(default)]
    sync_interval: u64,
    #[serde(default)]
    sync_always: bool,
}

/// Asks a server at its monitoring URL, such as `http://127.0.0.1:8222`.
pub async fn check(url: &str) -> anyhow::Result<Report> {
    let client = reqwest::Client::builder().timeout(DEADLINE).no_proxy().build()?;
    let varz = format!("{}/varz", url.trim_end_matches('/'));
    let url = shown(url);
    let answer = client.get(&varz).send().await.and_then(reqwest::Response::error_for_status);
    let answer = answer.map_err(reqwest::Error::without_url);
    let answer = answer.with_context(|| format!("the monitoring endpoint {url} does not answer"))?;
    let varz = answer.json().await.map_err(reqwest::Error::without_url);
    let varz: Varz = varz.with_context(|| format!("{url} is not the monitoring endpoint of a nats-server"))?;
    let sync = match varz.jetstream.config {
        None => Sync::NoJetStream,
        Some(JetStreamConfig { sync_always: true, .. }) => Sync::Always,
        Some(JetStreamConfig { sync_interval, .. }) => Sync::Within(sync_interval / 1_000_000_000),
    };
    Ok(Report { url, version: varz.version, sync })
}

impl Report {
    /// Whether every acknowledged append is fsynced, by a tested version.
    pub fn is_sound(&self) -> bool {
        self.sync == Sync::Always && self.is_recent()
    }

    fn is_recent(&self) -> bool {
        let numbers = self.version.split(['.', '-']).map_while(|part| part.parse().ok());
        numbers.take(3).collect::<Vec<u64>>().as_slice() >= AT_LEAST.as_slice()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { url, version, sync } = self;
        write!(f, "{url}: nats-server {version}")?;
        if !self.is_recent() {
            let [major, minor, patch] = AT_LEAST;
            write!(f, ", TOO OLD: {major}.{minor}.{patch} or later is needed")?;
        }
        match sync {
            Sync::Always => write!(f, ", an acknowledged append is fsynced"),
            Sync::Within(seconds) => write!(
                f,
                ", LAZY: an append is acknowledged before it is fsynced, and what was accepted in the last {seconds} s \
                 is lost with the power. Start it with nats/server.conf (sync_interval: always)"
            ),
            Sync::NoJetStream => {
                write!(f, ", NO JETSTREAM: it cannot hold the log. Start it with nats/server.conf")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_recent_server_that_fsyncs_every_append_passes() {
        let report = |version: &str, sync| Report { url: "http://nats:8222".into(), version: version.into(), sync };
        for (report, is_sound, says) in [
            (report("2.15.1", Sync::Always), true, "fsynced"),
            (report("2.16.0-RC.1", Sync::Always), true, "fsynced"),
            (report("3.0.0", Sync::Always), true, "fsynced"),
            (report("2.9.25", Sync::Always), false, "TOO OLD: 2.15.1"),
            (report("2.15.1", Sync::Within(120)), false, "LAZY"),
            (report("2.15.1", Sync::NoJetStream), false, "NO JETSTREAM"),
        ] {
            assert_eq!(report.is_sound(), is_sound, "{report}");
            assert!(report.to_string().contains(says), "{report}");
        }
    }
}
