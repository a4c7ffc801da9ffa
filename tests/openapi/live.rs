//! Schemathesis against live roles: valid and invalid requests made from the document are answered as it says.
//! `ingest.toml` and `archiver.toml` beside this file list the requests, and the excluded checks with their reasons.

use std::process::Stdio;
use std::time::Duration;

use chat::{Body, Event, MessagePosted, PresenterConnected, PresenterDisconnected, PresenterIdx, User, UserIdx};
use serde_json::json;
use tokio::process::Command;

use super::{NatsServer, Role, RoomServer, Settings};
use crate::ingest::tokens::token_with;
use crate::support::{self, Folder, Mongod};

/// The number of requests per operation and phase.
const EXAMPLES: &str = "35";

/// A run takes a minute. A slow machine is not an error.
const PATIENCE: Duration = Duration::from_secs(600);

#[tokio::test]
async fn ingest_takes_messages_as_its_document_says() {
    // Settings and bans decide which posts are accepted, so they are not set here.
    ingest_does(&[&["messages", "original", "service", "reports", "holds", "sweeps", "notes"]]).await;
}

#[tokio::test]
async fn ingest_takes_appointments_bans_warnings_and_settings_as_its_document_says() {
    // A banned user cannot become a moderator.
    ingest_does(&[&["moderators"], &["bans"], &["warnings"], &["settings"]]).await;
}

/// Requests to an ingest of their own, in sequence: each group follows its own links.
async fn ingest_does(groups: &[&[&str]]) {
    let (nats, rooms) = tokio::join!(NatsServer::start(), RoomServer::start());
    // The lookup of an unknown request takes as long as an append may take.
    let settings = Settings::new().nats(&nats).rooms(&rooms).set("nats.append_deadline_ms", "1000");
    let ingest = Role::start("ingest", &settings).await;
    // A moderator of every room, with a number that generated bans are unlikely to have.
    let token = token_with(json!({ "user_idx": 9_007_199_254_740_991_i64, "scope": "chat:moderate chat:attributes" }));
    for tags in groups {
        let tags: Vec<&str> = tags.iter().flat_map(|tag| ["--include-tag", tag]).collect();
        schemathesis("ingest", &ingest, &token, &tags).await;
    }
}

#[tokio::test]
async fn the_archiver_does_what_its_document_says() {
    let (nats, mongod) = tokio::join!(NatsServer::start(), Mongod::start());
    let settings = Settings::new().nats(&nats).mongo(&mongod);
    let archiver = Role::start("archiver", &settings).await;
    // With the numbers and ids of the document's examples, so that requests find them.
    let (room, user) = (PresenterIdx::try_from(42).unwrap(), UserIdx::try_from(7).unwrap());
    let user = User { idx: user, nickname: "별명".to_owned(), role: chat::Role::Viewer };
    let posted = MessagePosted::new(user, "안녕하세요");
    let id = "01890b6e-7c1f-7d3a-9a51-3f1f0a8a3a11".parse().unwrap();
    let message = Event { id, ..Event::now(room, Body::MessagePosted(posted)) };
    let log = support::log(&settings).await;
    log.append(&message).await.unwrap();
    // A short broadcast, so that its replay ends soon.
    let session = "01890b6e-7c1f-7d3a-9a51-3f1f0a8a3a12".parse().unwrap();
    let disconnected = PresenterDisconnected { session, reason: "closed".to_owned() };
    for body in [Body::PresenterConnected(PresenterConnected { session }), Body::PresenterDisconnected(disconnected)] {
        log.append(&Event { at: message.at, ..Event::now(room, body) }).await.unwrap();
    }
    let token = token_with(json!({ "user_idx": 1, "scope": "chat:moderate chat:erase" }));
    let url = format!("{}/v1/rooms/42/messages/{id}", archiver.url());
    support::eventually("the message is archived", PATIENCE, async || {
        let answer = testkit::client().build().unwrap().get(&url).bearer_auth(&token).send().await.ok()?;
        (answer.status() == 200).then_some(())
    })
    .await;
    // Last, because it erases the authors of what the others find.
    for selection in ["--exclude-tag", "--include-tag"] {
        schemathesis("archiver", &archiver, &token, &[selection, "erasure"]).await;
    }
}

/// `selection` has the options that select operations.
async fn schemathesis(name: &str, role: &Role, token: &str, selection: &[&str]) {
    let folder = Folder::new("schemathesis");
    let mut command = Command::new("st");
    let config = format!("{}/tests/openapi/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    command
        .current_dir(folder.path())
        .env("SCHEMATHESIS_HOOKS", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi/hooks.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["--config-file", &config])
        .args(["run", &format!("{}/v1/openapi.json", role.url())])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--seed", "1", "--max-examples", EXAMPLES, "--no-color"])
        .args(selection)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("schemathesis comes to an end");
    let output = output.expect("this test needs schemathesis on the PATH: pip install schemathesis==4.32.5");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    eprintln!("{said}");
}
