//! Events that left the log before they were archived: counted, recorded, and declared in every export of that time.

use std::time::Duration;

use async_nats::jetstream::stream::Stream;
use mongodb::bson::{Document, doc};
use serde_json::Value;

use super::reading::{Reader, archived};
use super::{PATIENCE, World, append_many, message};
use crate::support::{Role, eventually};

async fn stream(world: &World) -> Stream {
    let context = async_nats::jetstream::new(async_nats::connect(world.nats.url()).await.unwrap());
    context.get_stream("CHAT_0").await.unwrap()
}

/// Lets everything in the log expire. Afterwards the log keeps its events again.
async fn expire(world: &World) {
    set_age(world, Duration::from_secs(1)).await;
    eventually("the log is empty", PATIENCE, async || {
        (stream(world).await.cached_info().state.messages == 0).then_some(())
    })
    .await;
    set_age(world, Duration::from_secs(24 * 60 * 60)).await;
}

async fn set_age(world: &World, max_age: Duration) {
    let mut config = stream(world).await.cached_info().config.clone();
    (config.max_age, config.duplicate_window) = (max_age, max_age.min(Duration::from_secs(120)));
    let context = async_nats::jetstream::new(async_nats::connect(world.nats.url()).await.unwrap());
    context.update_stream(config).await.unwrap();
}

async fn status(archiver: &Role) -> Value {
    Reader::nobody(archiver).get("/v1/status", &[]).await
}

/// Waits until everything up to this sequence is archived or recorded as missing.
async fn reached(archiver: &Role, sequence: u64) -> Value {
    eventually(&format!("the archive has come to {sequence}"), PATIENCE, async || {
        let status = status(archiver).await;
        (status["log"]["streams"][0]["archivedSequence"] == sequence).then_some(status)
    })
    .await
}

/// This many messages, each in its own batch.
async fn append(world: &World, label: &str, count: usize) {
    for number in 0..count {
        world.log.append(&message(1, format!("{label} {number}"))).await.unwrap();
    }
}

async fn gaps(world: &World) -> Vec<Document> {
    let mut cursor = world.collection("archive_gaps").find(doc! {}).sort(doc! { "first": 1 }).await.unwrap();
    let mut gaps = Vec::new();
    while cursor.advance().await.unwrap() {
        gaps.push(cursor.deserialize_current().unwrap());
    }
    gaps
}

