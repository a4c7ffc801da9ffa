//! Numbers of users and rooms stay within what JavaScript can represent: a larger one would be another user in a page.

use reqwest::Method;
use serde_json::{Value, json};

use super::tokens::token_with;
use super::{Answer, System, answer};
use crate::support::token;

/// The largest safe integer of JavaScript.
const LARGEST: i64 = 9_007_199_254_740_991;

/// The first integer that JavaScript confuses with its successor, and the largest signed one.
const TOO_LARGE: [i64; 3] = [LARGEST + 1, LARGEST + 2, i64::MAX];

async fn call(system: &System, method: Method, path: &str, token: &str, body: Value) -> Answer {
    let request = system.client.request(method, system.ingest.url() + path);
    answer(request.bearer_auth(token).json(&body)).await
}

#[track_caller]
fn assert_says_the_bound(refused: &Answer, status: u16, code: &str) {
    refused.assert_problem(status, code);
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("9007199254740991 (2^53 - 1)"), "{detail}");
}

#[tokio::test]
async fn the_largest_id_is_accepted_and_the_next_one_refused_everywhere() {
    let system = System::start().await;
    let message = json!({ "text": "hi" });
    let moderator = token_with(json!({ "scope": "chat:moderate" }));

    let own = format!("/v1/rooms/{LARGEST}/messages");
    let posted = call(&system, Method::POST, &own, &token(LARGEST, "nick"), message.clone()).await;
    assert_eq!(posted.status, 202, "{posted:?}");
    let event = system.messages().await.pop().unwrap();
    assert_eq!((&event["presenterIdx"], &event["user"]["idx"]), (&json!(LARGEST), &json!(LARGEST)));
    let ban = format!("/v1/rooms/42/bans/{LARGEST}");
    assert_eq!(call(&system, Method::PUT, &ban, &moderator, json!({})).await.status, 202);

    for idx in TOO_LARGE {
        // In tokens, on both surfaces.
        let refused = call(&system, Method::POST, "/v1/rooms/42/messages", &token(idx, "nick"), message.clone()).await;
        assert_says_the_bound(&refused, 401, "token_invalid");
        let sent = json!({ "presenterIdx": 42, "userType": "viewer", "textMessage": "hi" });
        let jwt = "Jwt Exception";
        system.send_as(idx, sent).await.assert_original_error(401, jwt, "/send/message");
        let whose = answer(system.get("/token").header("token", token(idx, "nick"))).await;
        whose.assert_original_error(401, jwt, "/token");

        // In paths and queries.
        let path = format!("/v1/rooms/{idx}/messages");
        let refused = call(&system, Method::POST, &path, &moderator, message.clone()).await;
        assert_says_the_bound(&refused, 400, "presenter_idx_invalid");
        for path in [format!("/v1/rooms/42/bans/{idx}"), format!("/v1/bans/{idx}")] {
            let refused = call(&system, Method::PUT, &path, &moderator, json!({})).await;
            assert_says_the_bound(&refused, 400, "user_idx_invalid");
        }
        let refused = call(&system, Method::GET, &format!("/v1/bans?after={idx}"), &moderator, json!({})).await;
        refused.assert_problem(400, "query_invalid");

        // In the original's body, in every notation.
        for room in [format!("{idx}"), format!("{idx}.0"), format!("{idx}e0")] {
            let body = format!(r#"{{"presenterIdx":{room},"userType":"viewer","textMessage":"hi"}}"#);
            let sent = system.post("/send/message").header("token", token(7, "nick"));
            let sent = answer(sent.header("content-type", "application/json").body(body)).await;
            sent.assert_original_error(400, "룸 idx값이 정상적으로 오지 않습니다.", "/send/message");
        }
    }
    assert_eq!(system.messages().await.len(), 1);
}

#[tokio::test]
async fn forwarded_user_numbers_have_the_same_bounds() {
    let trusted = |settings: crate::support::Settings| {
        settings.set("ingest.gateway.mode", "trusted-addresses").set("ingest.gateway.trusted", "127.0.0.0/8")
    };
    let system = System::start_with(trusted).await;
    let forwarded = |idx: String| {
        let request = system.post("/v1/rooms/42/messages").header("x-forward-userIdx", idx);
        answer(request.header("x-forward-email", "").header("x-forward-nickname", "n").json(&json!({ "text": "hi" })))
    };
    assert_eq!(forwarded(LARGEST.to_string()).await.status, 202);
    for idx in TOO_LARGE {
        let refused = forwarded(idx.to_string()).await;
        assert_says_the_bound(&refused, 400, "forwarded_identity_invalid");
    }
}

#[tokio::test]
async fn a_tokens_number_may_be_written_as_a_float_as_a_bodys_may() {
    let system = System::start().await;
    for user_idx in [json!(7.0), json!(7e0), json!(7)] {
        let token = token_with(json!({ "user_idx": user_idx }));
        let posted = call(&system, Method::POST, "/v1/rooms/42/messages", &token, json!({ "text": "hi" })).await;
        assert_eq!(posted.status, 202, "{user_idx}: {posted:?}");
        assert_eq!(system.messages().await.last().unwrap()["user"]["idx"], 7);
        let whose = answer(system.get("/token").header("token", token)).await;
        assert_eq!((whose.status.as_u16(), whose.body.as_str()), (200, "7"));
    }
    for user_idx in [json!(7.5), json!(0.0), json!(-7.0), json!(1e300), json!("7"), json!(true), json!([7])] {
        let token = token_with(json!({ "user_idx": user_idx }));
        let refused = call(&system, Method::POST, "/v1/rooms/42/messages", &token, json!({ "text": "hi" })).await;
        refused.assert_problem(401, "token_invalid");
    }
}
