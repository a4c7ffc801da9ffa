//! TLS and the least privileged user of a real mongod, and what `check` says of what is wrong.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use ::mongodb::Client;
use ::mongodb::bson::{Document, doc};
use chat::{Body, Event, MessagePosted, PresenterIdx, User};
use serde_json::json;

use crate::check::{Checked, check};
use crate::ingest::client;
use crate::ingest::tokens::token_with;
use crate::support::{self, Authority, Folder, Mongod, NatsServer, Role, Settings, token};

/// `check` for the archiver of this database.
async fn checked(nats: &NatsServer, uri: &str) -> Checked {
    let settings = Settings::new().nats(nats).set("archiver.uri", uri).set("archiver.server_selection_timeout", "3s");
    check(&settings, &["--role", "archiver"]).await
}

#[tokio::test]
async fn the_archiver_reaches_mongodb_over_tls_and_trusts_no_other_server() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (nats, mongod) = tokio::join!(NatsServer::start(), Mongod::start());
    let issued = authority.issue("mongod", &["127.0.0.1"]);
    let own = ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", &issued.both, "--tlsCAFile"];
    let ca = authority.file();
    mongod.restart_with(&[own.as_slice(), &[&ca, "--tlsAllowConnectionsWithoutCertificates"]].concat()).await;

    let trusting = mongod.uri_of("", &format!("&tls=true&tlsCAFile={}", authority.file()));
    let archiver = Role::start("archiver", &Settings::new().nats(&nats).set("archiver.uri", &trusting)).await;
    assert!(checked(&nats, &trusting).await.has("mongodb", "ok", "primary of rs0"));
    for (options, told) in [
        ("&tls=true".to_owned(), "tlsCAFile in archiver.uri"),
        (format!("&tls=true&tlsCAFile={}", stranger.file()), "tlsCAFile in archiver.uri"),
    ] {
        let refused = checked(&nats, &mongod.uri_of("", &options)).await;
        assert!(refused.has("mongodb", "problem", told), "{told}: {}", refused.output);
    }
    let plain = checked(&nats, &mongod.uri()).await;
    assert!(plain.has("mongodb", "problem", "no primary can be reached"), "{}", plain.output);
    let by_name = trusting.replace("127.0.0.1", "localhost").replace("replicaSet=rs0", "directConnection=true");
    let refused = checked(&nats, &by_name).await;
    assert!(refused.has("mongodb", "problem", "use a host of the server's certificate"), "{}", refused.output);
    drop(archiver);
}

#[tokio::test]
async fn a_mongod_that_wants_certificates_gets_the_archivers_and_takes_no_client_without() {
    let authority = Authority::new();
    let (nats, mongod) = tokio::join!(NatsServer::start(), Mongod::start());
    let issued = authority.issue("mongod", &["127.0.0.1"]);
    let ca = authority.file();
    mongod
        .restart_with(&["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", &issued.both, "--tlsCAFile", &ca])
        .await;
    let role = authority.issue("archiver", &["archiver"]);
    let tls = format!("&tls=true&tlsCAFile={ca}");
    let known = mongod.uri_of("", &format!("{tls}&tlsCertificateKeyFile={}", role.both));
    let sound = checked(&nats, &known).await;
    assert!(sound.has("mongodb", "ok", "primary of rs0"), "{}", sound.output);
    let refused = checked(&nats, &mongod.uri_of("", &tls)).await;
    assert!(refused.has("mongodb", "problem", "no primary can be reached"), "{}", refused.output);
}

/// The role that deploy/mongodb and docs/operations/security.md give the archiver.
fn documented_role() -> Document {
    let role = include_str!("../../deploy/mongodb/archiver-role.json");
    assert!(include_str!("../../docs/operations/security.md").contains(role), "the page shows another role");
    let value: serde_json::Value = serde_json::from_str(role).unwrap();
    ::mongodb::bson::serialize_to_document(&value).unwrap()
}

#[tokio::test]
async fn the_documented_role_is_all_that_the_archiver_needs_and_it_reaches_no_other_database() {
    let (nats, mongod) = tokio::join!(NatsServer::start(), Mongod::start());
    let client = Client::with_uri_str(mongod.uri()).await.unwrap();
    client.database("chatting").run_command(documented_role()).await.unwrap();
    let roles = doc! { "createUser": "archiver", "pwd": "hunter2-of-archiver", "roles": ["chattingArchiver"] };
    client.database("chatting").run_command(roles).await.unwrap();
    let secret = doc! { "text": "of another application" };
    client.database("other").collection("secrets").insert_one(secret).await.unwrap();
    client.shutdown().await;
    let folder = Folder::new("mongod-key");
    let key = folder.path().join("key");
    std::fs::write(&key, "akeyofthereplicaset").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    mongod.restart_with(&["--auth", "--keyFile", key.to_str().unwrap()]).await;

    let uri = mongod.uri_of("archiver:hunter2-of-archiver@", "&authSource=chatting");
    let sound = checked(&nats, &uri).await;
    assert!(sound.has("mongodb", "ok", "primary of rs0") && sound.has("mongodb", "ok", "the disk"), "{}", sound.output);
    let settings = Settings::new().nats(&nats).set("archiver.uri", &uri).set("archiver.retention.messages", "400d");
    let archiver = Role::start("archiver", &settings).await;
    // Another retention changes an index, and none drops it.
    assert_eq!(archiver.terminate().await, 0);
    for (user, days) in [(71, "500d"), (72, "0d")] {
        let archiver = Role::start("archiver", &settings.clone().set("archiver.retention.messages", days)).await;
        works(&archiver, &settings, user).await;
        assert!(!archiver.log().contains("Unauthorized") && !archiver.log().contains("hunter2"), "{}", archiver.log());
    }
    let client = Client::with_uri_str(&uri).await.unwrap();
    let refused = async |database: &str, command: Document| {
        let refused = client.database(database).run_command(command).await.unwrap_err().to_string();
        assert!(refused.contains("Unauthorized"), "{refused}");
    };
    refused("other", doc! { "find": "secrets" }).await;
    refused("chatting", doc! { "dropDatabase": 1 }).await;
    refused("chatting", doc! { "drop": "messages" }).await;
    refused("admin", doc! { "shutdown": 1 }).await;
    let wrong = checked(&nats, &mongod.uri_of("archiver:wrong@", "&authSource=chatting")).await;
    assert!(wrong.has("mongodb", "problem", ""), "{}", wrong.output);
}

/// A message of the user is archived, and the user erased.
async fn works(archiver: &Role, settings: &Settings, user: i64) {
    let log = support::log(settings).await;
    let author = User { idx: user.try_into().unwrap(), nickname: "nick".to_owned(), role: chat::Role::Viewer };
    let posted = MessagePosted::new(author, "hello");
    let event = Event::now(PresenterIdx::try_from(5).unwrap(), Body::MessagePosted(posted));
    log.append(&event).await.unwrap();
    let message = format!("{}/v1/rooms/5/messages/{}", archiver.url(), event.id);
    support::eventually("the message is archived", Duration::from_secs(60), async || {
        let answer = client().get(&message).bearer_auth(token(5, "presenter")).send().await.unwrap();
        (answer.status() == 200).then_some(())
    })
    .await;
    let privacy = token_with(json!({ "user_idx": 9, "nickname": "privacy", "scope": "chat:erase" }));
    let erased = client().delete(format!("{}/v1/users/{user}?mode=anonymise", archiver.url())).bearer_auth(privacy);
    let erased = erased.send().await.unwrap();
    assert!(erased.status().is_success(), "{}", erased.text().await.unwrap());
    log.close().await;
}
