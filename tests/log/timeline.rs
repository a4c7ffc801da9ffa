//! A log that loses its end or is restored from a backup. No position ever names two events, holders of lost positions
//! are told, and remaining events keep their positions.

mod shared_reader;

use std::collections::{HashMap, HashSet};

use async_nats::jetstream;
use chat::{EventId, Position};
use nats::{Error, Log, Mark, Standing, Start};

use super::{PATIENCE, config, everything, log, message, presenter, take, text};
use crate::support::{NatsServer, Proxy, connect, eventually};

/// Appends this many messages in sequence, each in its own batch.
async fn append(log: &Log, texts: impl IntoIterator<Item = String>) -> Vec<Position> {
    let mut positions = Vec::new();
    for text in texts {
        positions.push(log.append(&message(1, text)).await.unwrap());
    }
    positions
}

/// The reason of the failure of the log.
async fn failure(log: &Log) -> String {
    match tokio::time::timeout(PATIENCE, log.failed()).await.expect("the log fails") {
        Error::Replaced { reason, .. } => reason.clone(),
        error => panic!("{error}"),
    }
}

/// Another process, once it knows the log's new timeline.
async fn after_the_loss(server: &NatsServer) -> Log {
    eventually("a new epoch is recorded", PATIENCE, async || {
        let log = Log::connect(&config(&server.url()), "after the loss").await.ok()?;
        has_forks(server).await.then_some(log)
    })
    .await
}

async fn has_forks(server: &NatsServer) -> bool {
    let client = async_nats::connect(server.url()).await.unwrap();
    let stream = jetstream::new(client).get_stream("CHAT_0").await.unwrap();
    stream.cached_info().config.metadata.contains_key("chatting-server.timeline")
}

#[tokio::test]
async fn a_log_that_lost_its_end_fails_and_reuses_no_position() {
    let server = NatsServer::start().await;
    let before = log(&server).await;
    let mut tail = before.tail(Start::Oldest);
    let given_out = append(&before, (0..66).map(|number| format!("old {number}"))).await;
    take(&mut tail, 66).await;
    server.kill();
    server.spoil("CHAT_0");
    server.start_again().await;
    assert!(failure(&before).await.starts_with("it went back"));

    let after = after_the_loss(&server).await;
    let left = everything(&after).await;
    assert!((1..66).contains(&left.len()), "the disk lost {} messages", 66 - left.len());
    let kept: Vec<Position> = left.iter().map(|entry| entry.position).collect();
    assert_eq!(kept, given_out[..left.len()], "what is left keeps its place");
    let again = append(&after, (0..30).map(|number| format!("new {number}"))).await;
    let places: HashSet<Position> = given_out.iter().chain(&again).copied().collect();
    assert_eq!(places.len(), 66 + 30, "a position was given out twice");
    assert!(again.iter().all(|position| *position > given_out[65]));
    // A holder of a lost position is told where the log diverged.
    let end = Position { index: u32::MAX, ..*kept.last().unwrap() };
    assert_eq!(after.timelines().standing(presenter(1), given_out[65]), Standing::Lost(end));
    assert_eq!(after.timelines().standing(presenter(1), kept[0]), Standing::Here(kept[0]));
    let mut tail = after.tail(Start::After(vec![given_out[65]]));
    assert_eq!(text(&take(&mut tail, 1).await[0]), "new 0");
}

#[tokio::test]
async fn a_loss_is_noticed_even_if_the_log_was_refilled_before() {
    let server = NatsServer::start().await;
    let way = Proxy::start(server.url().replace("nats://", "")).await;
    let before = connect(&config(&way.url()), "before").await;
    let mut tail = before.tail(Start::Oldest);
    append(&before, (0..40).map(|number| format!("old {number}"))).await;
    take(&mut tail, 40).await;
    way.refuse();
    server.kill();
    server.spoil("CHAT_0");
    server.start_again().await;
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    for number in 0..60 {
        let line = message(1, format!("other {number}")).to_line();
        context.publish("chat.0", line).await.unwrap().await.unwrap();
    }
    way.release();
    assert!(failure(&before).await.starts_with("it went back"));
    let after = after_the_loss(&server).await;
    let old: HashSet<u64> = [before.timelines().epoch(presenter(1))].into();
    for entry in everything(&after).await {
        let is_old = text(&entry).starts_with("old");
        assert_eq!(old.contains(&entry.position.epoch), is_old, "{} at {}", text(&entry), entry.position);
    }
}

