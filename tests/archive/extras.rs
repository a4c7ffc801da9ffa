//! Attributes, emotes and answers in the archive: found, replayed, exported, and removed with the text or the name.

use chat::{Attributes, Body, Emote, Emotes, ErasureMode, Event, EventId, UserErased};
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

#[tokio::test]
async fn emotes_are_found_replayed_and_exported() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let session = Session::new(0, 60_000);
    let spoken = |ms, text: &str, emotes: &[(&str, u32, u32)]| {
        let mut event = said(42, 7, ms, text);
        if let Body::MessagePosted(posted) = &mut event.body {
            let emote = |(id, start, end): &(&str, u32, u32)| Emote { id: (*id).to_owned(), start: *start, end: *end };
            posted.emotes = Some(emotes.iter().map(emote).collect::<Emotes>()).filter(|emotes| !emotes.is_empty());
        }
        event
    };
    let waved = spoken(1_000, "🎉 wave wave", &[("tada", 0, 1), ("wave", 2, 6), ("wave", 7, 11)]);
    let cheered = spoken(2_000, "=hi", &[("Wave", 1, 3)]);
    let plain = spoken(3_000, "wave", &[]);
    archive(&world, &[session.begins(42), waved.clone(), cheered, plain, session.ends(42, "closed")]).await;
    let reader = Reader::analyst(&archiver);

    for (emote, expected) in [("wave", ["🎉 wave wave"].as_slice()), ("Wave", &["=hi"]), ("hi", &[])] {
        for path in ["/v1/rooms/42/messages", "/v1/users/7/messages"] {
            let found = reader.all(path, &[("emote", emote)], "messages", 1).await;
            assert_eq!(texts(&found, "text"), expected, "{path} {emote}");
        }
    }
    for wrong in ["", "a.b", "$where", "한", &"a".repeat(65)] {
        let (_, code, detail) = reader.refused("/v1/rooms/42/messages", &[("emote", wrong)]).await;
        assert_eq!((code.as_str(), detail.contains("`emote`")), ("query_invalid", true), "{detail}");
    }

    let emotes = json!([
        { "id": "tada", "start": 0, "end": 1 },
        { "id": "wave", "start": 2, "end": 6 },
        { "id": "wave", "start": 7, "end": 11 },
    ]);
    let path = format!("/v1/rooms/42/broadcasts/{}", session.id);
    let replayed = reader.all(&format!("{path}/replay"), &[], "messages", 10).await;
    assert_eq!((&replayed[0]["emotes"], replayed[2].get("emotes")), (&emotes, None));
    let lines = export(&reader, &path, "ndjson", "segments").await;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, replayed);
    let twitch: Value = serde_json::from_str(&export(&reader, &path, "twitchdownloader", "segments").await).unwrap();
    let message = &twitch["comments"][0]["message"];
    let fragments: Vec<(&Value, &Value)> = message["fragments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fragment| (&fragment["text"], &fragment["emoticon"]["emoticon_id"]))
        .collect();
    let (none, wave) = (json!(null), json!("wave"));
    let (blank, tada) = (json!(" "), json!("tada"));
    let expected = [(&json!("🎉"), &tada), (&blank, &none), (&wave, &wave), (&blank, &none), (&wave, &wave)];
    assert_eq!(fragments, expected);
    assert_eq!(message["emoticons"][1], json!({ "_id": "wave", "begin": 2, "end": 7 }));
    assert!(export(&reader, &path, "webvtt", "segments").await.contains(">🎉 wave wave\n"));

    let csv = reader.ask("/v1/rooms/42/export", &[("format", "csv")]).await.text().await.unwrap();
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    assert_eq!(rows.headers().unwrap().iter().next_back(), Some("emotes"));
    let cells: Vec<String> = rows.records().map(|row| row.unwrap().iter().next_back().unwrap().to_owned()).collect();
    assert_eq!(serde_json::from_str::<Value>(&cells[0]).unwrap(), emotes);
    assert_eq!(cells[2], "");
}

#[tokio::test]
async fn emotes_go_with_a_text_and_stay_with_one_that_an_erasure_keeps() {
    let world = World::start().await;
    let settings = world.settings.clone().set("archiver.retention.deleted_text", "30d");
    let settings = settings.set("archiver.retention.sweep", "1s");
    let archiver = Role::start("archiver", &settings).await;
    let spoken = |ms, text: &str| {
        let mut event = said(42, 7, ms, text);
        if let Body::MessagePosted(posted) = &mut event.body {
            posted.emotes = Some(Emotes::from(vec![Emote { id: "wave".to_owned(), start: 0, end: 4 }]));
        }
        event
    };
    // Before the sweep's 30 days: the evening of the tests is long past.
    let (deleted, kept) = (spoken(0, "wave deleted"), spoken(20, "wave kept"));
    let mut deletion = deletion(42, deleted.id);
    (deletion.at, deletion.belated) = (super::reading::evening(10), true);
    archive(&world, &[deleted.clone(), deletion, kept.clone()]).await;
    let archived = async |id: EventId| {
        let message = world.collection("chatting_log").find_one(doc! { "_id": id.to_string() }).await.unwrap().unwrap();
        message.get_array("emotes").ok().map(Vec::len)
    };
    eventually("the emotes are gone with the text", PATIENCE, async || {
        archived(deleted.id).await.is_none().then_some(())
    })
    .await;
    let erased = UserErased { user: user(7).idx, mode: ErasureMode::Anonymise, by: user(9) };
    world.log.append(&Event::of_every_room(Body::UserErased(erased))).await.unwrap();
    super::reading::archived(&world).await;
    let found = Reader::moderator(&archiver).all("/v1/rooms/42/messages", &[], "messages", 10).await;
    assert_eq!((texts(&found, "text"), archived(kept.id).await), (vec!["wave kept"], Some(1)));
    assert_eq!(found[0]["emotes"], json!([{ "id": "wave", "start": 0, "end": 4 }]));
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
