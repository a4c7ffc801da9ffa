//! All requests under one `Idempotency-Key` are one event, with one id and one position, however often and through
//! however many nodes they are sent. A different request under the same key is refused, however close the two are.

mod decisions;
mod memory;
mod outcomes;

use std::time::Duration;

use chat::Position;
use futures_util::future::join_all;
use nats::Entry;
use reqwest::Method;
use serde_json::{Value, json};

use super::tokens::token_with;
use super::{Answer, DEADLINE, answer, client};
use crate::support::{Direction, NatsServer, Proxy, Role, RoomServer, Settings, eventually, token};

/// Nodes over one log.
struct World {
    nodes: Vec<Role>,
    rooms: RoomServer,
    nats: NatsServer,
    settings: Settings,
    client: reqwest::Client,
}

impl World {
    async fn start() -> World {
        World::start_with(|settings| settings).await
    }

    async fn start_with(change: impl FnOnce(Settings) -> Settings) -> World {
        let (nats, rooms) = tokio::join!(NatsServer::start(), RoomServer::start());
        let settings = change(unhurried(Settings::new().nats(&nats).rooms(&rooms)));
        let (one, other) = tokio::join!(Role::start("ingest", &settings), Role::start("ingest", &settings));
        World { nodes: vec![one, other], rooms, nats, settings, client: client() }
    }

    /// Sends a request of user 7 under the key.
    async fn call(&self, node: &Role, method: Method, path: &str, key: &str, body: Option<Value>) -> Answer {
        self.call_as(node, method, path, &token(7, "nick"), key, body).await
    }

    async fn call_as(
        &self,
        node: &Role,
        method: Method,
        path: &str,
        token: &str,
        key: &str,
        body: Option<Value>,
    ) -> Answer {
        let request = self.client.request(method, node.url() + path).bearer_auth(token).header("idempotency-key", key);
        answer(if let Some(body) = body { request.json(&body) } else { request }).await
    }

    /// Posts a message of user 7 in room 42 under the key.
    async fn post(&self, node: &Role, key: &str, text: &str) -> Answer {
        self.call(node, Method::POST, MESSAGES, key, Some(json!({ "text": text }))).await
    }

    /// The same through the original's surface.
    async fn send(&self, node: &Role, key: &str, text: &str) -> Answer {
        let body = json!({ "presenterIdx": 42, "userType": "viewer", "textMessage": text });
        self.call(node, Method::POST, "/send/message", key, Some(body)).await
    }

    /// The events that every reader of the log sees.
    async fn entries(&self) -> Vec<Entry> {
        crate::log::everything(&crate::support::log(&self.settings).await).await
    }
}

const MESSAGES: &str = "/v1/rooms/42/messages";

/// Without rate limits that a test would reach.
fn unhurried(settings: Settings) -> Settings {
    settings
        .set("nats.max_size", "1073741824 B")
        .set("ingest.room.message_rate.messages", "1000")
        .set("ingest.room.message_rate.seconds", "1")
        .set("ingest.limits.user_rate.messages", "1000")
        .set("ingest.limits.user_rate.seconds", "1")
}

/// The id and the position, on either surface.
#[track_caller]
fn placed(answer: &Answer) -> (String, Position) {
    let (id, position) = match answer.status.as_u16() {
        202 => {
            let body = answer.json();
            (body["id"].as_str().unwrap().to_owned(), body["position"].as_str().unwrap().to_owned())
        }
        200 => (answer.header("message-id").to_owned(), answer.header("message-position").to_owned()),
        _ => panic!("not accepted: {answer:?}"),
    };
    (id, position.parse().unwrap())
}

/// Looks up the request of user 7 in room 42 under the key.
async fn ask(world: &World, node: &Role, key: &str) -> Answer {
    world.call(node, Method::GET, "/v1/rooms/42/requests", key, None).await
}

