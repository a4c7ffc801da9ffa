//! A nearly full log: it reserves space for decisions, and archived batches may leave.

use std::time::Duration;

use chat::{Body, Event, Position, UserBanned, UserIdx};
use conf::{Size, Span};
use nats::{AppendError, Config, Log, Shortage};

use super::{PATIENCE, config, everything, message, presenter, text};
use crate::support::{NatsServer, connect, eventually};

/// Room for about forty messages of the size below, without a minimum age.
fn small(server: &NatsServer) -> Config {
    Config { max_size: Size::from_mib(1), min_age: Span::ZERO, ..config(&server.url()) }
}

fn large() -> Event {
    message(1, "x".repeat(20_000))
}

fn ban(user: i64) -> Event {
    let by = chat::User { idx: UserIdx::try_from(1).unwrap(), nickname: String::new(), role: chat::Role::Moderator };
    let user = UserIdx::try_from(user).unwrap();
    Event::now(presenter(1), Body::UserBanned(UserBanned { user, until: None, purge_seconds: None, by, reason: None }))
}

/// Appends messages until one is refused. Returns the positions of the others.
async fn fill(log: &Log) -> Vec<Position> {
    let mut stored = Vec::new();
    loop {
        match log.append(&large()).await {
            Ok(position) => stored.push(position),
            Err(error) => {
                assert_eq!(error, AppendError::Full);
                return stored;
            }
        }
        assert!(stored.len() < 60, "the log takes more than its limit");
    }
}

#[tokio::test]
async fn a_nearly_full_log_refuses_messages_and_accepts_decisions_on_every_node() {
    let server = NatsServer::start().await;
    let config = small(&server);
    let log = connect(&config, "one").await;
    let other = connect(&config, "other").await;
    assert_eq!(log.shortage(), None);
    let stored = fill(&log).await;
    assert!(stored.len() > 30, "only {} were taken", stored.len());
    for log in [&log, &other] {
        eventually("the node knows", PATIENCE, async || (log.shortage() == Some(Shortage::OfMessages)).then_some(()))
            .await;
        assert_eq!(log.append(&message(1, "short")).await, Err(AppendError::Full));
        for user in 1..=100 {
            log.append(&ban(user)).await.unwrap();
        }
    }
    // The reserve is bounded too.
    let mut bans = 0;
    while log.append(&Event { body: Body::RoomCleared(cleared()), ..ban(1) }).await.is_ok() {
        bans += 1;
        assert!(bans < 60, "the log takes more than its limit");
    }
    assert!(bans > 5, "only {bans}");
}

/// A decision of 20 KB.
fn cleared() -> chat::RoomCleared {
    let by = chat::User { idx: UserIdx::try_from(1).unwrap(), nickname: String::new(), role: chat::Role::Moderator };
    chat::RoomCleared { by, reason: Some("x".repeat(20_000)) }
}

/// The sequences that the log holds: the first and the last.
async fn held(log: &Log) -> (u64, u64) {
    let fill = log.fill().await.unwrap().remove(0);
    (fill.first, fill.last)
}

#[tokio::test]
async fn a_nearly_full_log_drops_only_what_is_archived_and_saved() {
    let server = NatsServer::start().await;
    let log = connect(&small(&server), "test").await;
    let all = fill(&log).await;
    let last = all.len() as u64;
    let epoch = all[0].epoch;
    let make_room = async |archived| log.make_room(|of| (of == epoch).then_some(archived)).await.unwrap();
    // No checkpoint of saved decisions exists yet.
    assert_eq!(make_room(last).await, 0);
    log.decisions().set_checkpoints([all[9]]).await.unwrap();
    assert_eq!(make_room(0).await, 0);
    assert_eq!(log.make_room(|_| None).await.unwrap(), 0);
    assert_eq!(make_room(4).await, 4);
    assert_eq!(held(&log).await, (5, last));
    // The tenth may hold an unsaved decision.
    assert_eq!(make_room(last).await, 5);
    assert_eq!(held(&log).await, (10, last));
    log.decisions().set_checkpoints([*all.last().unwrap()]).await.unwrap();
    // There is enough room now.
    let left = log.fill().await.unwrap().remove(0).bytes;
    assert!(left < 700_000 && make_room(last).await == 0, "{left}");
    eventually("messages are taken again", PATIENCE, async || log.append(&message(1, "again")).await.ok()).await;
    let texts: Vec<String> = everything(&log).await.iter().map(text).collect();
    assert_eq!(texts.len() as u64, last - 9 + 1);

    // Only as much is dropped as is needed.
    let filled = fill(&log).await;
    let last = filled.last().unwrap().sequence;
    log.decisions().set_checkpoints([*filled.last().unwrap()]).await.unwrap();
    let gone = make_room(last).await;
    let fill = log.fill().await.unwrap().remove(0);
    assert!(gone > 5 && (350_000..550_000).contains(&fill.bytes), "{gone} went: {fill:?}");
}

#[tokio::test]
async fn young_events_stay_however_full_the_log_is() {
    let server = NatsServer::start().await;
    let log = connect(&Config { min_age: Span::from_secs(60), ..small(&server) }, "test").await;
    let all = fill(&log).await;
    log.decisions().set_checkpoints([*all.last().unwrap()]).await.unwrap();
    assert_eq!(log.make_room(|_| Some(all.len() as u64)).await.unwrap(), 0);
    assert_eq!(held(&log).await.0, 1);
}

#[tokio::test]
async fn setup_updates_a_stream_of_an_earlier_version_that_cannot_make_room() {
    let server = NatsServer::start().await;
    let log = connect(&small(&server), "test").await;
    let context = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let mut config = context.get_stream("CHAT_0").await.unwrap().cached_info().config.clone();
    config.deny_purge = true;
    context.update_stream(config).await.unwrap();
    let all = fill(&log).await;
    log.decisions().set_checkpoints([*all.last().unwrap()]).await.unwrap();
    assert_eq!(log.make_room(|_| Some(all.len() as u64)).await.unwrap(), 0);
    let fill = log.fill().await.unwrap().remove(0);
    assert!(!fill.can_forget && fill.first == 1, "{fill:?}");
    log.close().await;
    // A larger size helps.
    let log = connect(&Config { max_size: Size::from_mib(2), ..small(&server) }, "test").await;
    let taken = tokio::time::timeout(Duration::from_secs(20), log.append(&large())).await.unwrap();
    assert!(taken.is_ok(), "{taken:?}");
}
