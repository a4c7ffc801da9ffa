//! The audit: who decided what, when and why, about whom, and the text of deleted messages.

use chat::{Body, Event, MessageDeleted, RoomCleared, RoomUpdated, UserBanned, UserUnbanned};
use mongodb::bson::{DateTime, doc};
use serde_json::{Map, Value, json};

use super::reading::{Reader, archive, evening, said, texts, time};
use super::{World, presenter, user};

/// A decision about the room, this many milliseconds into the evening.
fn decided(room: i64, ms: i64, body: Body) -> Event {
    Event::now(presenter(room), body).recorded_at(evening(ms))
}

fn everywhere(ms: i64, body: Body) -> Event {
    Event { presenter: None, ..decided(1, ms, body) }
}

/// A time of the evening, as stored.
fn at(ms: i64) -> DateTime {
    DateTime::from_millis(evening(ms).as_millisecond())
}

fn reason(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test]
async fn the_audit_says_who_decided_what_when_and_why_about_whom() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let (rude, fine) = (said(42, 7, 0, "무례한 말"), said(42, 8, 5, "fine"));
    archive(&world, &[rude.clone(), fine]).await;
    let ban = |by: i64| {
        Body::UserBanned(UserBanned {
            user: user(7).idx,
            until: Some(evening(600_000)),
            purge_seconds: None,
            by: user(by),
            reason: reason("spam"),
        })
    };
    let settings = RoomUpdated {
        settings: object(json!({ "slowModeSeconds": 5, "words": ["a"] })),
        changed: vec!["slowModeSeconds".to_owned()],
        until: object(json!({ "slowModeSeconds": time(9_000) })),
        by: user(42),
        reason: None,
    };
    let decisions = [
        decided(42, 10, Body::MessageDeleted(MessageDeleted { target: rude.id, by: user(3), reason: reason("rude") })),
        decided(42, 20, ban(3)),
        decided(42, 30, Body::UserUnbanned(UserUnbanned { user: user(7).idx, by: user(42), reason: reason("appeal") })),
        decided(42, 40, Body::RoomUpdated(settings)),
        decided(42, 50, Body::RoomCleared(RoomCleared { by: user(42), reason: None })),
        decided(43, 60, ban(43)),
        everywhere(70, ban(900)),
    ];
    archive(&world, &decisions).await;
    let (room, all) = ("/v1/rooms/42/moderation", "/v1/moderation");
    let moderator = Reader::moderator(&archiver);
    let by = |idx: i64| json!({ "idx": idx, "nickname": format!("사용자{idx}"), "role": "viewer" });
    let found = moderator.all(room, &[], "decisions", 2).await;
    let id = |index: usize| decisions[index].id.to_string();
    assert_eq!(found[0]["message"]["text"], "무례한 말");
    assert_eq!(found[0]["message"]["user"], by(7));
    let mut deletion = found[0].clone();
    deletion.as_object_mut().unwrap().remove("message");
    let expected = [
        json!({ "id": id(0), "type": "message.deleted", "presenterIdx": 42, "at": time(10), "by": by(3), "reason": "rude",
                "target": rude.id.to_string() }),
        json!({ "id": id(1), "type": "user.banned", "presenterIdx": 42, "at": time(20), "by": by(3), "reason": "spam",
                "user": 7, "until": time(600_000) }),
        json!({ "id": id(2), "type": "user.unbanned", "presenterIdx": 42, "at": time(30), "by": by(42),
                "reason": "appeal", "user": 7 }),
        json!({ "id": id(3), "type": "room.updated", "presenterIdx": 42, "at": time(40), "by": by(42),
                "settings": { "slowModeSeconds": 5, "words": ["a"] }, "settingsChanged": ["slowModeSeconds"],
                "settingsUntil": { "slowModeSeconds": time(9_000) } }),
        json!({ "id": id(4), "type": "room.cleared", "presenterIdx": 42, "at": time(50), "by": by(42) }),
    ];
    assert_eq!(deletion, expected[0]);
    assert_eq!(found[1..], expected[1..]);
    let everything = moderator.all(all, &[("order", "desc")], "decisions", 3).await;
    let mut ids: Vec<String> = decisions.iter().map(|decision| decision.id.to_string()).collect();
    ids.reverse();
    assert_eq!(texts(&everything, "id"), ids);
    assert!(everything[0].get("presenterIdx").is_none());

    let (from, to) = (time(20), time(50));
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [usize]);
    let cases: [Case<'_>; 8] = [
        (room, &[("type", "user.banned")], &[1]),
        (room, &[("by", "42")], &[2, 3, 4]),
        (room, &[("user", "7")], &[0, 1, 2]),
        (room, &[("user", "7"), ("by", "3"), ("type", "message.deleted")], &[0]),
        (room, &[("from", &from), ("to", &to)], &[1, 2, 3]),
        (all, &[("user", "7")], &[0, 1, 2, 5, 6]),
        (all, &[("by", "900")], &[6]),
        (room, &[("user", "9")], &[]),
    ];
    for (path, query, expected) in cases {
        let found = moderator.all(path, query, "decisions", 1).await;
        let expected: Vec<String> = expected.iter().map(|index| id(*index)).collect();
        assert_eq!(texts(&found, "id"), expected, "{path} {query:?}");
    }
    // The messages that the clear removed. The message that was deleted before is not among them.
    let cleared = moderator.all("/v1/rooms/42/messages", &[("decision", &id(4))], "messages", 10).await;
    assert_eq!(texts(&cleared, "text"), ["fine"]);
}

