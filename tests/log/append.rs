//! Append: stored at a position, unknown, full, unavailable.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use nats::{AppendError, Event, EventId, Log};

use super::{PATIENCE, config, everything, log, message, text};
use crate::support::{NatsServer, Proxy, eventually};

#[tokio::test]
async fn an_appended_event_stands_at_the_position_that_was_answered() {
    let server = NatsServer::start().await;
    let log = log(&server).await;

    let first = log.append(&message(1, "first")).await.unwrap();
    let second = log.append(&message(1, "second")).await.unwrap();

    let all = everything(&log).await;
    assert_eq!(all.iter().map(|entry| entry.position).collect::<Vec<_>>(), [first, second]);
    assert_eq!(all.iter().map(text).collect::<Vec<_>>(), ["first", "second"]);
    assert!(first < second);
}

#[tokio::test]
async fn events_that_arrive_together_share_an_append() {
    let server = NatsServer::start().await;
    let log = log(&server).await;

    let events: Vec<Event> = (0..2_000).map(|n| message(n % 10 + 1, n.to_string())).collect();
    let positions = join_all(events.iter().map(|event| log.append(event))).await;

    let batches = positions.iter().map(|position| position.unwrap().sequence).max().unwrap();
    assert!(batches < 200, "{batches} appends for 2,000 events");
    assert_eq!(everything(&log).await.len(), 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_sent_again_is_stored_once() {
    let server = NatsServer::start().await;
    let log = log(&server).await;

    // The server has the batch in its socket and does not answer: the client sends it again.
    server.pause();
    let event = message(1, "again");
    let append = tokio::spawn({
        let (log, event) = (log.clone(), event.clone());
        async move { log.append(&event).await }
    });
    let sent_at_least_twice = Instant::now() + Duration::from_millis(1_500);
    eventually("a second attempt is due", PATIENCE, async || (Instant::now() > sent_at_least_twice).then_some(()))
        .await;
    server.resume();

    let position = append.await.unwrap().unwrap();
    let next = log.append(&message(1, "next")).await.unwrap();
    assert_eq!((position.sequence, next.sequence), (1, 2), "the stream holds a batch twice");
    assert_eq!(everything(&log).await.len(), 2);
}

#[tokio::test]
async fn an_outage_is_told_from_an_unknown_outcome_and_ends_without_a_restart() {
    let server = NatsServer::start().await;
    let log = Log::connect(&nats::Config { append_deadline_ms: 1_000, ..config(&server.url()) }, "test").await.unwrap();
    log.append(&message(1, "before")).await.unwrap();

    server.kill();
    eventually("the client notices", PATIENCE, async || (!log.is_connected()).then_some(())).await;
    // Never sent, so certainly not stored.
    let refused = join_all((0..50).map(|_| async { log.append(&message(1, "during")).await })).await;
    assert_eq!(refused, [Err(AppendError::Unavailable); 50]);

    server.start_again().await;
    eventually("appends work again", PATIENCE, async || log.append(&message(1, "after")).await.ok()).await;
    assert!(everything(&log).await.iter().all(|entry| text(entry) != "during"));
}

#[tokio::test]
async fn a_silent_server_makes_the_outcome_unknown_within_the_deadline() {
    let server = NatsServer::start().await;
    let log = Log::connect(&nats::Config { append_deadline_ms: 500, ..config(&server.url()) }, "test").await.unwrap();

    server.pause();
    let started = Instant::now();
    let outcome = log.append(&message(1, "held up")).await;
    let took = started.elapsed();
    server.resume();

    assert_eq!(outcome, Err(AppendError::Unknown));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_cut_connection_does_not_fail_an_append() {
    let server = NatsServer::start().await;
    let proxy = Proxy::start(server.url().replace("nats://", "")).await;
    let log = Log::connect(&config(&proxy.url()), "test").await.unwrap();

    for n in 0..20 {
        proxy.cut();
        log.append(&message(1, n.to_string())).await.unwrap();
    }

    let texts: Vec<String> = everything(&log).await.iter().map(text).collect();
    assert_eq!(texts, (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_log_refuses_and_keeps_what_it_has() {
    let server = NatsServer::start().await;
    let log = Log::connect(&nats::Config { max_bytes: 1_048_576, ..config(&server.url()) }, "test").await.unwrap();

    let mut stored = Vec::<EventId>::new();
    let refused = loop {
        let event = message(1, "x".repeat(100_000));
        match log.append(&event).await {
            Ok(_) => stored.push(event.id),
            Err(error) => break error,
        }
        assert!(stored.len() < 20, "the log takes more than its limit");
    };

    assert_eq!(refused, AppendError::Full);
    assert_eq!(everything(&log).await.iter().map(|entry| entry.id).collect::<Vec<_>>(), stored);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let server = NatsServer::start().await;
    let log = Log::connect(&nats::Config { append_queue: 10, ..config(&server.url()) }, "test").await.unwrap();

    server.pause();
    let outcomes = join_all((0..200).map(|n| {
        let log = &log;
        async move {
            let started = Instant::now();
            let outcome = log.append(&message(1, n.to_string())).await;
            (outcome, started.elapsed())
        }
    }));
    let (outcomes, ()) = tokio::join!(outcomes, async {
        eventually("the rest is refused", PATIENCE, async || Some(())).await;
        server.resume();
    });

    let refused: Vec<_> = outcomes.iter().filter(|(outcome, _)| *outcome == Err(AppendError::Full)).collect();
    assert!(refused.len() >= 100, "only {} refused", refused.len());
    assert!(refused.iter().all(|(_, took)| *took < Duration::from_millis(500)));
    let stored = outcomes.iter().filter(|(outcome, _)| outcome.is_ok()).count();
    assert_eq!(everything(&log).await.len(), stored);
}

#[tokio::test]
async fn an_event_larger_than_a_batch_is_refused() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    assert_eq!(log.append(&message(1, "x".repeat(262_144))).await, Err(AppendError::TooLarge));
    log.append(&message(1, "x".repeat(261_000))).await.unwrap();
}