#[tokio::test]
async fn events_that_left_the_log_unarchived_are_recorded_as_a_gap_and_declared_in_exports() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    append(&world, "archived", 5).await;
    let now = reached(&archiver, 5).await;
    assert_eq!(now["missing"], serde_json::json!({ "gaps": 0, "batches": 0 }), "{now}");
    let path = "/v1/rooms/1/export";
    let whole = Reader::analyst(&archiver).ask(path, &[]).await;
    assert_eq!(whole.headers().get("archive-gaps"), None);
    assert_eq!(whole.headers()["content-disposition"], "attachment; filename=\"room-1.ndjson\"");
    assert_eq!(archiver.terminate().await, 0);

    let before = jiff::Timestamp::now();
    append(&world, "lost", 20).await;
    expire(&world).await;
    archiver.start_again().await;
    append(&world, "after", 3).await;
    let now = reached(&archiver, 28).await;
    assert_eq!((&now["missing"]["batches"], &now["missing"]["gaps"]), (&20.into(), &1.into()), "{now}");
    let said = reqwest::get(format!("{}/readyz", archiver.url())).await.unwrap();
    assert_eq!(said.status(), 200, "what can be read can be read");
    let said = said.text().await.unwrap();
    assert!(said.starts_with("ready; 20 batches left the log before they were archived"), "{said}");
    let log = archiver.log();
    let line = log.lines().find(|line| line.contains("20 batches of CHAT_0, of the sequences 6 to 25,")).expect(&log);
    assert!(line.contains("ERROR"), "{line}");

    let gaps = gaps(&world).await;
    let [gap] = gaps.as_slice() else { panic!("{gaps:?}") };
    let epoch = world.log.timelines().epoch(super::presenter(1)) as i64;
    assert_eq!((gap.get_str("stream").unwrap(), gap.get_i64("epoch").unwrap()), ("CHAT_0", epoch));
    let number = |member: &str| gap.get_i64(member).unwrap();
    assert_eq!((number("first"), number("last"), number("batches")), (6, 25, 20));
    let at = |member: &str| gap.get_datetime(member).unwrap().timestamp_millis();
    assert!(at("after") <= before.as_millisecond() && before.as_millisecond() < at("before"), "{gap}");

    let reader = Reader::analyst(&archiver);
    let export = reader.ask(path, &[]).await;
    let header = export.headers()["archive-gaps"].to_str().unwrap().to_owned();
    assert!(header.starts_with("20;after=\"") && header.contains(";before=\""), "{header}");
    assert_eq!(export.headers()["content-disposition"], "attachment; filename=\"room-1.incomplete.ndjson\"");
    let text = export.text().await.unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["gap"]["batches"], lines.len()), (&20.into(), 9), "{text}");
    assert!(lines[1..].iter().all(|line| line["text"].is_string()), "{text}");
    let export = reader.ask(path, &[("format", "csv")]).await;
    assert_eq!(export.headers()["archive-gaps"], header);
    assert_eq!(export.headers()["content-disposition"], "attachment; filename=\"room-1.incomplete.csv\"");
    let of_user = reader.ask("/v1/users/7/export", &[]).await;
    assert_eq!(of_user.headers()["archive-gaps"], header);
    // Of a time without a gap.
    let export = reader.ask(path, &[("to", "2020-01-01T00:00:00Z")]).await;
    assert_eq!(export.headers().get("archive-gaps"), None);

    // The gap is noticed once and stays recorded.
    assert_eq!(archiver.terminate().await, 0);
    archiver.start_again().await;
    append(&world, "later", 1).await;
    let now = reached(&archiver, 29).await;
    assert_eq!((&now["missing"]["batches"], &now["missing"]["gaps"]), (&20.into(), &1.into()), "{now}");
}

#[tokio::test]
async fn a_hole_in_the_log_is_recorded_as_a_gap() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    append(&world, "archived", 3).await;
    reached(&archiver, 3).await;
    assert_eq!(archiver.terminate().await, 0);

    // As after a damage to one of the server's files: these sequences have no batch, and earlier and later ones do.
    let mut config = stream(&world).await.cached_info().config.clone();
    config.subjects.push("damaged".to_owned());
    let context = async_nats::jetstream::new(async_nats::connect(world.nats.url()).await.unwrap());
    context.update_stream(config).await.unwrap();
    for _ in 0..2 {
        context.publish("damaged", "".into()).await.unwrap().await.unwrap();
    }
    append(&world, "behind the hole", 3).await;
    stream(&world).await.purge().filter("damaged").await.unwrap();

    archiver.start_again().await;
    let now = reached(&archiver, 8).await;
    assert_eq!((&now["missing"]["batches"], &now["missing"]["gaps"]), (&2.into(), &1.into()), "{now}");
    archived(&world).await;
    let gaps = gaps(&world).await;
    let [gap] = gaps.as_slice() else { panic!("{gaps:?}") };
    assert_eq!((gap.get_i64("first").unwrap(), gap.get_i64("last").unwrap()), (4, 5));
    let at = |member: &str| gap.get_datetime(member).unwrap();
    assert!(at("after") <= at("before"), "{gap}");
    let runs = world.collection("archive_runs").count_documents(doc! {}).await.unwrap();
    assert_eq!(runs, 0, "what is archived behind the hole is folded");
}

