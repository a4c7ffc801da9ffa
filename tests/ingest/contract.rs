//! Every row of the original's HTTP contract, with its corrections.

use serde_json::{Value, json};

use super::{Session, System, answer, until_connected};
use crate::support::token;

const PATH: &str = "/send/message";

#[tokio::test]
async fn the_root_says_that_the_server_is_running() {
    let system = System::start().await;
    let root = answer(system.get("/")).await;
    assert_eq!((root.status.as_u16(), root.body.as_str()), (200, "Chatting Server is Running"));
}

#[tokio::test]
async fn a_token_is_answered_with_its_bare_user_idx() {
    let system = System::start().await;
    let good = answer(system.get("/token").header("token", token(42, "nick"))).await;
    assert_eq!((good.status.as_u16(), good.body.as_str()), (200, "42"));
    answer(system.get("/token").header("token", "garbage")).await.assert_original_error(
        401,
        "토큰의 유형이 아닙니다.",
        "/token",
    );
    answer(system.get("/token")).await.assert_original_error(400, "Token null", "/token");
}

#[tokio::test]
async fn a_viewers_message_is_delivered_to_the_connected_presenter_with_an_empty_200() {
    let system = System::start().await;
    let _session = Session::begin(&system.nats, 42).await;
    until_connected(&system, 42).await;
    let sent = system.send(json!({"presenterIdx": 42, "userType": "viewer", "textMessage": " 안녕 "})).await;
    sent.assert_sent();

    let messages = system.messages().await;
    let message = messages.last().unwrap();
    assert_eq!(message["id"], sent.header("message-id"));
    assert_eq!(message["presenterIdx"], 42);
    assert_eq!(message["user"], json!({"idx": 7, "nickname": "nick", "role": "viewer"}));
    assert_eq!(message["text"], "안녕");
}

#[tokio::test]
async fn without_a_session_a_viewers_message_is_stored_and_answered_200() {
    let system = System::start().await;
    let sent = system.send(json!({"presenterIdx": 42, "userType": "viewer", "textMessage": "hi"})).await;
    sent.assert_sent();
    assert_eq!(system.messages().await.last().unwrap()["id"], sent.header("message-id"));
}

#[tokio::test]
async fn without_a_session_the_presenters_own_message_is_stored_and_answered_202_with_the_call_to_reconnect() {
    let system = System::start().await;
    for presenter_idx in [json!(null), json!(42)] {
        let body = json!({"presenterIdx": presenter_idx, "userType": "presenter", "textMessage": "hi"});
        let sent = system.send_as(42, body).await;
        assert_eq!(sent.status, 202);
        sent.assert_original_body(400, "세션이 존재하지 않습니다. 재연결을 해주세요.", PATH);

        let messages = system.messages().await;
        let message = messages.last().unwrap();
        assert_eq!(message["id"], sent.header("message-id"));
        assert_eq!((&message["presenterIdx"], &message["user"]["role"]), (&json!(42), &json!("presenter")));
    }
}

#[tokio::test]
async fn with_a_session_the_presenters_own_message_is_an_empty_200() {
    let system = System::start().await;
    let _session = Session::begin(&system.nats, 42).await;
    until_connected(&system, 42).await;
    system.send_as(42, json!({"userType": "presenter", "textMessage": "hi"})).await.assert_sent();
}

#[tokio::test]
async fn a_sender_that_claims_to_present_another_users_room_counts_as_a_viewer() {
    let system = System::start().await;
    system.send(json!({"presenterIdx": 42, "userType": "presenter", "textMessage": "hi"})).await.assert_sent();
    let messages = system.messages().await;
    assert_eq!(messages.last().unwrap()["user"]["role"], "viewer");
}

#[tokio::test]
async fn a_room_that_is_not_live_is_refused_even_while_a_session_is_there() {
    let system = System::start().await;
    let _session = Session::begin(&system.nats, 42).await;
    until_connected(&system, 42).await;
    system.rooms.set_live(43, false);
    let body = json!({"presenterIdx": 43, "userType": "viewer", "textMessage": "hi"});
    let message = "해당 스트리머는 현재 방송 중이지 않습니다.";
    system.send(body).await.assert_original_error(400, message, PATH);

    let _session = Session::begin(&system.nats, 44).await;
    until_connected(&system, 44).await;
    system.rooms.set_live(44, false);
    let body = json!({"presenterIdx": 44, "userType": "viewer", "textMessage": "hi"});
    super::eventually("the broadcast is known to have ended", super::DEADLINE, async || {
        let sent = system.send(body.clone()).await;
        (sent.status == 400).then(|| sent.assert_original_error(400, message, PATH))
    })
    .await;
}

