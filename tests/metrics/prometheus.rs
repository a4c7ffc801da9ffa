//! The real Prometheus scrapes the roles, and accepts the rules, the exposition and the board's queries. It and
//! promtool must be on the PATH (Debian's package `prometheus`).

use std::process::Stdio;

use testkit::{Program, Ready, Server};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::files::queries;
use super::*;
use crate::support::{Folder, port};

/// A running Prometheus.
struct Prometheus {
    _server: Server,
    url: String,
    // Dropped after the server.
    _folder: Folder,
}

impl Prometheus {
    /// Scrapes the roles every second, under the jobs of `deploy/prometheus/prometheus.yml`.
    async fn start(world: &World) -> Prometheus {
        let (folder, port) = (Folder::new("prometheus"), port());
        let mut config = "global: {scrape_interval: 1s}\nscrape_configs:\n".to_owned();
        for (name, role) in world.roles() {
            let target = role.admin_url().replace("http://", "");
            config += &format!("- job_name: chatting-{name}\n  static_configs: [{{targets: [\"{target}\"]}}]\n");
        }
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, config).unwrap();
        let arguments = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", folder.path().join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ];
        let url = format!("http://127.0.0.1:{port}");
        let program = Program {
            name: "prometheus".to_owned(),
            path: "prometheus".into(),
            arguments: arguments.map(Into::into).to_vec(),
            environment: Vec::new(),
            output: folder.path().join("output.log"),
            detached: false,
        };
        let mut server = Server::new(program, Ready::Http(format!("{url}/-/ready")));
        server.start().await.expect("this test needs prometheus on the PATH: apt-get install prometheus");
        Prometheus { _server: server, url, _folder: folder }
    }

    /// The result of a query: its series.
    async fn query(&self, query: &str) -> Vec<serde_json::Value> {
        let url = format!("{}/api/v1/query", self.url);
        let url = reqwest::Url::parse_with_params(&url, [("query", query)]).unwrap();
        let answer = client().get(url).send().await.unwrap();
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(body["status"], "success", "{query}: {body}");
        body["data"]["result"].as_array().unwrap().clone()
    }
}

async fn promtool(arguments: &[&str], input: &str) {
    let mut command = Command::new("promtool");
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus")).args(arguments).kill_on_drop(true);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this test needs promtool on the PATH: apt-get install prometheus");
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

#[tokio::test]
async fn prometheus_scrapes_every_role_and_every_panel_of_the_board_has_data() {
    let mut world = World::start().await;
    world.post().await;
    for (_, role) in world.roles() {
        promtool(&["check", "metrics"], &scrape(role).await).await;
    }
    let prometheus = Prometheus::start(&world).await;
    eventually("every role is scraped", PATIENCE, async || {
        (prometheus.query("up == 1").await.len() == 3).then_some(())
    })
    .await;
    for query in queries() {
        let query = query.replace("$__rate_interval", "1m");
        // A filtered query may have no result.
        let is_filtered = query.ends_with("> 0") || query.starts_with("ALERTS");
        eventually(&format!("the board shows {query}"), PATIENCE, async || {
            let found = prometheus.query(&query).await;
            (is_filtered || !found.is_empty()).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn the_alerts_are_valid_and_each_fires_and_clears() {
    promtool(&["check", "config", "prometheus.yml"], "").await;
    promtool(&["check", "rules", "chatting.rules.yml"], "").await;
    promtool(&["test", "rules", "chatting.rules.test.yml"], "").await;
}
