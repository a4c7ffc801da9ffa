//! Decisions about rooms, users and every room in the archive.

use chat::{Body, Event, MessagePosted, RoomCleared, RoomUpdated, UserBanned, UserIdx, UserUnbanned};
use mongodb::bson::{Bson, DateTime, doc};
use serde_json::{Map, Value, json};

use super::broadcasts::at;
use super::{PATIENCE, World, deletion, message, presenter, user};
use crate::support::{Role, eventually};

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { unreachable!("it is an object") };
    object
}

fn ban(user_idx: UserIdx) -> Body {
    Body::UserBanned(UserBanned {
        user: user_idx,
        until: None,
        purge_seconds: None,
        by: user(3),
        reason: Some("spam".to_owned()),
    })
}

/// A decision about every room.
fn of_every_room(body: Body) -> Event {
    Event { presenter: None, ..Event::now(presenter(1), body) }
}

#[tokio::test]
async fn every_decision_is_in_the_moderation_log_with_who_when_and_why() {
    let world = World::start().await;
    let _archiver = world.archiver().await;
    let (by, target) = (user(1), user(9).idx);
    let until = "2030-01-01T00:00:00.000Z";
    let updated = RoomUpdated {
        settings: object(json!({ "slowModeSeconds": 5, "a.$b": { "c": [1, null] } })),
        changed: vec!["slowModeSeconds".to_owned()],
        until: object(json!({ "slowModeSeconds": until })),
        by: by.clone(),
        reason: Some("raid".to_owned()),
    };
    let bodies = [
        ban(target),
        Body::UserUnbanned(UserUnbanned { user: target, by: by.clone(), reason: Some("appeal".to_owned()) }),
        Body::RoomCleared(RoomCleared { by: by.clone(), reason: Some("raid".to_owned()) }),
        Body::RoomUpdated(updated),
        Body::RoomUpdated(RoomUpdated {
            settings: Map::new(),
            changed: Vec::new(),
            until: Map::new(),
            by,
            reason: None,
        }),
    ];
    let events = bodies.map(|body| Event::now(presenter(1), body));
    for event in &events {
        world.log.append(event).await.unwrap();
    }
    let documents = world.documents("moderation_log", 5).await;
    assert_eq!(documents.len(), 5);
    let archived = events.each_ref().map(|event| {
        let document = &documents[&event.id.to_string()];
        assert_eq!(document.get_str("type").unwrap(), event.body.kind().as_str());
        assert_eq!(document.get_i64("presenterIdx").unwrap(), 1);
        assert_eq!(document.get_datetime("at").unwrap(), &DateTime::from_millis(event.at.as_millisecond()));
        document
    });
    let [banned, unbanned, cleared, updated, reset] = archived;
    let who = |idx: i64| doc! { "userIdx": idx, "nickname": format!("사용자{idx}"), "role": "viewer" };
    let by = |document: &mongodb::bson::Document| document.get_document("by").unwrap().clone();
    assert_eq!([banned, unbanned, cleared, updated, reset].map(by), [3, 1, 1, 1, 1].map(who));
    let reason = |document: &mongodb::bson::Document| document.get_str("reason").ok().map(str::to_owned);
    let reasons = [banned, unbanned, cleared, updated, reset].map(reason);
    assert_eq!(reasons, ["spam", "appeal", "raid", "raid", ""].map(|r| Some(r.to_owned()).filter(|r| !r.is_empty())));
    assert_eq!([banned, unbanned].map(|document| document.get("userIdx")), [Some(&Bson::Int64(9)); 2]);
    let settings = updated.get_document("settings").unwrap();
    assert_eq!(settings.get_document("a.$b").unwrap(), &doc! { "c": [1_i64, Bson::Null] });
    assert_eq!(updated.get_document("settingsUntil").unwrap(), &doc! { "slowModeSeconds": until });
    assert_eq!(updated.get_array("settingsChanged").unwrap(), &[Bson::from("slowModeSeconds")]);
    assert_eq!(reset.get("settingsChanged"), None);
    assert_eq!((reset.get_document("settings").unwrap(), reset.get("settingsUntil")), (&doc! {}, None));
}

