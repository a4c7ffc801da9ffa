//! Appended events are archived exactly once and in order, and stopping loses none.

use chat::Event;
use mongodb::bson::doc;

use super::reading::archived;
use super::{World, append_many, assert_archived, deletion, message, presenter};
use crate::support::eventually;

#[tokio::test]
async fn every_appended_event_is_archived_exactly_once_and_in_order() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let appended = append_many(&world.log, "안녕하세요 👋", 5_000).await;
    assert_archived(&world, &appended).await;
    assert_eq!(archiver.terminate().await, 0);
}

#[tokio::test]
async fn a_document_is_as_described() {
    let world = World::start().await;
    let _archiver = world.archiver().await;
    let event = message(42, "A\0b $where 안녕");
    let position = world.log.append(&event).await.unwrap();
    let mut document = world.documents("chatting_log", 1).await.remove(&event.id.to_string()).unwrap();
    let archived = document.remove("archivedAt").unwrap().as_datetime().unwrap().timestamp_millis();
    assert!(event.at.as_millisecond() <= archived && archived <= chat::now().as_millisecond(), "{archived}");
    let expected = doc! {
        "_id": event.id.to_string(),
        "presenterIdx": 42_i64,
        "userIdx": 7_i64,
        "nickname": "사용자7",
        "role": "viewer",
        "message": "A\0b $where 안녕",
        "folded": "a\0b $where 안녕",
        "textIndex": 1,
        "sentAt": mongodb::bson::DateTime::from_millis(event.at.as_millisecond()),
        "position": {
            "epoch": position.epoch as i64,
            "sequence": position.sequence as i64,
            "index": i64::from(position.index),
        },
        "flags": [],
    };
    assert_eq!(document, expected);
}

#[tokio::test]
async fn the_first_of_two_texts_with_one_id_stays() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let first = message(1, "secret one");
    let again = Event { body: message(1, "secret two").body, ..first.clone() };
    let position = world.log.append(&first).await.unwrap();
    for copy in [&first, &again, &first] {
        world.log.append(copy).await.unwrap();
    }
    world.log.append(&message(1, "the end")).await.unwrap();
    // Batches are written concurrently: until all are, a later copy may be archived before the first.
    archived(&world).await;
    let room = world.room(1, 2).await;
    let kept: Vec<_> = room.iter().map(|message| (message.position, message.message.as_str())).collect();
    assert_eq!(kept[0], (position, "secret one"));
    assert_eq!(kept.len(), 2);
    assert_eq!(archiver.terminate().await, 0);
    let log = archiver.log();
    assert!(log.contains(r#""contradictions":1"#), "{log}");
    assert!(!log.contains("secret"), "a text is in the logs: {log}");
}

#[tokio::test]
async fn a_deleted_message_is_marked_with_who_when_and_why() {
    let world = World::start().await;
    let _archiver = world.archiver().await;
    let (kept, gone) = (message(1, "kept"), message(1, "gone"));
    for event in [&kept, &gone] {
        world.log.append(event).await.unwrap();
    }
    let delete = deletion(1, gone.id);
    // A moderator of one room has no power in another.
    let foreign = deletion(2, kept.id);
    for event in [&delete, &foreign] {
        world.log.append(event).await.unwrap();
    }
    world.documents("moderation_log", 2).await;
    let room = eventually("the deletion is applied", super::PATIENCE, async || {
        let room = world.archive.room(presenter(1)).await.unwrap();
        room[1].deleted.is_some().then_some(room)
    })
    .await;
    let deleted = room[1].deleted.as_ref().unwrap();
    assert_eq!((deleted.decision, deleted.at, deleted.reason.as_deref()), (delete.id, delete.at, Some("$spam")));
    assert_eq!(room[1].message, "gone");
    assert!(room[0].deleted.is_none());
}

#[tokio::test]
async fn the_indexes_and_the_compression_are_there_after_a_start_and_after_a_second_one() {
    let world = World::start().await;
    for _ in 0..2 {
        let archiver = world.archiver().await;
        let mut indexes = world.collection("chatting_log").list_index_names().await.unwrap();
        indexes.sort();
        let expected = [
            "_id_",
            "deleted_by",
            "deleted_text",
            "restored_by",
            "room_authors",
            "room_by_position",
            "room_chatters",
            "room_deleted",
            "room_flagged",
            "room_text",
            "room_times",
            "unfolded",
            "unindexed",
            "user_times",
        ];
        assert_eq!(indexes, expected);
        assert_eq!(archiver.terminate().await, 0);
    }
    let options = world.database.run_command(doc! { "listCollections": 1, "filter": { "name": "chatting_log" } });
    let answer = options.await.unwrap().to_string();
    assert!(answer.contains("block_compressor=zstd"), "{answer}");
}

#[tokio::test]
async fn stopping_under_load_ends_cleanly_and_the_next_archiver_goes_on() {
    let world = World::start().await;
    let load = tokio::spawn({
        let log = world.log.clone();
        async move { append_many(&log, "load", 8_000).await }
    });
    for round in 1..=3 {
        let archiver = world.archiver().await;
        world.documents("chatting_log", round * 100).await;
        assert_eq!(archiver.terminate().await, 0);
    }
    let _archiver = world.archiver().await;
    assert_archived(&world, &load.await.unwrap()).await;
}
