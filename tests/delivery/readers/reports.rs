//! Reports of messages: readers who moderate the room get them, and nobody else does.

use chat::{MessageReported, ReportClosed};

use super::*;
use crate::delivery::page::Page;

#[tokio::test(flavor = "multi_thread")]
async fn reports_reach_the_moderators_readers_and_neither_a_presenters_page_nor_a_viewer() {
    let world = World::with(&[("ingest.room.readers", "members")]).await;
    let (node, other) = (world.node().await, world.node().await);
    let mut original = Presenter::connect(&node, 43).await;
    let (mut page, _) = Page::connect(&other, 42).await;
    let mut moderators = Vec::new();
    let mut others = Vec::new();
    for node in [&node, &other] {
        for token in [moderator(), token(42, "presenter")] {
            moderators.push(Reader::start(node, 42, &token, "now").await.0);
        }
        for token in [analyst(), token(7, "viewer")] {
            others.push(Reader::start(node, 42, &token, "now").await.0);
        }
    }
    let said = message(42, "rude");
    world.log.append(&said).await.unwrap();
    let by = |idx: i64| User {
        idx: UserIdx::try_from(idx).unwrap(),
        nickname: format!("user {idx}"),
        role: chat::Role::Viewer,
    };
    let reason = Some("a private reason".to_owned());
    for room in [42, 43] {
        let reported =
            MessageReported { target: said.id, by: by(8), category: "hate".to_owned(), reason: reason.clone() };
        let closed = ReportClosed { target: said.id, by: by(3), reason: reason.clone() };
        for body in [Body::MessageReported(reported), Body::ReportClosed(closed)] {
            world.log.append(&Event::now(idx(room), body)).await.unwrap();
        }
    }
    world.post(42, &["after"]).await;
    world.post(43, &["after"]).await;

    for reader in &mut moderators {
        let events = reader.events(4).await;
        let types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["message.posted", "message.reported", "report.closed", "message.posted"]);
        assert_eq!((&events[1]["category"], &events[1]["by"]["idx"]), (&json!("hate"), &json!(8)));
        assert_eq!(
            (&events[1]["reason"], &events[2]["reason"]),
            (&json!("a private reason"), &json!("a private reason"))
        );
    }
    for reader in &mut others {
        assert_eq!(reader.texts(2).await, ["rude", "after"]);
    }
    assert_eq!(page.texts(2).await, ["rude", "after"], "a relay forwards what it does not know");
    assert_eq!(original.chats(1).await, ["after"]);
    // Later, from the window.
    let (mut reader, _) = Reader::start(&other, 42, &analyst(), "window").await;
    assert_eq!(reader.texts(2).await, ["rude", "after"]);
    let (mut reader, _) = Reader::start(&node, 42, &moderator(), "window").await;
    assert_eq!(reader.events(4).await[1]["type"], "message.reported");
}
