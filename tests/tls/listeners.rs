//! TLS of the roles' own listeners: posts, sockets, health checks, a renewal under load, and files that cannot be used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::{Certificate, Client};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::support::{Authority, Issued, Mongod, NatsServer, Role, RoomServer, Settings, eventually, token};

const HOST: &str = "127.0.0.1";

const SOON: Duration = Duration::from_secs(30);

/// A client that trusts this authority alone.
fn client(authority: &Authority) -> Client {
    let trusted = Certificate::from_pem(&authority.pem()).unwrap();
    Client::builder().no_proxy().tls_certs_only([trusted]).timeout(SOON).build().unwrap()
}

async fn post(client: &Client, ingest: &Role, text: &str) -> reqwest::Result<u16> {
    let post = client.post(format!("{}/v1/rooms/1/messages", ingest.url())).bearer_auth(token(7, "nick"));
    Ok(post.json(&json!({ "text": text })).send().await?.status().as_u16())
}

/// A connection to a role, and the certificate that it showed.
async fn connect(authority: &Authority, role: &Role) -> (TlsStream<TcpStream>, CertificateDer<'static>) {
    let mut trusted = RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_slice(&authority.pem()).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(trusted).with_no_client_auth();
    let stream = TcpStream::connect(role.address()).await.unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(HOST.try_into().unwrap(), stream).await.unwrap();
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned();
    (stream, shown)
}

fn certificate(issued: &Issued) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(&issued.cert).unwrap()
}

