//! TLS and logins to a real nats-server, and what `check` says of what is wrong.

use std::time::Duration;

use nkeys::KeyPair;

use crate::check::check;
use crate::ingest::client;
use crate::permissions::command;
use crate::support::{Authority, Issued, NatsServer, Role, RoomServer, Settings, eventually, token};

/// The lines of a server with that certificate, and more members of its `tls`.
pub(crate) fn with_tls(issued: &Issued, more: &str) -> String {
    format!("\ntls {{ cert_file: {:?}, key_file: {:?}, {more} }}\n", issued.cert, issued.key)
}

async fn server(issued: &Issued, more: &str) -> NatsServer {
    NatsServer::start_configured(&with_tls(issued, more), &[], &[]).await
}

/// Whether delivery's settings work. Err: what `check` says of the servers.
async fn checked(settings: &Settings) -> Result<(), String> {
    let checked = check(settings, &["--role", "delivery"]).await;
    if checked.has("nats", "ok", "nats-server 2.") { Ok(()) } else { Err(checked.output) }
}

/// A server that refuses a client certificate may close the connection before the client has read why, so it is asked
/// again.
async fn is_refused(settings: &Settings, told: &str) {
    eventually(&format!("check says {told:?}"), Duration::from_secs(60), async || {
        let output = checked(settings).await.expect_err("it is refused");
        output.contains(told).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_role_appends_over_tls_with_the_authority_of_a_file_and_no_other_server_is_trusted() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (nats, rooms) = (server(&authority.issue("nats", &["127.0.0.1"]), "").await, RoomServer::start().await);
    let settings = Settings::new().rooms(&rooms).set("nats.urls", &nats.tls_url("127.0.0.1"));
    let trusting = settings.clone().set("nats.tls.ca_file", &authority.file());

    let ingest = Role::start("ingest", &trusting).await;
    let post = client().post(format!("{}/v1/rooms/1/messages", ingest.url())).bearer_auth(token(7, "nick"));
    let posted = post.json(&serde_json::json!({ "text": "hello" })).send().await.unwrap();
    assert_eq!(posted.status(), 202, "{}", posted.text().await.unwrap());
    assert_eq!(checked(&trusting).await, Ok(()));

    is_refused(&settings, "name the file with the authority of the server's certificate: nats.tls.ca_file").await;
    is_refused(&settings.clone().set("nats.tls.ca_file", &stranger.file()), "nats.tls.ca_file").await;
    let by_name = trusting.clone().set("nats.urls", &nats.tls_url("localhost"));
    is_refused(&by_name, "use a host of the server's certificate in nats.urls").await;
    // A plain address does not go back to a plain connection.
    let plain = trusting.set("nats.urls", &nats.url());
    assert_eq!(checked(&plain).await, Ok(()));
    is_refused(&plain.set("nats.tls.ca_file", &stranger.file()), "nats.tls.ca_file").await;
    let role = Role::spawn("delivery", &settings);
    role.says("invalid peer certificate: UnknownIssuer").await;
    role.says("trying again in 2 s").await;
}

#[tokio::test]
async fn an_expired_certificate_and_a_server_without_tls_are_told_apart() {
    let authority = Authority::new();
    let expired = server(&authority.issue_until("nats", &["127.0.0.1"], 2021), "").await;
    let settings = Settings::new().set("nats.tls.ca_file", &authority.file());
    is_refused(&settings.clone().set("nats.urls", &expired.tls_url("127.0.0.1")), "it has expired").await;
    let plain = NatsServer::start().await;
    is_refused(&settings.set("nats.urls", &plain.url()), "the server does not answer with TLS").await;
}

#[tokio::test]
async fn a_server_that_verifies_its_clients_takes_those_of_its_authority_alone() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let verify = format!("ca_file: {:?}, verify: true", authority.file());
    let nats = server(&authority.issue("nats", &["127.0.0.1"]), &verify).await;
    let settings =
        Settings::new().set("nats.urls", &nats.tls_url("127.0.0.1")).set("nats.tls.ca_file", &authority.file());
    let with = |issued: &Issued| {
        settings.clone().set("nats.tls.cert_file", &issued.cert).set("nats.tls.key_file", &issued.key)
    };
    let role = authority.issue("delivery", &["delivery"]);
    assert_eq!(checked(&with(&role)).await, Ok(()));
    Role::start("delivery", &with(&role)).await;

    is_refused(&settings, "set nats.tls.cert_file and nats.tls.key_file").await;
    is_refused(&with(&stranger.issue("delivery", &["delivery"])), "nats.tls.cert_file and nats.tls.key_file").await;
    let halves = with(&role).set("nats.tls.key_file", &authority.issue("other", &[]).key);
    let wrong = check(&halves, &["--role", "delivery"]).await;
    assert!(
        wrong.code == 64 && wrong.has("configuration", "problem: nats.tls.key_file", "renew both"),
        "{}",
        wrong.output
    );
}

#[tokio::test]
async fn a_handshake_comes_first_where_the_servers_want_that() {
    let authority = Authority::new();
    let nats = server(&authority.issue("nats", &["127.0.0.1"]), "handshake_first: true").await;
    let settings = Settings::new().set("nats.urls", &nats.url()).set("nats.tls.ca_file", &authority.file());
    assert!(checked(&settings).await.is_err());
    assert_eq!(checked(&settings.set("nats.tls.first", "true")).await, Ok(()));
}

#[tokio::test]
async fn a_server_with_the_deployments_tls_and_logins_serves_a_role() {
    let authority = Authority::new();
    let issued = authority.issue("nats", &["127.0.0.1"]);
    let logins = ["INGEST", "DELIVERY", "ARCHIVER", "SETUP", "OPERATOR", "OBSERVER", "BACKUP", "RESTORE"];
    let passwords = logins.map(|user| format!("NATS_{user}_PASSWORD"));
    let mut variables: Vec<(&str, &str)> = passwords.iter().map(|name| (name.as_str(), "hunter2")).collect();
    let ca = authority.file();
    variables.extend([("NATS_TLS_CERT", &*issued.cert), ("NATS_TLS_KEY", &issued.key), ("NATS_TLS_CA", &ca)]);
    let included = [
        ("tls.conf", include_str!("../../deploy/nats/tls.conf")),
        ("permissions.conf", include_str!("../../deploy/nats/permissions.conf")),
    ];
    let lines = "\ninclude ./permissions.conf\ninclude ./tls.conf\n";
    let nats = NatsServer::start_configured(lines, &included, &variables).await;
    let urls = |login: &str| nats.url().replace("nats://", &format!("tls://{login}:hunter2@"));
    let role = authority.issue("role", &["role"]);
    let settings = Settings::new()
        .set("nats.tls.ca_file", &ca)
        .set("nats.tls.cert_file", &role.cert)
        .set("nats.tls.key_file", &role.key);
    let setup = settings.clone().set("nats.urls", &urls("setup"));
    let (is_done, said) = command(&setup, &["setup"]);
    assert!(is_done && said.contains("CHAT_0: created"), "{said}");
    let delivery = Role::spawn("delivery", &settings.clone().set("nats.urls", &urls("delivery")));
    delivery.ready().await;
    let operator = settings.set("nats.urls", &urls("operator"));
    eventually("check has no problem", Duration::from_secs(60), async || {
        let found = check(&operator, &["--role", "delivery"]).await;
        (found.code == 0 && found.has("log", "ok", "CHAT_0: as configured")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_nkey_is_a_login_and_is_never_shown() {
    let (known, unknown) = (KeyPair::new_user(), KeyPair::new_user());
    let lines = format!("\nauthorization {{ users: [ {{ nkey: {} }} ] }}\n", known.public_key());
    let nats = NatsServer::start_configured(&lines, &[], &[]).await;
    let settings = Settings::new().set("nats.urls", &nats.url()).set("log.filter", "debug");
    let seed = known.seed().unwrap();
    let folder = crate::support::Folder::new("nkey");
    let file = folder.path().join("seed");
    std::fs::write(&file, format!("{seed}\n")).unwrap();
    let by_file = settings.clone().set("nats.nkey_file", file.to_str().unwrap());
    // `set_up` of the test's own settings has no access to the variable of a file.
    settings.clone().set("nats.nkey", &seed).set_up().await;
    let role = Role::spawn("delivery", &by_file);
    role.ready().await;
    let refused = settings.clone().set("nats.nkey", &unknown.seed().unwrap());
    let output = checked(&refused).await.unwrap_err();
    assert!(output.contains("authorization violation"), "{output}");
    let wrong = check(&settings.clone().set("nats.nkey", "SUhunter2"), &["--role", "delivery"]).await;
    assert!(wrong.code == 64 && wrong.has("configuration", "problem: nats.nkey", "begins with SU"), "{}", wrong.output);
    for shown in [role.log(), output, wrong.output] {
        assert!(!shown.contains(&seed) && !shown.contains("hunter2"), "{shown}");
    }
}
