//! What a post says beside its text: attributes and the message that it answers. Nobody gives themselves attributes.

use reqwest::header::HeaderName;
use serde_json::{Value, json};

use super::tokens::token_with;
use super::{Answer, System, answer};
use crate::support::token;

const MESSAGE: &str = "01890b6e-7c1f-7d3a-9a51-3f1f0a8a3a11";

async fn post(system: &System, token: &str, body: Value) -> Answer {
    answer(system.post("/v1/rooms/42/messages").bearer_auth(token).json(&body)).await
}

fn service() -> String {
    token_with(json!({ "scope": "chat:attributes" }))
}

#[tokio::test]
async fn a_service_gives_attributes_and_a_viewer_does_not() {
    let system = System::start().await;
    let given = json!({ "color": "#00C853", "badges": [{ "version": 12.0, "id": "subscriber" }], "amount": 5 });
    assert_eq!(post(&system, &service(), json!({ "text": "paid", "attributes": given })).await.status, 202);

    let own = json!({ "text": "I am rich", "attributes": { "amount": 1_000_000 } });
    for token in [token(7, "nick"), token(42, "presenter"), token_with(json!({ "scope": "chat:moderate" }))] {
        post(&system, &token, own.clone()).await.assert_problem(403, "forbidden");
    }
    // As before, null is absent.
    let nothing = json!({ "text": "hi", "attributes": null, "replyTo": null });
    assert_eq!(post(&system, &token(7, "nick"), nothing).await.status, 202);

    let messages = system.messages().await;
    assert_eq!(messages.len(), 2);
    let canonical = json!({ "amount": 5, "badges": [{ "id": "subscriber", "version": 12 }], "color": "#00C853" });
    assert_eq!(messages[0]["attributes"], canonical);
    assert_eq!(messages[1].get("attributes"), None);
}

#[tokio::test]
async fn a_tokens_attributes_come_with_each_message_of_its_user_on_both_surfaces() {
    let system = System::start().await;
    let subscriber = token_with(json!({ "chat_attributes": { "badges": ["subscriber"] }, "scope": "chat:attributes" }));
    assert_eq!(post(&system, &subscriber, json!({ "text": "one" })).await.status, 202);
    let original = json!({ "presenterIdx": 42, "userType": "viewer", "textMessage": "two", "attributes": { "a": 1 } });
    answer(system.post("/send/message").header("token", &subscriber).json(&original)).await.assert_sent();
    for attributes in [json!({ "badges": ["gold"] }), json!({})] {
        let replaced = post(&system, &subscriber, json!({ "text": "three", "attributes": attributes })).await;
        assert_eq!(replaced.status, 202);
    }
    let attributes: Vec<Option<Value>> =
        system.messages().await.iter().map(|message| message.get("attributes").cloned()).collect();
    let badge = |name: &str| Some(json!({ "badges": [name] }));
    assert_eq!(attributes, [badge("subscriber"), badge("subscriber"), badge("gold"), None]);

    let broken = token_with(json!({ "chat_attributes": { "a": null } }));
    post(&system, &broken, json!({ "text": "hi" })).await.assert_problem(401, "token_invalid");
}

#[tokio::test]
async fn a_gateway_gives_attributes_for_a_user_with_the_scope_that_it_forwards() {
    let change = |settings: crate::support::Settings| {
        settings
            .set("ingest.gateway.mode", "trusted-addresses")
            .set("ingest.gateway.trusted", "127.0.0.0/8")
            .set("ingest.gateway.trusted_scope", "true")
    };
    let system = System::start_with(change).await;
    let forwarded = |scope: &str| {
        let headers = [("x-forward-useridx", "9"), ("x-forward-email", "a"), ("x-forward-nickname", "n")];
        let headers = headers.into_iter().chain([("x-forward-scope", scope)]);
        let request = system.post("/v1/rooms/42/messages").json(&json!({ "text": "hi", "attributes": { "tier": 2 } }));
        headers.fold(request, |request, (name, value)| request.header(HeaderName::from_static(name), value))
    };
    answer(forwarded("chat:moderate")).await.assert_problem(403, "forbidden");
    assert_eq!(answer(forwarded("chat:attributes")).await.status, 202);
    let messages = system.messages().await;
    assert_eq!(
        (messages.len(), &messages[0]["user"]["idx"], &messages[0]["attributes"]["tier"]),
        (1, &json!(9), &json!(2))
    );
}

#[tokio::test]
async fn a_message_answers_another_whether_or_not_that_exists() {
    let system = System::start().await;
    let first = system.post_v1("42", json!({ "text": "who won?" })).await.json()["id"].clone();
    for reply_to in [first.clone(), json!(MESSAGE), json!(MESSAGE.to_uppercase())] {
        let body = json!({ "text": "we did", "replyTo": reply_to });
        assert_eq!(system.post_v1("42", body).await.status, 202);
    }
    let messages = system.messages().await;
    assert_eq!(messages[0].get("replyTo"), None);
    let answered: Vec<&Value> = messages[1..].iter().map(|message| &message["replyTo"]).collect();
    assert_eq!(answered, [&first, &json!(MESSAGE), &json!(MESSAGE)]);
}

#[tokio::test]
async fn what_is_out_of_bounds_is_refused_and_named() {
    let system = System::start().await;
    for reply_to in [json!(""), json!("1"), json!(7), json!({}), json!([MESSAGE])] {
        let body = json!({ "text": "hi", "replyTo": reply_to });
        system.post_v1("42", body).await.assert_problem(400, "reply_to_invalid");
    }
    for (attributes, named) in [
        (json!([]), "object"),
        (json!("gold"), "object"),
        (json!({ "a-b": 1 }), "\"a-b\""),
        (json!({ "badges": [{ "id": null }] }), "badges.id"),
        (json!({ "amount": 4.99 }), "amount"),
        (json!({ "note": "a\u{7}b" }), "note"),
        (json!({ "note": "x".repeat(1_024) }), "1024 bytes"),
        (json!({ "deep": [[[1]]] }), "deep"),
    ] {
        let refused = post(&system, &service(), json!({ "text": "hi", "attributes": attributes })).await;
        refused.assert_problem(400, "attributes_invalid");
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(named), "{attributes}: {detail}");
    }
    assert!(system.messages().await.is_empty());
}

#[tokio::test]
async fn a_retry_has_the_same_extras() {
    let system = System::start().await;
    let keyed = async |body: Value| {
        let request = system.post("/v1/rooms/42/messages").bearer_auth(service()).header("idempotency-key", "a-key");
        answer(request.json(&body)).await
    };
    let body = json!({ "text": "hi", "replyTo": MESSAGE, "attributes": { "a": 1, "b": 2 } });
    let first = keyed(body.clone()).await;
    assert_eq!(first.status, 202);
    let respelled = json!({ "attributes": { "b": 2.0, "a": 1 }, "replyTo": MESSAGE.to_uppercase(), "text": " hi " });
    assert_eq!(keyed(respelled).await.json(), first.json());
    for (member, value) in [("replyTo", json!(null)), ("attributes", json!({ "a": 1 })), ("attributes", json!(null))] {
        let mut other = body.clone();
        other[member] = value;
        keyed(other).await.assert_problem(422, "idempotency_key_reused");
    }
    keyed(json!({ "text": "hi" })).await.assert_problem(422, "idempotency_key_reused");
    assert_eq!(system.messages().await.len(), 1);
}
