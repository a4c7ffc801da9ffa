//! The tail yields every event once and in order, whatever happens to the server.

use chat::EventId;
use futures_util::future::join_all;
use nats::{Config, Error, Start};

use super::{PATIENCE, an_hour_ago, config, everything, log, message, take, text};
use crate::support::{NatsServer, Proxy, connect, eventually};

#[tokio::test]
async fn a_tail_gives_existing_events_and_then_new_ones() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    for n in 0..10 {
        log.append(&message(1, n.to_string())).await.unwrap();
    }
    let mut tail = log.tail(Start::Oldest);
    assert_eq!(take(&mut tail, 10).await.len(), 10);
    for n in 10..20 {
        log.append(&message(1, n.to_string())).await.unwrap();
        assert_eq!(text(&take(&mut tail, 1).await[0]), n.to_string());
    }
}

#[tokio::test]
async fn a_tail_since_a_time_begins_there() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    log.append(&message(1, "early")).await.unwrap();
    let since = jiff::Timestamp::now();
    let mut tail = log.tail(Start::Since(since));
    log.append(&message(1, "late")).await.unwrap();

    assert_eq!(text(&take(&mut tail, 1).await[0]), "late");
    assert_eq!(text(&take(&mut log.tail(Start::Since(an_hour_ago())), 1).await[0]), "early");
}

/// A node that starts between two copies shows the same as the others.
#[tokio::test]
async fn a_tail_since_a_time_knows_what_stood_in_the_log_before_it() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    let (early, late) = (message(1, "early"), message(1, "late"));
    let first = log.append(&early).await.unwrap();
    let since = jiff::Timestamp::now();
    log.append(&early).await.unwrap();
    let mut tail = log.tail(Start::Since(since));
    log.append(&late).await.unwrap();

    assert_eq!(text(&take(&mut tail, 1).await[0]), "late");
    let whole_after: Vec<_> = tail.whole_after().collect();
    assert_eq!(whole_after.iter().map(|(_, position)| position.sequence).collect::<Vec<_>>(), [first.sequence]);
    assert_eq!(take(&mut log.tail(Start::Since(an_hour_ago())), 2).await.len(), 2);
}

#[tokio::test]
async fn a_tail_of_an_empty_or_silent_log_is_caught_up_at_once_and_current() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    for start in [Start::Oldest, Start::Since(an_hour_ago())] {
        let mut tail = log.tail(start);
        let status = tail.status();
        assert!(!status.is_caught_up());
        tokio::select! {
            events = tail.next() => panic!("events out of nothing: {events:?}"),
            () = status.caught_up() => {}
        }
        eventually("the tail is current", PATIENCE, async || status.is_current().then_some(())).await;
    }
    log.append(&message(1, "past")).await.unwrap();
    let mut tail = log.tail(Start::Since(jiff::Timestamp::now()));
    let status = tail.status();
    tokio::select! {
        events = tail.next() => panic!("events of the past: {events:?}"),
        () = status.caught_up() => {}
    }
}

#[tokio::test]
async fn an_event_that_stands_in_the_log_twice_is_given_once_at_its_first_place() {
    let server = NatsServer::start().await;
    let (one, other) = (log(&server).await, log(&server).await);
    let mut event = message(1, "posted twice");
    event.id = EventId::derived(event.presenter, chat::UserIdx::try_from(7).unwrap(), "key");

    let first = one.append(&event).await.unwrap();
    let second = other.append(&event).await.unwrap();
    one.append(&message(1, "after")).await.unwrap();

    assert!(first < second);
    let all = everything(&one).await;
    assert_eq!(all.iter().map(text).collect::<Vec<_>>(), ["posted twice", "after"]);
    assert_eq!(all[0].position, first);
}

#[tokio::test]
async fn copies_of_an_event_that_are_far_apart_are_known_by_every_tail() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    let mut live = log.tail(Start::Oldest);
    let event = message(1, "posted twice");
    let first = log.append(&event).await.unwrap();
    for _ in 0..10 {
        let others: Vec<_> = (0..1_000).map(|n| message(n % 7 + 1, n.to_string())).collect();
        for position in join_all(others.iter().map(|event| log.append(event))).await {
            position.unwrap();
        }
    }
    let between = log.now();
    let second = log.append(&event).await.unwrap();
    assert!(second.sequence > first.sequence + 1);
    log.append(&message(1, "after")).await.unwrap();

    let of_event = |entries: &[nats::Entry]| -> Vec<_> {
        entries.iter().filter(|entry| entry.id == event.id).map(|entry| entry.position).collect()
    };
    assert_eq!(of_event(&everything(&log).await), [first]);
    assert_eq!(of_event(&take(&mut live, 10_002).await), [first]);
    // Also by a tail that begins after the first copy.
    let mut since = log.tail(Start::Since(between));
    let taken = loop {
        let events = tokio::time::timeout(PATIENCE, since.next()).await.unwrap().unwrap();
        assert!(of_event(&events).is_empty(), "{events:?}");
        if events.iter().any(|entry| text(entry) == "after") {
            break events;
        }
    };
    assert_eq!(text(taken.last().unwrap()), "after");
}

