//! An erased user: every node hides their earlier messages in every room, on open and new sockets, also after a
//! restart.

use chat::{ErasureMode, MessageDeleted, RoomUpdated, UserBanned, UserErased};
use serde_json::{Map, Value, json};

use super::*;

fn user(idx: i64, nickname: &str) -> User {
    User { idx: UserIdx::try_from(idx).unwrap(), nickname: nickname.to_owned(), role: chat::Role::Viewer }
}

fn by(author: &User, room: i64, text: &str) -> Event {
    let posted = MessagePosted::new(author.clone(), text);
    Event::now(idx(room), Body::MessagePosted(posted))
}

/// A short form of the events that a presenter sees.
fn told(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["text"].as_str().or(event["type"].as_str()).unwrap()).collect()
}

async fn is_hidden(partitions: u32, mode: ErasureMode) {
    let world = World::with_partitions(partitions).await;
    let node = world.node().await;
    let partition = |room: &i64| world.log.timelines().partition_of(idx(*room));
    let other_room = (2..100).find(|room| partitions == 1 || partition(room) != partition(&1)).unwrap();
    let rooms = [1, other_room];
    let (gone, stays) = (user(77, "the secret name"), user(8, "somebody else"));
    let (mut page, _) = Page::connect(&node, 1).await;
    for room in rooms {
        let deleted = by(&gone, room, "the secret, deleted");
        let target = deleted.id;
        // Both have a reason, which concerns the erased user.
        let reason = || Some("the secret reason".to_owned());
        let deletion = Body::MessageDeleted(MessageDeleted { target, by: stays.clone(), reason: reason() });
        let ban = UserBanned { user: gone.idx, until: None, purge_seconds: None, by: stays.clone(), reason: reason() };
        let updated = RoomUpdated {
            settings: Map::new(),
            changed: vec!["slowModeSeconds".to_owned()],
            until: Map::new(),
            by: gone.clone(),
            reason: Some("raid".to_owned()),
        };
        for event in [
            by(&gone, room, "the secret 1"),
            by(&stays, room, "stays 1"),
            deleted,
            Event::now(idx(room), deletion),
            by(&gone, room, "the secret 2"),
            Event::now(idx(room), Body::UserBanned(ban)),
            Event::now(idx(room), Body::RoomUpdated(updated)),
            by(&stays, room, "stays 2"),
        ] {
            world.log.append(&event).await.unwrap();
        }
    }
    // A connected presenter has seen the messages, and is told.
    let seen = page.events(8).await;
    let seen: Vec<String> = seen.iter().map(|event| event["position"].as_str().unwrap().to_owned()).collect();
    let erased = UserErased { user: gone.idx, mode, by: user(9, "privacy") };
    let erased = Event::of_every_room(Body::UserErased(erased));
    world.log.append(&erased).await.unwrap();
    for room in rooms {
        world.log.append(&by(&gone, room, "since")).await.unwrap();
    }
    let after = page.events(2).await;
    assert_eq!(told(&after), ["user.erased", "since"]);
    let mut expected: Value = serde_json::from_slice(&erased.to_line()).unwrap();
    expected["position"] = after[0]["position"].clone();
    for name in ["by", "mode"] {
        expected.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(after[0], expected);
    page.is_served_and_quiet().await;
    page.break_off();

    let left = ["stays 1", "message.deleted", "user.banned", "room.updated", "stays 2", "user.erased", "since"];
    let started_later = world.node().await;
    for node in [&node, &started_later] {
        for room in rooms {
            let (mut page, welcome) = Page::connect(node, room).await;
            assert_eq!(welcome["recovered"], json!(true));
            let events = page.events(7).await;
            assert_eq!(told(&events), left, "room {room}");
            assert!(!json!(events[..6]).to_string().contains("secret"), "{events:?}");
            assert_eq!((&events[1]["by"]["idx"], &events[3]["by"]), (&json!(8), &Value::Null), "{events:?}");
            assert_eq!(events[3]["reason"], "raid", "that is about nobody: {events:?}");
            page.is_served_and_quiet().await;
            page.break_off();
        }
        // A page that resumes among hidden messages has missed nothing.
        for (index, position) in seen.iter().enumerate() {
            let (mut page, welcome) = Page::resume(node, 1, Some(position)).await;
            assert_eq!(welcome["recovered"], json!(true), "after event {index}");
            let follow = [7, 6, 6, 5, 5, 4, 3, 2][index];
            assert_eq!(told(&page.events(follow).await), left[7 - follow..], "after event {index}");
            page.is_served_and_quiet().await;
            page.break_off();
        }
    }
    // Last, because its cursor is saved.
    let mut original = Presenter::connect(&node, 1).await;
    assert_eq!(original.chats(3).await, ["stays 1", "stays 2", "since"]);
    original.is_served_and_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_an_erased_user_are_hidden_on_every_node() {
    is_hidden(1, ErasureMode::Remove).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_an_erased_user_are_hidden_in_every_partition() {
    is_hidden(3, ErasureMode::Anonymise).await;
}