#[tokio::test]
async fn an_acknowledgement_that_goes_back_is_answered_unknown_and_ends_the_log() {
    let server = NatsServer::start().await;
    // This process reads nothing, and knows only the acknowledgements.
    let before = log(&server).await;
    let given_out = append(&before, (0..40).map(|number| format!("old {number}"))).await;
    server.kill();
    server.spoil("CHAT_0");
    server.start_again().await;
    let answer = before.append(&message(1, "new")).await;
    assert_eq!(answer, Err(nats::AppendError::Unknown));
    assert!(failure(&before).await.starts_with("it went back"));
    let after = after_the_loss(&server).await;
    let stored = everything(&after).await;
    let position = stored.iter().find(|entry| text(entry) == "new").unwrap().position;
    assert!(!given_out.contains(&position), "{position} was given out before");
}

/// A process that started after the loss has no memory of its own.
#[tokio::test]
async fn a_reader_without_a_memory_does_not_show_what_stands_at_a_lost_position() {
    let server = NatsServer::start().await;
    // This process reads nothing, so it notices the loss with its next acknowledgement.
    let before = log(&server).await;
    let given_out = append(&before, (0..40).map(|number| format!("old {number}"))).await;
    server.kill();
    server.spoil("CHAT_0");
    server.start_again().await;
    let started = log(&server).await;
    let mut tail = started.tail(Start::Oldest);
    let mut consumer = started.consume("archive");
    assert_eq!(before.append(&message(1, "new")).await, Err(nats::AppendError::Unknown));
    loop {
        match tokio::time::timeout(PATIENCE, tail.next()).await.expect("the tail ends") {
            Ok(entries) => assert!(entries.iter().all(|entry| text(entry) != "new"), "{entries:?}"),
            Err(Error::Replaced { .. }) => break,
            Err(error) => panic!("{error}"),
        }
    }
    loop {
        match tokio::time::timeout(PATIENCE, consumer.next()).await.expect("the shared reader ends") {
            Ok(delivery) => assert!(delivery.lines.iter().flatten().all(|entry| text(entry) != "new"), "{delivery:?}"),
            Err(Error::Replaced { .. }) => break,
            Err(error) => panic!("{error}"),
        }
    }
    let after = after_the_loss(&server).await;
    let new = everything(&after).await.into_iter().find(|entry| text(entry) == "new").expect("it is stored");
    assert!(!given_out.contains(&new.position), "{} was given out before", new.position);
    let last = after.append(&message(1, "last")).await.unwrap();
    assert!(last.epoch == new.position.epoch && last > new.position);
}

/// The only process that knew of the loss has died before it could record it.
#[tokio::test]
async fn a_loss_that_only_a_batch_shows_is_recorded_by_its_reader() {
    let server = NatsServer::start().await;
    let started = log(&server).await;
    let kept = append(&started, (0..3).map(|number| format!("kept {number}"))).await;
    let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Chatting-Known-End", Position { sequence: 40, ..kept[2] }.to_string());
    let line = message(1, "new").to_line();
    context.publish_with_headers("chat.0", headers, line).await.unwrap().await.unwrap();
    let mut tail = started.tail(Start::Oldest);
    take(&mut tail, 3).await;
    assert!(matches!(tokio::time::timeout(PATIENCE, tail.next()).await.unwrap(), Err(Error::Replaced { .. })));
    let reason = failure(&started).await;
    assert!(reason.starts_with("it went back: the writer of batch 4 knew sequence 40"), "{reason}");
    let after = after_the_loss(&server).await;
    let stored = everything(&after).await;
    assert_eq!(stored.iter().map(text).collect::<Vec<_>>(), ["kept 0", "kept 1", "kept 2", "new"]);
    let new = stored[3].position;
    assert_eq!((new.sequence, new.epoch > kept[2].epoch), (4, true));
}

