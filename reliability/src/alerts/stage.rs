//! One outage's system: two nodes of each role with their proxies, who uses them, and a Prometheus that scrapes them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Stream;
use axum::routing::get;
use axum::{Json, Router};
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan as _};
use serde_json::json;
use testkit::Proxy;
use tokio::net::TcpListener;

use super::Options;
use super::outages::Outage;
use super::people::{PRESENTERS, People};
use super::prometheus::Prometheus;
use crate::system::{Kind, Link, Part, Plan, System, start_patiently};
use crate::{certificates, review};

/// The stream of the log's one partition, and its subject.
const STREAM: &str = "CHAT_0";
const SUBJECT: &str = "chat.0";

/// The bytes of a batch that fills the log, and the header by which every reader skips it: it has expired.
const FILLING: usize = 256 * 1024;
const EXPIRES: (&str, &str) = ("Chatting-Expires", "0");

/// The time for a new system until every node serves, and no alert is pending.
const QUIET: Duration = Duration::from_secs(90);

/// The days of a certificate that is in time, and of one that is not.
pub(super) const LONG: i64 = 90;
pub(super) const SHORT: i64 = 10;

/// What an outage breaks.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) system: System,
    pub(super) people: People,
    pub(super) prometheus: Prometheus,
    /// Before the issuer of keys, where there is one.
    pub(super) issuer: Option<Proxy>,
    pub(super) factor: u32,
}

impl Stage {
    /// Starts everything, in a folder of its own, and waits until all is well.
    pub(super) async fn start(outage: Outage, options: &Options) -> anyhow::Result<Stage> {
        let folder = options.folder.join(outage.name().replace(' ', "-"));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let mut constants: Vec<(String, String)> =
            outage.settings().iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut issuer = None;
        if outage == Outage::IssuerAway {
            let proxy = issuer_of_keys().await?;
            let url = format!("http://{}/jwks.json", proxy.address());
            constants.push(("CHATTING_AUTH__JWKS__URL".to_owned(), url));
            issuer = Some(proxy);
        }
        if outage == Outage::CertificateNotRenewed {
            certify(&folder, LONG)?;
            for (setting, file) in [("CERT_FILE", CERTIFICATE), ("KEY_FILE", KEY)] {
                let file = folder.join(file).display().to_string();
                constants.push((format!("CHATTING_ARCHIVER__TLS__{setting}"), file));
            }
        }
        let review =
            if outage == Outage::ReviewHookAway { Some(review::start(review::Notes::default()).await?) } else { None };
        let plan = Plan {
            folder: folder.clone(),
            binary: options.binary.clone(),
            old_binary: None,
            cluster: false,
            partitions: 1,
            log_bytes: outage.log_bytes(),
            disks: false,
            lazy_log: false,
            clock_library: None,
            review,
            constants,
            damage: false,
        };
        let system = System::start(&plan).await?;
        let addresses = |kind: Kind| {
            let nodes = system.admin.iter().filter(|(name, _)| name.starts_with(kind.word()));
            nodes.map(|(_, address)| address.clone()).collect()
        };
        let targets = [
            ("chatting-ingest", addresses(Kind::Ingest)),
            ("chatting-delivery", addresses(Kind::Delivery)),
            ("chatting-archiver", addresses(Kind::Archiver)),
        ];
        let prometheus = Prometheus::start(&options.prometheus, &folder, options.factor, &targets).await?;
        let people = People::arrive(&system)?;
        let stage = Stage { system, people, prometheus, issuer, factor: options.factor };
        stage.is_quiet().await?;
        Ok(stage)
    }

