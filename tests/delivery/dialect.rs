//! The original's dialect, as its pages speak it.

use std::time::{SystemTime, UNIX_EPOCH};

use chat::{Body, Event, MessageDeleted};
use futures_util::SinkExt;
use nats::Start;
use serde_json::json;
use tokio_tungstenite::tungstenite::{self, Message};

use super::presenter::Seen;
use super::*;
use crate::support::{SECRET, token};

const TOKEN_EXCEPTION: &str = r#"{"id":"tokenException","response":"reject","message":"Jwt Exception"}"#;

pub(super) fn signed(secret: &str, claims: serde_json::Value) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes()).unwrap();
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_the_room_in_the_handshake_or_in_the_start_frame() {
    let world = World::start().await;
    let node = world.node().await;
    let token = token(42, "presenter");
    let bearer = format!("Bearer {token}");
    for headers in [vec![("token", token.as_str())], vec![("authorization", bearer.as_str())], vec![]] {
        let before = world.presence.session(idx(42));
        let mut presenter = Presenter::handshake(&node, &headers).await.unwrap();
        if headers.is_empty() {
            presenter.start(&token).await;
        }
        world.session(42, before.as_ref()).await;
        world.post(42, &["안녕"]).await;
        assert_eq!(presenter.chats(1).await, ["안녕"], "{headers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_the_originals_frame_with_more_members() {
    let world = World::start().await;
    let node = world.node().await;
    let mut event = message(42, "한글, emoji 👩‍👩‍👧 and \"quotes\"");
    event.at = "2024-03-01T15:04:05.678Z".parse().unwrap();
    let position = world.log.append(&event).await.unwrap();
    let mut presenter = Presenter::connect(&node, 42).await;
    let frame = presenter.chat().await;
    assert_eq!(
        frame,
        json!({
            "id": "sendChatting",
            "nickname": "별명",
            "message": "한글, emoji 👩‍👩‍👧 and \"quotes\"",
            "time": "00:04",
            "messageId": event.id.to_string(),
            "position": position.to_string(),
            "userIdx": 7,
            "role": "viewer",
            "sentAt": "2024-03-01T15:04:05.678Z",
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_once_in_the_order_of_the_log_and_to_their_room_alone() {
    let world = World::start().await;
    let node = world.node().await;
    let mut presenters = Vec::new();
    for room in 1..=5 {
        presenters.push((room, Presenter::connect(&node, room).await));
    }
    // Half of them before the sessions have begun, all of them concurrently.
    let posting = (1..=5).map(|room| {
        let world = &world;
        async move {
            for number in 1..=200 {
                world.log.append(&message(room, format!("{room}/{number}"))).await.unwrap();
            }
        }
    });
    futures_util::future::join_all(posting).await;
    for (room, presenter) in &mut presenters {
        let expected: Vec<String> = (1..=200).map(|number| format!("{room}/{number}")).collect();
        assert_eq!(presenter.chats(200).await, expected);
        presenter.is_served_and_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_a_token_is_answered_and_closed() {
    let world = World::start().await;
    let node = world.node().await;
    for start in [r#"{"id":"start"}"#, r#"{"id":"start","token":null}"#, r#"{"id":"start","token":""}"#] {
        let mut presenter = Presenter::open(&node).await;
        presenter.say(start).await;
        assert_eq!(
            presenter.see().await,
            Seen::Frame(json!({ "id": "error", "message": "룸 idx값이 정상적으로 오지 않습니다." })),
            "{start}"
        );
        assert_eq!(presenter.see().await, Seen::Closed(4003), "{start}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_is_answered_and_closes_the_socket_wherever_it_comes() {
    let world = World::start().await;
    let node = world.node().await;
    let bad = [
        (4001, "garbage".to_owned()),
        (4005, signed(SECRET, json!({ "user_idx": 42, "exp": now() - 1 }))),
        (4001, signed("another secret, of more than 32 bytes", json!({ "user_idx": 42, "exp": now() + 60 }))),
        (4001, signed(SECRET, json!({ "user_idx": 0, "exp": now() + 60 }))),
        (4001, signed(SECRET, json!({ "user_idx": "42", "exp": now() + 60 }))),
        (4001, signed(SECRET, json!({ "exp": now() + 60 }))),
        (4001, signed(SECRET, json!({ "user_idx": 42 }))),
    ];
    for (code, token) in bad {
        let mut by_frame = Presenter::open(&node).await;
        by_frame.start(&token).await;
        let by_header = Presenter::handshake(&node, &[("token", &token)]).await.unwrap();
        for mut presenter in [by_frame, by_header] {
            assert_eq!(presenter.see().await, Seen::Frame(serde_json::from_str(TOKEN_EXCEPTION).unwrap()), "{token}");
            assert_eq!(presenter.see().await, Seen::Closed(code), "{token}");
        }
    }
    assert_eq!(world.presence.session(idx(42)), None);
    assert!(!node.log().contains("garbage"), "a token stands in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_without_a_token_in_time_is_closed() {
    let world = World::start().await;
    let node = world.node_with("authenticate_timeout_ms", "300").await;
    let mut silent = Presenter::open(&node).await;
    let mut talkative = Presenter::open(&node).await;
    talkative.is_served_and_quiet().await;
    assert_eq!(silent.see().await, Seen::Closed(4000));
    assert_eq!(talkative.see().await, Seen::Closed(4000));
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_and_unknown_frames_are_answered_before_and_after_the_start() {
    let world = World::start().await;
    let node = world.node().await;
    let mut presenter = Presenter::open(&node).await;
    for started in [false, true] {
        if started {
            presenter.start(&token(42, "presenter")).await;
            world.session(42, None).await;
        }
        presenter.is_served_and_quiet().await;
        for (text, id) in [
            (r#"{"id":"stop"}"#, "stop"),
            (r#"{"id":"방송 \"시작\""}"#, "방송 \"시작\""),
            (r#"{"id":7}"#, "7"),
            (r#"{"token":"x"}"#, "null"),
            ("{", "null"),
            ("", "null"),
            ("pong", "null"),
        ] {
            presenter.say(text).await;
            let error = json!({ "id": "error", "message": format!("Invalid message with id {id}") });
            assert_eq!(presenter.see().await, Seen::Frame(error), "{text}");
        }
        presenter.is_served_and_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_has_no_effect_unless_it_is_wrong() {
    let world = World::start().await;
    let node = world.node().await;
    let another = token(43, "another");
    for (second, code) in [(another.as_str(), 4004), ("garbage", 4001), ("", 4003)] {
        let before = world.presence.session(idx(42));
        let mut presenter = Presenter::connect(&node, 42).await;
        presenter.start(&token(42, "presenter")).await;
        let session = world.session(42, before.as_ref()).await;
        presenter.is_served_and_quiet().await;
        assert_eq!(world.presence.session(idx(42)), Some(session));
        presenter.start(second).await;
        assert_eq!(presenter.rest().await.1, code, "{second}");
    }
    assert_eq!(world.presence.session(idx(43)), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_cannot_be_understood_close_with_the_protocols_code() {
    let world = World::start().await;
    let node = world.node().await;
    for authenticated in [false, true] {
        let open =
            async || if authenticated { Presenter::connect(&node, 42).await } else { Presenter::open(&node).await };

        let mut largest = open().await;
        largest.say("x".repeat(32_768)).await;
        assert!(matches!(largest.see().await, Seen::Frame(_)));
        largest.say("x".repeat(32_769)).await;
        assert_eq!(largest.see().await, Seen::Closed(1009));

        let mut huge = open().await;
        // The server closes during the write.
        let _ = huge.socket.send(Message::text("x".repeat(8_000_000))).await;
        assert!(matches!(huge.see().await, Seen::Closed(1009 | 1006)));

        let mut binary = open().await;
        binary.socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
        assert_eq!(binary.see().await, Seen::Closed(1003));

        let mut not_utf8 = open().await;
        use tungstenite::protocol::frame::coding::{Data, OpCode};
        let frame = tungstenite::protocol::frame::Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
        not_utf8.socket.send(Message::Frame(frame)).await.unwrap();
        assert_eq!(not_utf8.see().await, Seen::Closed(1007));
    }
    let mut presenter = Presenter::connect(&node, 42).await;
    presenter.is_served_and_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_message_is_not_shown_to_later_sessions() {
    let world = World::start().await;
    let node = world.node().await;
    let deleted = message(42, "deleted");
    world.post(42, &["first"]).await;
    world.log.append(&deleted).await.unwrap();
    let by = User { idx: idx(42).as_user(), nickname: "presenter".to_owned(), role: chat::Role::Presenter };
    let deletion = MessageDeleted { target: deleted.id, by, reason: None };
    world.log.append(&Event::now(idx(42), Body::MessageDeleted(deletion))).await.unwrap();
    world.post(42, &["last"]).await;
    let mut presenter = Presenter::connect(&node, 42).await;
    assert_eq!(presenter.chats(2).await, ["first", "last"]);
    // A node that replays the log knows no more.
    drop(presenter);
    let other = world.node().await;
    world.post(43, &["mark"]).await;
    let mut presenter = Presenter::connect(&other, 43).await;
    assert_eq!(presenter.chats(1).await, ["mark"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_log_names_each_session_and_the_reason_of_its_end() {
    let world = World::start().await;
    let node = world.node().await;
    let mut presenter = Presenter::connect(&node, 42).await;
    let session = world.session(42, None).await;
    presenter.socket.close(None).await.unwrap();
    eventually("the claim is withdrawn", PATIENCE, async || world.presence.session(idx(42)).is_none().then_some(()))
        .await;

    let mut tail = world.log.tail(Start::Oldest);
    let mut told = Vec::new();
    while told.len() < 2 {
        for entry in tokio::time::timeout(PATIENCE, tail.next()).await.expect("the log says nothing").unwrap() {
            told.push(entry.event().unwrap().body);
        }
    }
    let [Body::PresenterConnected(connected), Body::PresenterDisconnected(disconnected)] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!((connected.session, disconnected.session), (session.id, session.id));
    assert_eq!(disconnected.reason, "closed");
}
