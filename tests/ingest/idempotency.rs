//! A request under an `Idempotency-Key` is one event, with one id and one position, however often and through however
//! many nodes it is sent; another request under the same key is refused, however close the two are.

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

    /// A request of user 7 under the key.
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

    /// A message of user 7 in room 42 under the key.
    async fn post(&self, node: &Role, key: &str, text: &str) -> Answer {
        self.call(node, Method::POST, MESSAGES, key, Some(json!({ "text": text }))).await
    }

    /// The same through the original's surface.
    async fn send(&self, node: &Role, key: &str, text: &str) -> Answer {
        let body = json!({ "presenterIdx": 42, "userType": "viewer", "textMessage": text });
        self.call(node, Method::POST, "/send/message", key, Some(body)).await
    }

    /// What every reader of the log sees.
    async fn entries(&self) -> Vec<Entry> {
        crate::log::everything(&crate::support::log(&self.settings).await).await
    }
}

const MESSAGES: &str = "/v1/rooms/42/messages";

/// Nobody is slowed down.
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

#[tokio::test]
async fn a_retry_gets_the_same_id_and_position_through_every_node_and_after_the_death_of_all() {
    let mut world = World::start().await;
    let first = placed(&world.post(&world.nodes[0], "key", "hi").await);
    assert_eq!(world.entries().await[0].position, first.1);
    // Others come in between.
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
async fn the_same_at_the_same_moment_through_two_nodes_is_one_message_with_one_position() {
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
async fn of_two_requests_under_one_key_at_the_same_moment_one_is_accepted_and_the_other_refused() {
    let world = World::start().await;
    for round in 0..100 {
        let key = round.to_string();
        // In every other round through the two surfaces.
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
        // Whoever asks again gets the same, everywhere.
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

    // The key is the user's and the room's.
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
async fn what_was_refused_may_be_tried_again_under_its_key() {
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
async fn a_retry_of_what_was_accepted_is_accepted_whatever_has_been_decided_since() {
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

    // Everything that was asked for is the request: another of it under the same key is another request.
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
    // In which order members stand does not matter, nor that seconds are said to be absent.
    let same = json!({ "reason": "spam", "seconds": 60 });
    placed(&world.call_as(&world.nodes[1], Method::PUT, "/v1/rooms/42/bans/7", &moderator, "0", Some(same)).await);
    let same = json!({ "seconds": null, "reason": null });
    placed(&world.call_as(&world.nodes[1], Method::PUT, "/v1/bans/7", &moderator, "2", Some(same)).await);
    assert_eq!(world.entries().await.len(), entries.len());
}

/// Posts under the key while nothing of the log's answers comes through; what was sent arrives once the network is back.
#[tokio::test]
async fn after_an_unknown_outcome_a_retry_finds_the_message_where_it_is() {
    let (nats, rooms) = tokio::join!(NatsServer::start(), RoomServer::start());
    let proxy = Proxy::start(nats.url().replace("nats://", "")).await;
    let direct = unhurried(Settings::new().nats(&nats).rooms(&rooms));
    let settings = direct.clone().set("nats.urls", &proxy.url()).set("nats.append_deadline_ms", "500");
    let (one, other) = tokio::join!(Role::start("ingest", &settings), Role::start("ingest", &direct));
    let world = World { nodes: vec![one, other], rooms, nats, settings: direct, client: client() };
    for round in 0..6 {
        let key = round.to_string();
        proxy.hold_up();
        let unknown = world.post(&world.nodes[0], &key, "hi").await;
        // Where ids have just changed it is not even sent.
        let code = unknown.json()["code"].clone();
        assert!(["outcome_unknown", "log_unavailable"].iter().any(|known| code == *known), "{unknown:?}");
        match round % 2 {
            0 => proxy.release(),
            // What was underway may be lost with the connection.
            _ => {
                proxy.cut();
                proxy.release();
            }
        }
        // Through the same node, and through the other one.
        let retry = async |node: &Role| {
            eventually("the retry is accepted", DEADLINE, async || {
                let retried = world.post(node, &key, "hi").await;
                assert!([202, 503].contains(&retried.status.as_u16()), "{retried:?}");
                (retried.status == 202).then(|| placed(&retried))
            })
            .await
        };
        let (first, second) = match round % 3 {
            0 => tokio::join!(retry(&world.nodes[0]), retry(&world.nodes[1])),
            1 => (retry(&world.nodes[0]).await, retry(&world.nodes[1]).await),
            _ => (retry(&world.nodes[1]).await, retry(&world.nodes[0]).await),
        };
        assert_eq!(first, second, "round {round}");
        let entries = world.entries().await;
        assert_eq!(entries.len(), round + 1, "round {round}: one message for the readers");
        assert_eq!((entries[round].id.to_string(), entries[round].position), first, "round {round}");
    }
}

/// How far the log was read is noted every 30 s: a node that starts then must go back far enough to know the keys.
#[tokio::test]
async fn a_retry_that_comes_after_it_was_noted_how_far_the_log_was_read_is_known_to_a_node_that_starts_then() {
    let mut world = World::start().await;
    let presenter = token(42, "presenter");
    let first = placed(&world.post(&world.nodes[0], "key", "hi").await);
    let ban = world.call_as(&world.nodes[0], Method::PUT, "/v1/rooms/42/bans/9", &presenter, "ban", Some(json!({})));
    let ban = placed(&ban.await);
    let noted = std::time::Instant::now() + Duration::from_secs(33);
    eventually("it was noted", Duration::from_secs(60), async || (std::time::Instant::now() > noted).then_some(()))
        .await;
    placed(&world.post(&world.nodes[0], "another", "hi").await);
    world.nodes[0].kill();
    world.nodes[0].start_again().await;
    world.nodes.push(Role::start("ingest", &world.settings).await);
    for node in &world.nodes {
        assert_eq!(placed(&world.post(node, "key", "hi").await), first);
        assert_eq!(found(&ask(&world, node, "key").await), first);
        let again = world.call_as(node, Method::PUT, "/v1/rooms/42/bans/9", &presenter, "ban", Some(json!({})));
        assert_eq!(placed(&again.await), ban);
    }
    assert_eq!(world.entries().await.len(), 3);
}

/// Posts other messages until the key is answered with 202 for that text: it was forgotten.
async fn until_forgotten(world: &World, key: &str, text: &str) -> Answer {
    let mut others = 0;
    eventually("the key is forgotten", DEADLINE, async || {
        others += 1;
        // Time is the log's: something must be stored.
        placed(&world.post(&world.nodes[others % 2], &format!("other-{}-{others}", text.len()), "hi").await);
        let answer = world.post(&world.nodes[0], key, text).await;
        (answer.status != 422).then_some(answer)
    })
    .await
}

#[tokio::test]
async fn a_key_that_is_used_again_after_it_was_forgotten_names_a_message_of_its_own() {
    let world = World::start_with(|settings| settings.set("ingest.idempotency_seconds", "3")).await;
    let first = placed(&world.post(&world.nodes[0], "key", "hi").await);
    let second = placed(&until_forgotten(&world, "key", "something else").await);
    let third = placed(&until_forgotten(&world, "key", "hi").await);
    assert!(first.0 != second.0 && second.0 != third.0 && first.0 != third.0, "{first:?} {second:?} {third:?}");
    // Whatever was answered with 2xx is what every reader sees, where the answer says.
    let entries = world.entries().await;
    let of_ids = |id: &str| -> Vec<_> {
        let same = entries.iter().filter(|entry| entry.id.to_string() == id);
        same.map(|entry| (entry.position, entry.event().unwrap().body)).collect()
    };
    for ((id, position), expected) in [(first, "hi"), (second, "something else"), (third, "hi")] {
        let found = of_ids(&id);
        let [(at, chat::Body::MessagePosted(posted))] = found.as_slice() else { panic!("{id}: {found:?}") };
        assert_eq!((*at, posted.text.as_str()), (position, expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_requests_under_one_key_are_one_message_also_while_ids_change() {
    let world = World::start_with(|settings| settings.set("ingest.idempotency_seconds", "4")).await;
    let (started, mut round) = (std::time::Instant::now(), 0);
    let mut accepted = Vec::new();
    // Ids change every 4 s.
    while started.elapsed() < Duration::from_secs(13) {
        let key = round.to_string();
        let other_text = if round % 2 == 0 { "one" } else { "other" };
        let (one, other) =
            tokio::join!(world.post(&world.nodes[0], &key, "one"), world.post(&world.nodes[1], &key, other_text));
        match other_text {
            "one" => {
                assert_eq!(placed(&one), placed(&other), "round {round}");
                accepted.push(placed(&one));
            }
            _ => {
                let (won, lost) = if one.status == 202 { (one, other) } else { (other, one) };
                assert_eq!(lost.status, 422, "round {round}: {lost:?}");
                accepted.push(placed(&won));
            }
        }
        round += 1;
    }
    let entries: Vec<_> = world.entries().await.iter().map(|entry| (entry.id.to_string(), entry.position)).collect();
    assert_eq!(entries, accepted);
}

#[tokio::test]
async fn where_keys_come_faster_than_they_can_be_remembered_new_ones_are_refused_and_none_is_forgotten() {
    let world = World::start_with(|settings| settings.set("ingest.idempotency_keys", "3")).await;
    let mut accepted = Vec::new();
    let refused = eventually("the memory is full", DEADLINE, async || {
        let key = accepted.len().to_string();
        let answer = world.post(&world.nodes[0], &key, "hi").await;
        if answer.status != 202 {
            return Some(answer);
        }
        accepted.push(placed(&answer));
        None
    })
    .await;
    refused.assert_problem(503, "overloaded");
    assert_eq!(refused.json()["outcome"], "not_stored");
    assert!(accepted.len() >= 3, "{accepted:?}");
    // Those of this minute, at least the last three, are known.
    for (key, first) in accepted.iter().enumerate().skip(accepted.len() - 3) {
        assert_eq!(placed(&world.post(&world.nodes[0], &key.to_string(), "hi").await), *first);
    }
    let request = world.client.post(world.nodes[0].url() + MESSAGES).bearer_auth(token(7, "nick"));
    assert_eq!(answer(request.json(&json!({ "text": "without a key" }))).await.status, 202);
}

/// What became of the request of user 7 in room 42 under the key.
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
async fn whoever_has_the_key_can_ask_what_became_of_the_request() {
    let world = World::start_with(|settings| settings.set("nats.append_deadline_ms", "1000")).await;
    let posted = placed(&world.post(&world.nodes[0], "key", "hi").await);
    let moderator = token_with(json!({ "user_idx": 3, "scope": "chat:moderate" }));
    let ban =
        world.call_as(&world.nodes[0], Method::PUT, "/v1/rooms/42/bans/9", &moderator, "ban", Some(json!({}))).await;
    let everywhere =
        world.call_as(&world.nodes[0], Method::PUT, "/v1/bans/9", &moderator, "everywhere", Some(json!({}))).await;
    for node in &world.nodes {
        assert_eq!(found(&ask(&world, node, "key").await), posted);
        let asked = world.call_as(node, Method::GET, "/v1/rooms/42/requests", &moderator, "ban", None).await;
        assert_eq!(found(&asked), placed(&ban));
        let asked = world.call_as(node, Method::GET, "/v1/requests", &moderator, "everywhere", None).await;
        assert_eq!(found(&asked), placed(&everywhere));
        // The key is the user's and the room's.
        let nothing = world.call_as(node, Method::GET, "/v1/rooms/42/requests", &moderator, "key", None).await;
        nothing.assert_problem(404, "request_not_found");
        ask(&world, node, "another").await.assert_problem(404, "request_not_found");
        let request = world.client.get(node.url() + "/v1/rooms/42/requests").bearer_auth(token(7, "nick"));
        answer(request).await.assert_problem(400, "idempotency_key_invalid");
    }
}

/// Two nodes, the first behind a network of its own. An append has a second.
async fn start_behind_a_network() -> (World, Proxy) {
    let (nats, rooms) = tokio::join!(NatsServer::start(), RoomServer::start());
    let proxy = Proxy::start(nats.url().replace("nats://", "")).await;
    let direct = unhurried(Settings::new().nats(&nats).rooms(&rooms)).set("nats.append_deadline_ms", "1000");
    let behind = direct.clone().set("nats.urls", &proxy.url());
    let (one, other) = tokio::join!(Role::start("ingest", &behind), Role::start("ingest", &direct));
    (World { nodes: vec![one, other], rooms, nats, settings: direct, client: client() }, proxy)
}

/// A post of unknown outcome: its key. Where the ids have just changed it is refused, and another is tried.
async fn post_in_trouble(world: &World, proxy: &Proxy, trouble: impl Fn(&Proxy)) -> String {
    for round in 0..10 {
        let key = format!("key {round}").replace(' ', "-");
        placed(&world.post(&world.nodes[0], &format!("before-{round}"), "before").await);
        trouble(proxy);
        let answer = world.post(&world.nodes[0], &key, "hi").await;
        if answer.json()["code"] == "outcome_unknown" {
            return key;
        }
        answer.assert_problem(503, "log_unavailable");
        proxy.release();
        eventually("the node is itself again", DEADLINE, async || {
            (world.post(&world.nodes[0], &format!("after-{round}"), "after").await.status == 202).then_some(())
        })
        .await;
    }
    panic!("no outcome is ever unknown");
}

#[tokio::test]
async fn an_unknown_outcome_of_what_was_stored_is_resolved_by_any_node() {
    let (world, proxy) = start_behind_a_network().await;
    let key = post_in_trouble(&world, &proxy, |proxy| proxy.hold_up_one_way(Direction::ToClient)).await;
    let (id, position) = found(&ask(&world, &world.nodes[1], &key).await);
    let entries = world.entries().await;
    assert!(entries.iter().any(|entry| (entry.id.to_string(), entry.position) == (id.clone(), position)));
    ask(&world, &world.nodes[0], &key).await.assert_problem(503, "outcome_unknown");
    proxy.release();
    let again = eventually("the node hears of the log again", DEADLINE, async || {
        let answer = ask(&world, &world.nodes[0], &key).await;
        (answer.status != 503).then_some(answer)
    });
    assert_eq!(found(&again.await), (id, position));
}

#[tokio::test]
async fn what_was_said_never_to_come_does_not_come_when_the_network_is_whole_again() {
    let (world, proxy) = start_behind_a_network().await;
    let key = post_in_trouble(&world, &proxy, Proxy::hold_up).await;
    ask(&world, &world.nodes[1], &key).await.assert_problem(404, "request_not_found");
    let before = world.entries().await.len();
    let log = async_nats::jetstream::new(async_nats::connect(world.nats.url()).await.unwrap());
    let end = async || log.get_stream("CHAT_0").await.unwrap().cached_info().state.last_sequence;
    let last = end().await;
    proxy.release();
    eventually("what was held up is stored", DEADLINE, async || (end().await > last).then_some(())).await;
    assert_eq!(world.entries().await.len(), before, "and is nothing for any reader");
    for node in &world.nodes {
        let answer = eventually("the node hears of the log", DEADLINE, async || {
            let answer = ask(&world, node, &key).await;
            (answer.status != 503).then_some(answer)
        });
        answer.await.assert_problem(404, "request_not_found");
    }
    // So it may be sent again, and is one message.
    placed(&world.post(&world.nodes[1], &key, "hi").await);
    assert_eq!(world.entries().await.len(), before + 1);
}

#[tokio::test]
async fn a_message_is_never_taken_for_a_decision_nor_a_decision_for_a_message() {
    let world = World::start().await;
    let node = &world.nodes[0];
    let room = "/v1/rooms/7";
    let messages = format!("{room}/messages");
    // What a decision is as text, as some version had it: a message may say so.
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
    // One digest for each decision as well: every two of them under one key are two requests.
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
