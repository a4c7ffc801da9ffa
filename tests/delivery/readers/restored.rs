//! A restored message, as readers of each kind get it on every node, live and later.

use chat::{MessageDeleted, MessageRestored};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_message_comes_back_to_every_reader_on_every_node_with_what_that_reader_may_see() {
    let world = World::with(&[("ingest.room.readers", "members")]).await;
    let (node, other) = (world.node().await, world.node().await);
    let mut original = Presenter::connect(&other, 42).await;
    let mut readers = Vec::new();
    for (node, token) in [(&node, token(7, "viewer")), (&other, analyst()), (&other, moderator())] {
        readers.push(Reader::start(node, 42, &token, "now").await.0);
    }
    let mut said = message(42, "said once");
    if let Body::MessagePosted(posted) = &mut said.body {
        posted.flags = vec!["ko.abuse".to_owned()];
    }
    let by = User { idx: UserIdx::try_from(3).unwrap(), nickname: "mod".to_owned(), role: chat::Role::Moderator };
    let reason = Some("a private reason".to_owned());
    let deleted = MessageDeleted { target: said.id, by: by.clone(), reason: reason.clone() };
    let restored = MessageRestored { target: said.id, by, reason };
    world.log.append(&said).await.unwrap();
    assert_eq!(original.chats(1).await, ["said once"]);
    for body in [Body::MessageDeleted(deleted), Body::MessageRestored(restored)] {
        world.log.append(&Event::now(idx(42), body)).await.unwrap();
    }
    world.post(42, &["after"]).await;

    let mut seen: Vec<Vec<Value>> = Vec::new();
    for reader in &mut readers {
        let events = reader.events(4).await;
        let types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["message.posted", "message.deleted", "message.restored", "message.posted"]);
        assert_eq!((&events[2]["target"], &events[2]["message"]["text"]), (&json!(said.id), &json!("said once")));
        seen.push(events);
    }
    // Each sees of the restored message what it sees of the message itself.
    for (events, flags) in seen.iter().zip([Value::Null, json!(["ko.abuse"]), json!(["ko.abuse"])]) {
        assert_eq!(events[2]["message"]["flags"], flags, "{events:?}");
        assert_eq!(events[2]["message"]["position"], events[0]["position"]);
    }
    for events in &seen[..2] {
        let text = json!(events[1..]).to_string();
        assert!(!text.contains("private") && !text.contains("\"mod\""), "{text}");
    }
    let (viewer, whole) = (&seen[0], &seen[2]);
    assert_eq!(whole[2]["reason"], "a private reason");
    // The original's dialect knows no deletion, so its page still shows the message.
    assert_eq!(original.chats(1).await, ["after"]);

    // From the beginning, and by position, also on a node that starts now.
    let later = world.node().await;
    for node in [&node, &later] {
        let (mut reader, _) = Reader::start(node, 42, &moderator(), "window").await;
        let events = reader.events(4).await;
        assert_eq!(events[0]["text"], "said once");
        assert_eq!(events[2..], whole[2..]);
        let position = events[1]["position"].as_str().unwrap();
        let (mut reader, welcome) = Reader::resume(node, 42, &token(7, "viewer"), position).await;
        assert_eq!(welcome["recovered"], json!(true));
        assert_eq!(reader.events(2).await, viewer[2..]);
    }
}