#[tokio::test]
async fn setup_begins_a_new_epoch_of_a_restored_log_and_every_role_notices() {
    let server = NatsServer::start().await;
    let before = log(&server).await;
    let kept = append(&before, (0..10).map(|number| format!("kept {number}"))).await;
    before.close().await;
    server.kill();
    let backup = server.backup();
    server.start_again().await;
    let before = log(&server).await;
    let lost = append(&before, (0..10).map(|number| format!("lost {number}"))).await;
    before.close().await;
    server.kill();
    server.restore(&backup);
    server.start_again().await;
    // A role was quicker than the operator.
    let running = log(&server).await;
    let begun = log(&server).await.begin_epoch().await.unwrap();
    assert_eq!(begun.len(), 1);
    assert_eq!(begun[0].0, 10, "the log ends after ten messages");
    assert_eq!(failure(&running).await, "its creation time or its timeline has changed");
    let after = log(&server).await;
    let new = append(&after, (0..10).map(|number| format!("new {number}"))).await;
    assert!(new.iter().all(|position| !lost.contains(position) && position.epoch == begun[0].1));
    assert_eq!(everything(&after).await[..10].iter().map(|entry| entry.position).collect::<Vec<_>>(), kept);
}

#[tokio::test]
async fn a_log_older_than_the_positions_that_others_kept_is_noticed_at_the_start() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    let positions = append(&log, (0..5).map(|number| format!("message {number}"))).await;
    log.confirm(positions.iter().map(|position| (0, *position))).await.unwrap();
    let ahead = Position { sequence: 6, ..positions[4] };
    let refused = log.confirm([(0, positions[2]), (0, ahead)]).await;
    assert!(matches!(refused, Err(Error::Replaced { .. })), "{refused:?}");
    let after = after_the_loss(&server).await;
    assert_eq!(after.timelines().standing(presenter(1), positions[4]), Standing::Here(positions[4]));
    assert!(matches!(after.timelines().standing(presenter(1), ahead), Standing::Lost(_)));
    after.confirm([(0, ahead)]).await.unwrap();
    // Of a later log, before this one was restored.
    let later = Position { epoch: after.timelines().epoch(presenter(1)) + 1_000, sequence: 1, index: 0 };
    let refused = after.confirm([(0, later)]).await;
    assert!(matches!(refused, Err(Error::Replaced { .. })), "{refused:?}");
    let again = eventually("a later epoch is recorded", PATIENCE, async || {
        let log = Log::connect(&config(&server.url()), "later").await.ok()?;
        (log.timelines().epoch(presenter(1)) > later.epoch).then_some(log)
    })
    .await;
    again.confirm([(0, later), (0, ahead)]).await.unwrap();
}

#[tokio::test]
async fn a_log_is_read_to_its_end_although_its_server_remembers_a_longer_one() {
    let server = NatsServer::start().await;
    let before = log(&server).await;
    append(&before, (0..40).map(|number| format!("old {number}"))).await;
    before.close().await;
    // After a clean stop the server has an index with the end of the log.
    server.stop().await;
    server.truncate("CHAT_0", 500);
    server.start_again().await;
    let after = log(&server).await;
    let read = tokio::time::timeout(PATIENCE, everything(&after)).await.expect("the log has an end");
    assert!((1..40).contains(&read.len()), "{} of 40 are left", read.len());
}

#[tokio::test]
async fn a_loss_that_the_server_reports_as_deletions_is_noticed() {
    let server = NatsServer::start().await;
    let before = log(&server).await;
    let mut tail = before.tail(Start::Oldest);
    let given_out = append(&before, (0..40).map(|number| format!("old {number}"))).await;
    take(&mut tail, 40).await;
    server.stop().await;
    server.truncate("CHAT_0", 500);
    server.start_again().await;
    assert!(failure(&before).await.starts_with("it went back"));
    let after = after_the_loss(&server).await;
    let left = everything(&after).await.len();
    assert!((1..40).contains(&left), "{left} of 40 are left");
    let end = Position { index: u32::MAX, ..given_out[left - 1] };
    assert_eq!(after.timelines().standing(presenter(1), given_out[39]), Standing::Lost(end));
    let new = append(&after, ["new".to_owned()]).await;
    assert!(new[0].epoch > given_out[0].epoch && !given_out.contains(&new[0]));
    // The server goes on behind the lost part. What is left before it misses nothing.
    assert!(new[0].sequence > 40, "{}", new[0]);
    let mut tail = after.tail(Start::Oldest);
    take(&mut tail, left + 1).await;
    let whole_after: Vec<u64> = tail.whole_after().map(|(_, position)| position.sequence).collect();
    assert_eq!(whole_after, [0]);
}

