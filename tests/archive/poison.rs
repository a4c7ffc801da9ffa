//! A line that cannot be archived is quarantined whole, with the reason, and blocks nothing behind it.

use chat::{Body, Event, PresenterDisconnected, RoomCleared, RoomUpdated, SessionId};
use mongodb::bson::{Bson, doc};
use serde_json::json;

use super::broadcasts::at;
use super::reading::archived;
use super::{World, message, presenter, user};

#[tokio::test]
async fn malformed_lines_are_quarantined_and_their_neighbours_archived() {
    let world = World::start().await;
    let good = message(1, "beside poison");
    let head = r#""id":"0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3","presenterIdx":1,"at":"2026-11-22T10:00:00.000Z""#;
    let by = r#""by":{"idx":1,"nickname":"a","role":"presenter"}"#;
    let long = "x".repeat(200 * 1024);
    let poison: Vec<(Vec<u8>, &str)> = vec![
        (b"garbage".to_vec(), "malformed"),
        (b"\xff\xfe invalid UTF-8 \xc3\x28".to_vec(), "malformed"),
        (format!(r#"{{"v":99,{head},"type":"message.posted"}}"#).into(), "malformed"),
        (format!(r#"{{"v":1,{head},"type":"message.posted","text":"no user"}}"#).into(), "malformed"),
        (format!(r#"{{"v":1,{head},"type":"message.deleted","target":7}}"#).into(), "malformed"),
        (format!(r#"{{"v":1,{head},"type":"message.translated","text":"of a later version"}}"#).into(), "unknown_type"),
        (format!(r#"{{"v":1,{head},"type":"room.updated",{by},"settings":{{"a\u0000b":1}}}}"#).into(), "unmappable"),
        (
            format!(r#"{{"v":1,{head},"type":"room.updated",{by},"settings":{{"a":18446744073709551615}}}}"#).into(),
            "unmappable",
        ),
        (format!(r#"{{"v":1,{head},"type":"message.posted","text":"a","text":"b"}}"#).into(), "malformed"),
        (format!(r#"{{"v":1,{head},"type":"room.updated",{by},"settings":{{"a":1e999}}}}"#).into(), "malformed"),
        (
            format!(r#"{{"v":1,{head},"type":"room.updated",{by},"settings":{{"a":{}}}}}"#, nested(300)).into(),
            "malformed",
        ),
        (b"null".to_vec(), "malformed"),
        (b"[]".to_vec(), "malformed"),
        ("[".repeat(50_000).into(), "malformed"),
        (long.clone().into(), "malformed"),
    ];
    let mut batch = Vec::new();
    for (line, _) in &poison {
        batch.extend_from_slice(line);
        batch.push(b'\n');
    }
    batch.extend_from_slice(&good.to_line());
    world.append_raw(b"").await;
    world.append_raw(b"\n\n\n").await;
    world.append_raw(&batch).await;
    let behind = message(1, "behind poison");
    world.log.append(&behind).await.unwrap();

    let archiver = world.archiver().await;
    let room = world.room(1, 2).await;
    assert_eq!([room[0].id, room[1].id], [good.id, behind.id]);
    let quarantine = world.documents("quarantine", poison.len() as u64).await;
    assert_eq!(quarantine.len(), poison.len());
    for (line, cause) in &poison {
        let kept = quarantine.values().find(|document| match document.get("line") {
            Some(Bson::String(text)) => text.as_bytes() == line,
            Some(Bson::Binary(binary)) => &binary.bytes == line,
            _ => false,
        });
        let start = String::from_utf8_lossy(&line[..line.len().min(80)]);
        let kept = kept.unwrap_or_else(|| panic!("{start} is not in quarantine"));
        assert_eq!(kept.get_str("cause").unwrap(), *cause, "{start}");
        assert!(!kept.get_str("reason").unwrap().is_empty());
        kept.get_datetime("at").unwrap();
    }
    assert_eq!(archiver.terminate().await, 0);
}

#[tokio::test]
async fn a_document_that_a_validator_refuses_is_quarantined_alone() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let validator =
        doc! { "collMod": "chatting_log", "validator": { "message": { "$not": { "$regex": "forbidden" } } } };
    world.database.run_command(validator).await.unwrap();
    let mut appended = Vec::new();
    for number in 0..200 {
        let text = if number % 50 == 7 { format!("forbidden {number}") } else { format!("fine {number}") };
        let event = message(1, text);
        world.log.append(&event).await.unwrap();
        appended.push(event);
    }
    let room = world.room(1, 196).await;
    assert_eq!(room.len(), 196);
    let quarantine = world.documents("quarantine", 4).await;
    assert_eq!(quarantine.len(), 4);
    for document in quarantine.values() {
        assert_eq!(document.get_str("cause").unwrap(), "refused");
        assert_eq!(document.get_str("reason").unwrap(), "a validator of the collection refuses it (121)");
        assert!(document.get_str("line").unwrap().contains("forbidden"));
    }
    assert_eq!(archiver.terminate().await, 0);
    assert!(!archiver.log().contains("forbidden"), "a text is in the logs");
}

#[tokio::test]
async fn a_unique_index_that_somebody_added_is_not_mistaken_for_a_duplicate() {
    let world = World::start().await;
    let _archiver = world.archiver().await;
    let index = doc! { "createIndexes": "chatting_log", "indexes": [
        { "name": "one_of_each", "key": { "message": 1 }, "unique": true },
    ] };
    world.database.run_command(index).await.unwrap();
    for text in ["same", "same", "other"] {
        world.log.append(&message(1, text)).await.unwrap();
    }
    assert_eq!(world.room(1, 2).await.len(), 2);
    let quarantine = world.documents("quarantine", 1).await;
    assert_eq!(quarantine.values().next().unwrap().get_str("cause").unwrap(), "refused");
}

/// Arrays nested this deep.
fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

#[tokio::test]
async fn odd_keys_and_large_or_deep_values_are_archived_as_they_are_in_whichever_order_their_copies_come() {
    let world = World::start().await;
    let settings = [
        json!({ "$where": 1, "$set": { "$inc": 2 } }),
        json!({ "a.b": 1, ".": { "..": 2 }, "a..b": 3 }),
        json!({ "": 1, " ": { "": 2 } }),
        json!({ "_id": 1, "__proto__": {}, "settings": null }),
        // MongoDB accepts 180 levels, and the JSON parser 128.
        serde_json::from_str(&format!(r#"{{"a":{}}}"#, nested(110))).unwrap(),
        // 170 KB of JSON are 750 KB of BSON.
        json!({ "a": vec![json!([]); 60_000] }),
    ];
    let events = settings.map(|settings| {
        let serde_json::Value::Object(settings) = settings else { unreachable!("it is an object") };
        let (changed, until) = (Vec::new(), serde_json::Map::new());
        Event::now(presenter(1), Body::RoomUpdated(RoomUpdated { settings, changed, until, by: user(1), reason: None }))
    });
    // The later copy is archived first, and the earlier one replaces it.
    for sequence in [2, 1] {
        for event in &events {
            world.archive.write(vec![Ok(at(sequence, event))]).await.unwrap();
        }
    }
    assert!(world.documents("quarantine", 0).await.is_empty(), "{:?}", world.documents("quarantine", 0).await);
    let documents = world.documents("moderation_log", events.len() as u64).await;
    for event in &events {
        let document = &documents[&event.id.to_string()];
        let Body::RoomUpdated(RoomUpdated { settings, .. }) = &event.body else { unreachable!("made above") };
        let archived = serde_json::to_value(document.get_document("settings").unwrap()).unwrap();
        assert_eq!(archived, serde_json::Value::Object(settings.clone()));
        assert_eq!(document.get_document("position").unwrap().get_i64("sequence").unwrap(), 1);
    }
}

#[tokio::test]
async fn decisions_and_sessions_that_a_validator_refuses_are_quarantined_too() {
    let world = World::start().await;
    let _archiver = world.archiver().await;
    for (collection, validator) in [
        ("moderation_log", doc! { "reason": { "$ne": "forbidden" } }),
        ("broadcasts", doc! { "reason": { "$ne": "forbidden" } }),
    ] {
        world.database.run_command(doc! { "collMod": collection, "validator": validator }).await.unwrap();
    }
    for reason in ["forbidden", "fine"] {
        let cleared = RoomCleared { by: user(1), reason: Some(reason.to_owned()) };
        world.log.append(&Event::now(presenter(1), Body::RoomCleared(cleared))).await.unwrap();
        let session = SessionId::new();
        let ended = PresenterDisconnected { session, reason: reason.to_owned() };
        world.log.append(&Event::now(presenter(1), Body::PresenterDisconnected(ended))).await.unwrap();
    }
    archived(&world).await;
    assert_eq!(world.documents("moderation_log", 1).await.len(), 1);
    assert_eq!(world.documents("broadcasts", 1).await.len(), 1);
    let quarantine = world.documents("quarantine", 2).await;
    assert_eq!(quarantine.len(), 2);
    for document in quarantine.values() {
        assert_eq!(document.get_str("cause").unwrap(), "refused");
        assert_eq!(document.get_str("reason").unwrap(), "a validator of the collection refuses it (121)");
        assert!(document.get_str("line").unwrap().contains("forbidden"));
    }
}