    /// Waits until every node is scraped, presenters are connected, posts are accepted and no alert is pending.
    async fn is_quiet(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let nodes = self.prometheus.value("sum(up)").await?;
            let sessions = self.prometheus.value("sum(chatting_delivery_sessions)").await?;
            let alerts = self.prometheus.alerts().await?;
            let are_there = sessions == Some((2 * PRESENTERS) as f64) && nodes == Some(self.system.admin.len() as f64);
            if are_there && alerts.is_empty() && self.people.accepted() > 50 {
                return Ok(());
            }
            ensure!(
                began.elapsed() < QUIET,
                "the system is not well before the outage: nodes {nodes:?}, sessions {sessions:?}, accepted posts {}, \
                 alerts {alerts:?}",
                self.people.accepted()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The time that the shipped rules would take for this, in the run's time.
    pub(super) fn short(&self, shipped: Duration) -> Duration {
        shipped / self.factor
    }

    pub(super) fn part(&self, name: &str) -> anyhow::Result<&Part> {
        self.system.parts.iter().find(|part| part.name == name).with_context(|| format!("there is no {name}"))
    }

    /// The admin address of a node, which is its `instance` in Prometheus.
    pub(super) fn instance(&self, name: &str) -> anyhow::Result<&str> {
        let found = self.system.admin.iter().find(|(node, _)| node == name);
        found.map(|(_, address)| address.as_str()).with_context(|| format!("there is no {name}"))
    }

    /// The network paths of that name, of one part or of all.
    pub(super) fn links(&self, name: &str, part: Option<&str>) -> Vec<&Link> {
        let links = self.system.links.iter().filter(|link| link.name == name);
        links.filter(|link| part.is_none_or(|part| link.part == part)).collect()
    }

    pub(super) fn refuse(&self, name: &str, part: Option<&str>) {
        self.links(name, part).into_iter().for_each(|link| link.proxy.refuse());
    }

    pub(super) fn release(&self, name: &str, part: Option<&str>) {
        self.links(name, part).into_iter().for_each(|link| link.proxy.release());
    }

    pub(super) async fn kill(&self, names: &[&str]) -> anyhow::Result<()> {
        for name in names {
            self.part(name)?.server.lock().await.kill()?;
        }
        Ok(())
    }

    pub(super) async fn start_again(&self, names: &[&str]) -> anyhow::Result<()> {
        for name in names {
            let part = self.part(name)?;
            start_patiently(part, &mut *part.server.lock().await).await?;
        }
        Ok(())
    }

    pub(super) async fn stream(&self) -> anyhow::Result<Stream> {
        Ok(self.context().await?.get_stream(STREAM).await?)
    }

    async fn context(&self) -> anyhow::Result<Context> {
        let server = self.system.nats.first().context("the log has a server")?;
        Ok(async_nats::jetstream::new(async_nats::connect(server).await?))
    }

    /// Appends a batch that no role would append.
    pub(super) async fn append(&self, batch: Vec<u8>) -> anyhow::Result<()> {
        self.context().await?.publish(SUBJECT, batch.into()).await?.await?;
        Ok(())
    }

    /// Fills the log up to this share of its size.
    pub(super) async fn fill(&self, share: f64) -> anyhow::Result<()> {
        let (context, mut stream) = (self.context().await?, self.stream().await?);
        let mut headers = async_nats::HeaderMap::new();
        headers.insert(EXPIRES.0, EXPIRES.1);
        loop {
            let info = stream.info().await?;
            if info.state.bytes as f64 >= share * info.config.max_bytes as f64 {
                return Ok(());
            }
            let batch = vec![b'\n'; FILLING].into();
            context.publish_with_headers(SUBJECT, headers.clone(), batch).await?.await?;
        }
    }

    /// Gives the archivers a certificate for so many days, and tells them.
    pub(super) async fn renew_certificate(&self, days: i64) -> anyhow::Result<()> {
        certify(&self.system.folder, days)?;
        for part in self.system.of(Kind::Archiver) {
            part.server.lock().await.signal(nix::sys::signal::Signal::SIGHUP)?;
        }
        Ok(())
    }
}

const CERTIFICATE: &str = "archiver.cert.pem";
const KEY: &str = "archiver.key.pem";

/// Writes a certificate and its key.
fn certify(folder: &Path, days: i64) -> anyhow::Result<()> {
    let end = Offset::UTC.to_datetime(Timestamp::now()).date() + days.days();
    let (certificate, key) = certificates::until(end)?;
    let write = |file: &str, content: String| -> anyhow::Result<()> {
        let file: PathBuf = folder.join(file);
        std::fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))
    };
    write(CERTIFICATE, certificate)?;
    write(KEY, key)
}

/// An issuer with the key of RFC 8037, which signs no token here. The tokens of the run are signed by a secret.
async fn issuer_of_keys() -> anyhow::Result<Proxy> {
    let key = json!({
        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "one",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    let keys = json!({ "keys": [key] });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let router = Router::new().route("/jwks.json", get(move || std::future::ready(Json(keys))));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(Proxy::start(address).await)
}
