//! Schemathesis against a live ingest: requests made from the document, good and bad, must be answered as it says.
//! What is sent, and which checks are left out and why, is in `schemathesis.toml` beside this file.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use super::{NatsServer, Role, RoomServer, Settings};
use crate::ingest::tokens::token_with;
use crate::support::Folder;

/// Requests of an operation and phase.
const EXAMPLES: &str = "50";

/// A run takes a minute; a slow machine is not an error.
const PATIENCE: Duration = Duration::from_secs(600);

#[tokio::test]
async fn ingest_does_what_its_document_says() {
    let (nats, rooms) = tokio::join!(NatsServer::start(), RoomServer::start());
    let ingest = Role::start("ingest", &Settings::new().nats(&nats).rooms(&rooms)).await;
    // One after the other: each has links of its own to follow, and a room's settings and bans decide what may be said
    // in it, so that they come when nobody speaks any more.
    for tags in [["messages", "original", "service"].as_slice(), &["bans"], &["settings"]] {
        schemathesis(&ingest, tags).await;
    }
}

async fn schemathesis(role: &Role, tags: &[&str]) {
    let folder = Folder::new("schemathesis");
    // A moderator of every room, whose number no generated ban is likely to name.
    let token = token_with(json!({ "user_idx": 9_007_199_254_740_993_i64, "scope": "chat:moderate" }));
    let mut command = Command::new("st");
    command
        .current_dir(folder.path())
        .env("SCHEMATHESIS_HOOKS", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi/hooks.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["--config-file", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi/schemathesis.toml")])
        .args(["run", &format!("{}/v1/openapi.json", role.url())])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--seed", "1", "--max-examples", EXAMPLES, "--no-color"])
        .args(tags.iter().flat_map(|tag| ["--include-tag", tag]))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("schemathesis comes to an end");
    let output = output.expect("this test needs schemathesis on the PATH: pip install schemathesis==4.32.5");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    eprintln!("{said}");
}
