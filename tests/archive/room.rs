//! A log that fills: what is archived gives room, and nothing that is not.

use std::time::Duration;

use chat::{Event, EventId};
use nats::AppendError;

use super::reading::{Reader, archived};
use super::{World, message};
use crate::support::eventually;

/// The archiver checks the log every two seconds.
const LONG: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_filling_log_drops_archived_batches_and_keeps_the_others() {
    let mut world = World::start().await;
    world.settings = world.settings.clone().set("nats.max_size", "1048576 B").set("nats.min_age_minutes", "0");
    // A start sets up the streams by the settings.
    let archiver = world.archiver().await;
    let log = crate::support::log(&world.settings).await;
    let mut stored: Vec<EventId> = Vec::new();
    let append = async |stored: &mut Vec<EventId>| -> bool {
        let event: Event = message(1, "x".repeat(20_000));
        match log.append(&event).await {
            Ok(position) => {
                stored.push(event.id);
                // As an ingest node does: all earlier decisions are saved outside the log.
                log.decisions().set_checkpoints([position]).await.unwrap();
                true
            }
            Err(AppendError::Full) => false,
            Err(error) => panic!("{error}"),
        }
    };
    // Five times the capacity of the log.
    eventually("the log takes far more than it holds", LONG, async || {
        append(&mut stored).await;
        (stored.len() >= 200).then_some(())
    })
    .await;

    // From here on nothing is archived, so nothing may be dropped.
    archived(&world).await;
    world.mongod.kill();
    let before = stored.len();
    eventually("the log is full of what is not archived", LONG, async || {
        while append(&mut stored).await {}
        let status = Reader::nobody(&archiver).get("/v1/status", &[]).await;
        let stream = &status["log"]["streams"][0];
        let waiting = stream["waitingBatches"].as_u64()? + stream["heldBatches"].as_u64()?;
        (waiting >= 10 && !append(&mut stored).await).then_some(())
    })
    .await;
    assert!(stored.len() > before);
    world.mongod.start_again().await;
    eventually("the log gives room again", LONG, async || append(&mut stored).await.then_some(())).await;
    let room = world.room(1, stored.len()).await;
    let kept: Vec<EventId> = room.iter().map(|message| message.id).collect();
    assert!(kept == stored, "the archive has {} of {}", kept.len(), stored.len());
    let status = Reader::nobody(&archiver).get("/v1/status", &[]).await;
    assert_eq!(status["missing"]["batches"], 0, "{status}");
}
