//! The dialect `chat.v1` of `docs/reference/presenter-protocol.md`: its frames, errors and close codes.

use chat::{MessageDeleted, RoomCleared, RoomUpdated, UserBanned, UserUnbanned};
use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::dialect::{now, signed};
use super::page::text_of;
use super::presenter::Seen;
use super::*;
use crate::support::{SECRET, token};

fn presenter(room: i64) -> User {
    User { idx: idx(room).as_user(), nickname: "presenter".to_owned(), role: chat::Role::Presenter }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_connection_follows_the_documented_example() {
    let world = World::start().await;
    let node = world.node_with("keepalive_seconds", "1").await;
    let mut page = Page::open(&node).await;
    page.say(json!({ "type": "start", "token": token(42, "presenter") })).await;
    let welcome = page.frame().await;
    let session = world.session(42, None).await;
    assert_eq!(
        welcome,
        json!({
            "type": "welcome",
            "session": session.id.to_string(),
            "position": welcome["position"],
            "recovered": true,
            "keepaliveSeconds": 1,
            "expiresInSeconds": welcome["expiresInSeconds"],
        })
    );
    let expires_in = welcome["expiresInSeconds"].as_u64().unwrap();
    assert!((3_000..=3_600).contains(&expires_in), "{expires_in}");
    // The end of a log without messages, or the position of the session's own event.
    let begins: Position = welcome["position"].as_str().unwrap().parse().unwrap();
    assert_eq!((begins.epoch, begins.sequence <= 1), (world.log.timelines().epoch(idx(42)), true), "{begins}");
    let event = message(42, "안녕하세요");
    let position = world.log.append(&event).await.unwrap();
    let mut expected = json!({ "position": position.to_string() });
    let line: Value = serde_json::from_slice(&event.to_line()).unwrap();
    expected.as_object_mut().unwrap().extend(line.as_object().unwrap().clone());
    assert_eq!(page.frame().await, json!({ "type": "events", "position": position.to_string(), "events": [expected] }));
    page.ack(&position.to_string()).await;
    world.saved(42, position).await;
    // The last event of the log is this one, or the session's own.
    let keepalive = page.frame().await;
    let reached: Position = keepalive["position"].as_str().unwrap().parse().unwrap();
    assert_eq!(keepalive, json!({ "type": "keepalive", "position": reached.to_string() }));
    assert!(reached >= position);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_events_share_frames_and_a_single_one_is_sent_at_once() {
    let world = World::start().await;
    let node = world.node().await;
    let many = texts(1, 5_000);
    let appending = many.iter().map(|text| async { world.log.append(&message(42, text.as_str())).await.unwrap() });
    futures_util::future::join_all(appending).await;
    let (mut page, _) = Page::connect(&node, 42).await;
    let (mut frames, mut events) = (0, Vec::new());
    while events.len() < many.len() {
        let Seen::Frame(mut frame) = page.see().await else { panic!("closed") };
        assert!(frame.to_string().len() < 64 * 1024, "a frame of {} bytes", frame.to_string().len());
        events.append(frame["events"].as_array_mut().unwrap());
        frames += 1;
    }
    assert!(frames <= 50, "{frames} frames");
    let mut seen: Vec<String> = events.iter().map(text_of).collect();
    let mut many = many;
    seen.sort();
    many.sort();
    assert_eq!(seen, many);
    world.post(42, &["alone"]).await;
    assert_eq!(page.texts(1).await, ["alone"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn moderation_stands_among_the_messages_at_its_place() {
    let world = World::start().await;
    let node = world.node().await;
    let (mut page, _) = Page::connect(&node, 42).await;
    let (first, by) = (message(42, "first"), presenter(42));
    let until = Some("2030-01-01T00:00:00Z".parse().unwrap());
    let user = UserIdx::try_from(7).unwrap();
    let unknown = Body::Unknown {
        kind: "poll.opened".to_owned(),
        members: serde_json::Map::from_iter([("choices".to_owned(), json!(["a", "b"]))]),
    };
    let deleted = MessageDeleted { target: first.id, by: by.clone(), reason: Some("spam".to_owned()) };
    let banned = UserBanned { user, until, purge_seconds: None, by: by.clone(), reason: None };
    let object = |value: Value| value.as_object().unwrap().clone();
    let updated = RoomUpdated {
        settings: object(json!({ "slowModeSeconds": 5 })),
        changed: vec!["slowModeSeconds".to_owned()],
        until: object(json!({ "slowModeSeconds": "2030-01-01T00:00:00.000Z" })),
        by: by.clone(),
        reason: Some("raid".to_owned()),
    };
    let bodies = [
        Body::MessageDeleted(deleted),
        Body::UserBanned(banned),
        Body::UserUnbanned(UserUnbanned { user, by: by.clone(), reason: None }),
        unknown,
        Body::RoomUpdated(updated),
        Body::RoomCleared(RoomCleared { by, reason: Some("raid".to_owned()) }),
    ];
    world.log.append(&first).await.unwrap();
    // Before it is deleted.
    let mut events = page.events(1).await;
    for body in bodies {
        world.log.append(&Event::now(idx(42), body)).await.unwrap();
    }
    // Posted under an idempotency key.
    let key = chat::KeyId::of(None, chat::UserIdx::try_from(7).unwrap(), "key");
    let request = chat::Request { key, digest: chat::RequestDigest::of("key", "request") };
    world.log.append(&Event { request: Some(request), ..message(42, "last") }).await.unwrap();
    let kinds = |events: &[Value]| -> Vec<String> {
        events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    };
    let all = [
        "message.posted",
        "message.deleted",
        "user.banned",
        "user.unbanned",
        "poll.opened",
        "room.updated",
        "room.cleared",
        "message.posted",
    ];
    events.extend(page.events(7).await);
    assert_eq!(kinds(&events), all);
    assert_eq!(events[0]["text"], "first");
    assert_eq!((&events[1]["target"], &events[1]["reason"]), (&json!(first.id.to_string()), &json!("spam")));
    assert_eq!(events[2]["until"], "2030-01-01T00:00:00.000Z");
    assert_eq!(events[4]["choices"], json!(["a", "b"]));
    assert_eq!(events[5]["until"], json!({ "slowModeSeconds": "2030-01-01T00:00:00.000Z" }));
    assert_eq!((&events[5]["by"]["idx"], &events[5]["reason"]), (&json!(42), &json!("raid")));
    assert_eq!(events[6]["reason"], "raid");
    let names = ["request", "requestKey"].map(|name| events[7].get(name));
    assert_eq!((&events[7]["text"], names), (&json!("last"), [None, None]));

    // Later sessions get the same without the deleted texts.
    let (mut later, _) = Page::connect(&node, 42).await;
    let again = later.events(8).await;
    assert_eq!(kinds(&again), all);
    assert_eq!((&again[0]["deleted"], again[0].get("text")), (&json!(true), None));
    assert_eq!((&again[0]["user"]["nickname"], &again[0]["position"]), (&json!("별명"), &events[0]["position"]));
    assert_eq!(again[1..], events[1..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cursor_moves_with_acks_and_what_was_not_acked_comes_again() {
    let world = World::start().await;
    let node = world.node().await;
    let (mut page, _) = Page::connect(&node, 42).await;
    world.post(42, &refs(&texts(1, 10))).await;
    let events = page.events(10).await;
    let position = events[5]["position"].as_str().unwrap();
    page.ack(position).await;
    world.saved(42, position.parse().unwrap()).await;
    // An older one changes nothing.
    page.ack(events[2]["position"].as_str().unwrap()).await;
    page.is_served_and_quiet().await;
    page.close().await;
    let (mut page, welcome) = Page::connect(&node, 42).await;
    assert_eq!((&welcome["position"], &welcome["recovered"]), (&json!(position), &json!(true)));
    assert_eq!(page.texts(4).await, texts(7, 10));
    assert_eq!(world.cursors.get(idx(42)), Some(position.parse().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_of_what_the_client_cannot_have_seen_is_refused() {
    let world = World::start().await;
    let node = world.node().await;
    let (mut page, _) = Page::connect(&node, 42).await;
    // The session's own event could be appended last, and its position would be beyond the others.
    eventually("the beginning of the session is in the log", PATIENCE, async || {
        (world.log.extent(Some(idx(42))).await.unwrap().last.sequence >= 1).then_some(())
    })
    .await;
    let before = world.post(42, &["hello"]).await;
    page.events(1).await;
    let elsewhere = world.post(43, &["to another room"]).await;
    let far = Position { sequence: elsewhere.sequence + 1_000, ..elsewhere };
    let of_another_log = Position { epoch: before.epoch - 1, ..before };
    for position in ["", "garbage", &elsewhere.to_string(), &far.to_string(), &of_another_log.to_string()] {
        page.ack(position).await;
        page.is_told("bad_position").await;
    }
    // Nor by claiming a later position.
    let (mut page, welcome) = Page::resume(&node, 42, Some(&far.to_string())).await;
    assert_eq!(welcome["recovered"], false);
    page.events(1).await;
    page.ack(&far.to_string()).await;
    page.is_told("bad_position").await;
    page.ack(&before.to_string()).await;
    page.is_served_and_quiet().await;
    world.saved(42, before).await;
    assert_eq!(world.cursors.get(idx(42)), Some(before));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_frame_is_answered_and_changes_nothing() {
    let world = World::start().await;
    let node = world.node().await;
    let mut page = Page::open(&node).await;
    for started in [false, true] {
        if started {
            page.start(42, None).await;
        }
        for (text, code) in [
            ("", "bad_frame"),
            ("ping", "bad_frame"),
            (r#"{"id":"start"}"#, "bad_frame"),
            (r#"{"type":"start","token":7}"#, "bad_frame"),
            (r#"{"type":"ack"}"#, "bad_frame"),
            (r#"{"type":"stop"}"#, "unknown_type"),
        ] {
            page.presenter.say(text).await;
            page.is_told(code).await;
        }
        if started {
            page.say_start(&token(43, "another"), None).await;
            page.is_told("already_started").await;
            page.say(json!({ "type": "keepalive" })).await;
        } else {
            for frame in [json!({ "type": "ack", "position": "1-2-3" }), json!({ "type": "keepalive" })] {
                page.say(frame).await;
                page.is_told("not_started").await;
            }
        }
        page.is_served_and_quiet().await;
    }
    world.post(42, &["hello"]).await;
    assert_eq!(page.texts(1).await, ["hello"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_comes_in_the_handshake_or_in_the_start_frame() {
    let world = World::start().await;
    let node = world.node().await;
    let (mine, bearer) = (token(42, "presenter"), format!("Bearer {}", token(42, "presenter")));
    for headers in [("token", mine.as_str()), ("authorization", bearer.as_str())] {
        let mut page = Page::handshake(&node, &[headers]).await.unwrap();
        page.say(json!({ "type": "start" })).await;
        assert_eq!(page.frame().await["type"], "welcome");
    }
    let mut both = Page::handshake(&node, &[("token", &mine)]).await.unwrap();
    both.start(42, None).await;
    let mut contrary = Page::handshake(&node, &[("token", &mine)]).await.unwrap();
    contrary.say_start(&token(43, "another"), None).await;
    assert_eq!(contrary.rest().await.1, 4004);
    both.is_served_and_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_is_answered_and_closes_the_socket_wherever_it_comes() {
    let world = World::start().await;
    let node = world.node().await;
    let mut page = Page::open(&node).await;
    page.say(json!({ "type": "start" })).await;
    page.is_told("token_missing").await;
    assert_eq!(page.see().await, Seen::Closed(4003));
    for (told, code, token) in [
        ("token_invalid", 4001, "garbage".to_owned()),
        (
            "token_invalid",
            4001,
            signed("another secret, of more than 32 bytes", json!({ "user_idx": 42, "exp": now() + 60 })),
        ),
        ("token_expired", 4005, signed(SECRET, json!({ "user_idx": 42, "exp": now() - 1 }))),
    ] {
        let mut by_frame = Page::open(&node).await;
        by_frame.say_start(&token, None).await;
        let by_header = Page::handshake(&node, &[("token", &token)]).await.unwrap();
        for mut page in [by_frame, by_header] {
            page.is_told(told).await;
            assert_eq!(page.see().await, Seen::Closed(code), "{token}");
        }
    }
    assert_eq!(world.presence.session(idx(42)), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_handshake_requires_the_subprotocol() {
    let world = World::start().await;
    let node = world.node().await;
    for headers in [&[][..], &[("sec-websocket-protocol", "chat.v2")]] {
        match Page::without_subprotocol(&node, headers).await {
            Err(Error::Http(response)) => {
                assert_eq!(response.status(), 400);
                assert_eq!(response.headers()["content-type"], "application/problem+json");
                let problem: Value = serde_json::from_slice(response.body().as_ref().unwrap()).unwrap();
                assert_eq!(problem["code"], "subprotocol_required");
            }
            other => panic!("not refused: {:?}", other.map(|_| ())),
        }
    }
    let offered = [("sec-websocket-protocol", "chat.v2, chat.v1")];
    let mut page = Page::without_subprotocol(&node, &offered).await.unwrap();
    page.say(r#"{"type":"ack","position":""}"#).await;
    assert!(matches!(page.see().await, Seen::Frame(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_cannot_be_understood_close_with_the_protocols_code() {
    let world = World::start().await;
    let node = world.node().await;
    for started in [false, true] {
        let open = async || if started { Page::connect(&node, 42).await.0 } else { Page::open(&node).await };
        let mut largest = open().await;
        largest.presenter.say("x".repeat(32_768)).await;
        largest.is_told("bad_frame").await;
        largest.presenter.say("x".repeat(32_769)).await;
        assert_eq!(largest.see().await, Seen::Closed(1009));
        let mut binary = open().await;
        binary.presenter.socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
        assert_eq!(binary.see().await, Seen::Closed(1003));
        let mut not_utf8 = open().await;
        use tokio_tungstenite::tungstenite::protocol::frame::Frame;
        use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
        let frame = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
        not_utf8.presenter.socket.send(Message::Frame(frame)).await.unwrap();
        assert_eq!(not_utf8.see().await, Seen::Closed(1007));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_dialects_are_sessions_of_one_presenter() {
    let world = World::start().await;
    let node = world.node().await;
    let mut original = Presenter::connect(&node, 42).await;
    world.session(42, None).await;
    let (mut page, _) = Page::connect(&node, 42).await;
    assert_eq!(original.rest().await.1, 4002);
    world.post(42, &["hello"]).await;
    assert_eq!(page.texts(1).await, ["hello"]);
    let mut original = Presenter::connect(&node, 42).await;
    assert_eq!(page.rest().await.1, 4002);
    // Nothing was acknowledged.
    assert_eq!(original.chats(1).await, ["hello"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_module_is_served_to_every_page() {
    let world = World::start().await;
    let node = world.node().await;
    let response = reqwest::get(format!("{}/presenter.js", node.url())).await.unwrap();
    assert_eq!(response.status(), 200);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(
        (header("access-control-allow-origin"), header("cache-control")),
        ("*".to_owned(), "no-cache".to_owned())
    );
    assert_eq!(response.text().await.unwrap(), include_str!("../../delivery/js/presenter.js"));
}