/// Who notices the loss does not remember every message: the new epoch begins with messages that are left.
#[tokio::test]
async fn what_is_left_after_the_beginning_of_a_new_epoch_misses_nothing_either() {
    let server = NatsServer::start().await;
    let before = log(&server).await;
    let mut tail = before.tail(Start::Oldest);
    append(&before, (0..40).map(|number| format!("old {number}"))).await;
    let read = take(&mut tail, 40).await;
    let epoch = read[0].position.epoch;
    let samples = [29, 39].map(|at| (read[at].position.sequence, read[at].stored)).into();
    before.close().await;
    server.stop().await;
    server.truncate("CHAT_0", 500);
    server.start_again().await;
    let noticed = log(&server).await.compare(&Mark { partition: 0, epoch, samples }).await;
    assert!(matches!(noticed, Err(Error::Replaced { .. })), "{noticed:?}");
    let after = after_the_loss(&server).await;
    let left = everything(&after).await;
    assert!((31..40).contains(&left.len()), "{} of 40 are left", left.len());
    assert_eq!((left[29].position.epoch, left[30].position.epoch > epoch), (epoch, true));
    let new = append(&after, ["new".to_owned()]).await;
    assert!(new[0].sequence > 40, "the server goes on behind the lost part: {}", new[0]);
    let mut tail = after.tail(Start::Oldest);
    take(&mut tail, left.len() + 1).await;
    let whole_after: Vec<u64> = tail.whole_after().map(|(_, position)| position.sequence).collect();
    assert_eq!(whole_after, [0]);
}

#[tokio::test]
async fn a_loss_behind_the_one_that_another_process_recorded_is_recorded_too() {
    let server = NatsServer::start().await;
    let way = Proxy::start(server.url().replace("nats://", "")).await;
    let before = connect(&config(&way.url()), "before").await;
    let mut tail = before.tail(Start::Oldest);
    append(&before, (0..40).map(|number| format!("old {number}"))).await;
    let mut given_out: HashMap<Position, EventId> =
        take(&mut tail, 40).await.iter().map(|entry| (entry.position, entry.id)).collect();
    // While this process is cut off, the log loses its end, is filled again by one that knows nothing of it, and loses
    // its end again.
    way.refuse();
    server.kill();
    server.truncate("CHAT_0", 2_000);
    server.start_again().await;
    let other = log(&server).await;
    let mut tail = other.tail(Start::Oldest);
    append(&other, (0..30).map(|number| format!("other {number}"))).await;
    let left = everything(&other).await.len();
    assert!((31..70).contains(&left), "{left} are left");
    take(&mut tail, left).await;
    server.kill();
    server.truncate("CHAT_0", 500);
    server.start_again().await;
    assert!(failure(&other).await.starts_with("it went back"));
    way.release();
    failure(&before).await;

    let after = log(&server).await;
    append(&after, (0..30).map(|number| format!("new {number}"))).await;
    for entry in everything(&after).await {
        let first = *given_out.entry(entry.position).or_insert(entry.id);
        assert_eq!(first, entry.id, "{} is at {}, where another message was", text(&entry), entry.position);
    }
}

#[tokio::test]
async fn who_only_appended_since_its_start_records_a_loss_near_the_end_of_the_log() {
    let server = NatsServer::start().await;
    let before = log(&server).await;
    append(&before, (0..300).map(|number| format!("old {number}"))).await;
    let given_out: HashSet<Position> = everything(&before).await.iter().map(|entry| entry.position).collect();
    before.close().await;
    let fresh = log(&server).await;
    append(&fresh, (0..5).map(|number| format!("newer {number}"))).await;
    server.kill();
    server.truncate("CHAT_0", 6_000);
    server.start_again().await;
    let answer = fresh.append(&message(1, "goes back")).await;
    assert!(answer.is_err(), "{answer:?}");
    assert!(failure(&fresh).await.starts_with("it went back"));
    let after = after_the_loss(&server).await;
    let left = everything(&after).await;
    assert!((200..300).contains(&left.len()), "{} of 305 are left", left.len());
    let unchanged = left.iter().filter(|entry| given_out.contains(&entry.position)).count();
    assert!(unchanged + 40 > left.len(), "{unchanged} of {} keep their positions", left.len());
}
