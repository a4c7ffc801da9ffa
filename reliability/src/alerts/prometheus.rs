//! The real Prometheus of a run, with the shipped rules in short time. It must be installed (Debian's package
//! `prometheus`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::Value;
use testkit::{Program, Ready, Server, port};

use super::rules;

/// 5 minutes: how far an instant query looks back, unless it is told otherwise.
const LOOKBACK: Duration = Duration::from_secs(300);

/// A running Prometheus.
#[derive(Debug)]
pub(super) struct Prometheus {
    _server: Server,
    url: String,
    client: Client,
}

/// The alerts of a moment, by name. True: it fires, at one of its instances at least. False: it is pending.
pub(super) type Alerts = BTreeMap<String, bool>;

impl Prometheus {
    /// Scrapes these nodes, by job, with all times divided by the factor.
    pub(super) async fn start(
        path: &Path,
        folder: &Path,
        factor: u32,
        targets: &[(&str, Vec<String>)],
    ) -> anyhow::Result<Prometheus> {
        let (folder, port) = (folder.join("prometheus"), port::own()?);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        // The configuration names the rules' file by this name.
        std::fs::write(folder.join("chatting.rules.yml"), rules::rules(factor)?)?;
        let configuration = folder.join("prometheus.yml");
        std::fs::write(&configuration, rules::configuration(factor, targets)?)?;
        let data: PathBuf = folder.join("data");
        let arguments = [
            format!("--config.file={}", configuration.display()),
            format!("--storage.tsdb.path={}", data.display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            format!("--query.lookback-delta={}ms", (LOOKBACK / factor).as_millis()),
        ];
        let url = format!("http://127.0.0.1:{port}");
        let program = Program {
            name: "prometheus".to_owned(),
            path: path.to_owned(),
            arguments: arguments.map(Into::into).to_vec(),
            environment: Vec::new(),
            output: folder.join("output.log"),
            detached: false,
        };
        let mut server = Server::new(program, Ready::Http(format!("{url}/-/ready")));
        server.start().await.context("Prometheus does not start: install it, or name it with --prometheus")?;
        let client = testkit::client().timeout(Duration::from_secs(10)).build()?;
        Ok(Prometheus { _server: server, url, client })
    }

    /// The alerts that fire or are pending.
    pub(super) async fn alerts(&self) -> anyhow::Result<Alerts> {
        #[derive(Deserialize)]
        struct Answer {
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            alerts: Vec<Alert>,
        }
        #[derive(Deserialize)]
        struct Alert {
            labels: BTreeMap<String, String>,
            state: String,
        }
        let answer = self.client.get(format!("{}/api/v1/alerts", self.url)).send().await?;
        let answer: Answer = answer.error_for_status()?.json().await?;
        let mut alerts = Alerts::new();
        for Alert { mut labels, state } in answer.data.alerts {
            let name = labels.remove("alertname").context("an alert has a name")?;
            *alerts.entry(name).or_default() |= state == "firing";
        }
        Ok(alerts)
    }

    /// The value of a query that has one. None: it has no result.
    pub(super) async fn value(&self, query: &str) -> anyhow::Result<Option<f64>> {
        let url = Url::parse_with_params(&format!("{}/api/v1/query", self.url), [("query", query)])?;
        let answer: Value = self.client.get(url).send().await?.json().await?;
        anyhow::ensure!(answer["status"] == "success", "{query}: {answer}");
        let value = answer["data"]["result"][0]["value"][1].as_str();
        value.map(|value| value.parse().with_context(|| format!("{query}: {value} is no number"))).transpose()
    }
}
