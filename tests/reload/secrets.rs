//! Secrets that ingest shares with a gateway, a review hook and a collector are renewed while it runs.

use serde_json::json;

use super::{File, SOON};
use crate::ingest::client;
use crate::ingest::gateway::{forwarded_to, signature};
use crate::support::{Collector, NatsServer, ReviewHook, Role, RoomServer, Settings, eventually, token};

const OLD: &str = "the gateway's old secret, of more than 32 bytes";
const NEW: &str = "the gateway's new secret, of more than 32 bytes";

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn the_secrets_of_a_gateway_a_review_hook_and_a_collector_are_renewed_without_a_restart() {
    let (nats, rooms) = tokio::join!(NatsServer::start(), RoomServer::start());
    let (hook, collector) = tokio::join!(ReviewHook::start(), Collector::start());
    let settings = collector.settings(hook.settings(Settings::new().nats(&nats).rooms(&rooms)));
    let (hook_key, headers) = (settings.get("ingest.review.secret"), settings.get("otlp.headers"));
    let settings = settings.unset("ingest.review.secret").unset("otlp.headers");
    let settings = settings.set("ingest.review.fallback", "deny").set("ingest.gateway.mode", "signature");
    let settings = settings.set("ingest.gateway.v1_until", "9999-12-30");
    let file = File::new("");
    let write = |gateway: &str, hook: &str, headers: &str| {
        for (name, content) in [("gateway", gateway), ("hook", hook), ("headers", headers)] {
            file.write(name, content);
        }
    };
    write(OLD, "whsec_bm90IHRoZSBrZXkgb2YgdGhlIGhvb2ssIHlldA==", "authorization=hunter2");
    let lines = format!(
        "[ingest.gateway]\nsecret_file = {:?}\n[ingest.review]\nsecret_file = {:?}\n[otlp]\nheaders_file = {:?}\n",
        file.path("gateway"),
        file.path("hook"),
        file.path("headers")
    );
    file.write("chatting.toml", &lines);
    let ingest = file.start("ingest", &settings).await;
    let post = async || {
        let post = client().post(format!("{}/v1/rooms/1/messages", ingest.url())).bearer_auth(token(7, "nick"));
        let post = post.header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
        post.json(&json!({ "text": "hello" })).send().await.unwrap().status().as_u16()
    };
    let by_gateway = async |ingest: &Role, secret: &str| {
        let forwarded = forwarded_to(&ingest.url()).header("x-forward-signature", signature(secret));
        forwarded.send().await.unwrap().headers().get("message-code").map(|code| code.to_str().unwrap().to_owned())
    };
    let missing = Some("token_missing".to_owned());
    assert_eq!(post().await, 503);
    ingest.says("the collector does not take spans").await;
    assert_eq!(by_gateway(&ingest, NEW).await, missing);
    assert_ne!(by_gateway(&ingest, OLD).await, missing);

    write("too short", &hook_key, &headers);
    ingest.hang_up();
    ingest.says("nothing is reloaded: ingest.gateway.secret").await;
    assert_ne!(by_gateway(&ingest, OLD).await, missing);

    write(NEW, &hook_key, &headers);
    ingest.hang_up();
    ingest.says("reloaded: ingest.gateway.secret, ingest.review.secret, otlp.headers").await;
    ingest.says("word lists and secrets are in use as reloaded").await;
    // The breaker may still be open.
    eventually("the hook answers", SOON, async || (post().await == 202).then_some(())).await;
    assert_eq!(by_gateway(&ingest, NEW).await, None);
    assert_eq!(by_gateway(&ingest, OLD).await, missing);
    collector.span(TRACE, "POST /v1/rooms/{presenterIdx}/messages").await;
    for secret in [OLD, NEW, "hunter2", &hook_key] {
        assert!(!ingest.log().contains(secret), "{}", ingest.log());
    }
}
