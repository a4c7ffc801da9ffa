//! What a nats-server says at its monitoring endpoint: whether it fsyncs an append before it acknowledges, its disk,
//! and its clock. The durability of a 2xx depends on the fsync, and no acknowledgement shows it.

use std::time::Duration;

use anyhow::Context as _;
use conf::shown;
use jiff::Timestamp;
use nats::ClockReading;
use serde::Deserialize;

use super::clocks::Clock;
use super::finding::Finding;
use super::log;
use super::versions::is_at_least;

const PART: &str = "fsync";

const DEADLINE: Duration = Duration::from_secs(5);

/// The findings about one server.
#[derive(Debug)]
pub(super) struct Monitored {
    /// Its monitoring endpoint, without a login.
    url: String,
    answer: Result<(Varz, ClockReading), String>,
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
    now: Timestamp,
    #[serde(default)]
    jetstream: JetStream,
}

#[derive(Debug, Default, Deserialize)]
struct JetStream {
    config: Option<JetStreamConfig>,
    stats: Option<JetStreamStats>,
}

#[derive(Debug, Default, Deserialize)]
struct JetStreamConfig {
    /// Nanoseconds.
    #[serde(default)]
    sync_interval: u64,
    #[serde(default)]
    sync_always: bool,
    /// Bytes that its streams may take.
    #[serde(default)]
    max_storage: u64,
}

/// The use of that space.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct JetStreamStats {
    /// Bytes in use.
    #[serde(default)]
    storage: u64,
    /// Bytes promised to streams with a size.
    #[serde(default)]
    reserved_storage: u64,
}

/// The disk of a server, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Disk {
    pub(super) used: u64,
    pub(super) reserved: u64,
    pub(super) total: u64,
}

/// Asks a server at its monitoring URL, such as `http://127.0.0.1:8222`.
pub(super) async fn ask(url: &str) -> Monitored {
    let answer = varz(url).await.map_err(|error| web::with_sources(error.as_ref()));
    Monitored { url: shown(url), answer }
}

async fn varz(url: &str) -> anyhow::Result<(Varz, ClockReading)> {
    let client = reqwest::Client::builder().timeout(DEADLINE).no_proxy().build()?;
    let varz = format!("{}/varz", url.trim_end_matches('/'));
    let ask = async || {
        let answer = client.get(&varz).send().await.and_then(reqwest::Response::error_for_status);
        let answer = answer.map_err(reqwest::Error::without_url).context("the monitoring endpoint does not answer")?;
        let varz = answer.json::<Varz>().await.map_err(reqwest::Error::without_url);
        varz.context("this is not the monitoring endpoint of a nats-server")
    };
    // The second question finds the connection made, so its time is that of one round trip.
    ask().await?;
    let asked = Timestamp::now();
    let varz = ask().await?;
    let clock = ClockReading { server: shown(url), time: varz.now, asked, answered: Timestamp::now() };
    Ok((varz, clock))
}

/// A finding for each server.
pub(super) fn findings(monitored: &[Monitored]) -> Vec<Finding> {
    monitored.iter().map(Monitored::finding).collect()
}

impl Monitored {
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn clock(&self) -> Option<Clock> {
        self.answer.as_ref().ok().map(|(_, clock)| Clock::of_nats(clock.clone()))
    }

    /// None: the server has no JetStream, or did not answer.
    pub(super) fn disk(&self) -> Option<Disk> {
        let (Varz { jetstream, .. }, _) = self.answer.as_ref().ok()?;
        let (config, stats) = (jetstream.config.as_ref()?, jetstream.stats.unwrap_or_default());
        Some(Disk { used: stats.storage, reserved: stats.reserved_storage, total: config.max_storage })
    }

    fn finding(&self) -> Finding {
        let url = &self.url;
        match &self.answer {
            Ok((varz, _)) => judge(url, &varz.version, &varz.jetstream.sync()),
            Err(reason) => {
                Finding::problem(PART, format!("{url}: {reason}"), "start it with -m 8222, or correct the URL")
            }
        }
    }
}

impl JetStream {
    fn sync(&self) -> Sync {
        match &self.config {
            None => Sync::NoJetStream,
            Some(JetStreamConfig { sync_always: true, .. }) => Sync::Always,
            Some(JetStreamConfig { sync_interval, .. }) => Sync::Within(sync_interval / 1_000_000_000),
        }
    }
}

fn judge(url: &str, version: &str, sync: &Sync) -> Finding {
    let server = format!("{url}: nats-server {version}");
    match sync {
        _ if !is_at_least(version, log::LEAST_NATS) => Finding::problem(PART, server, log::too_old()),
        Sync::Always => Finding::ok(PART, format!("{server}, an acknowledged append is fsynced")),
        Sync::Within(seconds) => Finding::problem(
            PART,
            format!(
                "{server}, LAZY: an append is acknowledged before it is fsynced, and what was accepted in the last \
                 {seconds} s is lost with the power"
            ),
            "start it with nats/server.conf (sync_interval: always)",
        ),
        Sync::NoJetStream => Finding::problem(
            PART,
            format!("{server}, NO JETSTREAM: it cannot hold the log"),
            "start it with nats/server.conf",
        ),
    }
}

#[cfg(test)]
impl Monitored {
    /// A server of which only the disk matters.
    pub(super) fn with_disk(Disk { used, reserved, total }: Disk) -> Monitored {
        let now = Timestamp::UNIX_EPOCH;
        let jetstream = JetStream {
            config: Some(JetStreamConfig { max_storage: total, ..JetStreamConfig::default() }),
            stats: Some(JetStreamStats { storage: used, reserved_storage: reserved }),
        };
        let varz = Varz { version: "2.15.1".to_owned(), now, jetstream };
        let clock = ClockReading { server: "one".to_owned(), time: now, asked: now, answered: now };
        Monitored { url: "http://one:8222".to_owned(), answer: Ok((varz, clock)) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn only_a_recent_server_that_fsyncs_every_append_passes() {
        for (version, sync, level, says) in [
            ("2.15.1", Sync::Always, Level::Ok, "fsynced"),
            ("2.16.0-RC.1", Sync::Always, Level::Ok, "fsynced"),
            ("2.9.25", Sync::Always, Level::Problem, "2.15.1 or later"),
            ("2.15.1", Sync::Within(120), Level::Problem, "LAZY"),
            ("2.15.1", Sync::NoJetStream, Level::Problem, "NO JETSTREAM"),
        ] {
            let finding = judge("http://nats:8222", version, &sync);
            let told = format!("{} {}", finding.what, finding.action.unwrap_or_default());
            assert!(finding.level == level && told.contains(says), "{told}");
        }
    }
}
