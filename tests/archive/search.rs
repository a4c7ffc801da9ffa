//! Search: what a room and a user said, found by time, user, text, flag and deletion, page by page.

mod index;
mod texts;

use chat::{Body, Event, RoomCleared};
use mongodb::bson::doc;
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization as _;

use super::reading::{Reader, archive, archive_many, archived, said, texts, time};
use super::{PATIENCE, World, deletion, message, presenter, user};
use crate::support::{Role, eventually};

fn flagged(mut event: Event, flag: &str) -> Event {
    if let Body::MessagePosted(posted) = &mut event.body {
        posted.flags.push(flag.to_owned());
    }
    event
}

#[tokio::test]
async fn a_room_is_read_in_the_order_of_the_log_page_by_page_forwards_and_backwards() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    // The clocks of two ingest nodes differ, so times are not ascending.
    let times = [0, 900, 400, 1_300, 800, 1_700, 1_200, 2_100, 1_600, 2_500];
    let events: Vec<Event> =
        times.iter().enumerate().map(|(number, ms)| said(42, 7, *ms, &format!("message {number}"))).collect();
    archive(&world, &events).await;
    archive(&world, &[said(43, 7, 0, "elsewhere")]).await;
    let reader = Reader::analyst(&archiver);
    let mut expected: Vec<String> = (0..10).map(|number| format!("message {number}")).collect();
    for first in [1, 3, 10, 1_000] {
        let messages = reader.all("/v1/rooms/42/messages", &[], "messages", first).await;
        assert_eq!(texts(&messages, "text"), expected, "{first} a page");
    }
    expected.reverse();
    let backwards = reader.all("/v1/rooms/42/messages", &[("order", "desc")], "messages", 3).await;
    assert_eq!(texts(&backwards, "text"), expected);
    let one = &backwards[9];
    let expected = json!({
        "id": events[0].id.to_string(), "position": one["position"], "presenterIdx": 42, "text": "message 0",
        "user": { "idx": 7, "nickname": "사용자7", "role": "viewer" }, "sentAt": time(0), "flags": [],
    });
    assert_eq!(*one, expected);
    let single = reader.get(&format!("/v1/rooms/42/messages/{}", events[0].id), &[]).await;
    assert_eq!(single, expected);
}

#[tokio::test]
async fn a_time_gives_what_was_sent_in_it_and_nothing_else() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    // Long silences, disorder at the edges, and two messages in the same millisecond.
    let times = [0, 500, 300, 60_000, 59_800, 60_000, 60_300, 3_600_000, 3_599_500, 3_600_400];
    let events: Vec<Event> = times.iter().map(|ms| said(42, 7, *ms, &format!("at {ms}"))).collect();
    archive(&world, &events).await;
    let reader = Reader::analyst(&archiver);
    let edges = [-100_000, 0, 1, 300, 400, 501, 59_800, 60_000, 60_001, 100_000, 3_599_500, 3_600_000, 3_700_000];
    for from in edges {
        for to in edges.into_iter().filter(|to| *to > from) {
            let expected: Vec<String> =
                times.iter().filter(|ms| (from..to).contains(*ms)).map(|ms| format!("at {ms}")).collect();
            let query = [("from", time(from)), ("to", time(to))];
            let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let found = reader.all("/v1/rooms/42/messages", &query, "messages", 2).await;
            assert_eq!(texts(&found, "text"), expected, "{from} to {to}");
            let mut of_user = reader.all("/v1/users/7/messages", &query, "messages", 2).await;
            of_user.sort_by_key(|message| message["position"].as_str().unwrap().to_owned());
            assert_eq!(texts(&of_user, "text"), expected, "{from} to {to} of a user");
        }
    }
}