async fn of_every_room_is_one_document(partitions: u32) {
    let world = World::with_partitions(partitions).await;
    let archivers = [world.archiver().await, world.archiver().await];
    let banned = of_every_room(ban(user(9).idx));
    let unban = Body::UserUnbanned(UserUnbanned { user: user(9).idx, by: user(3), reason: None });
    let unbanned = of_every_room(unban);
    let position = world.log.append(&banned).await.unwrap();
    // A retry after an unknown outcome.
    world.log.append(&banned).await.unwrap();
    let end = world.log.append(&unbanned).await.unwrap();
    // Once these are archived, everything before them is.
    for room in 1..=20 {
        world.log.append(&message(room, "the end")).await.unwrap();
    }
    world.documents("chatting_log", 20).await;
    for archiver in &archivers {
        assert_eq!(archiver.terminate().await, 0);
    }
    let documents = world.documents("moderation_log", 2).await;
    assert_eq!(documents.len(), 2);
    for (event, position) in [(&banned, position), (&unbanned, end)] {
        let document = &documents[&event.id.to_string()];
        assert_eq!(document.get("presenterIdx"), None);
        let expected = doc! {
            "epoch": position.epoch as i64,
            "sequence": position.sequence as i64,
            "index": i64::from(position.index),
        };
        assert_eq!(document.get_document("position").unwrap(), &expected);
    }
    assert!(world.documents("quarantine", 0).await.is_empty());
}

#[tokio::test]
async fn a_decision_of_every_room_is_one_document() {
    of_every_room_is_one_document(1).await;
}

#[tokio::test]
async fn a_decision_of_every_room_is_one_document_whatever_the_number_of_partitions() {
    of_every_room_is_one_document(3).await;
}

#[tokio::test]
async fn the_flags_of_the_word_filter_are_archived() {
    let world = World::start().await;
    let _archiver = world.archiver().await;
    let flags = vec!["ko.abuse".to_owned()];
    let posted = MessagePosted { flags: flags.clone(), ..MessagePosted::new(user(7), "시1발") };
    world.log.append(&Event::now(presenter(1), Body::MessagePosted(posted))).await.unwrap();
    assert_eq!(world.room(1, 1).await[0].flags, flags);
    let documents = world.documents("chatting_log", 1).await;
    let found = documents.values().next().unwrap().get_array("flags").unwrap();
    assert_eq!(found, &[Bson::from("ko.abuse")]);
}

#[tokio::test]
async fn a_large_room_is_cleared_in_requests_that_are_all_small() {
    let world = World::start().await;
    // Far too little for a large room in one request.
    let settings = world.settings.clone().set("archiver.request_timeout_ms", "2000");
    let _archiver = Role::start("archiver", &settings).await;
    let messages: Vec<Event> = (0..4_500).map(|number| message(1, number.to_string())).collect();
    let earlier = deletion(1, messages[10].id);
    let lines = messages.iter().chain([&earlier, &message(2, "in another room")]).cloned().collect::<Vec<_>>();
    for (batch, lines) in (1_u64..).zip(lines.chunks(900)) {
        let lines = (1_u64..).zip(lines).map(|(number, event)| Ok(at(batch * 1_000 + number, event)));
        world.archive.write(lines.collect()).await.unwrap();
    }
    world.database.run_command(doc! { "profile": 2 }).await.unwrap();
    let cleared = Event::now(presenter(1), Body::RoomCleared(RoomCleared { by: user(1), reason: None }));
    world.log.append(&cleared).await.unwrap();
    let marked = doc! { "deleted.decision": cleared.id.to_string() };
    eventually("the room is cleared", PATIENCE, async || {
        let marked = world.collection("chatting_log").count_documents(marked.clone()).await.unwrap();
        (marked >= 4_499).then_some(())
    })
    .await;
    world.database.run_command(doc! { "profile": 0 }).await.unwrap();

    let room = world.archive.room(presenter(1)).await.unwrap();
    let decision = |message: &archiver::ArchivedMessage| message.deleted.as_ref().unwrap().decision;
    assert!(
        room.iter()
            .all(|message| decision(message) == if message.id == messages[10].id { earlier.id } else { cleared.id })
    );
    assert!(world.archive.room(presenter(2)).await.unwrap()[0].deleted.is_none());
    let updates = doc! { "op": "update", "ns": "chatting.chatting_log" };
    let mut updates = world.collection("system.profile").find(updates).await.unwrap();
    let (mut requests, mut modified) = (0, 0);
    while updates.advance().await.unwrap() {
        let update = updates.deserialize_current().unwrap();
        let count = update.get_i32("nModified").unwrap();
        assert!(count <= 1_000, "{update}");
        (requests, modified) = (requests + 1, modified + count);
    }
    assert!(requests >= 5 && modified == 4_499, "{requests} requests marked {modified} messages");
}
