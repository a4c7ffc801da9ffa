//! A restored message is as if it had never been deleted, in every answer of the archive. The audit alone tells.

use chat::{Body, Event, EventId, MessageRestored, RoomCleared};
use mongodb::bson::{Document, doc};

use super::broadcast::Session;
use super::reading::{Reader, archive, archived, evening, said, texts};
use super::{World, deletion, message, presenter, user};
use crate::support::Role;

fn restoration(target: EventId) -> Event {
    let restored = MessageRestored { target, by: user(3), reason: Some("a mistake".to_owned()) };
    Event::now(presenter(42), Body::MessageRestored(restored))
}

fn clear() -> Event {
    Event::now(presenter(42), Body::RoomCleared(RoomCleared { by: user(42), reason: None }))
}

/// Every answer about the room that has messages or counts them, as a moderator gets it.
pub(super) async fn answers(archiver: &Role) -> Vec<(String, String)> {
    let reader = Reader::moderator(archiver);
    let broadcasts = reader.get("/v1/rooms/42/broadcasts", &[]).await;
    let broadcast = format!("/v1/rooms/42/broadcasts/{}", broadcasts["broadcasts"][0]["id"].as_str().unwrap());
    let room = |path: &str| format!("/v1/rooms/42/{path}");
    let of = |path: &str| format!("{broadcast}{path}");
    let (from, to) = (evening(0).to_string(), evening(60_000).to_string());
    let minute = [("from", from.as_str()), ("to", to.as_str())];
    let asked: Vec<(String, Vec<(&str, &str)>)> = vec![
        (room("messages"), vec![]),
        (room("messages"), vec![("deleted", "include")]),
        (room("messages"), vec![("deleted", "only")]),
        (room("messages"), vec![("text", "wrong")]),
        ("/v1/users/7/messages".to_owned(), vec![]),
        (room("export"), vec![("format", "csv"), ("deleted", "include")]),
        (of(""), vec![]),
        (of("/replay"), vec![]),
        (of("/export"), vec![("format", "webvtt")]),
        (room("statistics"), minute.to_vec()),
        (room("statistics/chatters"), minute.to_vec()),
        (room("statistics/words"), minute.to_vec()),
    ];
    let mut answers = Vec::new();
    for (path, query) in asked {
        let answer = reader.ask(&path, &query).await;
        let (status, body) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{path} {query:?}: {body}");
        answers.push((format!("{path} {query:?}"), body));
    }
    answers
}

#[tokio::test]
async fn a_restored_message_is_in_every_answer_as_if_it_had_never_been_deleted() {
    let world = World::start().await;
    let (archiver, other) = tokio::join!(world.archiver(), world.archiver());
    let session = Session::new(0, 60_000);
    let (wrong, right) = (said(42, 7, 1_000, "not wrong"), said(42, 8, 2_000, "right"));
    let (begins, ends) = (session.begins(42), session.ends(42, "closed"));
    archive(&world, &[begins, wrong.clone(), right.clone(), ends]).await;
    let never = answers(&archiver).await;

    // Deleted by name, by a clear, and by both; each time undone.
    let deleted = deletion(42, wrong.id);
    archive(&world, std::slice::from_ref(&deleted)).await;
    let without = answers(&archiver).await;
    let differ = never.iter().zip(&without).filter(|(never, without)| never != without).count();
    assert_eq!(differ, never.len(), "every answer is without it: {without:#?}");
    archive(&world, &[restoration(wrong.id)]).await;
    assert_eq!(answers(&archiver).await, never);
    archive(&world, &[clear(), deletion(42, wrong.id), restoration(wrong.id), restoration(right.id)]).await;
    assert_eq!(answers(&other).await, never);

    // A moderator of one room does not reach into another.
    archive(&world, &[deletion(42, wrong.id)]).await;
    let gone = answers(&archiver).await;
    archive(&world, &[Event { presenter: Some(presenter(43)), ..restoration(wrong.id) }]).await;
    assert_eq!(answers(&archiver).await, gone);
    archive(&world, &[restoration(wrong.id)]).await;
    assert_eq!(answers(&archiver).await, never);

    // The audit has everything, each with its message.
    let query = [("user", "7"), ("order", "asc")];
    let audit = Reader::moderator(&archiver).all("/v1/rooms/42/moderation", &query, "decisions", 2).await;
    let (gone, back) = ("message.deleted", "message.restored");
    assert_eq!(texts(&audit, "type"), [gone, back, gone, back, gone, back]);
    assert!(audit.iter().all(|decision| decision["message"]["text"] == "not wrong"), "{audit:?}");
    assert_eq!(audit[1]["reason"], "a mistake");
    let query = [("type", back)];
    let audit = Reader::moderator(&other).all("/v1/moderation", &query, "decisions", 10).await;
    assert_eq!(audit.len(), 5);
}

/// The messages of the room, as they are stored, whenever that was.
pub(super) async fn stored(world: &World) -> Vec<Document> {
    let mut found = world.collection("chatting_log").find(doc! {}).sort(doc! { "position": 1 }).await.unwrap();
    let mut documents = Vec::new();
    while found.advance().await.unwrap() {
        let mut document: Document = found.deserialize_current().unwrap();
        document.remove("archivedAt").unwrap();
        documents.push(document);
    }
    documents
}

#[tokio::test]
async fn reading_the_log_again_deletes_no_restored_message_and_restores_none_that_is_deleted() {
    let world = World::start().await;
    let _archiver = world.archiver().await;
    let (back, gone) = (message(42, "back"), message(42, "gone"));
    archive(&world, &[back.clone(), gone.clone(), clear(), deletion(42, back.id), restoration(gone.id)]).await;
    archive(&world, &[restoration(back.id), deletion(42, gone.id)]).await;
    let before = stored(&world).await;
    assert_eq!(before.iter().map(|message| message.contains_key("deleted")).collect::<Vec<_>>(), [false, true]);
    let stream = async_nats::jetstream::new(async_nats::connect(world.nats.url()).await.unwrap());
    let stream = stream.get_stream("CHAT_0").await.unwrap();
    for is_empty in [false, true] {
        if is_empty {
            world.collection("chatting_log").delete_many(doc! {}).await.unwrap();
        }
        stream.delete_consumer("archiver").await.unwrap();
        let again = async || stream.consumer_info("archiver").await.ok();
        crate::support::eventually("the log is read again", super::PATIENCE, again).await;
        archived(&world).await;
        assert_eq!(stored(&world).await, before, "without the messages: {is_empty}");
    }
}

#[tokio::test]
async fn a_message_without_its_text_stays_deleted() {
    let world = World::start().await;
    let _archiver = world.archiver().await;
    let gone = message(42, "gone");
    archive(&world, &[gone.clone(), deletion(42, gone.id)]).await;
    // As retention does.
    let text = doc! { "$unset": { "message": "", "folded": "" } };
    world.collection("chatting_log").update_one(doc! { "_id": gone.id.to_string() }, text).await.unwrap();
    let before = stored(&world).await;
    archive(&world, &[restoration(gone.id)]).await;
    assert_eq!(stored(&world).await, before);
}
