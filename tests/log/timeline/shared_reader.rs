//! What a shared reader hands out after the log lost its end.

use async_nats::jetstream;
use nats::{Consumer, Delivery, Error, Log, Start};

use super::{after_the_loss, append, failure};
use crate::log::{PATIENCE, everything, log, take, text};
use crate::support::NatsServer;

/// Waits for a batch, and acknowledges it. Returns its texts.
async fn texts(next: impl Future<Output = Result<Delivery, Error>>) -> Vec<String> {
    let delivery = tokio::time::timeout(PATIENCE, next).await.expect("the rest comes").unwrap();
    delivery.ack().await.unwrap();
    delivery.lines.iter().map(|line| text(line.as_ref().unwrap())).collect()
}

/// Reads with the shared reader until that text has come, and acknowledges each batch. Returns the texts.
async fn read_until(consumer: &mut Consumer, last: &str) -> Vec<String> {
    let mut came = Vec::new();
    while came.last().is_none_or(|text| text != last) {
        came.extend(texts(consumer.next()).await);
    }
    came
}

fn numbered(word: &str, numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| format!("{word} {number}")).collect()
}

/// What is left of the texts in the log.
async fn left(log: &Log, texts: &[String]) -> usize {
    everything(log).await.iter().filter(|entry| texts.contains(&text(entry))).count()
}

#[tokio::test]
async fn a_shared_reader_goes_on_after_what_it_acknowledged_when_the_log_goes_back() {
    let server = NatsServer::start().await;
    let before = log(&server).await;
    let (read, unread) = (numbered("read", 0..20), numbered("unread", 0..20));
    let mut consumer = before.consume("archive");
    append(&before, read.clone()).await;
    assert_eq!(read_until(&mut consumer, "read 19").await, read);
    consumer.close().await;
    append(&before, unread.clone()).await;
    // It remembers all of them, and so notices the loss.
    let mut tail = before.tail(Start::Oldest);
    take(&mut tail, 40).await;
    // A clean stop, after which the server knows what was acknowledged.
    server.stop().await;
    server.truncate("CHAT_0", 500);
    server.start_again().await;
    failure(&before).await;
    before.close().await;
    let after = after_the_loss(&server).await;
    let kept = left(&after, &unread).await;
    assert!((1..20).contains(&kept), "{kept} of 20 are left");
    let new = numbered("new", 0..20);
    append(&after, new.clone()).await;
    // Two processes begin at the same moment.
    let (mut one, mut other) = (after.consume("archive"), after.consume("archive"));
    let mut expected = [&unread[..kept], &new].concat();
    let mut came = Vec::new();
    while came.len() < expected.len() || !came.contains(&new[19]) {
        let next = async {
            tokio::select! {
                delivery = one.next() => delivery,
                delivery = other.next() => delivery,
            }
        };
        came.extend(texts(next).await);
    }
    came.sort();
    expected.sort();
    assert_eq!(came, expected);
}

#[tokio::test]
async fn a_shared_reader_that_had_read_what_was_lost_reads_all_that_is_new() {
    let server = NatsServer::start().await;
    let mut before = log(&server).await;
    // The second time its predecessor is the reader that followed the first loss.
    for round in 0..2 {
        let mut consumer = before.consume("archive");
        let old = numbered(&format!("old {round}"), 0..40);
        append(&before, old.clone()).await;
        read_until(&mut consumer, &format!("old {round} 39")).await;
        server.kill();
        server.spoil("CHAT_0");
        server.start_again().await;
        assert!(matches!(tokio::time::timeout(PATIENCE, consumer.next()).await.unwrap(), Err(Error::Replaced { .. })));
        let after = after_the_loss(&server).await;
        assert!(left(&after, &old).await < 40);
        let new = numbered(&format!("new {round}"), 0..40);
        append(&after, new.clone()).await;
        let came = read_until(&mut after.consume("archive"), &format!("new {round} 39")).await;
        assert_eq!(came.iter().filter(|text| new.contains(text)).count(), 40, "{came:?}");
        before = after;
    }
}

#[tokio::test]
async fn a_shared_reader_whose_predecessors_were_deleted_reads_everything_again() {
    let server = NatsServer::start().await;
    let before = log(&server).await;
    let old = numbered("old", 0..40);
    append(&before, old.clone()).await;
    let mut consumer = before.consume("archive");
    read_until(&mut consumer, "old 39").await;
    server.kill();
    server.spoil("CHAT_0");
    server.start_again().await;
    let after = after_the_loss(&server).await;
    append(&after, ["new".to_owned()]).await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let stream = jetstream::new(client).get_stream("CHAT_0").await.unwrap();
    stream.delete_consumer("archive").await.unwrap();
    let came = read_until(&mut after.consume("archive"), "new").await;
    assert_eq!(came.len(), left(&after, &old).await + 1);
}