#[track_caller]
fn found(answer: &Answer) -> (String, Position) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    (body["id"].as_str().unwrap().to_owned(), body["position"].as_str().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_retry_gets_the_same_id_and_position_through_every_node_and_after_the_death_of_all() {
    let mut world = World::start().await;
    let first = placed(&world.post(&world.nodes[0], "key", "hi").await);
    assert_eq!(world.entries().await[0].position, first.1);
    // Other messages in between.
    placed(&world.post(&world.nodes[0], "another", "hi").await);
    for node in &world.nodes {
        assert_eq!(placed(&world.post(node, "key", "hi").await), first);
        assert_eq!(placed(&world.send(node, "key", "hi").await), first, "the surfaces are two ways to say the same");
    }
    world.nodes.push(Role::start("ingest", &world.settings).await);
    assert_eq!(placed(&world.post(&world.nodes[2], "key", "hi").await), first);

    world.nodes.iter().for_each(Role::kill);
    world.nats.kill();
    world.nats.start_again().await;
    for node in &world.nodes {
        node.start_again().await;
        assert_eq!(placed(&world.post(node, "key", "hi").await), first);
    }
    assert_eq!(world.entries().await.len(), 2, "a retry that is known is not appended again");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_under_a_key_through_two_nodes_are_one_message() {
    let world = World::start().await;
    let mut expected = Vec::new();
    for round in 0..100 {
        let key = round.to_string();
        let tries = world.nodes.iter().cycle().take(4).map(|node| world.post(node, &key, "hi"));
        let answers: Vec<_> = join_all(tries).await.iter().map(placed).collect();
        assert!(answers.iter().all(|answer| *answer == answers[0]), "round {round}: {answers:?}");
        expected.push(answers[0].clone());
    }
    let entries: Vec<_> = world.entries().await.iter().map(|entry| (entry.id.to_string(), entry.position)).collect();
    assert_eq!(entries, expected, "readers see each once, where the answers say");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_concurrent_requests_under_a_key_is_accepted_and_the_other_refused() {
    let world = World::start().await;
    for round in 0..100 {
        let key = round.to_string();
        // Through both surfaces in every second round.
        let (one, other) = match round % 2 {
            0 => tokio::join!(world.post(&world.nodes[0], &key, "one"), world.post(&world.nodes[1], &key, "other")),
            _ => tokio::join!(world.post(&world.nodes[0], &key, "one"), world.send(&world.nodes[1], &key, "other")),
        };
        let (text, won, lost) = match one.status.as_u16() {
            202 => ("one", one, other),
            _ => ("other", other, one),
        };
        assert_eq!(lost.status, 422, "round {round}: {lost:?}");
        let (id, position) = placed(&won);
        let entries = world.entries().await;
        assert_eq!(entries.len(), round + 1, "round {round}");
        let entry = &entries[round];
        assert_eq!((entry.id.to_string(), entry.position), (id, position));
        let event: Value = serde_json::from_slice(&entry.line).unwrap();
        assert_eq!(event["text"], text, "the one that was accepted is the one that is read");
        // A retry gets the same answer from every node.
        for node in &world.nodes {
            assert_eq!(placed(&world.post(node, &key, text).await).1, position);
        }
    }
}

#[tokio::test]
async fn another_request_under_the_same_key_is_refused_and_leaves_nothing() {
    let world = World::start().await;
    let first = placed(&world.post(&world.nodes[0], "key", "hi").await);
    for node in &world.nodes {
        let reused = eventually("the node knows the key", Duration::from_secs(1), async || {
            let answer = world.post(node, "key", "hi!").await;
            (answer.status != 202).then_some(answer)
        });
        reused.await.assert_problem(422, "idempotency_key_reused");
        let sent = world.send(node, "key", "hi!").await;
        sent.assert_original_error(422, "채팅이 정상적으로 전송되지 않았습니다.", "/send/message");
    }
    assert_eq!(world.entries().await.len(), 1);

    // A key belongs to a user and a room.
    let hi = || Some(json!({ "text": "hi!" }));
    let other_user = world.call_as(&world.nodes[0], Method::POST, MESSAGES, &token(8, "nick"), "key", hi()).await;
    let other_room = world.call(&world.nodes[0], Method::POST, "/v1/rooms/43/messages", "key", hi()).await;
    let ids = [first.0, placed(&other_user).0, placed(&other_room).0];
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
    assert_eq!(world.entries().await.len(), 3);
}

#[tokio::test]
async fn without_a_key_every_post_is_a_message() {
    let world = World::start().await;
    for node in &world.nodes {
        for _ in 0..2 {
            let request = world.client.post(node.url() + MESSAGES).bearer_auth(token(7, "nick"));
            assert_eq!(answer(request.json(&json!({ "text": "hi" }))).await.status, 202);
        }
    }
    let entries = world.entries().await;
    assert_eq!(entries.len(), 4);
    let has_digest = |entry: &Entry| entry.event().unwrap().request.is_some();
    assert!(!entries.iter().any(has_digest));
}

#[tokio::test]
async fn a_refused_post_can_be_retried_under_its_key() {
    let world = World::start().await;
    world.rooms.set_live(42, false);
    world.post(&world.nodes[0], "key", "hi").await.assert_problem(409, "room_not_live");
    world.rooms.set_live(42, true);
    eventually("the room is live", DEADLINE, async || {
        (world.post(&world.nodes[0], "key", "hi!").await.status == 202).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_retry_of_an_accepted_post_is_accepted_despite_later_decisions() {
    let world = World::start().await;
    let first = placed(&world.post(&world.nodes[0], "key", "longer than five").await);
    let presenter = token(42, "presenter");
    let decide = async |method, path: &str, body| {
        let decided = world.call_as(&world.nodes[0], method, path, &presenter, path, Some(body)).await;
        assert_eq!(decided.status, 202, "{decided:?}");
    };
    decide(Method::PATCH, "/v1/rooms/42/settings", json!({ "settings": { "presenterOnly": true, "maxLength": 5 } }))
        .await;
    decide(Method::PUT, "/v1/rooms/42/bans/7", json!({})).await;
    eventually("the ban holds on the other node", Duration::from_secs(1), async || {
        (world.post(&world.nodes[1], "later", "hi").await.status == 403).then_some(())
    })
    .await;
    world.rooms.set_live(42, false);
    for node in &world.nodes {
        assert_eq!(placed(&world.post(node, "key", "longer than five").await), first);
        assert_eq!(placed(&world.send(node, "key", "longer than five").await), first);
    }
}
