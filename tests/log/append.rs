//! The outcomes of an append: a position, unknown, full, unavailable.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use async_nats::jetstream;
use chat::{Event, EventId, Position};
use conf::{Size, Span};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use nats::{AppendError, Log, Start};

use super::{PATIENCE, config, everything, log, message, take, text};
use crate::support::{self, Direction, NatsServer, Proxy, eventually};

/// Every message of the stream, including those that readers skip: whether it contains the text.
async fn stored(server: &NatsServer, text: &str) -> Vec<bool> {
    let stream = raw(server).await.get_stream("CHAT_0").await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    let mut stored = Vec::new();
    for sequence in 1..=last {
        let payload = stream.get_raw_message(sequence).await.unwrap().payload;
        stored.push(String::from_utf8_lossy(&payload).contains(text));
    }
    stored
}

async fn raw(server: &NatsServer) -> jetstream::Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

async fn connect(url: &str, append_deadline_ms: u64) -> Log {
    support::connect(&nats::Config { append_deadline: Span::from_millis(append_deadline_ms), ..config(url) }, "test")
        .await
}

/// Begins to append the event.
fn begin(log: &Log, event: &Event) -> tokio::task::JoinHandle<Result<Position, AppendError>> {
    let (log, event) = (log.clone(), event.clone());
    tokio::spawn(async move { log.append(&event).await })
}

