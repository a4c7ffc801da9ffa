//! The metrics of the roles, and what operators use: the reference, the alerts, the board.

mod described;
mod files;
#[cfg(feature = "prometheus")]
mod prometheus;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::delivery::presenter::Presenter;
use crate::support::{
    Authority, JwksServer, Mongod, NatsServer, ReviewHook, Role, RoomServer, Settings, SigningKey, eventually, token,
};
use crate::tls::nats::with_tls;

/// A role reads the size of the log and counts the quarantine within seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// The room whose presenter is connected.
const ROOM: i64 = 42;

/// One node of each role, with every dependency of a role.
struct World {
    ingest: Role,
    delivery: Role,
    archiver: Role,
    presenter: Presenter,
    nats: NatsServer,
    _rooms: RoomServer,
    _mongod: Mongod,
    _hook: ReviewHook,
    _issuer: JwksServer,
    _authority: Authority,
}

impl World {
    async fn start() -> World {
        let key = SigningKey::ec("one");
        let keys = [&key];
        let authority = Authority::new();
        let (server, role) = (authority.issue("nats", &["127.0.0.1"]), authority.issue("role", &["role"]));
        let lines = with_tls(&server, &format!("ca_file: {:?}, verify: true", authority.file()));
        let (nats, rooms, mongod, hook, issuer) = tokio::join!(
            NatsServer::start_configured(&lines, &[], &[]),
            RoomServer::start(),
            Mongod::start(),
            ReviewHook::start(),
            JwksServer::start(&keys)
        );
        let settings = Settings::new().rooms(&rooms).mongo(&mongod).set("auth.jwks.url", &issuer.url());
        let settings = hook
            .settings(settings)
            .set("node.name", "a-node")
            .set("nats.urls", &nats.tls_url("127.0.0.1"))
            .set("nats.tls.ca_file", &authority.file())
            .set("nats.tls.cert_file", &role.cert)
            .set("nats.tls.key_file", &role.key);
        let (ingest, delivery, archiver) = tokio::join!(
            Role::start("ingest", &settings),
            Role::start("delivery", &settings),
            Role::start("archiver", &settings)
        );
        let mut presenter = Presenter::connect(&delivery, ROOM).await;
        presenter.is_served_and_quiet().await;
        World {
            ingest,
            delivery,
            archiver,
            presenter,
            nats,
            _rooms: rooms,
            _mongod: mongod,
            _hook: hook,
            _issuer: issuer,
            _authority: authority,
        }
    }

    fn roles(&self) -> [(&'static str, &Role); 3] {
        [("ingest", &self.ingest), ("delivery", &self.delivery), ("archiver", &self.archiver)]
    }

    /// Posts a message to the presenter's room, and waits for it there.
    async fn post(&mut self) {
        let url = format!("{}/v1/rooms/{ROOM}/messages", self.ingest.url());
        let posted = client().post(url).bearer_auth(token(7, "viewer")).json(&json!({ "text": "hello" })).send().await;
        assert_eq!(posted.unwrap().status(), 202);
        assert!(self.presenter.chat().await.to_string().contains("hello"));
    }
}

/// A metric, exposed or documented.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Family {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
}

fn client() -> reqwest::Client {
    testkit::client().timeout(PATIENCE).build().unwrap()
}

/// The exposition of a role.
async fn scrape(role: &Role) -> String {
    let answer = client().get(format!("{}/metrics", role.admin_url())).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    answer.text().await.unwrap()
}

/// The families of an exposition.
fn families(exposed: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in exposed.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            current = name.to_owned();
            families.entry(current.clone()).or_default().help = help.to_owned();
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            families.entry(name.to_owned()).or_default().kind = kind.to_owned();
        } else if let Some((_, labels)) = line.split_once('{') {
            let (labels, _) = labels.rsplit_once('}').unwrap();
            let labels = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0));
            // The label of a histogram's bucket.
            let labels = labels.filter(|label| *label != "le");
            families.get_mut(&current).unwrap().labels.extend(labels.map(str::to_owned));
        }
    }
    families
}

/// The value of a series, as it is exposed.
fn value(exposed: &str, series: &str) -> Option<f64> {
    exposed.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// The reference: the metrics by the role of their section. Those of every role are under the empty string.
fn described() -> BTreeMap<String, BTreeMap<String, Family>> {
    let mut described: BTreeMap<String, BTreeMap<String, Family>> = BTreeMap::new();
    let mut section = String::new();
    for line in read("docs/reference/metrics.md").lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = if heading == "Every role" { String::new() } else { heading.to_lowercase() };
        }
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, kind, labels, help] = cells[..] else { continue };
        let Some(name) = name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) else { continue };
        let labels = labels.split(", ").map(|label| label.trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        let family = Family { kind: kind.to_owned(), help: help.to_owned(), labels };
        assert!(
            described.entry(section.clone()).or_default().insert(name.to_owned(), family).is_none(),
            "{name} twice"
        );
    }
    described
}

/// A file of the project.
fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The names of our metrics in a text, without the suffixes of a histogram's series.
fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("chatting_") || word.starts_with("process_"));
    ours.map(|name| name.trim_end_matches("_bucket").to_owned()).collect()
}
