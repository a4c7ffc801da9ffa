//! Attributes and answers in the archive: found, replayed, exported, and removed with the text or the name.

use chat::{Attributes, Body, ErasureMode, Event, EventId, UserErased};
use mongodb::bson::doc;
use serde_json::{Value, json};

use super::broadcast::Session;
use super::broadcast_exports::export;
use super::reading::{Reader, archive, archived, said, texts};
use super::{PATIENCE, World, deletion, user};
use crate::support::{Role, eventually};

/// A message of user 7 with these attributes.
fn with(ms: i64, text: &str, attributes: Value, reply_to: Option<EventId>) -> Event {
    let mut event = said(42, 7, ms, text);
    if let Body::MessagePosted(posted) = &mut event.body {
        posted.attributes = Some(Attributes::parse(&attributes).unwrap());
        posted.reply_to = reply_to;
    }
    event
}

#[tokio::test]
async fn attributes_and_answers_are_found_replayed_and_exported() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let session = Session::new(0, 60_000);
    let question = said(42, 8, 1_000, "who won?");
    let attributes = json!({ "amount": 5, "badges": [{ "id": "subscriber", "version": 12 }], "color": "#00C853" });
    let answer = with(2_000, "we did", attributes.clone(), Some(question.id));
    let other = with(3_000, "=1+1", json!({ "amount": "5", "badges": ["vip"], "mod": true }), None);
    archive(&world, &[session.begins(42), question.clone(), answer, other, session.ends(42, "closed")]).await;
    let reader = Reader::analyst(&archiver);

    for (attribute, expected) in [
        ("color:#00C853", ["we did"].as_slice()),
        ("color:#00c853", &[]),
        ("amount:5", &["we did", "=1+1"]),
        ("amount:05", &[]),
        ("badges.id:subscriber", &["we did"]),
        ("badges.version:12", &["we did"]),
        ("badges:vip", &["=1+1"]),
        ("mod:true", &["=1+1"]),
        ("nothing:here", &[]),
    ] {
        for path in ["/v1/rooms/42/messages", "/v1/users/7/messages"] {
            let found = reader.all(path, &[("attribute", attribute)], "messages", 1).await;
            assert_eq!(texts(&found, "text"), expected, "{path} {attribute}");
        }
    }
    let both = [("attribute", "amount:5"), ("text", "did")];
    assert_eq!(texts(&reader.all("/v1/rooms/42/messages", &both, "messages", 10).await, "text"), ["we did"]);
    for wrong in ["color", "$where:1", "a.b.c.d:1"] {
        let (_, code, detail) = reader.refused("/v1/rooms/42/messages", &[("attribute", wrong)]).await;
        assert_eq!((code.as_str(), detail.contains("`attribute`")), ("query_invalid", true), "{detail}");
    }

    let path = format!("/v1/rooms/42/broadcasts/{}", session.id);
    let replayed = reader.all(&format!("{path}/replay"), &[], "messages", 10).await;
    assert_eq!((&replayed[1]["attributes"], &replayed[1]["replyTo"]), (&attributes, &json!(question.id)));
    assert_eq!((replayed[0].get("attributes"), replayed[0].get("replyTo")), (None, None));
    let lines = export(&reader, &path, "ndjson", "segments").await;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, replayed);
    let twitch: Value = serde_json::from_str(&export(&reader, &path, "twitchdownloader", "segments").await).unwrap();
    let drawn = |number: usize, member: &str| twitch["comments"][number]["message"][member].clone();
    assert_eq!(drawn(1, "user_color"), "#00C853");
    assert_eq!(drawn(1, "user_badges"), json!([{ "_id": "subscriber", "version": "12" }]));
    assert_eq!((drawn(0, "user_color"), drawn(0, "user_badges")), (json!(null), json!([])));

    let csv = reader.ask("/v1/rooms/42/export", &[("format", "csv")]).await.text().await.unwrap();
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let columns = rows.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    let cell = |row: usize, name: &str| rows[row][columns.iter().position(|column| column == name).unwrap()].to_owned();
    assert_eq!(cell(1, "replyTo"), question.id.to_string());
    assert_eq!(serde_json::from_str::<Value>(&cell(1, "attributes")).unwrap(), attributes);
    assert_eq!((cell(0, "replyTo"), cell(0, "attributes")), (String::new(), String::new()));
}

async fn attributes_of(world: &World, id: EventId) -> Option<mongodb::bson::Document> {
    let message = world.collection("chatting_log").find_one(doc! { "_id": id.to_string() }).await.unwrap().unwrap();
    message.get_document("attributes").ok().cloned()
}

#[tokio::test]
async fn attributes_go_with_the_text_of_a_deleted_message_and_with_the_name_of_an_erased_user() {
    let world = World::start().await;
    let settings = world.settings.clone().set("archiver.retention.deleted_text", "30d");
    let settings = settings.set("archiver.retention.sweep", "1s");
    let archiver = Role::start("archiver", &settings).await;
    // Before the sweep's 30 days: the evening of the tests is long past.
    let deleted = with(0, "deleted", json!({ "amount": 1 }), None);
    let mut deletion = deletion(42, deleted.id);
    (deletion.at, deletion.belated) = (super::reading::evening(10), true);
    let kept = with(20, "kept", json!({ "amount": 2 }), None);
    archive(&world, &[deleted.clone(), deletion, kept.clone()]).await;
    eventually("the attributes are gone with the text", PATIENCE, async || {
        attributes_of(&world, deleted.id).await.is_none().then_some(())
    })
    .await;
    assert!(attributes_of(&world, kept.id).await.is_some());

    let erased = UserErased { user: user(7).idx, mode: ErasureMode::Anonymise, by: user(9) };
    world.log.append(&Event::of_every_room(Body::UserErased(erased))).await.unwrap();
    archived(&world).await;
    let reader = Reader::moderator(&archiver);
    let found = reader.all("/v1/rooms/42/messages", &[], "messages", 10).await;
    assert_eq!(texts(&found, "text"), ["kept"]);
    assert_eq!((found[0].get("attributes"), attributes_of(&world, kept.id).await), (None, None));
    // Read again, the log brings neither back.
    let line = super::broadcasts::at(1, &kept);
    world.archive.write(vec![Ok(line)]).await.unwrap();
    assert_eq!(attributes_of(&world, kept.id).await, None);
}
