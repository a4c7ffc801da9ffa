//! Identities that a gateway forwards count only where they can be trusted.

use hmac::{Hmac, KeyInit, Mac};
use reqwest::RequestBuilder;
use serde_json::json;
use sha2::Sha256;

use super::{System, answer};
use crate::support::{NatsServer, Role, Settings, token};

const KEY: &str = "the gateway's secret, of more than 32 bytes";

fn forwarded(system: &System) -> RequestBuilder {
    system
        .post("/send/message")
        .header("x-forward-userIdx", "9")
        .header("x-forward-email", "gateway%40example.com")
        .header("x-forward-nickname", "%EA%B0%80+%EB%82%98")
        .json(&json!({"presenterIdx": 42, "userType": "viewer", "textMessage": "hi"}))
}

fn signature(key: &str) -> String {
    signature_of(key, "")
}

/// `more`: a line feed and the scope, if it is signed too.
fn signature_of(key: &str, more: &str) -> String {
    let time = super::tokens::now();
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(format!("{time}\n9\ngateway%40example.com\n%EA%B0%80+%EB%82%98{more}").as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={time},v1={hex}")
}

async fn last_user(system: &System) -> serde_json::Value {
    system.messages().await.last().unwrap()["user"].clone()
}

#[tokio::test]
async fn forwarded_headers_are_ignored_unless_configured() {
    let system = System::start().await;
    answer(forwarded(&system)).await.assert_original_error(400, "Token null", "/send/message");
    answer(forwarded(&system).header("token", token(7, "nick"))).await.assert_sent();
    assert_eq!(last_user(&system).await["idx"], 7);
}

#[tokio::test]
async fn forwarded_headers_from_a_trusted_address_count_on_both_surfaces() {
    let system = System::start_with(|settings| {
        settings.set("ingest.gateway.mode", "trusted-addresses").set("ingest.gateway.trusted", "127.0.0.0/8,::1/128")
    })
    .await;
    // The token stays on a forwarded request; the gateway has verified it.
    answer(forwarded(&system).header("token", token(7, "nick"))).await.assert_sent();
    assert_eq!(last_user(&system).await, json!({"idx": 9, "nickname": "가 나", "role": "viewer"}));

    let v1 = system
        .post("/v1/rooms/9/messages")
        .header("x-forward-userIdx", "9")
        .header("x-forward-email", "")
        .header("x-forward-nickname", "n")
        .json(&json!({"text": "hi"}));
    assert_eq!(answer(v1).await.status, 202);
    assert_eq!(last_user(&system).await["role"], "presenter");

    let incomplete = system.post("/send/message").header("x-forward-userIdx", "9").json(&json!({}));
    answer(incomplete).await.assert_original_error(400, "Token null", "/send/message");
    let malformed = system
        .post("/v1/rooms/9/messages")
        .header("x-forward-userIdx", "nine")
        .header("x-forward-email", "")
        .header("x-forward-nickname", "n")
        .json(&json!({"text": "hi"}));
    answer(malformed).await.assert_problem(400, "forwarded_identity_invalid");
}

#[tokio::test]
async fn a_client_does_not_become_a_moderator_through_a_gateway_that_does_not_know_scopes() {
    for (trusted_scope, role) in [("false", "viewer"), ("true", "moderator")] {
        let system = System::start_with(|settings| {
            settings
                .set("ingest.gateway.mode", "trusted-addresses")
                .set("ingest.gateway.trusted", "127.0.0.0/8")
                .set("ingest.gateway.trusted_scope", trusted_scope)
        })
        .await;
        answer(forwarded(&system).header("x-forward-scope", "chat%3Amoderate")).await.assert_sent();
        assert_eq!(last_user(&system).await["role"], role);
    }
}

#[tokio::test]
async fn forwarded_headers_from_another_address_are_ignored() {
    let system = System::start_with(|settings| {
        settings.set("ingest.gateway.mode", "trusted-addresses").set("ingest.gateway.trusted", "10.0.0.0/8")
    })
    .await;
    answer(forwarded(&system)).await.assert_original_error(400, "Token null", "/send/message");
    answer(forwarded(&system).header("token", token(7, "nick"))).await.assert_sent();
    assert_eq!(last_user(&system).await["idx"], 7);
}

#[tokio::test]
async fn forwarded_headers_count_with_the_gateways_signature() {
    let system = System::start_with(|settings| {
        settings.set("ingest.gateway.mode", "signature").set("ingest.gateway.secret", KEY)
    })
    .await;
    answer(forwarded(&system).header("x-forward-signature", signature(KEY))).await.assert_sent();
    assert_eq!(last_user(&system).await["idx"], 9);

    let forged = signature("another secret, also of more than 32 bytes");
    let forged = answer(forwarded(&system).header("x-forward-signature", forged)).await;
    forged.assert_original_error(400, "Token null", "/send/message");
    answer(forwarded(&system)).await.assert_original_error(400, "Token null", "/send/message");

    let scoped = |signature: String| {
        answer(forwarded(&system).header("x-forward-scope", "chat%3Amoderate").header("x-forward-signature", signature))
    };
    scoped(signature_of(KEY, "\nchat%3Amoderate")).await.assert_sent();
    assert_eq!(last_user(&system).await["role"], "moderator");
    for unsigned in ["", "\n", "\nchat%3Aread"] {
        let refused = scoped(signature_of(KEY, unsigned)).await;
        refused.assert_original_error(400, "Token null", "/send/message");
    }
}

#[tokio::test]
async fn a_mode_without_what_it_needs_is_refused_at_start_with_64_and_the_key_named() {
    let nats = NatsServer::start().await;
    let cases = [
        ("trusted-addresses", "ingest.gateway.trusted"),
        ("signature", "ingest.gateway.secret"),
        ("believe-everything", "ingest.gateway.mode"),
    ];
    for (mode, key) in cases {
        let role = Role::spawn("ingest", &Settings::new().nats(&nats).set("ingest.gateway.mode", mode));
        assert_eq!(role.exit_code(super::DEADLINE).await, 64, "{mode}");
        assert!(role.log().contains(key), "{}", role.log());
    }
}