#[tokio::test]
async fn posts_and_a_presenters_socket_go_over_tls_and_the_listeners_for_operators_too() {
    let authority = Authority::new();
    let issued = authority.issue("chat", &[HOST]);
    let (nats, rooms, mongod) = tokio::join!(NatsServer::start(), RoomServer::start(), Mongod::start());
    let settings = ["ingest", "delivery", "archiver"]
        .into_iter()
        .fold(Settings::new().nats(&nats).rooms(&rooms).mongo(&mongod), |settings, role| {
            settings.certificate(role, &issued)
        });
    let (ingest, delivery, archiver) = tokio::join!(
        Role::start("ingest", &settings),
        Role::start("delivery", &settings),
        Role::start("archiver", &settings)
    );
    let client = client(&authority);
    assert_eq!(post(&client, &ingest, "hello").await.unwrap(), 202);
    assert!(post(&crate::ingest::client(), &ingest, "hello").await.is_err(), "its authority is not known");
    let plain = client.get(format!("http://{}/readyz", ingest.address())).send().await;
    assert!(plain.is_err(), "nothing is answered without TLS");

    let (stream, _) = connect(&authority, &delivery).await;
    let mut request = format!("ws://{}/v1/presenter", delivery.address()).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "chat.v1".parse().unwrap());
    let (mut socket, _) = client_async(request, stream).await.unwrap();
    let start = json!({ "type": "start", "token": token(1, "presenter") }).to_string();
    socket.send(Message::text(start)).await.unwrap();
    assert_eq!(post(&client, &ingest, "to the socket").await.unwrap(), 202);
    let seen = async {
        loop {
            let frame = socket.next().await.expect("the session goes on").unwrap();
            if frame.is_text() && frame.to_text().unwrap().contains("to the socket") {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, seen).await.expect("the presenter sees the message");
    let archived = format!("{}/v1/rooms/1/messages", archiver.url());
    eventually("the messages are archived", SOON, async || {
        let read = client.get(&archived).bearer_auth(token(1, "presenter")).send().await.unwrap();
        read.text().await.unwrap().contains("to the socket").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_health_check_reaches_a_listener_for_operators_with_tls() {
    let authority = Authority::new();
    let issued = authority.issue("chat", &["chat.example"]);
    let nats = NatsServer::start().await;
    let admin = format!("{HOST}:{}", crate::support::port());
    let settings = Settings::new()
        .nats(&nats)
        .set("delivery.admin.listen", &admin)
        .set("delivery.admin.tls.cert_file", &issued.cert)
        .set("delivery.admin.tls.key_file", &issued.key);
    let role = Role::start("delivery", &settings).await;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_chatting-server"));
    let output = command.args(["healthcheck", "delivery"]).envs(settings.variables()).output().await.unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && said.contains("\"ready\""), "{said}");
    role.says("delivery answers health checks on").await;
    role.says("with TLS; its certificate is valid until 2099-01-01").await;
}

#[tokio::test]
async fn a_certificate_is_renewed_under_load_without_a_failed_post() {
    let authority = Authority::new();
    let issued = authority.issue("chat", &[HOST]);
    let (nats, rooms) = tokio::join!(NatsServer::start(), RoomServer::start());
    let settings = Settings::new().nats(&nats).rooms(&rooms).certificate("ingest", &issued);
    let ingest = Arc::new(Role::start("ingest", &settings).await);
    let (is_over, posted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    // Half of them keep a connection, and half open one for each post.
    let posters: Vec<_> = (0..4)
        .map(|number| {
            let trusted = Certificate::from_pem(&authority.pem()).unwrap();
            let idle = if number % 2 == 0 { 1 } else { 0 };
            let client = Client::builder().no_proxy().tls_certs_only([trusted]).pool_max_idle_per_host(idle);
            let client = client.timeout(SOON).build().unwrap();
            let (ingest, is_over, posted) = (ingest.clone(), is_over.clone(), posted.clone());
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    assert_eq!(post(&client, &ingest, "hello").await.expect("no post fails"), 202);
                    posted.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for _ in 0..5 {
        let renewed = authority.issue("chat", &[HOST]);
        ingest.hang_up();
        eventually("the renewed certificate is shown", SOON, async || {
            let (_, shown) = connect(&authority, &ingest).await;
            (shown == certificate(&renewed)).then_some(())
        })
        .await;
        let before = posted.load(Ordering::Relaxed);
        eventually("posts go on", SOON, async || (posted.load(Ordering::Relaxed) > before + 20).then_some(())).await;
    }
    is_over.store(true, Ordering::Relaxed);
    for poster in posters {
        poster.await.unwrap();
    }
    let metrics = crate::ingest::client()
        .get(format!("{}/metrics", ingest.admin_url()))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(metrics.contains("\nchatting_http_failed_handshakes_total 0\n"), "{metrics}");
}

#[tokio::test]
async fn files_that_cannot_be_used_change_nothing_while_it_serves_and_are_refused_at_the_start() {
    let authority = Authority::new();
    let issued = authority.issue("chat", &[HOST]);
    let (nats, rooms) = tokio::join!(NatsServer::start(), RoomServer::start());
    let settings = Settings::new().nats(&nats).rooms(&rooms).certificate("ingest", &issued);
    let ingest = Role::start("ingest", &settings).await;
    let shown = certificate(&issued);
    std::fs::write(&issued.key, "not a key").unwrap();
    ingest.hang_up();
    ingest.says("nothing is reloaded: ingest.tls.key_file").await;
    ingest.says("has no private key in PEM").await;
    let (_, still) = connect(&authority, &ingest).await;
    assert_eq!(still, shown);
    assert_eq!(post(&client(&authority), &ingest, "hello").await.unwrap(), 202);

    let refused = Role::spawn("ingest", &settings);
    assert_eq!(refused.exit_code(SOON).await, 64, "{}", refused.log());
    assert!(refused.log().contains("ingest.tls.key_file"), "{}", refused.log());
    let half = Settings::new().nats(&nats).rooms(&rooms).set("ingest.tls.key_file", &issued.key);
    let refused = Role::spawn("ingest", &half);
    assert_eq!(refused.exit_code(SOON).await, 64, "{}", refused.log());
    assert!(refused.log().contains("is required beside key_file"), "{}", refused.log());
}

#[tokio::test]
async fn check_says_how_long_the_certificates_last() {
    let authority = Authority::new();
    let nats = NatsServer::start().await;
    let settings = Settings::new().nats(&nats).certificate("delivery", &authority.issue("chat", &[HOST]));
    let found = crate::check::check(&settings, &["--role", "delivery"]).await;
    assert!(found.has("certificates", "ok: delivery.tls: ", "valid until 2099-01-01"), "{}", found.output);
    let expired = settings.certificate("delivery", &authority.issue_until("old", &[HOST], 2021));
    let found = crate::check::check(&expired, &["--role", "delivery"]).await;
    assert!(found.has("certificates", "problem: delivery.tls: ", "expired on 2021-01-01"), "{}", found.output);
    assert_eq!(found.code, 1, "{}", found.output);
}