#[tokio::test]
async fn a_time_may_be_the_last_of_all_and_finer_than_what_is_kept() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let session = super::broadcast::Session::new(0, 60_000);
    archive(&world, &[session.begins(42), said(42, 7, 0, "one"), said(42, 7, 1, "two"), session.ends(42, "closed")])
        .await;
    archive(&world, &[deletion(42, said(42, 7, 0, "never").id)]).await;
    let reader = Reader::moderator(&archiver);
    let far = ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59-12:00"];
    for to in far {
        for (path, list) in [
            ("/v1/rooms/42/messages", "messages"),
            ("/v1/users/7/messages", "messages"),
            ("/v1/rooms/42/broadcasts", "broadcasts"),
            ("/v1/rooms/42/moderation", "decisions"),
            ("/v1/moderation", "decisions"),
        ] {
            for from in ["2020-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"] {
                let found = reader.get(path, &[("from", from), ("to", to)]).await;
                assert!(!found[list].as_array().unwrap().is_empty(), "{path} {from} {to}");
            }
            let nothing = reader.get(path, &[("from", to)]).await;
            assert!(nothing[list].as_array().unwrap().is_empty(), "{path} from {to}");
        }
        assert_eq!(reader.ask("/v1/rooms/42/export", &[("to", to)]).await.text().await.unwrap().lines().count(), 2);
        let days = [("from", "9999-12-31T00:00:00Z"), ("to", to), ("bucketSeconds", "86400")];
        let last = reader.get("/v1/rooms/42/statistics", &days).await;
        assert_eq!(last["buckets"][0]["at"], "9999-12-31T00:00:00.000Z");
    }
    for wrong in ["10000-01-01T00:00:00Z", "9999-12-32T00:00:00Z", "9999-12-31T23:59:59", "9999-12-31"] {
        assert_eq!(reader.refused("/v1/rooms/42/messages", &[("to", wrong)]).await.1, "query_invalid", "{wrong}");
    }
    // A message of a millisecond is neither after it nor before it.
    let finer = |ms: i64| time(ms).replace('Z', "001Z");
    for (from, to, expected) in [
        (time(0), finer(0), &["one"][..]),
        (finer(0), finer(1), &["two"]),
        (finer(0), time(1), &[]),
        (finer(1), finer(2), &[]),
        (time(1), finer(1), &["two"]),
    ] {
        let query = [("from", from.as_str()), ("to", to.as_str())];
        assert_eq!(texts(&reader.all("/v1/rooms/42/messages", &query, "messages", 10).await, "text"), expected);
        let counted = reader.get("/v1/rooms/42/statistics", &query).await["messages"].clone();
        assert_eq!(counted, expected.len(), "{query:?}");
    }
}

#[tokio::test]
async fn flags_users_and_deletions_are_found_and_deletions_only_by_moderators() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let events = [
        said(42, 7, 0, "plain"),
        flagged(said(42, 8, 10, "rude"), "ko.abuse"),
        flagged(said(42, 7, 20, "rude and deleted"), "ko.abuse"),
        said(42, 8, 30, "deleted"),
        said(43, 7, 40, "elsewhere"),
    ];
    archive(&world, &events).await;
    archive(&world, &[deletion(42, events[2].id), deletion(42, events[3].id)]).await;
    let moderator = Reader::moderator(&archiver);
    let (room, of_user) = ("/v1/rooms/42/messages", "/v1/users/7/messages");
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: [Case<'_>; 10] = [
        (room, &[], &["plain", "rude"]),
        (room, &[("flag", "ko.abuse")], &["rude"]),
        (room, &[("flag", "ko.abuse"), ("deleted", "include")], &["rude", "rude and deleted"]),
        (room, &[("deleted", "only")], &["rude and deleted", "deleted"]),
        (room, &[("deleted", "only"), ("flag", "ko.abuse")], &["rude and deleted"]),
        (room, &[("deleted", "include")], &["plain", "rude", "rude and deleted", "deleted"]),
        (room, &[("user", "8")], &["rude"]),
        (room, &[("user", "7"), ("deleted", "include")], &["plain", "rude and deleted"]),
        (of_user, &[], &["plain", "elsewhere"]),
        (of_user, &[("room", "42"), ("deleted", "include")], &["plain", "rude and deleted"]),
    ];
    for (path, query, expected) in cases {
        assert_eq!(texts(&moderator.all(path, query, "messages", 1).await, "text"), expected, "{path} {query:?}");
    }
    let deleted = moderator.get(room, &[("deleted", "only")]).await["messages"][0]["deleted"].clone();
    assert_eq!(deleted["reason"], "$spam");
    assert_eq!(deleted["by"], json!({ "idx": 42, "nickname": "사용자42", "role": "viewer" }));

    let presenter = Reader::with(&archiver, json!({ "user_idx": 42 }));
    assert_eq!(presenter.all(room, &[("deleted", "only")], "messages", 10).await.len(), 2);
    let analyst = Reader::analyst(&archiver);
    for deleted in ["include", "only"] {
        for path in [room, of_user] {
            let (status, code, _) = analyst.refused(path, &[("deleted", deleted)]).await;
            assert_eq!((status.as_u16(), code.as_str()), (403, "forbidden"), "{path} {deleted}");
        }
    }
    let gone = format!("{room}/{}", events[3].id);
    assert_eq!(analyst.refused(&gone, &[]).await.1, "message_not_found");
}

#[tokio::test]
async fn a_caller_without_permission_is_refused() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    archive(&world, &[said(42, 7, 0, "seen")]).await;
    let (room, of_user) = ("/v1/rooms/42/messages", "/v1/users/7/messages");
    let cases: [(&str, Value, bool, bool); 6] = [
        ("the presenter", json!({ "user_idx": 42 }), true, false),
        ("another presenter", json!({ "user_idx": 43 }), false, false),
        ("the user", json!({ "user_idx": 7 }), false, true),
        ("an analyst", json!({ "user_idx": 1, "scope": "chat:read" }), true, true),
        ("a moderator", json!({ "user_idx": 1, "scope": "chat:moderate" }), true, true),
        ("somebody with another scope", json!({ "user_idx": 1, "scope": "chat:erase chat:reader" }), false, false),
    ];
    for (who, claims, may_room, may_user) in cases {
        let reader = Reader::with(&archiver, claims);
        for (path, may) in [(room, may_room), (of_user, may_user)] {
            let status = reader.ask(path, &[]).await.status();
            assert_eq!(status, if may { 200 } else { 403 }, "{who} {path}");
        }
    }
    let nobody = Reader::nobody(&archiver).refused(room, &[]).await;
    assert_eq!((nobody.0.as_u16(), nobody.1.as_str()), (401, "token_missing"));
    let expired = Reader::with(&archiver, json!({ "user_idx": 42, "exp": 1 })).refused(room, &[]).await;
    assert_eq!((expired.0.as_u16(), expired.1.as_str()), (401, "token_expired"));
}

