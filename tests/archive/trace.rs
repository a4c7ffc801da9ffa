//! The trace of a message: accepted, acknowledged by the presenter's page, archived, deleted. It is compared with what
//! the test itself saw.

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::{self, AckKind};
use chat::{Body, Event, EventId, MessageRestored, Position, RoomCleared, UserIdx};
use futures_util::StreamExt as _;
use mongodb::bson::doc;
use serde_json::{Value, json};

use super::reading::{Reader, archive, texts};
use super::{PATIENCE, World, deletion, message, presenter, user};
use crate::delivery::page::Page;
use crate::delivery::presenter::Presenter;
use crate::support::{Role, eventually};

const ROOM: i64 = 42;

fn path(id: EventId) -> String {
    format!("/v1/rooms/{ROOM}/messages/{id}/trace")
}

/// Appends a message, and returns its id and its position.
async fn posted(world: &World, text: &str) -> (EventId, Position) {
    let event = message(ROOM, text);
    let position = world.log.append(&event).await.unwrap();
    (event.id, position)
}

/// Waits until the trace of the message has this state of the presenter's, and returns it.
async fn comes_to(reader: &Reader<'_>, id: EventId, state: &str) -> Value {
    eventually(&format!("the trace of {id} says {state}"), PATIENCE, async || {
        let answer = reader.ask(&path(id), &[]).await;
        let trace: Value = answer.json().await.unwrap();
        (trace["presenter"]["state"] == state).then_some(trace)
    })
    .await
}

