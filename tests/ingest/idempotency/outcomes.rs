//! A request with a lost answer or an unknown outcome: a retry and a lookup both find its outcome.

use super::*;

/// Posts under the key while the log's answers are held up. Sent requests arrive once the network is back.
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
        // Just after a change of ids it is not sent at all.
        let code = unknown.json()["code"].clone();
        assert!(["outcome_unknown", "log_unavailable"].iter().any(|known| code == *known), "{unknown:?}");
        match round % 2 {
            0 => proxy.release(),
            // In-flight answers may be lost with the connection.
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

#[tokio::test]
async fn the_holder_of_a_key_can_look_up_the_outcome_of_its_request() {
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
        // A key belongs to a user and a room.
        let nothing = world.call_as(node, Method::GET, "/v1/rooms/42/requests", &moderator, "key", None).await;
        nothing.assert_problem(404, "request_not_found");
        ask(&world, node, "another").await.assert_problem(404, "request_not_found");
        let request = world.client.get(node.url() + "/v1/rooms/42/requests").bearer_auth(token(7, "nick"));
        answer(request).await.assert_problem(400, "idempotency_key_invalid");
    }
}

/// Two nodes, the first behind its own network. The deadline of an append is a second.
async fn start_behind_a_network() -> (World, Proxy) {
    let (nats, rooms) = tokio::join!(NatsServer::start(), RoomServer::start());
    let proxy = Proxy::start(nats.url().replace("nats://", "")).await;
    let direct = unhurried(Settings::new().nats(&nats).rooms(&rooms)).set("nats.append_deadline_ms", "1000");
    let behind = direct.clone().set("nats.urls", &proxy.url());
    let (one, other) = tokio::join!(Role::start("ingest", &behind), Role::start("ingest", &direct));
    (World { nodes: vec![one, other], rooms, nats, settings: direct, client: client() }, proxy)
}

/// The key of a post of unknown outcome. Just after a change of ids a post is refused, and another one is tried.
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
async fn a_post_reported_as_not_stored_does_not_appear_when_the_network_recovers() {
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
    // It can be sent again, and is one message.
    placed(&world.post(&world.nodes[1], &key, "hi").await);
    assert_eq!(world.entries().await.len(), before + 1);
}
