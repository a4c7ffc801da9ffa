//! Forwarded identities count only from trusted gateways.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{System, answer};
use crate::support::{NatsServer, Role, Settings, token};

const KEY: &str = "the gateway's secret, of more than 32 bytes";

fn forwarded(system: &System) -> RequestBuilder {
    forwarded_to(&system.ingest.url())
}

/// A post that a gateway forwards to that ingest.
pub(crate) fn forwarded_to(url: &str) -> RequestBuilder {
    super::client()
        .post(format!("{url}/send/message"))
        .header("x-forward-userIdx", "9")
        .header("x-forward-email", "gateway%40example.com")
        .header("x-forward-nickname", "%EA%B0%80+%EB%82%98")
        .json(&json!({"presenterIdx": 42, "userType": "viewer", "textMessage": "hi"}))
}

pub(crate) fn signature(key: &str) -> String {
    signature_of(key, "")
}

/// `more` is a line feed and the scope, if that is signed too.
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
    // A forwarded request keeps its token, which the gateway has verified.
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

/// A request of user 9, forwarded and signed as a whole by the gateway.
fn signed(system: &System, method: Method, target: &str, body: &str, key: &str) -> RequestBuilder {
    let digest = match body {
        "" => String::new(),
        body => format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body))),
    };
    let time = super::tokens::now();
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    let scope = "chat%3Amoderate";
    mac.update(format!("v2\n{time}\n{method}\n{target}\n{digest}\n9\n\nn\n{scope}").as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let request = system.client.request(method, system.ingest.url() + target);
    let request =
        request.header("x-forward-userIdx", "9").header("x-forward-email", "").header("x-forward-nickname", "n");
    let request = request.header("x-forward-scope", scope).header("x-forward-signature", format!("t={time},v2={hex}"));
    match body {
        "" => request,
        body => {
            request.header("content-digest", digest).header("content-type", "application/json").body(body.to_owned())
        }
    }
}

const POST: &str = "/v1/rooms/42/messages";
const HI: &str = r#"{"text":"hi"}"#;

async fn with_signatures(v1_until: &str) -> System {
    System::start_with(|settings| {
        let settings = settings.set("ingest.gateway.mode", "signature").set("ingest.gateway.secret", KEY);
        settings.set("ingest.gateway.v1_until", v1_until)
    })
    .await
}

#[tokio::test]
async fn a_signature_holds_for_the_request_that_it_was_made_for_and_no_other() {
    let system = with_signatures("").await;
    let post = || signed(&system, Method::POST, POST, HI, KEY);
    assert_eq!(answer(post()).await.status, 202);
    assert_eq!(last_user(&system).await, json!({"idx": 9, "nickname": "n", "role": "moderator"}));
    assert_eq!(answer(signed(&system, Method::DELETE, "/v1/rooms/42/messages?reason=raid", "", KEY)).await.status, 202);

    // The signature of a captured post, on a clear, a ban and another post.
    let captured = post().build().unwrap();
    let replay = |method: Method, target: &str, body: &str| {
        let request = system.client.request(method, system.ingest.url() + target);
        let request = captured.headers().iter().fold(request, |request, (name, value)| request.header(name, value));
        answer(request.body(body.to_owned()))
    };
    replay(Method::DELETE, POST, "").await.assert_problem(401, "token_missing");
    replay(Method::PUT, "/v1/rooms/42/bans/7", HI).await.assert_problem(401, "token_missing");
    replay(Method::POST, "/v1/rooms/43/messages", HI).await.assert_problem(401, "token_missing");
    replay(Method::POST, POST, r#"{"text":"ho"}"#).await.assert_problem(400, "body_malformed");
    assert_eq!(replay(Method::POST, POST, HI).await.status, 202, "the same again");

    let forged = signed(&system, Method::POST, POST, HI, "another secret, also of more than 32 bytes");
    answer(forged).await.assert_problem(401, "token_missing");
    let old = answer(forwarded(&system).header("x-forward-signature", signature(KEY))).await;
    old.assert_original_error(400, "Token null", "/send/message");
    assert_eq!(system.messages().await.len(), 2);
}

#[tokio::test]
async fn a_body_that_does_not_match_its_digest_is_refused_on_every_surface() {
    let system = System::start().await;
    let post = |digest: &str| {
        let request = system.post(POST).bearer_auth(token(7, "nick")).header("content-digest", digest);
        answer(request.json(&json!({"text": "hi"})))
    };
    assert_eq!(post(&format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(HI)))).await.status, 202);
    assert_eq!(post("sha-512=:AA==:").await.status, 202, "another one is not looked at");
    for wrong in [format!("sha-256=:{}:", STANDARD.encode(Sha256::digest("ho"))), "sha-256=:AA==:".to_owned()] {
        post(&wrong).await.assert_problem(400, "body_malformed");
    }
}

#[tokio::test]
async fn a_user_is_a_number_in_one_way_only() {
    let system = System::start_with(|settings| {
        settings.set("ingest.gateway.mode", "trusted-addresses").set("ingest.gateway.trusted", "127.0.0.0/8")
    })
    .await;
    for idx in ["+60", "0060", "060", "6e1", "60.0", "0x3c", "60,60"] {
        let request = system.post(POST).header("x-forward-userIdx", idx).header("x-forward-email", "");
        let refused = answer(request.header("x-forward-nickname", "n").json(&json!({"text": "hi"}))).await;
        refused.assert_problem(400, "forwarded_identity_invalid");
    }
}

#[tokio::test]
async fn signatures_without_the_request_are_accepted_until_the_configured_day() {
    let system = with_signatures("2999-12-31").await;
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
async fn an_incomplete_gateway_mode_exits_with_64_and_names_the_key() {
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
