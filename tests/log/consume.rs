//! The shared, durable reader.

use std::collections::BTreeSet;

use futures_util::{FutureExt as _, StreamExt as _};
use nats::{Config, Consumer, Delivery};
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, config, log, message, text};
use crate::support::{NatsServer, connect, eventually};

async fn next(consumer: &mut Consumer) -> Delivery {
    tokio::time::timeout(PATIENCE * 2, consumer.next()).await.expect("a batch comes").unwrap()
}

fn texts(delivery: &Delivery) -> Vec<String> {
    delivery.lines.iter().map(|line| text(line.as_ref().unwrap())).collect()
}

#[tokio::test]
async fn acknowledged_batches_are_not_redelivered_and_the_others_are() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    for text in ["acknowledged", "dropped"] {
        log.append(&message(1, text)).await.unwrap();
    }

    let mut consumer = log.consume("archiver");
    let (first, second) = (next(&mut consumer).await, next(&mut consumer).await);
    assert_eq!((texts(&first), texts(&second)), (vec!["acknowledged".to_owned()], vec!["dropped".to_owned()]));
    first.ack().await.unwrap();
    drop((second, consumer));
    log.close().await;

    let log = self::log(&server).await;
    let again = next(&mut log.consume("archiver")).await;
    assert_eq!(texts(&again), ["dropped"]);
    assert_eq!(again.delivered(), 2);
}

#[tokio::test]
async fn two_consumers_share_the_batches_of_all_partitions() {
    let server = NatsServer::start().await;
    let config = Config { partitions: 3, ..config(&server.url()) };
    let log = connect(&config, "test").await;
    let mut consumers = [log.consume("archiver"), log.consume("archiver")];
    for n in 0..60 {
        log.append(&message(n % 10 + 1, n.to_string())).await.unwrap();
    }

    let mut seen = BTreeSet::new();
    let [one, other] = &mut consumers;
    while seen.len() < 60 {
        let delivery = tokio::select! { one = next(one) => one, other = next(other) => other };
        for text in texts(&delivery) {
            assert!(seen.insert(text), "a batch came twice");
        }
        delivery.ack().await.unwrap();
    }
}

#[tokio::test]
async fn a_consumer_outlives_the_server_and_misses_nothing() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    let mut consumer = log.consume("archiver");
    for round in 0..3 {
        log.append(&message(1, round.to_string())).await.unwrap();
        let mut seen = Vec::new();
        while !seen.contains(&round.to_string()) {
            let delivery = next(&mut consumer).await;
            seen.extend(texts(&delivery));
            delivery.ack().await.unwrap();
        }
        server.kill();
        server.start_again().await;
    }
}

#[tokio::test]
async fn malformed_lines_are_handed_out_as_malformed() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    let client = async_nats::connect(server.url()).await.unwrap();
    client.publish("chat.0", "garbage\n\n{}\n".into()).await.unwrap();
    client.publish("chat.0", "".into()).await.unwrap();
    client.flush().await.unwrap();

    let mut consumer = log.consume("archiver");
    let (garbage, empty) = (next(&mut consumer).await, next(&mut consumer).await);
    let positions: Vec<(u64, u32)> = garbage
        .lines
        .iter()
        .map(|line| line.as_ref().unwrap_err().position)
        .map(|position| (position.sequence, position.index))
        .collect();
    assert_eq!(positions, [(1, 0), (1, 1)]);
    assert!(empty.lines.is_empty());
}

