//! Prometheus is told when each certificate of a role expires: those of its listeners, and those that it shows to NATS
//! and MongoDB.

use std::time::Duration;

use jiff::Timestamp;

use super::nats::with_tls;
use crate::ingest::client;
use crate::support::{Authority, Mongod, NatsServer, Role, Settings, eventually};

const SOON: Duration = Duration::from_secs(30);

/// The days that are left of each certificate, rounded up, by the setting that names it.
async fn days_left(role: &Role) -> Vec<(String, i64)> {
    let metrics = client().get(format!("{}/metrics", role.admin_url())).send().await.unwrap().text().await.unwrap();
    let series = metrics.lines().filter_map(|line| {
        let (setting, end) = line
            .strip_prefix("chatting_tls_certificate_expiry_timestamp_seconds{certificate=\"")?
            .split_once("\"} ")?;
        let left = end.parse::<i64>().unwrap() - Timestamp::now().as_second();
        Some((setting.to_owned(), (left + 86_399) / 86_400))
    });
    series.collect()
}

async fn has(role: &Role, expected: &[(&str, i64)]) {
    let expected: Vec<(String, i64)> = expected.iter().map(|(setting, days)| ((*setting).to_owned(), *days)).collect();
    eventually(&format!("the metrics tell {expected:?}"), SOON, async || {
        (days_left(role).await == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_certificate_that_expires_soon_is_told_until_it_is_renewed() {
    let authority = Authority::new();
    let server = authority.issue("server", &["127.0.0.1"]);
    let lines = with_tls(&server, &format!("ca_file: {:?}, verify: true", authority.file()));
    let (nats, mongod) = tokio::join!(NatsServer::start_configured(&lines, &[], &[]), Mongod::start());
    let ca = authority.file();
    let own = ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", &server.both, "--tlsCAFile", &ca];
    mongod.restart_with(&own).await;

    let listener = authority.issue_for_days("listener", &["127.0.0.1"], 10);
    let to_nats = authority.issue_for_days("nats-client", &["archiver"], 20);
    let to_mongod = authority.issue_for_days("mongod-client", &["archiver"], 30);
    let uri = mongod.uri_of("", &format!("&tls=true&tlsCAFile={ca}&tlsCertificateKeyFile={}", to_mongod.both));
    let settings = Settings::new()
        .set("nats.urls", &nats.tls_url("127.0.0.1"))
        .set("nats.tls.ca_file", &ca)
        .set("nats.tls.cert_file", &to_nats.cert)
        .set("nats.tls.key_file", &to_nats.key)
        .set("archiver.uri", &uri)
        .certificate("archiver", &listener);
    let archiver = Role::start("archiver", &settings).await;
    has(&archiver, &[("archiver.tls", 10), ("archiver.uri", 30), ("nats.tls", 20)]).await;

    authority.issue_for_days("listener", &["127.0.0.1"], 90);
    authority.issue_for_days("nats-client", &["archiver"], 91);
    authority.issue_for_days("mongod-client", &["archiver"], 92);
    archiver.hang_up();
    // The driver of MongoDB has read its file at the start of the role, and still shows what it held.
    has(&archiver, &[("archiver.tls", 90), ("archiver.uri", 30), ("nats.tls", 91)]).await;

    archiver.terminate().await;
    archiver.start_again().await;
    has(&archiver, &[("archiver.tls", 90), ("archiver.uri", 92), ("nats.tls", 91)]).await;
}

#[tokio::test]
async fn a_role_without_tls_tells_of_no_certificate() {
    let nats = NatsServer::start().await;
    let delivery = Role::start("delivery", &Settings::new().nats(&nats)).await;
    assert_eq!(days_left(&delivery).await, []);
}