#[tokio::test]
async fn changes_between_two_pages_do_not_shift_results() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    let events: Vec<Event> = (0..6).map(|number| said(42, 7, number * 10, &format!("message {number}"))).collect();
    archive(&world, &events).await;
    let reader = Reader::analyst(&archiver);
    let page = reader.get("/v1/rooms/42/messages", &[("first", "3")]).await;
    assert_eq!(texts(page["messages"].as_array().unwrap(), "text"), ["message 0", "message 1", "message 2"]);
    // The last message of the page and its neighbours are deleted, and others are added.
    let gone = [events[1].id, events[2].id, events[3].id].map(|id| deletion(42, id));
    archive(&world, &gone).await;
    archive(&world, &[said(42, 7, 100, "message 6")]).await;
    let after = page["next"].as_str().unwrap();
    let rest = reader.get("/v1/rooms/42/messages", &[("after", after)]).await;
    assert_eq!(texts(rest["messages"].as_array().unwrap(), "text"), ["message 4", "message 5", "message 6"]);
    assert!(rest["next"].is_null());
}

#[tokio::test]
async fn an_undocumented_parameter_is_refused_by_name() {
    let world = World::start().await;
    let archiver = world.archiver().await;
    archive(&world, &[message(42, "one"), message(42, "two"), message(43, "three")]).await;
    let reader = Reader::moderator(&archiver);
    let room = "/v1/rooms/42/messages";
    let next = reader.get(room, &[("first", "1")]).await["next"].as_str().unwrap().to_owned();
    let long = "x".repeat(101);
    let cases: [(&str, (&str, &str), &str, &str); 21] = [
        (room, ("first", "0"), "query_invalid", "first"),
        (room, ("first", "1001"), "query_invalid", "first"),
        (room, ("from", "yesterday"), "query_invalid", "from"),
        (room, ("order", "random"), "query_invalid", "order"),
        (room, ("deleted", "perhaps"), "query_invalid", "deleted"),
        (room, ("text", ""), "query_invalid", "text"),
        (room, ("text", &long), "query_invalid", "text"),
        (room, ("user", "-1"), "query_invalid", "user"),
        (room, ("user", "9007199254740992"), "query_invalid", "user: an id is an integer from 1 to 9007199254740991"),
        ("/v1/rooms/42/export", ("user", "07"), "query_invalid", "user"),
        ("/v1/users/7/messages", ("room", "9007199254740993"), "query_invalid", "room"),
        ("/v1/moderation", ("by", "9007199254740993"), "query_invalid", "by"),
        ("/v1/rooms/42/moderation", ("user", "9223372036854775807"), "query_invalid", "user"),
        (room, ("after", "nonsense"), "cursor_invalid", ""),
        ("/v1/rooms/43/messages", ("after", &next), "cursor_invalid", ""),
        ("/v1/users/7/messages", ("after", &next), "cursor_invalid", ""),
        ("/v1/rooms/0/messages", ("first", "1"), "presenter_idx_invalid", ""),
        ("/v1/users/x/messages", ("first", "1"), "user_idx_invalid", ""),
        ("/v1/rooms/9007199254740993/messages", ("first", "1"), "presenter_idx_invalid", "9007199254740991 (2^53 - 1)"),
        ("/v1/users/9223372036854775807/messages", ("first", "1"), "user_idx_invalid", "9007199254740991 (2^53 - 1)"),
        ("/v1/rooms/42/messages/x", ("first", "1"), "message_id_invalid", ""),
    ];
    for (path, parameter, code, named) in cases {
        let (status, found, detail) = reader.refused(path, &[parameter]).await;
        assert_eq!((status.as_u16(), found.as_str()), (400, code), "{path} {parameter:?}: {detail}");
        assert!(detail.contains(named), "{parameter:?}: {detail}");
    }
    let twice = reader.refused(room, &[("first", "1"), ("first", "2")]).await;
    assert_eq!(twice.1, "query_invalid", "{}", twice.2);
    let backwards = [("from", "2026-01-02T00:00:00Z"), ("to", "2026-01-01T00:00:00Z")];
    assert_eq!(reader.get(room, &backwards).await, json!({ "messages": [] }));
    assert_eq!(reader.refused("/v1/nothing", &[]).await.1, "not_found");
}
