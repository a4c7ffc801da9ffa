//! Decisions have keys as messages do, and the two are never confused.

use super::*;

#[tokio::test]
async fn decisions_have_keys_as_messages_have() {
    let world = World::start().await;
    let moderator = token_with(json!({ "user_idx": 3, "scope": "chat:moderate" }));
    let target = placed(&world.post(&world.nodes[0], "key", "hi").await).0;
    let requests = [
        (Method::PUT, "/v1/rooms/42/bans/7", Some(json!({ "seconds": 60, "reason": "spam" }))),
        (Method::DELETE, "/v1/rooms/42/bans/7", None),
        (Method::PUT, "/v1/bans/7", Some(json!({}))),
        (Method::DELETE, "/v1/bans/7", None),
        (Method::PATCH, "/v1/rooms/42/settings", Some(json!({ "settings": { "uniqueChat": true }, "seconds": 60 }))),
        (Method::DELETE, "/v1/rooms/42/messages?reason=raid", None),
        (Method::DELETE, &format!("/v1/rooms/42/messages/{target}"), None),
    ];
    for (round, (method, path, body)) in requests.iter().enumerate() {
        let key = round.to_string();
        let call = |node| world.call_as(node, method.clone(), path, &moderator, &key, body.clone());
        let first = placed(&call(&world.nodes[0]).await);
        let (one, other) = tokio::join!(call(&world.nodes[0]), call(&world.nodes[1]));
        assert_eq!((placed(&one), placed(&other)), (first.clone(), first), "{method} {path}");
    }
    let entries = world.entries().await;
    assert_eq!(entries.len(), 1 + requests.len(), "each was decided once");

    // The whole content is the request: other content under the same key is another request.
    let others = [
        (0, Method::PUT, "/v1/rooms/42/bans/7", Some(json!({ "seconds": 61, "reason": "spam" }))),
        (0, Method::PUT, "/v1/rooms/42/bans/7", Some(json!({ "seconds": 60, "reason": "ads" }))),
        (0, Method::PUT, "/v1/rooms/42/bans/7", Some(json!({ "seconds": 60 }))),
        (0, Method::PUT, "/v1/rooms/42/bans/8", Some(json!({ "seconds": 60, "reason": "spam" }))),
        (0, Method::DELETE, "/v1/rooms/42/bans/7", None),
        (0, Method::POST, MESSAGES, Some(json!({ "text": "hi" }))),
        (2, Method::DELETE, "/v1/bans/7", None),
        (4, Method::PATCH, "/v1/rooms/42/settings", Some(json!({ "settings": { "uniqueChat": true } }))),
        (
            4,
            Method::PATCH,
            "/v1/rooms/42/settings",
            Some(json!({ "settings": { "uniqueChat": false }, "seconds": 60 })),
        ),
        (5, Method::DELETE, "/v1/rooms/42/messages", None),
        (5, Method::DELETE, &format!("/v1/rooms/42/messages/{target}?reason=raid"), None),
    ];
    for (key, method, path, body) in others {
        let reused =
            world.call_as(&world.nodes[1], method.clone(), path, &moderator, &key.to_string(), body.clone()).await;
        assert_eq!(reused.status, 422, "{key}: {method} {path} {body:?}: {reused:?}");
        reused.assert_problem(422, "idempotency_key_reused");
    }
    // The order of members does not matter, nor whether absent seconds are null.
    let same = json!({ "reason": "spam", "seconds": 60 });
    placed(&world.call_as(&world.nodes[1], Method::PUT, "/v1/rooms/42/bans/7", &moderator, "0", Some(same)).await);
    let same = json!({ "seconds": null, "reason": null });
    placed(&world.call_as(&world.nodes[1], Method::PUT, "/v1/bans/7", &moderator, "2", Some(same)).await);
    assert_eq!(world.entries().await.len(), entries.len());
}

#[tokio::test]
async fn messages_and_decisions_are_never_taken_for_each_other() {
    let world = World::start().await;
    let node = &world.nodes[0];
    let room = "/v1/rooms/7";
    let messages = format!("{room}/messages");
    // The text form of a decision in some version, sent as a message.
    let texts = [r#"[["clear"],null]"#, r#"["decision",["clear"],null]"#, "decision [[\"clear\"],null]"];
    for (n, text) in texts.iter().enumerate() {
        let (said, cleared) = (format!("said-first-{n}"), format!("cleared-first-{n}"));
        let message = || Some(json!({ "text": text }));
        assert_eq!(world.call(node, Method::POST, &messages, &said, message()).await.status, 202);
        let clear = world.call(node, Method::DELETE, &messages, &said, None).await;
        clear.assert_problem(422, "idempotency_key_reused");

        assert_eq!(world.call(node, Method::DELETE, &messages, &cleared, None).await.status, 202);
        assert_eq!(world.call(node, Method::DELETE, &messages, &cleared, None).await.status, 202, "a retry");
        let said = world.call(node, Method::POST, &messages, &cleared, message()).await;
        said.assert_problem(422, "idempotency_key_reused");
    }
    // Each decision has its own digest: any two under one key are two requests.
    let decisions: [(Method, String, Option<Value>); 7] = [
        (Method::DELETE, messages.clone(), None),
        (Method::DELETE, format!("{messages}?reason=clear"), None),
        (Method::PUT, format!("{room}/bans/9"), Some(json!({}))),
        (Method::PUT, format!("{room}/bans/9"), Some(json!({ "seconds": 9 }))),
        (Method::DELETE, format!("{room}/bans/9"), None),
        (Method::PATCH, format!("{room}/settings"), Some(json!({ "settings": { "maxLength": 9 } }))),
        (Method::DELETE, format!("{messages}/0189{:0>4}-0000-7000-8000-000000000000", 9), None),
    ];
    for (first, (method, path, body)) in decisions.iter().enumerate() {
        let key = format!("decision-{first}");
        let decided = world.call(node, method.clone(), path, &key, body.clone()).await;
        assert_eq!(decided.status, 202, "{method} {path}: {decided:?}");
        for (other, (method, path, body)) in decisions.iter().enumerate().filter(|(other, _)| *other != first) {
            let refused = world.call(node, method.clone(), path, &key, body.clone()).await;
            assert_eq!(refused.status, 422, "{first} and {other}: {refused:?}");
        }
    }
}
