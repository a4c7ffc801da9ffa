//! An interrupted erasure is completed whatever fails, and its receipt counts right.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_is_killed_again_and_again_is_finished_and_counts_right() {
    let world = World::start().await;
    let settings = world.settings.clone().set("archiver.retention.sweep_seconds", "1");
    let archiver = Role::start("archiver", &settings).await;
    const MESSAGES: usize = 20_000;
    let mut appends = tokio::task::JoinSet::new();
    for number in 0..MESSAGES {
        let (log, event) = (world.log.clone(), secret(1 + number as i64 % 4, number));
        appends.spawn(async move { log.append(&event).await.unwrap() });
        if appends.len() >= 500 {
            appends.join_next().await;
        }
    }
    appends.join_all().await;
    archived(&world).await;
    // The first kill cuts off the caller, who does not return.
    let url = format!("{}/v1/users/{GONE}", archiver.url());
    let token = token_with(json!({ "user_idx": 9, "scope": "chat:erase" }));
    let asked = tokio::spawn(client().delete(url).bearer_auth(token).send());
    let left = || async { world.collection("chatting_log").count_documents(doc! {}).await.unwrap() };
    let mut known = MESSAGES as u64;
    for _ in 0..4 {
        known = eventually("it is going on", PATIENCE, async || Some(left().await).filter(|left| *left < known)).await;
        if known == 0 {
            break;
        }
        archiver.kill();
        archiver.start_again().await;
    }
    assert!(asked.await.unwrap().is_err(), "it was killed before it was done");
    let receipt = done(&archiver).await;
    assert_eq!(receipt["erased"]["messages"], MESSAGES, "{receipt}");
    archived(&world).await;
    assert_no_traces(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn archivers_that_erase_the_same_at_the_same_time_count_it_once() {
    let world = World::with_partitions(3).await;
    let settings = world.settings.clone().set("archiver.retention.sweep_seconds", "1");
    let (one, two) = tokio::join!(Role::start("archiver", &settings), Role::start("archiver", &settings));
    let count = 6_000;
    let mut appends = tokio::task::JoinSet::new();
    for number in 0..count {
        let (log, event) = (world.log.clone(), secret(1 + number as i64 % 16, number));
        appends.spawn(async move { log.append(&event).await.unwrap() });
    }
    appends.join_all().await;
    archived(&world).await;
    // A copy in each partition, and each twice.
    let event = erased(ErasureMode::Remove);
    world.log.append(&event).await.unwrap();
    world.log.append(&event).await.unwrap();
    let receipt = done(&one).await;
    archived(&world).await;
    assert_eq!(done(&two).await["erased"]["messages"], count, "{receipt}");
    assert_eq!(receipts(&two).await.len(), 1);
    assert_no_traces(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_is_accepted_while_the_log_is_away_and_done_once_it_is_back() {
    let world = World::start().await;
    let settings = world
        .settings
        .clone()
        .set("archiver.retention.sweep_seconds", "1")
        .set("archiver.http.request_timeout_ms", "12000")
        .set("nats.append_deadline_ms", "1000");
    let archiver = Role::start("archiver", &settings).await;
    let (_, _) = a_life(&world).await;
    archived(&world).await;
    world.nats.kill();
    let (status, receipt) = erase(&archiver, "remove").await;
    assert_eq!((status.as_u16(), &receipt["state"]), (202, &json!("running")), "{receipt}");
    assert_eq!(receipt.get("logHeldUntil"), None);
    world.nats.start_again().await;
    let receipt = done(&archiver).await;
    assert!(receipt["logHeldUntil"].is_string(), "{receipt}");
    assert_no_traces(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_was_begun_before_the_log_lost_its_end_is_done_and_stands_in_the_log_once() {
    let world = World::start().await;
    let way = Proxy::start(world.nats.url().replace("nats://", "")).await;
    let settings = world
        .settings
        .clone()
        .set("archiver.retention.sweep_seconds", "1")
        .set("archiver.http.request_timeout_ms", "12000")
        .set("nats.append_deadline_ms", "1000")
        .set("nats.urls", &way.url());
    let archiver = Role::start("archiver", &settings).await;
    a_life(&world).await;
    archived(&world).await;
    way.refuse();
    let (status, receipt) = erase(&archiver, "remove").await;
    assert_eq!((status.as_u16(), &receipt["state"]), (202, &json!("running")), "{receipt}");
    crate::support::log(&world.settings).await.begin_epoch().await.unwrap();
    way.release();
    assert_eq!(archiver.exit_code(PATIENCE).await, 70);
    archiver.start_as_a_service().await;
    done(&archiver).await;
    // The archiver reads the log again. A batch in progress when the erasure was stored is checked after its write.
    archived(&world).await;
    assert_no_traces(&world).await;
    let log = crate::support::log(&world.settings).await;
    let copies = everything(&log).await.iter().filter(|entry| entry.kind == EventKind::UserErased).count();
    assert_eq!(copies, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_the_log_loses_with_its_end_is_appended_again_and_hides_what_the_log_still_has() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    a_life(&world).await;
    archived(&world).await;
    let (status, receipt) = erase(&archiver, "remove").await;
    assert_eq!((status.as_u16(), &receipt["state"]), (200, &json!("done")), "{receipt}");
    archived(&world).await;

    world.nats.stop().await;
    world.nats.truncate("CHAT_0", 100);
    world.nats.start_again().await;
    assert_eq!(archiver.exit_code(PATIENCE).await, 70);
    let log = crate::support::log(&world.settings).await;
    assert!(!everything(&log).await.iter().any(|entry| entry.kind == EventKind::UserErased), "it is not lost");

    archiver.start_as_a_service().await;
    let entries = eventually("the log has the erasure again", PATIENCE, async || {
        let entries = everything(&log).await;
        entries.iter().any(|entry| entry.kind == EventKind::UserErased).then_some(entries)
    })
    .await;
    // Delivery hides what is before it.
    let shown = entries.iter().skip_while(|entry| entry.kind != EventKind::UserErased).skip(1);
    assert_eq!(shown.count(), 0);
    assert_eq!(done(&archiver).await["id"], receipt["id"]);
    archived(&world).await;
    assert_no_traces(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_one_partition_does_not_take_is_running_and_is_done_once_that_does() {
    let mut world = World::with_partitions(3).await;
    world.settings = world
        .settings
        .clone()
        .set("archiver.retention.sweep_seconds", "1")
        .set("archiver.http.request_timeout_ms", "12000")
        .set("nats.append_deadline_ms", "1000");
    let archiver = world.archiver().await;
    a_life(&world).await;
    archived(&world).await;
    let context = jetstream::new(async_nats::connect(world.nats.url()).await.unwrap());
    let resize = async |max_bytes| {
        let mut config = context.get_stream("CHAT_1").await.unwrap().cached_info().config.clone();
        config.max_bytes = max_bytes;
        context.update_stream(config).await.unwrap();
    };
    resize(1).await;
    let (status, receipt) = erase(&archiver, "remove").await;
    assert_eq!((status.as_u16(), &receipt["state"]), (202, &json!("running")), "{receipt}");
    resize(1 << 30).await;
    let receipt = done(&archiver).await;
    assert_no_traces(&world).await;
    let (_, again) = (archived(&world).await, receipts(&archiver).await);
    assert_eq!((again.len(), &again[0]["id"]), (1, &receipt["id"]), "{again:?}");
}