async fn until(moment: Instant) {
    eventually("that moment", PATIENCE, async || (Instant::now() > moment).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_a_paused_server_stores_after_the_deadline_has_no_effect() {
    let server = NatsServer::start().await;
    let log = connect(&server.url(), 1_000).await;
    log.append(&message(1, "before")).await.unwrap();

    server.pause();
    let outcomes = join_all((0..20).map(|_| async { log.append(&message(1, "late")).await })).await;
    assert!(!outcomes.iter().any(Result::is_ok), "{outcomes:?}");
    server.resume();

    eventually("the server takes in what it has in its socket", PATIENCE, async || {
        stored(&server, "late").await.contains(&true).then_some(())
    })
    .await;
    eventually("appends work again", PATIENCE, async || log.append(&message(1, "after")).await.ok()).await;
    let texts: Vec<String> = everything(&log).await.iter().map(text).collect();
    assert!(!texts.contains(&"late".to_owned()) && texts.contains(&"after".to_owned()), "{texts:?}");
    let mut consumer = log.consume("archiver");
    let mut consumed = 0;
    while consumed < stored(&server, "").await.len() {
        let delivery = tokio::time::timeout(PATIENCE, consumer.next()).await.unwrap().unwrap();
        assert!(delivery.lines.iter().all(|line| text(line.as_ref().unwrap()) != "late"));
        delivery.ack().await.unwrap();
        consumed += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_append_is_reported_as_unavailable_to_a_connected_caller() {
    let server = NatsServer::start().await;
    // It expires after 9 s.
    let (log, started) = (connect(&server.url(), 12_000).await, Instant::now());
    log.append(&message(1, "before")).await.unwrap();
    server.pause();
    let append = begin(&log, &message(1, "late"));
    until(started + Duration::from_millis(9_600)).await;
    server.resume();

    assert_eq!(append.await.unwrap(), Err(AppendError::Unavailable));
    assert!(stored(&server, "late").await.contains(&true), "it is in the stream all the same");
    let texts: Vec<String> = everything(&log).await.iter().map(text).collect();
    assert_eq!(texts, ["before"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_acknowledgement_is_lost_is_found_where_it_stands() {
    let server = NatsServer::start().await;
    let proxy = Proxy::start(server.url().replace("nats://", "")).await;
    let (other, log) = (log(&server).await, connect(&proxy.url(), 12_000).await);
    log.append(&message(1, "before")).await.unwrap();
    let started = Instant::now();
    proxy.hold_up_one_way(Direction::ToClient);
    let append = begin(&log, &message(1, "stored"));
    eventually("it is stored", PATIENCE, async || stored(&server, "stored").await.contains(&true).then_some(())).await;
    // Others append meanwhile.
    for n in 0..40 {
        other.append(&message(1, n.to_string())).await.unwrap();
    }
    until(started + Duration::from_millis(9_600)).await;
    proxy.release();

    let position = append.await.unwrap().unwrap();
    let all = everything(&other).await;
    assert_eq!(
        all.iter().filter(|entry| text(entry) == "stored").map(|entry| entry.position).collect::<Vec<_>>(),
        [position]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_is_refused_after_an_unanswered_attempt_has_an_unknown_outcome() {
    let server = NatsServer::start().await;
    let proxy = Proxy::start(server.url().replace("nats://", "")).await;
    let log = connect(&proxy.url(), 4_000).await;
    log.append(&message(1, "before")).await.unwrap();
    proxy.hold_up_one_way(Direction::ToClient);
    let append = begin(&log, &message(1, "stored"));
    eventually("it is stored", PATIENCE, async || stored(&server, "stored").await.contains(&true).then_some(())).await;
    // From here on every attempt is refused, as of a stream without a leader.
    raw(&server).await.delete_stream("CHAT_0").await.unwrap();
    // The acknowledgement is lost with the connection.
    proxy.cut();
    eventually("the connection is gone", PATIENCE, async || (!log.is_connected()).then_some(())).await;
    proxy.release();
    assert_eq!(append.await.unwrap(), Err(AppendError::Unknown));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_waits_in_the_client_for_a_connection() {
    let server = NatsServer::start().await;
    let proxy = Proxy::start(server.url().replace("nats://", "")).await;
    let log = connect(&proxy.url(), 2_000).await;
    log.append(&message(1, "before")).await.unwrap();
    proxy.refuse();
    eventually("the client notices", PATIENCE, async || (!log.is_connected()).then_some(())).await;
    let started = Instant::now();
    assert_eq!(log.append(&message(1, "during")).await, Err(AppendError::Unavailable));
    assert!(started.elapsed() >= Duration::from_millis(1_000), "an outage that passes is waited for");
    proxy.release();
    eventually("appends work again", PATIENCE, async || log.append(&message(1, "after")).await.ok()).await;
    assert!(!stored(&server, "during").await.contains(&true));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_waits_for_a_connection_that_comes_in_time() {
    let server = NatsServer::start().await;
    let proxy = Proxy::start(server.url().replace("nats://", "")).await;
    let log = connect(&proxy.url(), 20_000).await;
    log.append(&message(1, "before")).await.unwrap();
    proxy.refuse();
    eventually("the client notices", PATIENCE, async || (!log.is_connected()).then_some(())).await;
    let waiting: Vec<_> = (0..50).map(|n| begin(&log, &message(1, n.to_string()))).collect();
    until(Instant::now() + Duration::from_millis(500)).await;
    proxy.release();
    for append in waiting {
        append.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_behind_a_hanging_one_are_refused_for_certain_long_before_the_deadline() {
    let server = NatsServer::start().await;
    let log = connect(&server.url(), 60_000).await;
    log.append(&message(1, "before")).await.unwrap();
    server.pause();
    let first = begin(&log, &message(1, "first"));
    until(Instant::now() + Duration::from_millis(100)).await;
    let refused = join_all((0..2_000).map(|_| async { log.append(&message(1, "refused")).await })).await;
    assert!(refused.iter().all(|outcome| *outcome == Err(AppendError::Busy)), "{refused:?}");
    server.resume();
    first.await.unwrap().unwrap();
    log.append(&message(1, "after")).await.unwrap();
    assert!(!stored(&server, "refused").await.contains(&true), "nothing of it is sent afterwards");
}

#[tokio::test]
async fn a_batch_counts_until_its_header_says_that_it_has_expired() {
    let server = NatsServer::start().await;
    let (log, jetstream) = (log(&server).await, raw(&server).await);
    for (text, expires) in [("late", Some(-5)), ("in time", Some(60)), ("of an older node", None)] {
        let mut headers = async_nats::HeaderMap::new();
        if let Some(seconds) = expires {
            let expires = Timestamp::now() + SignedDuration::from_secs(seconds);
            headers.insert("Chatting-Expires", expires.as_millisecond().to_string());
        }
        let publish = jetstream.publish_with_headers("chat.0", headers, message(1, text).to_line());
        publish.await.unwrap().await.unwrap();
    }
    let mut tail = log.tail(Start::Oldest);
    let texts: Vec<String> = take(&mut tail, 2).await.iter().map(text).collect();
    assert_eq!(texts, ["in time", "of an older node"]);
    let mut consumer = log.consume("archiver");
    let mut lines = Vec::new();
    for _ in 0..3 {
        let delivery = tokio::time::timeout(PATIENCE, consumer.next()).await.unwrap().unwrap();
        delivery.ack().await.unwrap();
        lines.push(delivery.lines.len());
    }
    assert_eq!(lines, [0, 1, 1], "also what counts for nothing is dealt with");
    assert!(log.backlog("archiver").await.unwrap()[0].waiting == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_at_its_answered_position_even_across_batches() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    // 256 KiB hold two large events, or hundreds of small ones.
    for (count, size) in [(9, 100_000), (3_000, 10), (40, 30_000)] {
        let events: Vec<Event> = (0..count).map(|n| message(n % 3 + 1, format!("{n} {}", "x".repeat(size)))).collect();
        let positions = join_all(events.iter().map(|event| log.append(event))).await;
        let read: HashMap<EventId, Position> =
            everything(&log).await.iter().map(|entry| (entry.id, entry.position)).collect();
        for (event, position) in events.iter().zip(positions) {
            assert_eq!(read.get(&event.id).copied(), Some(position.unwrap()), "{size}");
        }
    }
}

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

    // The server has the batch in its socket and does not answer, so the client sends it again.
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
    let log =
        support::connect(&nats::Config { append_deadline: Span::from_secs(1), ..config(&server.url()) }, "test").await;
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
    let log =
        support::connect(&nats::Config { append_deadline: Span::from_millis(500), ..config(&server.url()) }, "test")
            .await;
    // Nothing is sent before the log's clock is known.
    log.append(&message(1, "before")).await.unwrap();

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
    let log = support::connect(&config(&proxy.url()), "test").await;

    for n in 0..20 {
        proxy.cut();
        log.append(&message(1, n.to_string())).await.unwrap();
    }

    let texts: Vec<String> = everything(&log).await.iter().map(text).collect();
    assert_eq!(texts, (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_log_refuses_appends_and_keeps_its_events() {
    let server = NatsServer::start().await;
    let log = support::connect(&nats::Config { max_size: Size::from_mib(1), ..config(&server.url()) }, "test").await;

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
    let log = support::connect(&nats::Config { append_queue: 10, ..config(&server.url()) }, "test").await;

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

    let refused: Vec<_> = outcomes.iter().filter(|(outcome, _)| *outcome == Err(AppendError::Busy)).collect();
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
