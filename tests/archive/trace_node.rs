//! The trace of a message names the node of ingest that accepted it, to the platform alone.

use mongodb::bson::doc;
use serde_json::{Value, json};

use super::reading::{Reader, archived};
use super::{PATIENCE, World};
use crate::support::{Role, RoomServer, eventually, token};

const MESSAGES: &str = "/v1/rooms/42/messages";

/// Posts as user 7 and returns the path of the message's trace.
async fn posted(ingest: &Role) -> String {
    let url = ingest.url() + MESSAGES;
    let request = testkit::client().build().unwrap().post(url).bearer_auth(token(7, "author"));
    let answer = request.json(&json!({ "text": "hello" })).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let accepted: Value = answer.json().await.unwrap();
    format!("{MESSAGES}/{}/trace", accepted["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_sees_which_node_accepted_a_message_before_it_is_archived_and_after() {
    let (world, rooms) = tokio::join!(World::with(1, &["--setParameter", "enableTestCommands=1"]), RoomServer::start());
    let named = |name: &str| world.settings.clone().rooms(&rooms).set("node.name", name);
    let (settings, others) = (named("ingest-a"), named("ingest-b.example"));
    let (one, other, archiver) =
        tokio::join!(Role::start("ingest", &settings), Role::start("ingest", &others), world.archiver());
    let (first, second) = (posted(&one).await, posted(&other).await);
    archived(&world).await;
    // From now on MongoDB takes no document.
    let admin = mongodb::Client::with_uri_str(world.mongod.uri()).await.unwrap().database("admin");
    let fail = doc! { "failCommands": ["insert"], "closeConnection": true };
    admin.run_command(doc! { "configureFailPoint": "failCommand", "mode": "alwaysOn", "data": fail }).await.unwrap();
    let third = posted(&one).await;

    for (path, node) in [(&first, "ingest-a"), (&second, "ingest-b.example"), (&third, "ingest-a")] {
        for reader in [Reader::moderator(&archiver), Reader::analyst(&archiver)] {
            let trace = reader.get(path, &[]).await;
            assert_eq!(trace["accepted"]["node"], node, "{trace}");
        }
        // The author, and the room's presenter, who is anybody.
        for reader in [7, 42].map(|user| Reader::with(&archiver, json!({ "user_idx": user }))) {
            let trace = reader.get(path, &[]).await;
            assert_eq!((trace["accepted"].get("node"), trace["accepted"]["storedAt"].is_string()), (None, true));
        }
    }
    assert_eq!(Reader::moderator(&archiver).get(&third, &[]).await["archived"]["state"], "not_yet");
    admin.run_command(doc! { "configureFailPoint": "failCommand", "mode": "off" }).await.unwrap();
    eventually("the last one is archived", PATIENCE, async || {
        let trace = Reader::moderator(&archiver).get(&third, &[]).await;
        (trace["archived"]["state"] == "archived").then(|| assert_eq!(trace["accepted"]["node"], "ingest-a"))
    })
    .await;
}

#[tokio::test]
async fn a_message_of_a_node_without_a_name_has_a_trace_all_the_same() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    // As a node of an earlier version appends it.
    let event = super::message(42, "hello");
    world.log.append(&event).await.unwrap();
    archived(&world).await;
    let trace = Reader::moderator(&archiver).get(&format!("{MESSAGES}/{}/trace", event.id), &[]).await;
    assert_eq!((trace["accepted"].get("node"), trace["accepted"]["storedAt"].is_string()), (None, true));
}
