//! How long the archive keeps what: as configured, and nothing that went comes back.

use std::time::Duration;

use chat::{Event, EventId};
use jiff::Timestamp;
use mongodb::bson::{Bson, Document, doc};

use super::reading::archived;
use super::{PATIENCE, World, deletion, message};
use crate::support::{Role, Settings, eventually};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The event, this many days ago.
fn days_ago(days: u32, event: Event) -> Event {
    let at = Timestamp::now() - DAY * days;
    event.recorded_at(Timestamp::from_millisecond(at.as_millisecond()).unwrap())
}

/// The retention in days, by collection and date.
async fn expiries(world: &World) -> Vec<(&'static str, String, i64)> {
    let mut expiries = Vec::new();
    for collection in ["broadcasts", "chatting_log", "moderation_log", "quarantine"] {
        let answer = world.database.run_command(doc! { "listIndexes": collection }).await.unwrap();
        for index in answer.get_document("cursor").unwrap().get_array("firstBatch").unwrap() {
            let index: &Document = index.as_document().unwrap();
            let seconds = match index.get("expireAfterSeconds") {
                None => continue,
                Some(Bson::Int32(seconds)) => i64::from(*seconds),
                Some(Bson::Int64(seconds)) => *seconds,
                other => panic!("{other:?}"),
            };
            let key = index.get_document("key").unwrap().keys().next().unwrap().clone();
            expiries.push((collection, key, seconds / 86_400));
        }
    }
    expiries.sort();
    expiries
}

fn with(world: &World, days: &[(&str, &str)]) -> Settings {
    let set = |settings: Settings, (key, days): &(&str, &str)| settings.set(&format!("archiver.retention.{key}"), days);
    days.iter().fold(world.settings.clone(), set)
}

