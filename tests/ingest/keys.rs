//! An issuer's published keys, as they change and as their server fails.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};

use super::tokens::{good, token_with};
use super::{Answer, DEADLINE, System, answer, client};
use crate::support::{JwksServer, NatsServer, Published, Role, RoomServer, Settings, SigningKey, eventually};

/// Reads the identity of a token through the original's surface.
async fn ask(system: &System, token: &str) -> Answer {
    answer(system.get("/token").bearer_auth(token)).await
}

async fn status(system: &System, key: &SigningKey) -> u16 {
    ask(system, &key.token(&good())).await.status.as_u16()
}

async fn start(issuer: &JwksServer, change: impl FnOnce(Settings) -> Settings) -> System {
    System::start_with(|settings| change(settings.set("auth.jwks.url", &issuer.url()))).await
}

/// The number of such lines in the log.
fn count(system: &System, line: &str) -> usize {
    system.ingest.log().matches(line).count()
}

/// Waits until the log has another such line.
async fn logged_again(system: &System, line: &str, before: usize) {
    eventually(line, DEADLINE, async || (count(system, line) > before).then_some(())).await;
}

const FAILED: &str = "cannot fetch the issuer's keys";
const LEARNT: &str = "the issuer's keys are now";

#[tokio::test]
async fn a_new_key_is_accepted_at_once_and_a_removed_one_is_refused() {
    let keys = ["first", "second", "third"].map(SigningKey::ec);
    let issuer = JwksServer::start(&[&keys[0]]).await;
    let system = start(&issuer, |settings| settings).await;
    assert_eq!(status(&system, &keys[0]).await, 200);
    assert_eq!(issuer.requests(), 1);

    issuer.publish(&[&keys[1]]);
    assert_eq!(status(&system, &keys[0]).await, 200, "nobody has asked yet");
    assert_eq!(status(&system, &keys[1]).await, 200);
    assert_eq!(status(&system, &keys[0]).await, 401);
    assert_eq!(issuer.requests(), 2);

    // No second fetch within the same minute.
    issuer.publish(&[&keys[2]]);
    assert_eq!(status(&system, &keys[2]).await, 401);
    assert_eq!(status(&system, &keys[1]).await, 200);
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn the_keys_are_fetched_again_whenever_it_is_time() {
    let (old, new) = (SigningKey::rsa("old"), SigningKey::ed("new"));
    let issuer = JwksServer::start(&[&old]).await;
    let system = start(&issuer, |settings| settings.set("auth.jwks.refresh_seconds", "1")).await;
    assert_eq!(status(&system, &old).await, 200);
    issuer.publish(&[&new]);
    eventually("the old key is forgotten", DEADLINE, async || (status(&system, &old).await == 401).then_some(())).await;
    assert_eq!(status(&system, &new).await, 200);
    // The same name and another key.
    let successor = SigningKey::ed("new");
    issuer.publish(&[&successor]);
    eventually("the key is replaced", DEADLINE, async || (status(&system, &successor).await == 200).then_some(()))
        .await;
    assert_eq!(status(&system, &new).await, 401);
}

#[tokio::test]
async fn a_thousand_unknown_kids_lead_to_one_fetch() {
    let (key, attacker) = (SigningKey::ec("good"), SigningKey::ed("attacker"));
    let issuer = JwksServer::start(&[&key]).await;
    let system = start(&issuer, |settings| settings).await;
    assert_eq!(status(&system, &key).await, 200);
    let statuses = stream::iter(0..1_000).map(async |number| {
        let header = serde_json::json!({"alg": "EdDSA", "kid": format!("made-up-{number}")});
        ask(&system, &attacker.token_with(&header, &good())).await.status.as_u16()
    });
    let statuses: Vec<u16> = statuses.buffer_unordered(64).collect().await;
    assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
    assert_eq!(issuer.requests(), 2);
    assert_eq!(status(&system, &key).await, 200);
}

#[tokio::test]
async fn all_tokens_of_a_new_key_wait_for_one_fetch() {
    let (old, new) = (SigningKey::ec("old"), SigningKey::ec("new"));
    let issuer = JwksServer::start(&[&old]).await;
    let system = start(&issuer, |settings| settings).await;
    assert_eq!(status(&system, &old).await, 200);
    issuer.answer(Published::Late(Duration::from_millis(300), vec![old.jwk(), new.jwk()]));
    let statuses = join_all((0..50).map(|_| status(&system, &new))).await;
    assert_eq!(statuses, [200; 50]);
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn the_last_good_keys_survive_every_failure_of_the_issuer() {
    let (key, attacker) = (SigningKey::rsa("good"), SigningKey::ec("attacker"));
    let issuer = JwksServer::start(&[&key]).await;
    let system =
        start(&issuer, |settings| settings.set("auth.jwks.refresh_seconds", "1").set("auth.jwks.deadline_ms", "1000"))
            .await;
    assert_eq!(status(&system, &key).await, 200);
    let published = vec![attacker.jwk()];
    let huge = serde_json::json!({"keys": [attacker.jwk()], "padding": "x".repeat(64 * 1024)}).to_string();
    let bad_days = [
        Published::Status(500, published.clone()),
        Published::Status(404, published.clone()),
        Published::Redirect(published.clone()),
        Published::Late(Duration::from_secs(5), published),
        Published::Text(huge),
        Published::Text("<html>It works!</html>".to_owned()),
        Published::Text(String::new()),
        Published::Text(r#"{"keys":[]}"#.to_owned()),
        Published::Text(r#"{"keys":[{"kty":"oct","kid":"attacker","k":"c2VjcmV0"}]}"#.to_owned()),
    ];
    for published in bad_days {
        let what = format!("{published:?}");
        let (failed, learnt) = (count(&system, FAILED), count(&system, LEARNT));
        issuer.answer(published);
        logged_again(&system, FAILED, failed).await;
        assert_eq!(status(&system, &key).await, 200, "{what}");
        let unknown = ask(&system, &attacker.token(&good())).await;
        unknown.assert_original_error(503, "채팅이 정상적으로 전송되지 않았습니다.", "/token");
        issuer.publish(&[&key]);
        logged_again(&system, LEARNT, learnt).await;
        assert_eq!(status(&system, &attacker).await, 401, "{what}");
    }
    let failed = count(&system, FAILED);
    issuer.stop().await;
    logged_again(&system, FAILED, failed).await;
    assert_eq!(status(&system, &key).await, 200);
    assert_eq!(issuer.redirected(), 0);
    assert_eq!(answer(system.get("/readyz")).await.status, 200);
}

#[tokio::test]
async fn an_outage_is_logged_once() {
    let key = SigningKey::ed("key");
    let issuer = JwksServer::start(&[&key]).await;
    issuer.answer(Published::Status(500, Vec::new()));
    let system = start(&issuer, |settings| settings.set("auth.jwks.refresh_seconds", "1")).await;
    eventually("it was tried again", DEADLINE, async || (issuer.requests() >= 3).then_some(())).await;
    assert_eq!(count(&system, FAILED), 1, "{}", system.ingest.log());
}

#[tokio::test]
async fn before_the_first_keys_are_there_the_secret_works_and_the_rest_is_told_to_come_back() {
    let key = SigningKey::rsa("key");
    let issuer = JwksServer::stopped(&[&key]);
    let system = start(&issuer, |settings| settings.set("auth.jwks.refresh_seconds", "1")).await;
    assert_eq!(ask(&system, &token_with(serde_json::json!({}))).await.status, 200);
    let post = system.post("/v1/rooms/42/messages").bearer_auth(key.token(&good()));
    let refused = answer(post.json(&serde_json::json!({"text": "hi"}))).await;
    refused.assert_problem(503, "keys_unavailable");
    assert_eq!(refused.json()["outcome"], "not_stored");
    refused.header("retry-after");
    let refused = ask(&system, &key.token(&good())).await;
    refused.assert_original_error(503, "채팅이 정상적으로 전송되지 않았습니다.", "/token");
    refused.header("retry-after");

    issuer.start_again().await;
    eventually("the keys are there", DEADLINE, async || (status(&system, &key).await == 200).then_some(())).await;
}

#[tokio::test]
async fn a_node_that_cannot_verify_tokens_yet_is_alive_but_not_ready() {
    let key = SigningKey::ec("key");
    let issuer = JwksServer::stopped(&[&key]);
    let (nats, rooms) = (NatsServer::start().await, RoomServer::start().await);
    let settings = Settings::new().nats(&nats).rooms(&rooms).unset("auth.secret");
    let settings = settings.set("auth.jwks.url", &issuer.url()).set("auth.jwks.refresh_seconds", "1");
    settings.set_up().await;
    for role in ["ingest", "delivery"] {
        let role = Role::spawn(role, &settings);
        eventually("it says what it lacks", DEADLINE, async || {
            let ready = client().get(role.url() + "/readyz").send().await.ok()?;
            let (status, reason) = (ready.status(), ready.text().await.ok()?);
            (status == 503 && reason == "the keys at auth.jwks.url were never fetched").then_some(())
        })
        .await;
        assert_eq!(client().get(role.url() + "/livez").send().await.unwrap().status(), 200);
        issuer.start_again().await;
        role.ready().await;
        assert_eq!(role.terminate().await, 0);
        issuer.stop().await;
    }
}

#[tokio::test]
async fn each_issuer_has_its_own_names_and_only_published_keys_need_no_secret() {
    let key = SigningKey::ed("key");
    let issuer = JwksServer::start(&[&key]).await;
    let system = start(&issuer, |settings| {
        settings.set("auth.jwks.issuer", "https://issuer.example").set("auth.jwks.audience", "chat")
    })
    .await;
    let with = |iss: &str, aud: serde_json::Value| {
        let mut claims = good();
        claims["iss"] = iss.into();
        claims["aud"] = aud;
        key.token(&claims)
    };
    assert_eq!(ask(&system, &with("https://issuer.example", "chat".into())).await.status, 200);
    assert_eq!(ask(&system, &with("https://issuer.example", serde_json::json!(["shop", "chat"]))).await.status, 200);
    assert_eq!(ask(&system, &with("https://issuer.example", "shop".into())).await.status, 401);
    assert_eq!(ask(&system, &with("https://issuer.example/", "chat".into())).await.status, 401);
    assert_eq!(ask(&system, &key.token(&good())).await.status, 401);
    assert_eq!(ask(&system, &token_with(serde_json::json!({}))).await.status, 200, "the auth server names neither");

    let system = start(&issuer, |settings| settings.unset("auth.secret")).await;
    assert_eq!(status(&system, &key).await, 200);
    assert_eq!(ask(&system, &token_with(serde_json::json!({}))).await.status, 401, "no secret verifies it");
}
