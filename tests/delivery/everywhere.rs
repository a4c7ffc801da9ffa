//! What is decided for every room reaches every presenter at its place in the order, in whichever partition the room is.

use nats::{UserBanned, UserUnbanned};
use serde_json::{Value, json};

use super::*;

/// A decision of every room.
fn of_every_room(body: Body) -> Event {
    Event { presenter: None, ..Event::now(idx(1), body) }
}

fn moderator() -> User {
    User { idx: UserIdx::try_from(3).unwrap(), nickname: "mod".to_owned(), role: nats::Role::Moderator }
}

/// What a presenter sees of the events, in short.
fn told(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["text"].as_str().or(event["type"].as_str()).unwrap()).collect()
}

/// Rooms, the first of which are in different partitions, where there are so many.
async fn in_different_partitions(world: &World, partitions: u32) -> [i64; 2] {
    let partition = |room: &i64| world.log.timelines().partition_of(idx(*room));
    let other = (2..100).find(|room| partitions == 1 || partition(room) != partition(&1)).unwrap();
    assert_eq!(partition(&1) == partition(&other), partitions == 1);
    [1, other]
}

async fn reaches_every_presenter(partitions: u32) {
    let world = World::with_partitions(partitions).await;
    let (node, other) = (world.node().await, world.node().await);
    let rooms = in_different_partitions(&world, partitions).await;
    let user = UserIdx::try_from(7).unwrap();
    let banned = UserBanned { user, until: None, by: moderator(), reason: Some("spam".to_owned()) };
    let ban = of_every_room(Body::UserBanned(banned));
    let unbanned = UserUnbanned { user, by: moderator(), reason: None };
    let unban = of_every_room(Body::UserUnbanned(unbanned));

    let mut pages = Vec::new();
    for room in rooms {
        pages.push(Page::connect(&node, room).await.0);
    }
    for room in rooms {
        world.post(room, &["before"]).await;
    }
    // A retry of what was not known to be stored: the log has it twice.
    world.log.append(&ban).await.unwrap();
    world.log.append(&ban).await.unwrap();
    for room in rooms {
        world.post(room, &["between"]).await;
    }
    world.log.append(&unban).await.unwrap();
    for room in rooms {
        world.post(room, &["after"]).await;
    }

    let all = ["before", "user.banned", "between", "user.unbanned", "after"];
    let mut expected: Value = serde_json::from_slice(&ban.to_line()).unwrap();
    for (room, mut page) in rooms.into_iter().zip(pages) {
        let events = page.events(5).await;
        assert_eq!(told(&events), all, "room {room}");
        expected["position"] = events[1]["position"].clone();
        assert_eq!(events[1], expected);
        page.is_served_and_quiet().await;
        page.break_off();

        // It comes back: before the ban, at it, and after it; on the same node and on another.
        for node in [&node, &other] {
            for seen in 0..5 {
                let position = events[seen]["position"].as_str().unwrap();
                let (mut page, welcome) = Page::resume(node, room, Some(position)).await;
                assert_eq!(welcome["recovered"], json!(true));
                assert_eq!(told(&page.events(4 - seen).await), all[seen + 1..], "room {room} after {}", all[seen]);
                page.is_served_and_quiet().await;
                page.break_off();
            }
        }
    }

    // A room of which nothing was ever said has it too, and the original's pages are not told.
    let (mut page, _) = Page::connect(&other, 1_000).await;
    assert_eq!(told(&page.events(2).await), ["user.banned", "user.unbanned"]);
    let mut original = Presenter::connect(&node, rooms[0]).await;
    assert_eq!(original.chats(3).await, ["before", "between", "after"]);
    original.is_served_and_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_from_every_room_reaches_every_presenter_in_order_and_once() {
    reaches_every_presenter(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_from_every_room_reaches_every_presenter_of_every_partition_in_order_and_once() {
    reaches_every_presenter(3).await;
}
