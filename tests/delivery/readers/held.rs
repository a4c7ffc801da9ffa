//! Held messages: the room's presenter and moderators read them, and nobody else does, on any surface.

use chat::{EventId, Hold, MessageDenied, MessageHeld, MessageReleased};

use super::*;

fn by() -> User {
    User { idx: UserIdx::try_from(3).unwrap(), nickname: "mod".to_owned(), role: chat::Role::Moderator }
}

/// The message of an event that [`message`] made.
fn posted(event: &Event) -> MessagePosted {
    match &event.body {
        Body::MessagePosted(posted) => posted.clone(),
        other => panic!("no message: {other:?}"),
    }
}

/// Holds the message, and returns its position.
async fn hold(world: &World, message: &Event) -> Position {
    let until = chat::now() + Duration::from_secs(600);
    let held = MessageHeld { target: message.id, until, posted: posted(message) };
    let event = Event { id: EventId::of_hold(message.id), body: Body::MessageHeld(Box::new(held)), ..message.clone() };
    world.log.append(&event).await.unwrap()
}

async fn release(world: &World, message: &Event, position: Position) {
    let held = Hold { at: message.at, position, by: by(), reason: Some("private".to_owned()) };
    let released = MessageReleased { posted: posted(message), held };
    let event = Event { body: Body::MessageReleased(Box::new(released)), ..message.clone() };
    world.log.append(&event).await.unwrap();
}

async fn deny(world: &World, message: &Event) {
    let denied = MessageDenied { target: message.id, user: posted(message).user.idx, by: by(), reason: None };
    world.log.append(&Event { body: Body::MessageDenied(denied), ..message.clone() }).await.unwrap();
}

/// A long-lived ticket of the presenter's own view.
async fn overlay(node: &Role) -> Reader {
    let request = testkit::client().build().unwrap().post(format!("{}/v1/rooms/42/tickets", node.url()));
    let request = request.bearer_auth(token(42, "presenter"));
    let made = request.json(&json!({ "kind": "long_lived", "name": "OBS", "view": "own" })).send().await.unwrap();
    let made: Value = serde_json::from_slice(&made.bytes().await.unwrap()).unwrap();
    let path = format!("/v1/rooms/42/events?from=now&ticket={}", made["ticket"].as_str().unwrap());
    Reader::of(reqwest::get(format!("{}{path}", node.url())).await.unwrap()).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn moderators_alone_read_held_messages_and_denials() {
    let world = World::with(&[("ingest.room.readers", "members")]).await;
    let (node, other) = (world.node().await, world.node().await);
    let (mut page, _) = Page::connect(&node, 42).await;
    let mut moderators = Vec::new();
    for token in [moderator(), token(42, "presenter")] {
        moderators.push(Reader::start(&other, 42, &token, "now").await.0);
    }
    let mut others = vec![overlay(&node).await];
    for token in [analyst(), token(7, "viewer")] {
        others.push(Reader::start(&node, 42, &token, "now").await.0);
    }
    let (first, second) = (message(42, "first"), message(42, "second"));
    let position = hold(&world, &first).await;
    hold(&world, &second).await;
    for reader in &mut moderators {
        // A held message is shown until it is denied.
        let seen = reader.events(2).await;
        let texts: Vec<_> = seen.iter().map(|event| (&event["type"], &event["text"])).collect();
        assert_eq!(texts, [(&json!("message.held"), &json!("first")), (&json!("message.held"), &json!("second"))]);
    }
    world.post(42, &["between"]).await;
    release(&world, &first, position).await;
    deny(&world, &second).await;
    // Of two decisions the first counts.
    release(&world, &second, position).await;
    deny(&world, &first).await;
    world.post(42, &["last"]).await;

    for reader in &mut moderators {
        let seen = reader.events(4).await;
        let seen: Vec<_> = seen.iter().map(|event| (event["type"].as_str().unwrap(), event["text"].as_str())).collect();
        let expected = [
            ("message.posted", Some("between")),
            ("message.posted", Some("first")),
            ("message.denied", None),
            ("message.posted", Some("last")),
        ];
        assert_eq!(seen, expected);
    }
    for reader in &mut others {
        let seen = reader.events(3).await;
        assert!(seen.iter().all(|event| event.get("held").is_none()), "{seen:?}");
        assert_eq!(seen.iter().map(text_of).collect::<Vec<_>>(), ["between", "first", "last"]);
    }
    assert_eq!(page.texts(3).await, ["between", "first", "last"]);
    page.close().await;
    // The original's page, on a node that starts later.
    let later = world.node().await;
    let mut original = Presenter::connect(&later, 42).await;
    world.post(42, &["to the original"]).await;
    assert_eq!(original.chats(4).await, ["between", "first", "last", "to the original"]);
}
