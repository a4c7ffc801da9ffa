//! The headers of every answer, for caches, browsers and clients.

use serde_json::json;

use super::{Answer, System, answer};
use crate::support::token;

fn assert_private(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{answer:?}");
}

#[tokio::test]
async fn private_answers_are_not_cacheable_and_public_ones_are() {
    let system = System::start().await;
    let moderator = token(42, "presenter");
    for (path, status) in [
        ("/token", 200),
        ("/v1/rooms/42/settings", 200),
        ("/v1/rooms/42/bans", 200),
        ("/v1/rooms/43/bans", 403),
        ("/v1/rooms/0/bans", 400),
        ("/v1/nowhere", 404),
        ("/nowhere", 404),
        ("/livez", 200),
    ] {
        let answer = answer(system.get(path).bearer_auth(&moderator)).await;
        assert_eq!(answer.status, status, "{path}");
        assert_private(&answer);
    }
    assert_private(&system.post_v1("42", json!({"text": "hi"})).await);
    assert_private(&system.send(json!({"presenterIdx": 42, "userType": "viewer", "textMessage": "hi"})).await);
    let document = answer(system.get("/v1/openapi.json")).await;
    assert_eq!(document.header("cache-control"), "public, max-age=300");
    assert_eq!(document.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn a_401_says_how_to_authenticate() {
    let system = System::start().await;
    let realm = "Bearer realm=\"chatting-server\"";
    let invalid = format!("{realm}, error=\"invalid_token\"");
    let body = json!({"text": "hi"});
    let post = || system.post("/v1/rooms/42/messages").json(&body);
    let missing = answer(post()).await;
    assert_eq!((missing.status.as_u16(), missing.header("www-authenticate")), (401, realm));
    let bad = answer(post().bearer_auth("garbage")).await;
    assert_eq!((bad.status.as_u16(), bad.header("www-authenticate")), (401, invalid.as_str()));
    for path in ["/token", "/send/message"] {
        let request = if path == "/token" { system.get(path) } else { system.post(path).json(&json!({})) };
        let bad = answer(request.header("token", "garbage")).await;
        assert_eq!((bad.status.as_u16(), bad.header("www-authenticate")), (401, invalid.as_str()), "{path}");
        assert_private(&bad);
    }
}
