//! Decisions about every room reach every presenter in order, in whichever partition the room is.

use chat::{ErasureMode, UserBanned, UserErased, UserUnbanned};
use serde_json::{Value, json};

use super::*;
use crate::ingest::tokens::token_with;

/// A decision about every room.
fn of_every_room(body: Body) -> Event {
    Event { presenter: None, ..Event::now(idx(1), body) }
}

fn moderator() -> User {
    User { idx: UserIdx::try_from(3).unwrap(), nickname: "mod".to_owned(), role: chat::Role::Moderator }
}

/// A short form of the events that a presenter sees.
fn told(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["text"].as_str().or(event["type"].as_str()).unwrap()).collect()
}

/// The event as it was appended, without these members.
fn without(event: &Event, names: &[&str]) -> Value {
    let mut shown: Value = serde_json::from_slice(&event.to_line()).unwrap();
    for name in names {
        assert!(shown.as_object_mut().unwrap().remove(*name).is_some(), "{name}");
    }
    shown
}

/// Rooms. The first ones are in different partitions.
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
    let banned =
        UserBanned { user, until: None, purge_seconds: None, by: moderator(), reason: Some("spam".to_owned()) };
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
    // A retry after an unknown outcome: the log has it twice.
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
    // None of them may read the audit of every room.
    let mut expected = without(&ban, &["by", "reason"]);
    for (room, mut page) in rooms.into_iter().zip(pages) {
        let events = page.events(5).await;
        assert_eq!(told(&events), all, "room {room}");
        expected["position"] = events[1]["position"].clone();
        assert_eq!(events[1], expected);
        page.is_served_and_quiet().await;
        page.break_off();

        // Reconnects from before the ban, at it, and after it, on the same node and on another.
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

    // A room without events has it too. Pages of the original do not get it.
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

/// A session of room 1 whose token has this scope, and its first position.
async fn with_scope(node: &Role, scope: &str, after: Option<&str>) -> (Page, String) {
    let mut page = Page::open(node).await;
    page.say_start(&token_with(json!({ "user_idx": 1, "scope": scope })), after).await;
    let welcome = page.frame().await;
    assert_eq!(welcome["type"], "welcome", "{welcome}");
    (page, welcome["position"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn author_and_reason_of_a_decision_about_every_room_go_only_to_its_permitted_readers() {
    let world = World::start().await;
    let (node, other) = (world.node().await, world.node().await);
    let (hides_bans, hides_erasures, nothing) = (&["by", "reason"][..], &["by", "mode"][..], &[][..]);
    for (scope, hidden_of_bans, hidden_of_erasures) in [
        ("", hides_bans, hides_erasures),
        ("chat:read", hides_bans, hides_erasures),
        ("chat:moderate", nothing, hides_erasures),
        ("chat:erase", hides_bans, nothing),
        ("chat:moderate chat:erase", nothing, nothing),
    ] {
        let user = UserIdx::try_from(7).unwrap();
        let until = Some("2030-01-01T00:00:00Z".parse().unwrap());
        let banned = UserBanned {
            user,
            until,
            purge_seconds: None,
            by: moderator(),
            reason: Some("doxxed 010-1234".to_owned()),
        };
        let ban = of_every_room(Body::UserBanned(banned.clone()));
        let unbanned = UserUnbanned { user, by: moderator(), reason: Some("appeal".to_owned()) };
        let unban = of_every_room(Body::UserUnbanned(unbanned));
        // A presenter can read the audit of their own room.
        let own = Event::now(idx(1), Body::UserBanned(banned));
        let nobody = UserIdx::try_from(8).unwrap();
        let erased = UserErased { user: nobody, mode: ErasureMode::Remove, by: moderator() };
        let erasure = of_every_room(Body::UserErased(erased));
        let mut expected = vec![
            without(&ban, hidden_of_bans),
            without(&unban, hidden_of_bans),
            without(&own, &[]),
            without(&erasure, hidden_of_erasures),
        ];

        let (mut live, before) = with_scope(&node, scope, None).await;
        for event in [&ban, &unban, &own, &erasure] {
            world.log.append(event).await.unwrap();
        }
        let seen = live.events(4).await;
        for (expected, seen) in expected.iter_mut().zip(&seen) {
            expected["position"] = seen["position"].clone();
        }
        assert_eq!(seen, expected, "{scope:?}");
        live.break_off();
        // From another node's window.
        let (mut resumed, _) = with_scope(&other, scope, Some(&before)).await;
        assert_eq!(resumed.events(4).await, expected, "{scope:?}");
        resumed.is_served_and_quiet().await;
        let last = seen[3]["position"].as_str().unwrap();
        resumed.ack(last).await;
        world.saved(1, last.parse().unwrap()).await;
        resumed.break_off();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_told_what_its_newest_token_may_read() {
    let world = World::start().await;
    let node = world.node().await;
    let user = UserIdx::try_from(7).unwrap();
    let (mut page, _) = with_scope(&node, "", None).await;
    for (scope, is_told) in [("", false), ("chat:moderate", true), ("", false)] {
        let token = token_with(json!({ "user_idx": 1, "scope": scope }));
        page.say(json!({ "type": "token", "token": token })).await;
        assert_eq!(page.frame().await["type"], "renewed");
        let banned =
            UserBanned { user, until: None, purge_seconds: None, by: moderator(), reason: Some("spam".to_owned()) };
        world.log.append(&of_every_room(Body::UserBanned(banned))).await.unwrap();
        let event = &page.events(1).await[0];
        assert_eq!((event.get("reason").is_some(), event.get("by").is_some()), (is_told, is_told), "{event}");
    }
}