#[tokio::test]
async fn a_consumer_that_closes_gives_back_what_it_had_requested() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    for n in 0..30 {
        log.append(&message(1, n.to_string())).await.unwrap();
    }
    let mut seen = BTreeSet::new();
    // Each closes at another moment of what the server sends it.
    for taken in 1..5 {
        let mut consumer = log.consume("archiver");
        for _ in 0..taken {
            let delivery = next(&mut consumer).await;
            seen.extend(texts(&delivery));
            delivery.ack().await.unwrap();
        }
        consumer.close().await;
    }

    let mut last = log.consume("archiver");
    // Well before the ack wait of 30 s is over.
    let rest = tokio::time::timeout(PATIENCE, async {
        while seen.len() < 30 {
            let delivery = next(&mut last).await;
            assert!(texts(&delivery).into_iter().all(|text| seen.insert(text)), "it was acknowledged");
            delivery.ack().await.unwrap();
        }
    });
    rest.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_closes_while_the_log_grows_gives_back_what_was_on_its_way() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    let stop = CancellationToken::new();
    let writer = tokio::spawn({
        let (log, stop) = (log.clone(), stop.clone());
        async move {
            let mut appended = 0;
            while !stop.is_cancelled() {
                log.append(&message(1, appended.to_string())).await.unwrap();
                appended += 1;
            }
            appended
        }
    });
    let mut seen = BTreeSet::new();
    for _ in 0..2 {
        let mut consumer = log.consume("archiver");
        let delivery = next(&mut consumer).await;
        seen.extend(texts(&delivery));
        delivery.ack().await.unwrap();
        consumer.close().await;
    }
    stop.cancel();
    let appended = writer.await.unwrap();

    let mut last = log.consume("archiver");
    // Well before the ack wait of 30 s is over.
    let rest = tokio::time::timeout(PATIENCE, async {
        while seen.len() < appended {
            let delivery = next(&mut last).await;
            seen.extend(texts(&delivery));
            delivery.ack().await.unwrap();
        }
    });
    rest.await.unwrap();
}

#[tokio::test]
async fn the_backlog_says_what_waits_what_is_held_and_up_to_where_all_is_acknowledged() {
    let server = NatsServer::start().await;
    let config = Config { partitions: 2, ..config(&server.url()) };
    let log = connect(&config, "test").await;
    assert!(log.backlog("archiver").await.is_err(), "nobody ever read");
    let mut consumer = log.consume("archiver");
    for text in ["one", "two", "three"] {
        log.append(&message(1, text)).await.unwrap();
    }
    let (_one, two, three) = (next(&mut consumer).await, next(&mut consumer).await, next(&mut consumer).await);
    let backlog = async |held| {
        eventually("the server knows", PATIENCE, async || {
            let backlog = log.backlog("archiver").await.ok()?;
            let total: u64 = backlog.iter().map(|stream| stream.held).sum();
            (total == held).then_some(backlog)
        })
        .await
    };
    let all = backlog(3).await;
    assert_eq!(all.iter().map(|stream| stream.stream.as_str()).collect::<Vec<_>>(), ["CHAT_0", "CHAT_1"]);
    two.ack().await.unwrap();
    three.ack().await.unwrap();
    let after = backlog(1).await;
    // The first is not acknowledged, so the floor has not moved.
    assert!(after.iter().all(|stream| (stream.waiting, stream.held_again, stream.acknowledged) == (0, 0, 0)));
}

#[tokio::test]
async fn batches_of_any_size_are_handed_out_without_an_interruption_however_many_there_are() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let mut begins = client.subscribe("$JS.API.CONSUMER.CREATE.CHAT_0.>").await.unwrap();
    client.flush().await.unwrap();
    let context = async_nats::jetstream::new(client);
    // More bytes and batches than one request has, with large batches among small ones.
    let large = "x".repeat(500 * 1024);
    let mut appends = Vec::new();
    for number in 0..6_000 {
        let batch = if number % 150 == 0 { large.clone() } else { format!("small {number}") };
        appends.push(context.publish("chat.0", batch.into()).await.unwrap());
        if appends.len() == 200 {
            for append in appends.drain(..) {
                append.await.unwrap();
            }
        }
    }
    let mut consumer = log.consume("archiver");
    let mut sizes = [0, 0];
    for _ in 0..6_000 {
        let delivery = next(&mut consumer).await;
        let line = &delivery.lines[0].as_ref().unwrap_err().line;
        sizes[usize::from(line.len() == large.len())] += 1;
        delivery.ack().await.unwrap();
    }
    assert_eq!(sizes, [5_960, 40]);
    begins.next().await.expect("reading begins with a request for the consumer");
    assert!(begins.next().now_or_never().is_none(), "reading began once");
}
