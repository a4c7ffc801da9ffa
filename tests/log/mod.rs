//! The log on a real nats-server: what `nats` promises to the roles.

mod append;
mod clock;
mod cluster;
mod consume;
mod cursors;
mod decisions;
mod event_tail;
mod presence;
mod promise;
mod room;
mod setup;
mod tail;
mod timeline;

use std::time::Duration;

use chat::{Body, Event, MessagePosted, PresenterIdx, Role, User, UserIdx};
use conf::{Size, Span};
use jiff::Timestamp;
use nats::{Config, Entry, Log, Start, Tail};

use crate::support::{NatsServer, connect};

/// Long enough for a slow machine, and short enough to detect a hang.
const PATIENCE: Duration = Duration::from_secs(20);

fn config(url: &str) -> Config {
    Config {
        urls: vec![url.to_owned().into()],
        credentials: String::new(),
        nkey: conf::Secret::default(),
        login: nats::LoginSource::default(),
        tls: nats::TlsConfig::default(),
        partitions: 1,
        replicas: 1,
        max_age: Span::from_hours(24),
        min_age: Span::from_secs(30 * 60),
        max_size: Size::from_mib(1 << 10),
        append_deadline: Span::from_secs(5),
        append_queue: 8_192,
        // Tests share their machine with others.
        append_queue_wait: Span::from_secs(10),
        lease: Span::from_secs(2),
        node: None,
    }
}

async fn log(server: &NatsServer) -> Log {
    connect(&config(&server.url()), "test").await
}

fn presenter(idx: i64) -> PresenterIdx {
    PresenterIdx::try_from(idx).unwrap()
}

fn message(room: i64, text: impl Into<String>) -> Event {
    let user = User { idx: UserIdx::try_from(7).unwrap(), nickname: "별명".to_owned(), role: Role::Viewer };
    Event::now(presenter(room), Body::MessagePosted(MessagePosted::new(user, text)))
}

fn text(entry: &Entry) -> String {
    match entry.event().unwrap().body {
        Body::MessagePosted(posted) => posted.text,
        body => panic!("not a message: {body:?}"),
    }
}

/// The next events of the tail, this many.
async fn take(tail: &mut Tail, count: usize) -> Vec<Entry> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let events = tokio::time::timeout(PATIENCE, tail.next()).await;
        taken.extend(events.unwrap_or_else(|_| panic!("{count} events did not come, only {}", taken.len())).unwrap());
    }
    taken
}

/// Everything in the log.
pub(crate) async fn everything(log: &Log) -> Vec<Entry> {
    let mut tail = log.tail(Start::Oldest);
    let status = tail.status();
    let mut all = Vec::new();
    loop {
        tokio::select! {
            // Received events are taken before the end is believed.
            biased;
            events = tail.next() => all.extend(events.unwrap()),
            () = status.caught_up() => return all,
        }
    }
}

fn an_hour_ago() -> Timestamp {
    Timestamp::now() - jiff::SignedDuration::from_hours(1)
}