async fn state(reader: &Reader<'_>, id: EventId) -> String {
    reader.get(&path(id), &[]).await["presenter"]["state"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_says_acknowledged_of_what_the_page_acknowledged_and_of_nothing_else() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let delivery = Role::start("delivery", &world.settings).await;
    let reader = Reader::analyst(&archiver);
    let mut messages = Vec::new();
    for number in 0..6 {
        messages.push(posted(&world, &format!("message {number}")).await);
    }
    archive(&world, &[]).await;
    let before = reader.get(&path(messages[0].0), &[]).await;
    assert_eq!(before["presenter"], json!({ "state": "not_yet" }), "nobody has connected");
    assert_eq!((&before["id"], &before["presenterIdx"]), (&json!(messages[0].0.to_string()), &json!(ROOM)));
    assert_eq!(before["accepted"]["position"], messages[0].1.to_string());
    assert_eq!(before["archived"]["state"], "archived");
    let [sent, stored, archived] =
        [&before["accepted"]["sentAt"], &before["accepted"]["storedAt"], &before["archived"]["at"]]
            .map(|at| at.as_str().unwrap().parse::<jiff::Timestamp>().unwrap());
    assert!(sent <= stored && stored <= archived, "one clock here: {before}");

    let (mut page, _) = Page::connect(&delivery, ROOM).await;
    page.texts(6).await;
    // Written to the socket, and not acknowledged.
    for (id, _) in &messages {
        assert_eq!(state(&reader, *id).await, "not_yet");
    }
    page.ack(&messages[3].1.to_string()).await;
    let trace = comes_to(&reader, messages[3].0, "acknowledged").await;
    assert_eq!(trace["presenter"]["position"], messages[3].1.to_string());
    assert!(trace["presenter"]["savedAt"].is_string());
    for (number, (id, _)) in messages.iter().enumerate() {
        let expected = if number <= 3 { "acknowledged" } else { "not_yet" };
        assert_eq!(state(&reader, *id).await, expected, "message {number}");
    }

    // The node dies with what it wrote. On another node the page goes on from what it has.
    delivery.kill();
    for (number, (id, _)) in messages.iter().enumerate() {
        let expected = if number <= 3 { "acknowledged" } else { "not_yet" };
        assert_eq!(state(&reader, *id).await, expected, "message {number}, after the kill");
    }
    let other = Role::start("delivery", &world.settings).await;
    let (mut page, welcome) = Page::resume(&other, ROOM, Some(&messages[5].1.to_string())).await;
    assert_eq!(welcome["recovered"], true);
    messages.push(posted(&world, "message 6").await);
    assert_eq!(page.texts(1).await, ["message 6"]);
    page.ack(&messages[6].1.to_string()).await;
    archive(&world, &[]).await;
    for (id, _) in &messages {
        comes_to(&reader, *id, "acknowledged").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_a_gap_is_not_said_to_be_acknowledged() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let settings = world.settings.clone().set("delivery.window", "2s");
    let delivery = Role::start("delivery", &settings).await;
    let reader = Reader::analyst(&archiver);
    let first = posted(&world, "first").await;
    let (mut page, _) = Page::connect(&delivery, ROOM).await;
    page.events(1).await;
    page.ack(&first.1.to_string()).await;
    archive(&world, &[]).await;
    comes_to(&reader, first.0, "acknowledged").await;
    page.close().await;
    let missed = posted(&world, "missed").await;
    let mut page = eventually("the missed message has left the window", PATIENCE, async || {
        // The window forgets as it takes something in.
        posted(&world, "later").await;
        let (page, welcome) = Page::resume(&delivery, ROOM, Some(&first.1.to_string())).await;
        if welcome["recovered"] == false {
            return Some(page);
        }
        page.close().await;
        None
    })
    .await;
    // While the page is connected: it gets this before the window forgets it.
    let last = posted(&world, "last").await;
    page.texts_to("last").await;
    page.ack(&page.position.clone().unwrap()).await;
    archive(&world, &[]).await;
    comes_to(&reader, last.0, "acknowledged").await;
    assert_eq!(state(&reader, missed.0).await, "unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_originals_dialect_a_trace_says_written() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let delivery = Role::start("delivery", &world.settings).await;
    let mut page = Presenter::connect(&delivery, ROOM).await;
    let (id, position) = posted(&world, "hello").await;
    assert_eq!(page.chats(1).await, ["hello"]);
    archive(&world, &[]).await;
    let trace = comes_to(&Reader::analyst(&archiver), id, "written").await;
    assert!(trace["presenter"]["position"].as_str().unwrap().parse::<Position>().unwrap() >= position);
}

#[tokio::test]
async fn a_cursor_ahead_of_the_log_is_not_believed() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let reader = Reader::analyst(&archiver);
    let (id, position) = posted(&world, "hello").await;
    archive(&world, &[]).await;
    assert_eq!(state(&reader, id).await, "not_yet");
    let client = async_nats::connect(world.nats.url()).await.unwrap();
    let save = async |cursor: Position, after: Position| {
        let message = jetstream::message::PublishMessage::build()
            .header("Chatting-Acknowledged-After", json!([after.to_string()]).to_string().as_str())
            .payload(json!([[ROOM, cursor.to_string()]]).to_string().into());
        jetstream::new(client.clone()).send_publish("cursors", message).await.unwrap().await.unwrap();
    };
    let after = Position { sequence: 0, ..position };
    save(Position { sequence: position.sequence + 1_000, ..position }, after).await;
    comes_to(&reader, id, "unknown").await;
}

#[tokio::test]
async fn a_trace_is_for_the_author_and_for_those_who_may_read_the_room() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let messages = [message(ROOM, "one"), message(ROOM, "two"), message(ROOM, "three")];
    let (deletion, again) = (deletion(ROOM, messages[0].id), deletion(ROOM, messages[1].id));
    let restored = MessageRestored { target: messages[1].id, by: user(ROOM), reason: None };
    let restored = Event::now(presenter(ROOM), Body::MessageRestored(restored));
    archive(&world, &messages).await;
    archive(&world, &[deletion.clone(), again.clone(), restored.clone()]).await;

    let author = Reader::with(&archiver, json!({ "user_idx": 7 }));
    let owner = Reader::with(&archiver, json!({ "user_idx": ROOM }));
    let (moderator, analyst) = (Reader::moderator(&archiver), Reader::analyst(&archiver));
    let other = Reader::with(&archiver, json!({ "user_idx": 8 }));
    for (reader, sees_decisions) in [(&author, false), (&analyst, false), (&owner, true), (&moderator, true)] {
        let trace = reader.get(&path(messages[0].id), &[]).await;
        assert!(trace["deleted"]["at"].is_string(), "{trace}");
        assert_eq!(trace["deleted"].get("decision").is_some(), sees_decisions, "{trace}");
        assert_eq!(trace.get("decisions").is_some(), sees_decisions, "{trace}");
        let trace = reader.get(&path(messages[1].id), &[]).await;
        assert!(trace.get("deleted").is_none(), "{trace}");
    }
    let trace = owner.get(&path(messages[0].id), &[]).await;
    assert_eq!(trace["deleted"]["decision"], deletion.id.to_string());
    assert_eq!(
        (&trace["decisions"][0]["reason"], &trace["decisions"][0]["by"]["idx"]),
        (&json!("$spam"), &json!(ROOM))
    );
    let trace = owner.get(&path(messages[1].id), &[]).await;
    let decided = trace["decisions"].as_array().unwrap();
    assert_eq!(texts(decided, "id"), [again.id.to_string(), restored.id.to_string()]);
    // The clear is the decision about the last message alone: the others were decided about before.
    let cleared = Event::now(presenter(ROOM), Body::RoomCleared(RoomCleared { by: user(ROOM), reason: None }));
    archive(&world, std::slice::from_ref(&cleared)).await;
    let trace = owner.get(&path(messages[2].id), &[]).await;
    assert_eq!(texts(trace["decisions"].as_array().unwrap(), "type"), ["room.cleared"]);
    assert_eq!(trace["deleted"]["decision"], cleared.id.to_string());

    // Whether a message exists is not for everybody.
    for id in [messages[0].id, EventId::new()] {
        assert_eq!(other.refused(&path(id), &[]).await.1, "message_not_found");
    }
    assert_eq!(Reader::nobody(&archiver).refused(&path(messages[0].id), &[]).await.1, "token_missing");
    let elsewhere = format!("/v1/rooms/43/messages/{}/trace", messages[0].id);
    assert_eq!(moderator.refused(&elsewhere, &[]).await.1, "message_not_found");
    assert_eq!(moderator.refused(&path(deletion.id), &[]).await.1, "message_not_found", "a decision is no message");
    assert_eq!(moderator.refused(&path(messages[0].id), &[("position", "x")]).await.1, "query_invalid");
}

#[tokio::test]
async fn a_message_that_is_not_archived_yet_is_found_in_the_log() {
    let world = World::with(1, &["--setParameter", "enableTestCommands=1"]).await;
    let archiver = world.archiver().await;
    let archived = posted(&world, "archived").await;
    archive(&world, &[]).await;
    // From now on MongoDB takes no document.
    let admin = mongodb::Client::with_uri_str(world.mongod.uri()).await.unwrap().database("admin");
    let fail = |mode: &str| {
        doc! { "configureFailPoint": "failCommand", "mode": mode,
        "data": { "failCommands": ["insert"], "closeConnection": true } }
    };
    admin.run_command(fail("alwaysOn")).await.unwrap();
    let (id, position) = posted(&world, "accepted").await;
    let author = Reader::with(&archiver, json!({ "user_idx": 7 }));
    for query in [&[][..], &[("position", position.to_string().as_str())]] {
        let trace = author.get(&path(id), query).await;
        assert_eq!(trace["archived"], json!({ "state": "not_yet" }));
        assert_eq!(trace["presenter"], json!({ "state": "not_yet" }));
        assert_eq!(trace["accepted"]["position"], position.to_string());
        assert!(trace["accepted"]["storedAt"].is_string());
    }
    let other = Reader::with(&archiver, json!({ "user_idx": 8 }));
    assert_eq!(other.refused(&path(id), &[]).await.1, "message_not_found");
    let analyst = Reader::analyst(&archiver);
    let (wrong, elsewhere) = (archived.1.to_string(), format!("/v1/rooms/43/messages/{id}/trace"));
    assert_eq!(analyst.refused(&path(id), &[("position", &wrong)]).await.1, "message_not_found");
    assert_eq!(analyst.refused(&elsewhere, &[]).await.1, "message_not_found");
    assert_eq!(analyst.refused(&path(EventId::new()), &[]).await.1, "message_not_found");
    admin.run_command(doc! { "configureFailPoint": "failCommand", "mode": "off" }).await.unwrap();
    let trace = eventually("it is archived", PATIENCE, async || {
        let trace = author.get(&path(id), &[]).await;
        (trace["archived"]["state"] == "archived").then_some(trace)
    })
    .await;
    assert_eq!(trace["accepted"]["position"], position.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_has_the_first_of_a_messages_two_places_also_while_the_archive_knows_only_the_second() {
    let world = World::start().await;
    let client = async_nats::connect(world.nats.url()).await.unwrap();
    let stream = jetstream::new(client).get_stream("CHAT_0").await.unwrap();
    let archiver = world.archiver().await;
    let other: PullConsumer = eventually("the archive has its reader of the log", PATIENCE, async || {
        stream.get_consumer(archiver::READER).await.ok()
    })
    .await;
    archiver.kill();
    let mut event = message(ROOM, "tried twice");
    event.id = EventId::derived(event.presenter, UserIdx::try_from(7).unwrap(), "key");
    let first = world.log.append(&event).await.unwrap();
    // Another archiver takes the first copy, and does not come to store it.
    let held = other.messages().await.unwrap().next().await.unwrap().unwrap();
    let second = crate::support::log(&world.settings).await.append(&event).await.unwrap();
    assert!(first < second);
    let archiver = world.archiver().await;
    let reader = Reader::analyst(&archiver);
    assert_eq!(world.room(ROOM, 1).await[0].position, second);
    eventually("the archiver knows how far it is", PATIENCE, async || {
        let status = reader.get("/v1/status", &[]).await;
        status["log"]["streams"][0]["archivedSequence"].is_u64().then_some(())
    })
    .await;

    let trace = reader.get(&path(event.id), &[]).await;
    assert_eq!(trace["accepted"]["position"], first.to_string());
    assert_eq!(trace["archived"]["state"], "archived");

    held.ack_with(AckKind::Nak(None)).await.unwrap();
    eventually("both are archived", PATIENCE, async || (world.room(ROOM, 1).await[0].position == first).then_some(()))
        .await;
    assert_eq!(reader.get(&path(event.id), &[]).await["accepted"]["position"], first.to_string());
}