#[tokio::test]
async fn thousands_of_archived_batches_that_wait_for_an_earlier_one_stop_no_archiver() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    append(&world, "archived", 1).await;
    reached(&archiver, 1).await;
    // As several archivers leave them while one waits for MongoDB with an earlier batch.
    let epoch = world.log.timelines().epoch(super::presenter(1)) as i64;
    let at = mongodb::bson::DateTime::now();
    let runs = (0..6_000_i64).map(|number| {
        let sequence = 1_000_000 + 2 * number;
        let id = format!("{epoch:x}-{sequence:x}");
        doc! { "_id": id, "epoch": epoch, "from": sequence, "to": sequence, "storedFrom": at, "storedTo": at }
    });
    world.collection("archive_runs").insert_many(runs).await.unwrap();
    append(&world, "later", 5).await;
    let now = reached(&archiver, 6).await;
    assert_eq!(now["missing"], serde_json::json!({ "gaps": 0, "batches": 0 }), "{now}");
}

#[tokio::test]
async fn the_first_archiver_of_an_old_log_misses_nothing_of_before() {
    let world = World::start().await;
    append(&world, "before there was an archive", 10).await;
    expire(&world).await;
    let archiver = world.archiver().await;
    append(&world, "archived", 2).await;
    let now = reached(&archiver, 12).await;
    assert_eq!(now["missing"]["batches"], 0, "{now}");
    assert_eq!(world.room(1, 2).await.len(), 2);
}

#[tokio::test]
async fn archived_events_that_left_the_log_are_no_gap_even_if_all_archivers_died() {
    let world = World::start().await;
    let archivers = [world.archiver().await, world.archiver().await];
    append_many(&world.log, "archived", 2_000).await;
    archived(&world).await;
    // Progress that is not folded yet is recorded too.
    archivers.iter().for_each(Role::kill);
    let last = stream(&world).await.cached_info().state.last_sequence;
    expire(&world).await;
    archivers[1].start_again().await;
    append(&world, "after", 1).await;
    let now = reached(&archivers[1], last + 1).await;
    assert_eq!(now["missing"]["batches"], 0, "{now}");
    eventually("what is noted is folded", PATIENCE, async || {
        (world.collection("archive_runs").count_documents(doc! {}).await.unwrap() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn only_events_that_no_archiver_held_are_missing_after_they_left_the_log_in_an_outage() {
    let mut world = World::start().await;
    // So that one archiver holds little of the log.
    world.settings = world.settings.clone().set("archiver.batch_events", "1").set("archiver.batches_in_hand", "1");
    let archivers = [world.archiver().await, world.archiver().await];
    append(&world, "archived", 5).await;
    reached(&archivers[0], 5).await;
    world.mongod.kill();
    // Prefetch is bounded in bytes, so only that much is held. None is an event: each batch is a quarantined line.
    let large = "x".repeat(200 * 1024);
    for _ in 0..80 {
        world.append_raw(large.as_bytes()).await;
    }
    expire(&world).await;
    world.mongod.start_again().await;
    append(&world, "after", 1).await;
    reached(&archivers[0], 86).await;
    let missing = eventually("what is missing and what is archived is all", PATIENCE, async || {
        let kept = world.collection("quarantine").count_documents(doc! {}).await.ok()?;
        let missing = status(&archivers[1]).await["missing"]["batches"].as_u64()?;
        (kept + missing == 80).then_some(missing)
    })
    .await;
    assert!((1..80).contains(&missing), "{missing} are missing");
    let of_gaps: i64 = gaps(&world).await.iter().map(|gap| gap.get_i64("batches").unwrap()).sum();
    assert_eq!(of_gaps as u64, missing);
}

#[tokio::test]
async fn gaps_are_counted_across_a_new_epoch() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    append(&world, "archived", 5).await;
    reached(&archiver, 5).await;
    assert_eq!(archiver.terminate().await, 0);
    append(&world, "lost", 2).await;
    // As after a restore from a backup.
    world.log.begin_epoch().await.unwrap();
    let log = crate::support::log(&world.settings).await;
    for number in 0..3 {
        log.append(&message(1, format!("lost too {number}"))).await.unwrap();
    }
    expire(&world).await;
    archiver.start_again().await;
    log.append(&message(1, "after")).await.unwrap();
    let now = reached(&archiver, 11).await;
    assert_eq!(now["missing"]["batches"], 5, "{now}");
    assert_eq!(world.room(1, 6).await.len(), 6);
}
