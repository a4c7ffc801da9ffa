//! Kills, pauses and outages: nothing is lost or repeated, and nothing has to be restarted by hand.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use super::status::status;
use super::{PATIENCE, World, append_many, assert_archived, message};
use crate::support::{Role, eventually};

#[tokio::test]
async fn an_archiver_that_is_killed_again_and_again_under_load_leaves_an_exact_archive() {
    let world = World::start().await;
    let load = tokio::spawn({
        let log = world.log.clone();
        async move { append_many(&log, "load", 10_000).await }
    });
    let archiver = world.archiver().await;
    for round in 1..=5 {
        // During its work, so that some committed batches are not acknowledged and are redelivered.
        world.documents("chatting_log", round * 300).await;
        archiver.kill();
        archiver.start_again().await;
    }
    assert_archived(&world, &load.await.unwrap()).await;
}

#[tokio::test]
async fn two_archivers_share_the_work_and_survive_each_others_death() {
    let world = World::start().await;
    let (one, two) = tokio::join!(world.archiver(), world.archiver());
    let load = tokio::spawn({
        let log = world.log.clone();
        async move { append_many(&log, "load", 10_000).await }
    });
    world.documents("chatting_log", 3_000).await;
    one.kill();
    world.documents("chatting_log", 5_000).await;
    one.start_again().await;
    assert_archived(&world, &load.await.unwrap()).await;
    for archiver in [one, two] {
        assert_eq!(archiver.terminate().await, 0);
        assert!(archiver.log().contains("stopped, archived"), "{}", archiver.log());
    }
}

#[tokio::test]
async fn mongodb_and_an_archiver_killed_in_mid_catch_up_leave_an_exact_archive() {
    let world = World::start().await;
    let appended = append_many(&world.log, "while nobody archived", 30_000).await;
    let (one, _other) = tokio::join!(world.archiver(), world.archiver());
    for round in 1..=3 {
        world.documents("chatting_log", round * 2_000).await;
        world.mongod.kill();
        if round == 2 {
            one.kill();
        }
        world.mongod.start_again().await;
    }
    one.start_again().await;
    assert_archived(&world, &appended).await;
}

#[tokio::test]
async fn killing_pausing_and_losing_mongodb_under_load_loses_nothing() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let stop = CancellationToken::new();
    let load = tokio::spawn({
        let (log, stop) = (world.log.clone(), stop.clone());
        async move {
            let (mut appended, mut pace) = (Vec::new(), interval(Duration::from_millis(500)));
            while stop.run_until_cancelled(pace.tick()).await.is_some() {
                appended.extend(append_many(&log, "load", 250).await);
            }
            appended
        }
    });
    world.documents("chatting_log", 500).await;
    world.mongod.kill();
    world.mongod.start_again().await;
    world.documents("chatting_log", 1_000).await;
    world.mongod.pause();
    unready(&archiver).await;
    world.mongod.resume();
    archiver.ready().await;
    world.mongod.kill();
    unready(&archiver).await;
    eventually("batches pile up in the log", PATIENCE, async || {
        let status = status(&archiver).await;
        let count = |member: &str| status["log"]["streams"][0][member].as_u64();
        (count("waitingBatches")? + count("heldBatches")? >= 100).then_some(())
    })
    .await;
    stop.cancel();
    world.mongod.start_again().await;
    archiver.ready().await;
    assert_archived(&world, &load.await.unwrap()).await;
}

#[tokio::test]
async fn an_archiver_that_starts_before_mongodb_waits_for_it_and_says_so() {
    let world = World::start().await;
    world.mongod.kill();
    let archiver = Role::spawn("archiver", &world.settings);
    unready(&archiver).await;
    let event = message(1, "kept in the log");
    world.log.append(&event).await.unwrap();
    world.mongod.start_again().await;
    archiver.ready().await;
    assert_eq!(world.room(1, 1).await[0].id, event.id);
}

#[tokio::test]
async fn the_archiver_waits_for_a_new_primary_after_a_step_down() {
    let world = World::start().await;
    let _archiver = world.archiver().await;
    let load = tokio::spawn({
        let log = world.log.clone();
        async move { append_many(&log, "load", 6_000).await }
    });
    world.documents("chatting_log", 300).await;
    let admin = mongodb::Client::with_uri_str(world.mongod.uri()).await.unwrap().database("admin");
    // The connection may break before the answer.
    let _ = admin.run_command(mongodb::bson::doc! { "replSetStepDown": 3, "force": true }).await;
    assert_archived(&world, &load.await.unwrap()).await;
}

#[tokio::test]
async fn stopping_while_mongodb_is_away_ends_within_the_grace_period_and_loses_nothing() {
    let mut world = World::start().await;
    world.settings = world.settings.clone().set("archiver.http.grace_ms", "1000");
    let archiver = world.archiver().await;
    world.mongod.kill();
    let appended = append_many(&world.log, "kept in the log", 50).await;
    unready(&archiver).await;
    assert_eq!(archiver.terminate().await, 0);
    world.mongod.start_again().await;
    let _archiver = world.archiver().await;
    assert_archived(&world, &appended).await;
}

/// Waits until the archiver reports that MongoDB has been away for this long.
pub(crate) async fn has_lasted(archiver: &Role, outage: Duration) {
    eventually("the outage has lasted long enough", PATIENCE, async || {
        let mongodb = &status(archiver).await["mongodb"];
        let since: Timestamp = mongodb["since"].as_str()?.parse().ok()?;
        let is_away =
            mongodb["writable"] == false && Timestamp::now().duration_since(since) >= outage.try_into().ok()?;
        is_away.then_some(())
    })
    .await;
}

/// Waits until `/readyz` answers 503, with MongoDB as the reason.
async fn unready(archiver: &Role) {
    eventually("the archiver is not ready", Duration::from_secs(60), async || {
        let answer = reqwest::get(format!("{}/readyz", archiver.url())).await.ok()?;
        let status = answer.status();
        let reason = answer.text().await.ok()?;
        (status == 503 && reason.contains("MongoDB")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn batches_that_were_committed_but_not_acknowledged_are_archived_once() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    world.mongod.pause();
    let event = message(1, "twice handed out");
    world.log.append(&event).await.unwrap();
    eventually("the archiver holds the batch", PATIENCE, async || (held(&world).await == 1).then_some(())).await;
    // Not paused: a resumed server would read the acknowledgement from its socket.
    world.nats.kill();
    world.mongod.resume();
    assert_eq!(world.room(1, 1).await[0].id, event.id);
    archiver.kill();
    world.nats.start_again().await;
    archiver.start_again().await;
    // After the ack wait of 30 s.
    eventually("the batch is acknowledged", PATIENCE, async || (held(&world).await == 0).then_some(())).await;
    assert_eq!(world.room(1, 1).await.len(), 1);
    assert_eq!(archiver.terminate().await, 0);
    assert!(archiver.log().contains(r#""duplicates":1"#), "{}", archiver.log());
}

/// The number of batches that are handed out and not acknowledged.
async fn held(world: &World) -> usize {
    let client = async_nats::connect(world.nats.url()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    let stream = context.get_stream("CHAT_0").await.unwrap();
    let mut reader: async_nats::jetstream::consumer::PullConsumer = stream.get_consumer("archiver").await.unwrap();
    reader.info().await.unwrap().num_ack_pending
}
