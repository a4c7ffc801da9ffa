//! What an archiver says about itself to whoever watches it.

use serde_json::Value;

use super::reading::{Reader, archived};
use super::{PATIENCE, World, append_many, message};
use crate::support::{Role, eventually};

pub(super) async fn status(archiver: &Role) -> Value {
    Reader::nobody(archiver).get("/v1/status", &[]).await
}

/// Waits until the status is so.
async fn until(archiver: &Role, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(what, PATIENCE, async || Some(status(archiver).await).filter(&is_so)).await
}

#[tokio::test]
async fn the_status_names_what_is_archived_what_waits_and_why_writing_stopped() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    for text in ["one", "two", "three"] {
        world.log.append(&message(1, text)).await.unwrap();
    }
    world.append_raw(b"garbage").await;
    archived(&world).await;
    let now = until(&archiver, "the log says that nothing waits", |status| {
        status["log"]["streams"][0]["acknowledgedSequence"] == 4
    })
    .await;
    let counted = &now["archived"];
    assert_eq!(
        (&counted["messages"], &counted["quarantined"], &counted["duplicates"]),
        (&3.into(), &1.into(), &0.into())
    );
    let writes = &now["writes"];
    assert_eq!(writes["total"], writes["recent"]);
    let spread = |of: &str| ["p50", "p99", "max"].map(|member| writes[of][member].as_u64().unwrap());
    assert!((1..=4).contains(&spread("events")[0]) && spread("events").is_sorted(), "{now}");
    assert!(spread("commitMs").is_sorted(), "{now}");
    assert!(now["lagMs"].as_u64().unwrap() < 60_000, "{now}");
    assert_eq!((&now["mongodb"]["writable"], &now["mongodb"]["reason"]), (&true.into(), &Value::Null));
    let stream = &now["log"]["streams"][0];
    assert_eq!(
        (&stream["name"], &stream["waitingBatches"], &stream["heldBatches"]),
        (&"CHAT_0".into(), &0.into(), &0.into())
    );

    world.mongod.kill();
    world.log.append(&message(1, "four")).await.unwrap();
    let now = until(&archiver, "the status says why", |status| {
        status["mongodb"]["writable"] == false && status["log"]["streams"][0]["heldBatches"] == 1
    })
    .await;
    assert!(now["mongodb"]["reason"].as_str().unwrap().contains("MongoDB"), "{now}");
    assert!(now["mongodb"]["since"].as_str() > now["startedAt"].as_str(), "{now}");

    world.mongod.start_again().await;
    until(&archiver, "it goes on", |status| {
        status["mongodb"]["writable"] == true
            && status["archived"]["messages"] == 4
            && status["log"]["streams"][0]["heldBatches"] == 0
    })
    .await;
}

#[tokio::test]
async fn the_backlog_counts_batches_that_no_archiver_has_taken() {
    let mut world = World::start().await;
    // So that one archiver holds little of what is in the log.
    world.settings = world.settings.clone().set("archiver.batch_events", "1").set("archiver.batches_in_hand", "1");
    append_many(&world.log, "before", 20).await;
    let archiver = world.archiver().await;
    archived(&world).await;
    world.mongod.kill();
    // Bytes are requested ahead, so only that much waits.
    let large = "x".repeat(200 * 1024);
    for _ in 0..80 {
        world.append_raw(large.as_bytes()).await;
    }
    let count = |status: &Value, member: &str| status["log"]["streams"][0][member].as_u64();
    let now = until(&archiver, "the log says how many there are", |status| {
        let (waiting, held) = (count(status, "waitingBatches"), count(status, "heldBatches"));
        waiting.zip(held).is_some_and(|(waiting, held)| waiting + held == 80)
    })
    .await;
    assert!(count(&now, "waitingBatches") > Some(0), "all of it is held: {now}");
}
