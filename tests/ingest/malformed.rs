//! An invalid request is answered so that its author can fix it: the member, the expected value, and the page that
//! describes it.

use reqwest::Method;
use serde_json::{Value, json};

use super::tokens::token_with;
use super::{Answer, System, answer};
use crate::support::token;

const MESSAGES: &str = "/v1/rooms/42/messages";
const SETTINGS: &str = "/v1/rooms/42/settings";
const BAN: &str = "/v1/rooms/42/bans/7";

/// A request of a moderator, with exactly this body.
async fn call(system: &System, method: &str, path: &str, body: &str) -> Answer {
    let token = token_with(json!({ "scope": "chat:moderate" }));
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let request = system.client.request(method, system.ingest.url() + path).bearer_auth(token);
    answer(request.header("content-type", "application/json").body(body.to_owned())).await
}

#[tokio::test]
async fn every_400_names_what_is_wrong_and_what_was_expected_and_the_page() {
    let system = System::start().await;
    let object = "an object";
    let cases: [(&str, &str, &str, &str, &[&str]); 34] = [
        ("PATCH", SETTINGS, r#"{"wordPolicy":"reject"}"#, "body_malformed", &["\"settings\" is missing", object]),
        ("PATCH", SETTINGS, "{}", "body_malformed", &["\"settings\" is missing", object]),
        ("PATCH", SETTINGS, r#"{"settings":null}"#, "body_malformed", &["\"settings\"", object]),
        ("PATCH", SETTINGS, r#"{"settings":["wordPolicy"]}"#, "body_malformed", &["\"settings\"", object]),
        ("PATCH", SETTINGS, r#"{"settings":{},"settings":{}}"#, "body_malformed", &["\"settings\"", "twice"]),
        ("PATCH", SETTINGS, r#"{"settings":{}}"#, "setting_invalid", &["\"settings\"", "wordPolicy"]),
        (
            "PATCH",
            SETTINGS,
            r#"{"settings":{"wordPolicies":"off"}}"#,
            "setting_invalid",
            &["wordPolicies", "wordPolicy"],
        ),
        ("PATCH", SETTINGS, r#"{"settings":{"wordPolicy":1}}"#, "setting_invalid", &["wordPolicy", "mask"]),
        ("PATCH", SETTINGS, r#"{"settings":{"words":["\u200b"]}}"#, "setting_invalid", &["words", "200"]),
        ("PATCH", SETTINGS, r#"{"settings":{"words":["a\nb"]}}"#, "setting_invalid", &["words", "200"]),
        ("PATCH", SETTINGS, r#"{"settings":{"words":["\ud83d"]}}"#, "setting_invalid", &["words", "200"]),
        (
            "PATCH",
            SETTINGS,
            r#"{"settings":{"maxLength":9},"reason":5}"#,
            "body_malformed",
            &["\"reason\"", "a string"],
        ),
        (
            "PATCH",
            SETTINGS,
            r#"{"settings":{"maxLength":9},"seconds":"5"}"#,
            "seconds_invalid",
            &["seconds", "1209600"],
        ),
        ("PUT", BAN, r#"{"reason":["spam"]}"#, "body_malformed", &["\"reason\"", "a string"]),
        ("PUT", BAN, r#"{"reason":"a","reason":"b"}"#, "body_malformed", &["\"reason\"", "twice"]),
        ("PUT", BAN, r#"{"reason":"\ud83d"}"#, "reason_invalid", &["reason", "one line"]),
        ("PUT", BAN, r#"{"seconds":1.5}"#, "seconds_invalid", &["seconds", "an integer"]),
        ("PUT", BAN, "", "body_malformed", &["empty", "JSON"]),
        ("PUT", BAN, "[]", "body_malformed", &["a JSON object"]),
        ("PUT", "/v1/rooms/42/bans/x", "{}", "user_idx_invalid", &["userIdx", "an integer"]),
        ("POST", "/v1/rooms/x/messages", r#"{"text":"hi"}"#, "presenter_idx_invalid", &["presenterIdx", "an integer"]),
        ("POST", MESSAGES, r#"{"text":5}"#, "body_malformed", &["\"text\"", "a string"]),
        ("POST", MESSAGES, r#"{"text":{"a":"hi"}}"#, "body_malformed", &["\"text\"", "a string"]),
        ("POST", MESSAGES, r#"{"message":"hi"}"#, "text_empty", &["\"text\"", "is missing"]),
        ("POST", MESSAGES, r#"{"text":null}"#, "text_empty", &["\"text\"", "null"]),
        ("POST", MESSAGES, r#"{"text":"a","text":"b"}"#, "body_malformed", &["\"text\"", "twice"]),
        ("POST", MESSAGES, r#"{"text":"hi"#, "body_malformed", &["not JSON", "line 1 column 11"]),
        ("POST", MESSAGES, r#"{"text":"hi"} x"#, "body_malformed", &["not JSON", "line 1 column 15"]),
        ("POST", MESSAGES, r#""hi""#, "body_malformed", &["a JSON object"]),
        ("POST", MESSAGES, r#"{"text":"\ud83d"}"#, "text_forbidden_characters", &["text", "half"]),
        ("GET", "/v1/rooms/42/bans?first=0", "", "query_invalid", &["first", "1 to 1000"]),
        ("GET", "/v1/rooms/42/bans?first=ten", "", "query_invalid", &["first", "1 to 1000"]),
        ("GET", "/v1/rooms/42/bans?after=ten", "", "query_invalid", &["after", "next"]),
        ("DELETE", "/v1/rooms/42/messages?reason=a&reason=b", "", "query_invalid", &["reason", "twice"]),
    ];
    for (method, path, body, code, named) in cases {
        let refused = call(&system, method, path, body).await;
        refused.assert_problem(400, code);
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        for named in named {
            assert!(detail.contains(named), "{method} {path} {body}: {detail:?} does not say {named:?}");
        }
        assert!(detail.contains(" See docs/") && detail.contains(".md#"), "{method} {path} {body}: {detail:?}");
    }
    assert!(system.messages().await.is_empty());
}

#[tokio::test]
async fn a_lone_surrogate_is_no_text_and_affects_nothing_beside_it() {
    let system = System::start().await;
    let post = |body: String| {
        let request = system.post(MESSAGES).bearer_auth(token(7, "nick")).header("content-type", "application/json");
        answer(request.body(body))
    };
    for half in
        [r"\ud83d", r"\uDE00", r"a\ud83d b", r"\uDE00\ud83d", r"\ud83d\n", r"\ud83d\u0041", r"\ud83d\ud83d\ude00"]
    {
        post(format!(r#"{{"text":"{half}"}}"#)).await.assert_problem(400, "text_forbidden_characters");
        let sent = format!(r#"{{"presenterIdx":42,"userType":"viewer","textMessage":"{half}"}}"#);
        let request = system.post("/send/message").header("token", token(7, "nick"));
        let sent = answer(request.header("content-type", "application/json").body(sent)).await;
        sent.assert_original_error(400, "채팅이 정상적으로 전송되지 않았습니다.", "/send/message");
    }
    // A complete pair, an escaped backslash before a u, and a lone half in an ignored member.
    for (body, text) in [
        (r#"{"text":"\ud83d\ude00"}"#, "😀"),
        (r#"{"text":"\\ud83d"}"#, r"\ud83d"),
        (r#"{"text":"hi","more":"\ud83d"}"#, "hi"),
    ] {
        assert_eq!(post(body.to_owned()).await.status, 202, "{body}");
        assert_eq!(system.messages().await.last().unwrap()["text"], text);
    }
}

#[tokio::test]
async fn a_compressed_body_or_a_content_encoding_is_answered_415() {
    let system = System::start().await;
    let post = |encodings: &'static [&'static str]| {
        let request = system.post(MESSAGES).bearer_auth(token(7, "nick"));
        let request = encodings.iter().fold(request, |request, encoding| request.header("content-encoding", *encoding));
        answer(request.json(&json!({ "text": "hi" })))
    };
    let encoded: [&[&str]; 6] =
        [&["gzip"], &["GZIP"], &["br"], &["identity, gzip"], &["identity", "gzip"], &["garbage"]];
    for encodings in encoded {
        let refused = post(encodings).await;
        refused.assert_problem(415, "unsupported_media_type");
        assert!(refused.json()["detail"].as_str().unwrap().contains("Content-Encoding"), "{refused:?}");
        assert_eq!(refused.header("accept-encoding"), "identity");
    }
    let plain: [&[&str]; 4] = [&[], &["identity"], &["Identity"], &[""]];
    for encodings in plain {
        assert_eq!(post(encodings).await.status, 202, "{encodings:?}");
    }
    let sent = system.post("/send/message").header("token", token(7, "nick")).header("content-encoding", "gzip");
    let body: Value = json!({ "presenterIdx": 42, "userType": "viewer", "textMessage": "hi" });
    answer(sent.json(&body)).await.assert_original_error(415, "Unsupported Media Type", "/send/message");
}
