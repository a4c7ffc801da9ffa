//! Attributes, emotes and answers, as the presenter and readers of two nodes see them. They go with the text.

use chat::{Attributes, Emote, Emotes, MessageDeleted, MessageRestored};
use serde_json::{Value, json};

use super::readers::{Reader, moderator};
use super::*;
use crate::support::token;

const FIRST: &str = "019ab5a0-8000-7000-8000-000000000001";

/// An answer with attributes and an emote.
fn rich() -> Event {
    let attributes = Attributes::parse(&json!({ "color": "#00C853", "request": "a name of ours", "badges": ["vip"] }));
    let user = User { idx: UserIdx::try_from(7).unwrap(), nickname: "별명".to_owned(), role: chat::Role::Viewer };
    let posted = MessagePosted {
        reply_to: FIRST.parse().ok(),
        attributes: attributes.ok(),
        emotes: Some(Emotes::from(vec![Emote { id: "thx".to_owned(), start: 0, end: 6 }])),
        ..MessagePosted::new(user, "thanks")
    };
    Event::now(idx(42), Body::MessagePosted(posted))
}

/// The members that go with the text.
fn extras(event: &Value) -> [Option<&Value>; 3] {
    ["replyTo", "attributes", "emotes"].map(|member| event.get(member))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_presenter_and_every_reader_see_attributes_emotes_and_answers_until_the_message_is_deleted() {
    let world = World::with(&[("ingest.room.readers", "anyone")]).await;
    let (node, other) = (world.node().await, world.node().await);
    let (mut page, _) = Page::connect(&node, 42).await;
    let mut readers = Vec::new();
    for (node, token) in [(&node, moderator()), (&other, token(8, "viewer"))] {
        readers.push(Reader::start(node, 42, &token, "now").await.0);
    }
    let event = rich();
    world.log.append(&event).await.unwrap();
    let shown = page.events(1).await.remove(0);
    let attributes = json!({ "badges": ["vip"], "color": "#00C853", "request": "a name of ours" });
    let emotes = json!([{ "id": "thx", "start": 0, "end": 6 }]);
    let first = json!(FIRST);
    let expected = [Some(&first), Some(&attributes), Some(&emotes)];
    assert_eq!(extras(&shown), expected);
    for reader in &mut readers {
        assert_eq!(extras(&reader.event().await), expected);
    }

    let by = User { idx: idx(42).as_user(), nickname: "presenter".to_owned(), role: chat::Role::Presenter };
    let deleted = MessageDeleted { target: event.id, by: by.clone(), reason: None };
    world.log.append(&Event::now(idx(42), Body::MessageDeleted(deleted))).await.unwrap();
    page.events(1).await;
    let (mut late, _) = Reader::start(&other, 42, &token(9, "late"), "window").await;
    let gone = late.event().await;
    assert_eq!((&gone["deleted"], extras(&gone)), (&json!(true), [None; 3]));

    let restored = MessageRestored { target: event.id, by, reason: None };
    world.log.append(&Event::now(idx(42), Body::MessageRestored(restored))).await.unwrap();
    let message = page.events(1).await.remove(0)["message"].take();
    assert_eq!(extras(&message), expected);
    late.event().await;
    let message = late.event().await["message"].take();
    assert_eq!(extras(&message), expected);
}
