//! Presenters with tokens of an issuer that publishes its keys.

use serde_json::json;
use tokio::net::TcpSocket;

use super::presenter::Seen;
use super::*;
use crate::support::{JwksServer, SigningKey};

fn claims() -> serde_json::Value {
    json!({ "user_idx": 42, "exp": super::dialect::now() + 60 })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_published_key_opens_the_room() {
    let world = World::start().await;
    let key = SigningKey::ec("key");
    let issuer = JwksServer::start(&[&key]).await;
    let node = Role::start("delivery", &world.settings.clone().set("auth.jwks.url", &issuer.url())).await;
    let mut presenter = Presenter::handshake(&node, &[("token", &key.token(&claims()))]).await.unwrap();
    let session = world.session(42, None).await;
    world.post(42, &["안녕"]).await;
    assert_eq!(presenter.chats(1).await, ["안녕"]);
    let mut forger = Presenter::open(&node).await;
    forger.start(&SigningKey::ec("key").token(&claims())).await;
    assert_eq!(forger.rest().await.1, 4001);
    assert_eq!(world.presence.session(idx(42)), Some(session));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_tokens_cannot_be_verified_a_presenter_is_told_to_reconnect() {
    let world = World::start().await;
    let key = SigningKey::ec("key");
    let issuer = JwksServer::stopped(&[&key]);
    let settings = world.settings.clone().set("auth.jwks.url", &issuer.url()).set("auth.jwks.refresh_seconds", "1");
    let node = Role::start("delivery", &settings).await;
    let token = key.token(&claims());

    let mut presenter = Presenter::handshake(&node, &[("token", &token)]).await.unwrap();
    assert!(matches!(presenter.see().await, Seen::Frame(frame) if frame["id"] == "error"));
    assert_eq!(presenter.see().await, Seen::Closed(4102));

    let headers = [("sec-websocket-protocol", "chat.v1")];
    let socket = TcpSocket::new_v4().unwrap();
    let mut presenter = Presenter::handshake_at(socket, &node, "/v1/presenter", &headers).await.unwrap();
    presenter.say(json!({ "type": "start", "token": token }).to_string()).await;
    assert!(matches!(presenter.see().await, Seen::Frame(frame) if frame["code"] == "keys_unavailable"));
    assert_eq!(presenter.see().await, Seen::Closed(4102));

    issuer.start_again().await;
    eventually("the room is opened", PATIENCE, async || {
        let mut presenter = Presenter::handshake(&node, &[("token", &token)]).await.unwrap();
        presenter.say("ping").await;
        (presenter.see().await == Seen::Text("pong".to_owned())).then_some(())
    })
    .await;
}