#[tokio::test]
async fn the_audit_is_for_moderators() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let clear = |room: i64| decided(room, 0, Body::RoomCleared(RoomCleared { by: user(room), reason: None }));
    archive(&world, &[clear(42), clear(43)]).await;
    let (room, all) = ("/v1/rooms/42/moderation", "/v1/moderation");
    let presenter = Reader::with(&archiver, json!({ "user_idx": 42 }));
    assert_eq!(presenter.all(room, &[], "decisions", 10).await.len(), 1);
    assert_eq!(presenter.refused(all, &[]).await.1, "forbidden");
    let analyst = Reader::analyst(&archiver);
    for path in [room, all] {
        assert_eq!(analyst.refused(path, &[]).await.1, "forbidden", "{path}");
        assert_eq!(Reader::nobody(&archiver).refused(path, &[]).await.1, "token_missing", "{path}");
    }
    let moderator = Reader::moderator(&archiver);
    assert_eq!(moderator.refused(all, &[("type", "coup")]).await.1, "query_invalid");
    let next = moderator.get(all, &[("first", "1")]).await["next"].as_str().unwrap().to_owned();
    assert_eq!(moderator.refused(room, &[("after", &next)]).await.1, "cursor_invalid");
}

#[tokio::test]
async fn a_decision_about_a_message_of_another_room_shows_nothing_of_it() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let secret = said(43, 7, 0, "of another room");
    archive(&world, std::slice::from_ref(&secret)).await;
    let reach = MessageDeleted { target: secret.id, by: user(42), reason: None };
    archive(&world, &[decided(42, 10, Body::MessageDeleted(reach))]).await;
    let presenter = Reader::with(&archiver, json!({ "user_idx": 42 }));
    let found = presenter.all("/v1/rooms/42/moderation", &[], "decisions", 10).await;
    assert_eq!(found.len(), 1);
    assert!(found[0].get("message").is_none(), "{found:?}");
}

#[tokio::test]
async fn an_entry_is_the_same_whatever_else_is_on_its_page() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let (twice, other) = (said(42, 7, 0, "deleted twice"), said(42, 8, 1, "deleted once"));
    archive(&world, &[twice.clone(), other.clone()]).await;
    let delete = |ms: i64, target| {
        decided(42, ms, Body::MessageDeleted(MessageDeleted { target, by: user(3), reason: reason("rude") }))
    };
    archive(&world, &[delete(10, twice.id), delete(20, other.id), delete(30, twice.id)]).await;
    let moderator = Reader::moderator(&archiver);
    for path in ["/v1/rooms/42/moderation", "/v1/moderation"] {
        let one_a_page = moderator.all(path, &[], "decisions", 1).await;
        let said: Vec<&Value> = one_a_page.iter().map(|decision| &decision["message"]["text"]).collect();
        assert_eq!(said, ["deleted twice", "deleted once", "deleted twice"], "{path}");
        for first in [2, 3, 100] {
            assert_eq!(moderator.all(path, &[], "decisions", first).await, one_a_page, "{path}, {first} a page");
        }
        for query in [[("user", "7")], [("by", "3")], [("type", "message.deleted")]] {
            let found = moderator.all(path, &query, "decisions", 100).await;
            assert!(found.iter().all(|decision| one_a_page.contains(decision)), "{path} {query:?}: {found:?}");
        }
    }
    // A document that was changed by hand is left out, and the others are listed.
    archive(&world, &(0..6).map(|ms| said(42, 7, 100 + ms, &format!("line {ms}"))).collect::<Vec<_>>()).await;
    let change = doc! { "$set": { "flags": "none", "by": "nobody" } };
    for (collection, changed) in [
        ("chatting_log", doc! { "message": { "$in": ["line 1", "line 2"] } }),
        ("moderation_log", doc! { "at": at(20) }),
    ] {
        let changed = world.collection(collection).update_many(changed, change.clone()).await.unwrap();
        assert!(changed.modified_count > 0, "{collection}");
    }
    for first in [1, 2, 3, 100] {
        let lines = moderator.all("/v1/rooms/42/messages", &[], "messages", first).await;
        assert_eq!(texts(&lines, "text"), ["line 0", "line 3", "line 4", "line 5"], "{first} a page");
        let decisions = moderator.all("/v1/rooms/42/moderation", &[], "decisions", first).await;
        assert_eq!(texts(&decisions, "at"), [time(10), time(30)], "{first} a page");
    }
}
