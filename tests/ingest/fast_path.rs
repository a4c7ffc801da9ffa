//! The fast path answers posts as the router does. A post to a percent-encoded room goes through the router, to the
//! same room.

use serde_json::json;

use super::{Answer, System, answer};
use crate::support::token;

const FAST: &str = "/v1/rooms/42/messages";
const ROUTED: &str = "/v1/rooms/%34%32/messages";

/// Everything except the time and the request's id.
fn everything(answer: &Answer) -> String {
    let headers = answer.headers.iter().filter(|(name, _)| *name != "date" && *name != "x-request-id");
    let headers: Vec<_> = headers.collect();
    format!("{} {headers:?} {}", answer.status, answer.body)
}

#[tokio::test]
async fn a_refused_post_is_answered_alike_on_both_paths() {
    let system = System::start().await;
    let good = token(7, "nick");
    let authorized = |path: &str| system.post(path).bearer_auth(&good);
    let long = json!({"text": "x".repeat(501)}).to_string();
    let bodies = [
        "",
        "{",
        "[]",
        "{}",
        r#"{"text":null}"#,
        r#"{"text":5}"#,
        r#"{"text":""}"#,
        r#"{"text":"a","text":"b"}"#,
        r#"{"text":"a\nb"}"#,
        r#"{"text":"\ud83d"}"#,
        "\u{feff}{}",
        &long,
    ];
    let pair = async |request: &dyn Fn(&str) -> reqwest::RequestBuilder| {
        let (fast, routed) = (answer(request(FAST)).await, answer(request(ROUTED)).await);
        assert_eq!(everything(&fast), everything(&routed));
        fast.status.as_u16()
    };
    for body in bodies {
        let json = |path: &str| authorized(path).header("content-type", "application/json").body(body.to_owned());
        assert_eq!(pair(&json).await, 400, "{body}");
    }
    assert_eq!(pair(&|path| system.post(path).json(&json!({"text": "hi"}))).await, 401);
    assert_eq!(pair(&|path| system.post(path).bearer_auth("x").json(&json!({"text": "hi"}))).await, 401);
    assert_eq!(pair(&|path| system.post(path).bearer_auth("x").header("token", &good)).await, 401);
    assert_eq!(pair(&|path| authorized(path).body("{}")).await, 415);
    assert_eq!(pair(&|path| authorized(path).json(&json!({})).header("content-encoding", "gzip")).await, 415);
    assert_eq!(pair(&|path| authorized(path).json(&json!({"text": "x".repeat(70_000)}))).await, 413);
    let keyed = |path: &str, key: &str| authorized(path).header("idempotency-key", key).json(&json!({"text": "hi"}));
    assert_eq!(pair(&|path| keyed(path, "a b")).await, 400);
    let digest = |path: &str| authorized(path).header("content-digest", "sha-256=:AA==:").json(&json!({"text": "hi"}));
    assert_eq!(pair(&digest).await, 400);
    system.rooms.set_live(42, false);
    assert_eq!(pair(&|path| authorized(path).json(&json!({"text": "hi"}))).await, 409);
}

#[tokio::test]
async fn an_accepted_post_and_its_retry_are_answered_alike_on_both_paths() {
    let system = System::start().await;
    let post = async |path: &str, key: &str| {
        let request = system.post(path).bearer_auth(token(7, "nick")).header("idempotency-key", key);
        answer(request.json(&json!({"text": "hi"}))).await
    };
    let (fast, routed) = (post(FAST, "one").await, post(ROUTED, "two").await);
    let names = |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!((fast.status.as_u16(), names(&fast)), (202, names(&routed)));
    for key in ["one", "two"] {
        let (fast, routed) = (post(FAST, key).await, post(ROUTED, key).await);
        assert_eq!((fast.status.as_u16(), everything(&fast)), (202, everything(&routed)));
    }
    assert_eq!(post(ROUTED, "one").await.json()["id"], fast.json()["id"]);
}