#[tokio::test]
async fn the_retention_follows_the_configuration_at_each_start() {
    let world = World::start().await;
    let owned = |expected: &[(&'static str, &str, i64)]| {
        expected.iter().map(|(collection, key, days)| (*collection, (*key).to_owned(), *days)).collect::<Vec<_>>()
    };
    for (settings, expected) in [
        (&[][..], &[][..]),
        (
            &[
                ("messages_days", "400"),
                ("moderation_days", "500"),
                ("broadcasts_days", "600"),
                ("quarantine_days", "7"),
            ][..],
            &[
                ("broadcasts", "connectedAt", 600),
                ("broadcasts", "disconnectedAt", 600),
                ("chatting_log", "sentAt", 400),
                ("moderation_log", "at", 500),
                ("quarantine", "at", 7),
            ][..],
        ),
        (
            &[("messages_days", "30"), ("quarantine_days", "7")],
            &[("chatting_log", "sentAt", 30), ("quarantine", "at", 7)],
        ),
        (&[], &[]),
    ] {
        // Twice: a second start changes nothing.
        for _ in 0..2 {
            let archiver = Role::start("archiver", &with(&world, settings)).await;
            assert_eq!(expiries(&world).await, owned(expected), "{settings:?}");
            assert_eq!(archiver.terminate().await, 0);
        }
    }
}

#[tokio::test]
async fn a_retention_shorter_than_the_logs_is_refused_by_name() {
    let world = World::start().await;
    for (key, days) in [
        ("messages", "1d"),
        ("moderation", "1d"),
        ("broadcasts", "1d"),
        ("quarantine", "1d"),
        ("deleted_text", "1d"),
        ("messages", "24001d"),
        ("sweep", "0s"),
    ] {
        let archiver = Role::spawn("archiver", &with(&world, &[(key, days)]));
        assert_eq!(archiver.exit_code(PATIENCE).await, 64, "{key}");
        assert!(archiver.log().contains(&format!("archiver.retention.{key} (")), "{}", archiver.log());
    }
    let settings = with(&world, &[("messages_days", "7")]).set("nats.max_age_hours", "168");
    let archiver = Role::spawn("archiver", &settings);
    assert_eq!(archiver.exit_code(PATIENCE).await, 64);
    assert!(archiver.log().contains("nats.max_age"), "{}", archiver.log());
}

#[tokio::test]
async fn documents_past_their_retention_are_removed_and_others_stay() {
    // By default the server first looks a minute after its start.
    let world = World::with(1, &["--setParameter", "ttlMonitorSleepSecs=1"]).await;
    let settings = with(&world, &[("messages_days", "30"), ("moderation_days", "10")]);
    let _archiver = Role::start("archiver", &settings).await;
    let kept = days_ago(29, message(1, "kept"));
    let events = [
        days_ago(31, message(1, "gone")),
        days_ago(29, message(1, "deleted, and stays so")),
        kept.clone(),
        days_ago(400, message(1, "gone")),
    ];
    let delete = days_ago(11, deletion(1, events[1].id));
    for event in events.iter().chain([&delete]) {
        world.log.append(event).await.unwrap();
    }
    archived(&world).await;
    eventually("what is too old is gone", PATIENCE, async || {
        let messages = world.collection("chatting_log").count_documents(doc! {}).await.unwrap();
        let decisions = world.collection("moderation_log").count_documents(doc! {}).await.unwrap();
        (messages == 2 && decisions == 0).then_some(())
    })
    .await;
    let room = world.room(1, 2).await;
    assert_eq!((room[0].id, room[0].deleted.is_some()), (events[1].id, true));
    assert_eq!((room[1].id, room[1].deleted.is_some()), (kept.id, false));
}

/// The text of a message, if it has one.
async fn text(world: &World, id: EventId) -> Option<String> {
    let message = world.collection("chatting_log").find_one(doc! { "_id": id.to_string() }).await.unwrap().unwrap();
    message.get_str("message").ok().map(str::to_owned)
}

#[tokio::test]
async fn a_deleted_text_is_kept_for_its_retention_and_then_removed() {
    let world = World::start().await;
    let settings = with(&world, &[("sweep_seconds", "1")]);
    let archiver = Role::start("archiver", &settings).await;
    // More than are removed at once.
    let old: Vec<Event> = (0..2_500).map(|number| days_ago(40, message(1, format!("old {number}")))).collect();
    let cleared = chat::RoomCleared { by: super::user(1), reason: None };
    let clear = days_ago(31, Event::now(super::presenter(1), chat::Body::RoomCleared(cleared)));
    let (young, shown) = (days_ago(40, message(1, "young")), days_ago(40, message(1, "shown")));
    let delete = days_ago(29, deletion(1, young.id));
    let mut appends = tokio::task::JoinSet::new();
    for event in &old {
        let (log, event) = (world.log.clone(), event.clone());
        appends.spawn(async move { log.append(&event).await.unwrap() });
    }
    appends.join_all().await;
    for event in [&clear, &young, &shown, &delete] {
        world.log.append(event).await.unwrap();
    }
    archived(&world).await;
    let with_text = doc! { "message": { "$exists": true } };
    eventually("the old texts are gone", PATIENCE, async || {
        (world.collection("chatting_log").count_documents(with_text.clone()).await.unwrap() == 2).then_some(())
    })
    .await;
    assert_eq!(text(&world, young.id).await.as_deref(), Some("young"));
    assert_eq!(text(&world, shown.id).await.as_deref(), Some("shown"));

    // A copy at a lower position, and the whole log again.
    let line = super::broadcasts::at(1, &old[0]);
    world.archive.write(vec![Ok(line)]).await.unwrap();
    let context = async_nats::jetstream::new(async_nats::connect(world.nats.url()).await.unwrap());
    let stream = context.get_stream("CHAT_0").await.unwrap();
    stream.delete_consumer("archiver").await.unwrap();
    eventually("the log is read again", PATIENCE, async || stream.consumer_info("archiver").await.ok()).await;
    archived(&world).await;
    assert_eq!(world.collection("chatting_log").count_documents(with_text).await.unwrap(), 2);
    assert_eq!(text(&world, old[0].id).await, None);
    let room = world.room(1, 2_502).await;
    assert!(room.iter().filter(|message| message.message.is_empty()).all(|message| message.deleted.is_some()));
    assert_eq!(archiver.terminate().await, 0);
    assert!(!archiver.log().contains(r#""contradictions":1"#), "{}", archiver.log());
}
