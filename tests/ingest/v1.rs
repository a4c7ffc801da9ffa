//! The surface `/v1`.

use serde_json::{Value, json};

use super::{System, answer};
use crate::support::token;

#[tokio::test]
async fn a_message_is_answered_202_with_its_id_and_position_and_is_in_the_log() {
    let system = System::start().await;
    let posted = system.post_v1("42", json!({"text": "  👨‍👩‍👧 \u{1100}\u{1161} ", "unknown": 1})).await;
    assert_eq!(posted.status, 202, "{posted:?}");
    let body = posted.json();
    assert_eq!(body["presenter"], "reconnecting");
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "position", "presenter"]);

    let messages = system.messages().await;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0]["id"], body["id"]);
    assert_eq!(messages[0]["text"], "👨‍👩‍👧 \u{1100}\u{1161}", "trimmed, in the normal form that it came in");
}

#[tokio::test]
async fn positions_grow_in_the_order_of_answers() {
    let system = System::start().await;
    let mut sequences = Vec::new();
    for n in 0..20 {
        let body = system.post_v1("42", json!({"text": n.to_string()})).await.json();
        let position: chat::Position = body["position"].as_str().unwrap().parse().unwrap();
        sequences.push(position);
    }
    assert!(sequences.is_sorted());
    let texts: Vec<Value> = system.messages().await.iter().map(|message| message["text"].clone()).collect();
    assert_eq!(texts, (0..20).map(|n| json!(n.to_string())).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_same_idempotency_key_is_the_same_message_on_both_surfaces() {
    let system = System::start().await;
    let post = |key: &str, user: i64| {
        let request = system.post("/v1/rooms/42/messages").bearer_auth(token(user, "nick"));
        answer(request.header("idempotency-key", key).json(&json!({"text": "hi"})))
    };
    let first = post("a-key", 7).await.json()["id"].clone();
    assert_eq!(post("a-key", 7).await.json()["id"], first);
    assert_ne!(post("another-key", 7).await.json()["id"], first);
    assert_ne!(post("a-key", 8).await.json()["id"], first);

    let sent = system.post("/send/message").header("token", token(7, "nick")).header("idempotency-key", "a-key");
    let sent = answer(sent.json(&json!({"presenterIdx": 42, "userType": "viewer", "textMessage": "hi"}))).await;
    sent.assert_sent();
    assert_eq!(sent.header("message-id"), first.as_str().unwrap());
}

#[tokio::test]
async fn every_invalid_post_gets_a_stable_code() {
    let system = System::start().await;
    system.rooms.set_live(43, false);
    let cases = [
        ("42", json!({}), 400, "text_empty"),
        ("42", json!({"text": null}), 400, "text_empty"),
        ("42", json!({"text": "\u{200B}"}), 400, "text_empty"),
        ("42", json!({"text": 1}), 400, "body_malformed"),
        ("42", json!([]), 400, "body_malformed"),
        ("42", json!({"text": "a\tb"}), 400, "text_forbidden_characters"),
        ("42", json!({"text": "a\u{202E}b"}), 400, "text_forbidden_characters"),
        ("42", json!({"text": "a".repeat(501)}), 400, "text_too_long"),
        ("42", json!({"text": "a".repeat(70_000)}), 413, "body_too_large"),
        ("0", json!({"text": "hi"}), 400, "presenter_idx_invalid"),
        ("042", json!({"text": "hi"}), 400, "presenter_idx_invalid"),
        ("9223372036854775808", json!({"text": "hi"}), 400, "presenter_idx_invalid"),
        ("%FF", json!({"text": "hi"}), 404, "not_found"),
        ("43", json!({"text": "hi"}), 409, "room_not_live"),
    ];
    for (room, body, status, code) in cases {
        system.post_v1(room, body).await.assert_problem(status, code);
    }
    let post = || system.post("/v1/rooms/42/messages");
    let body = json!({"text": "hi"});
    answer(post().json(&body)).await.assert_problem(401, "token_missing");
    answer(post().bearer_auth("garbage").json(&body)).await.assert_problem(401, "token_invalid");
    answer(post().bearer_auth(super::tokens::expired()).json(&body)).await.assert_problem(401, "token_expired");
    let two = post().bearer_auth(token(7, "nick")).header("token", token(8, "nick"));
    answer(two.json(&body)).await.assert_problem(401, "token_invalid");
    let keyed = post().bearer_auth(token(7, "nick")).header("idempotency-key", "a key");
    answer(keyed.json(&body)).await.assert_problem(400, "idempotency_key_invalid");
    answer(post().bearer_auth(token(7, "nick")).body("hi")).await.assert_problem(415, "unsupported_media_type");
    answer(system.get("/v1/nowhere")).await.assert_problem(404, "not_found");
    let wrong = answer(system.get("/v1/rooms/42/messages")).await;
    wrong.assert_problem(405, "method_not_allowed");
    assert_eq!(wrong.header("allow"), "POST,DELETE");
    assert!(system.messages().await.is_empty());
}

#[tokio::test]
async fn posts_above_the_limit_of_concurrent_ones_are_refused_at_once() {
    let system = System::start_with(|settings| settings.set("ingest.max_in_flight", "0")).await;
    let refused = system.post_v1("42", json!({"text": "hi"})).await;
    refused.assert_problem(503, "overloaded");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.json()["outcome"], "not_stored");
    assert_eq!(answer(system.get("/")).await.status, 200, "what is no post is let in");
}
