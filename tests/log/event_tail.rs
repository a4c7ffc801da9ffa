//! The tail of parsed events: a process gets its own events back from memory, at the positions that the log gave them.

use std::sync::Arc;

use chat::{Event, Position};
use nats::{EventTail, Start, StoredEvent};

use super::{PATIENCE, log, message};
use crate::support::NatsServer;

/// The next events, this many.
async fn take(tail: &mut EventTail, count: usize) -> Vec<StoredEvent> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let events = tokio::time::timeout(PATIENCE, tail.next()).await;
        taken.extend(events.unwrap_or_else(|_| panic!("{count} events did not come, only {}", taken.len())).unwrap());
    }
    taken
}

#[tokio::test]
async fn every_process_reads_the_same_and_its_own_events_as_they_are() {
    let server = NatsServer::start().await;
    let nodes = [log(&server).await, log(&server).await];
    let mut tails = [0, 1].map(|node| nodes[node].tail_of_events(Start::Oldest));
    let mut appended: Vec<(usize, Position, Arc<Event>)> = Vec::new();
    for n in 0..10 {
        let (node, event) = (n % 2, Arc::new(message(1, n.to_string())));
        appended.push((node, nodes[node].append_own(event.clone(), None).await.unwrap(), event));
    }
    for (reader, tail) in tails.iter_mut().enumerate() {
        for (stored, (writer, position, event)) in take(tail, 10).await.iter().zip(&appended) {
            assert_eq!((stored.position, &stored.event, stored.counts), (*position, event, true));
            assert_eq!(Arc::ptr_eq(&stored.event, event), reader == *writer, "{stored:?}");
        }
    }
    // A later tail parses events that were handed out before.
    let again = take(&mut nodes[0].tail_of_events(Start::Oldest), 10).await;
    let read: Vec<&Event> = again.iter().map(|stored| &*stored.event).collect();
    assert_eq!(read, appended.iter().map(|(_, _, event)| &**event).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_own_event_that_is_not_stored_is_not_read() {
    let server = NatsServer::start().await;
    let log = log(&server).await;
    let mut tail = log.tail_of_events(Start::Oldest);
    let (late, next) = (Arc::new(message(1, "late")), Arc::new(message(1, "next")));
    log.append_own(late, Some("2026-01-01T00:00:00Z".parse().unwrap())).await.unwrap_err();
    log.append_own(next.clone(), None).await.unwrap();
    assert_eq!(take(&mut tail, 1).await[0].event, next);
}