#[tokio::test]
async fn an_invalid_body_is_refused_with_the_catalogues_message() {
    let system = System::start().await;
    const NULL_TEXT: &str = "보내는 채팅은 null이 될 수 없습니다.";
    const NOT_SENT: &str = "채팅이 정상적으로 전송되지 않았습니다.";
    const NO_ROOM: &str = "PresenterIdx는 null값이 올 수 없습니다.";
    const BAD_ROOM: &str = "룸 idx값이 정상적으로 오지 않습니다.";
    let text = |text: Value| json!({"presenterIdx": 42, "userType": "viewer", "textMessage": text});
    let room = |room: Value| json!({"presenterIdx": room, "userType": "viewer", "textMessage": "hi"});
    let cases = [
        (json!({"userType": "viewer", "textMessage": "hi"}), NO_ROOM),
        (room(json!(null)), NO_ROOM),
        (room(json!(0)), BAD_ROOM),
        (room(json!(-1)), BAD_ROOM),
        (room(json!(1_u64 << 63)), BAD_ROOM),
        (room(json!(42.5)), BAD_ROOM),
        (room(json!("42")), BAD_ROOM),
        (text(json!(null)), NULL_TEXT),
        (json!({"presenterIdx": 42, "userType": "viewer"}), NULL_TEXT),
        (text(json!("")), NULL_TEXT),
        (text(json!(" \u{3000}\n")), NULL_TEXT),
        (text(json!("\u{200B}")), NULL_TEXT),
        (text(json!(1)), NOT_SENT),
        (text(json!("a\nb")), NOT_SENT),
        (text(json!("a".repeat(501))), NOT_SENT),
        (json!({"presenterIdx": 42, "userType": "admin", "textMessage": "hi"}), NOT_SENT),
        (json!({"presenterIdx": 42, "textMessage": "hi"}), NOT_SENT),
    ];
    for (body, message) in cases {
        let sent = system.send(body.clone()).await;
        assert_eq!(sent.status, 400, "{body}");
        sent.assert_original_error(400, message, PATH);
    }
    assert!(system.messages().await.is_empty());
    system.send(text(json!("a".repeat(500)))).await.assert_sent();
}

#[tokio::test]
async fn without_an_identity_there_is_400_and_with_a_bad_token_401() {
    let system = System::start().await;
    let body = json!({"presenterIdx": 42, "userType": "viewer", "textMessage": "hi"});
    answer(system.post(PATH).json(&body)).await.assert_original_error(400, "Token null", PATH);
    let cases = [
        ("garbage".to_owned(), "토큰의 유형이 아닙니다."),
        (super::tokens::signed_by_another_key(), "토큰이 변조되었습니다."),
        (super::tokens::expired(), "토큰이 만료되었습니다."),
        (super::tokens::without_user_idx(), "Jwt Exception"),
    ];
    for (token, message) in cases {
        let sent = answer(system.post(PATH).header("token", token).json(&body)).await;
        sent.assert_original_error(401, message, PATH);
    }
}

#[tokio::test]
async fn anything_else_on_the_surface_has_the_error_body_too() {
    let system = System::start().await;
    answer(system.get("/nowhere")).await.assert_original_error(404, "Not Found", "/nowhere");
    let wrong = answer(system.get(PATH)).await;
    wrong.assert_original_error(405, "Method Not Allowed", PATH);
    assert_eq!(wrong.header("allow"), "POST");
    answer(system.post("/token")).await.assert_original_error(405, "Method Not Allowed", "/token");

    let post = || system.post(PATH).header("token", token(7, "nick"));
    answer(post().body("{}")).await.assert_original_error(415, "Unsupported Media Type", PATH);
    let malformed = answer(post().header("content-type", "application/json").body("{")).await;
    malformed.assert_original_error(400, "채팅이 정상적으로 전송되지 않았습니다.", PATH);
    let body = json!({"presenterIdx": 42, "userType": "viewer", "textMessage": "a".repeat(1024 * 1024)});
    answer(post().json(&body)).await.assert_original_error(413, "채팅이 정상적으로 전송되지 않았습니다.", PATH);
}

#[tokio::test]
async fn cors_is_open() {
    let system = System::start().await;
    for path in [PATH, "/v1/rooms/42/messages"] {
        let preflight = system
            .client
            .request(reqwest::Method::OPTIONS, system.ingest.url() + path)
            .header("origin", "https://example.com")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "token,authorization,content-type");
        let preflight = answer(preflight).await;
        assert_eq!(preflight.status, 200);
        assert_eq!(preflight.header("access-control-allow-origin"), "*");
        assert_eq!(preflight.header("access-control-allow-methods"), "*");
        assert_eq!(preflight.header("access-control-allow-headers"), "token,authorization,content-type");
    }
    let body = json!({"presenterIdx": 42, "userType": "viewer", "textMessage": "hi"});
    let sent = system.post(PATH).header("origin", "https://example.com").header("token", token(7, "n")).json(&body);
    let sent = answer(sent).await;
    sent.assert_sent();
    assert_eq!(sent.header("access-control-allow-origin"), "*");
}

#[tokio::test]
async fn the_timestamp_is_in_the_configured_time_zone() {
    let system = System::start_with(|settings| settings.set("ingest.time_zone", "Pacific/Kiritimati")).await;
    let refused = answer(system.get("/nowhere")).await.json();
    // 14 hours ahead of UTC: the hour differs from that of every other default.
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let hours = [seconds - 60, seconds].map(|seconds| format!("{:02}", (seconds / 3_600 + 14) % 24));
    let timestamp = refused["timestamp"].as_str().unwrap();
    assert!(hours.iter().any(|hour| timestamp[11..13] == **hour), "{timestamp} is not at hour {hours:?}");
}