#[tokio::test]
async fn lines_that_are_not_events_are_skipped() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    let client = async_nats::connect(server.url()).await.unwrap();
    for junk in [&b""[..], b"\n\n", b"garbage", b"\xff\xfe\n{}", br#"{"v":99}"#] {
        client.publish("chat.0", junk.to_vec().into()).await.unwrap();
    }
    client.flush().await.unwrap();
    log.append(&message(1, "sound")).await.unwrap();
    assert_eq!(everything(&log).await.iter().map(text).collect::<Vec<_>>(), ["sound"]);
}

#[tokio::test]
async fn a_tail_outlives_the_server_and_misses_nothing() {
    let server = NatsServer::start().await;
    let log = connect(&Config { partitions: 2, ..config(&server.url()) }, "test").await;
    let mut tail = log.tail(Start::Oldest);
    for round in 0..3 {
        for room in 1..=4 {
            log.append(&message(room, round.to_string())).await.unwrap();
        }
        let events = take(&mut tail, 4).await;
        assert!(events.iter().all(|entry| text(entry) == round.to_string()));
        server.kill();
        server.start_again().await;
    }
    let status = tail.status();
    let current =
        async { eventually("the tail is current", PATIENCE, async || status.is_current().then_some(())).await };
    tokio::select! {
        events = tail.next() => panic!("events out of nothing: {events:?}"),
        () = current => {}
    }
}

#[tokio::test]
async fn a_consumer_that_was_deleted_silently_is_noticed() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    let mut tail = log.tail(Start::Oldest);
    log.append(&message(1, "before")).await.unwrap();
    take(&mut tail, 1).await;

    let client = async_nats::connect(server.url()).await.unwrap();
    let stream = async_nats::jetstream::new(client).get_stream("CHAT_0").await.unwrap();
    let names = futures_util::TryStreamExt::try_collect::<Vec<_>>(stream.consumer_names()).await.unwrap();
    assert_eq!(names.len(), 1, "{names:?}");
    stream.delete_consumer(&names[0]).await.unwrap();
    log.append(&message(1, "after")).await.unwrap();

    assert_eq!(text(&take(&mut tail, 1).await[0]), "after");
}

#[tokio::test]
async fn an_outage_does_not_look_like_a_quiet_night() {
    let server = NatsServer::start().await;
    let proxy = Proxy::start(server.url().replace("nats://", "")).await;
    let log = connect(&config(&proxy.url()), "test").await;
    let mut tail = log.tail(Start::Oldest);
    let status = tail.status();
    let reading = tokio::spawn(async move { take(&mut tail, 1).await });
    eventually("the tail is current", PATIENCE, async || status.is_current().then_some(())).await;

    proxy.hold_up();
    eventually("the tail is no longer current", PATIENCE, async || (!status.is_current()).then_some(())).await;
    proxy.release();
    eventually("the tail is current again", PATIENCE, async || status.is_current().then_some(())).await;
    self::log(&server).await.append(&message(1, "morning")).await.unwrap();
    assert_eq!(text(&reading.await.unwrap()[0]), "morning");
}

#[tokio::test]
async fn a_recreated_log_ends_the_tail_and_fails_the_log() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    let mut tail = log.tail(Start::Oldest);
    log.append(&message(1, "old")).await.unwrap();
    take(&mut tail, 1).await;

    let client = async_nats::connect(server.url()).await.unwrap();
    async_nats::jetstream::new(client).delete_stream("CHAT_0").await.unwrap();
    self::log(&server).await.append(&message(1, "new")).await.unwrap();

    let ended = tokio::time::timeout(PATIENCE, tail.next()).await.unwrap();
    assert!(matches!(ended, Err(Error::Replaced { .. })), "{ended:?}");
    let failed = tokio::time::timeout(PATIENCE, log.failed()).await.unwrap();
    assert!(matches!(failed, Error::Replaced { .. }), "{failed:?}");
}
