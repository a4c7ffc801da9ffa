//! How long keys are remembered, what happens afterwards, and how many there may be.

use super::*;

/// With keys of 40 s a node records a checkpoint every 10 s. A node that starts later must still replay those keys.
#[tokio::test]
async fn a_node_that_starts_after_a_checkpoint_still_knows_the_keys_before_it() {
    let mut world = World::start_with(|settings| settings.set("ingest.idempotency", "40s")).await;
    let presenter = token(42, "presenter");
    let first = placed(&world.post(&world.nodes[0], "key", "hi").await);
    let ban = world.call_as(&world.nodes[0], Method::PUT, "/v1/rooms/42/bans/9", &presenter, "ban", Some(json!({})));
    let ban = placed(&ban.await);
    let recorded = std::time::Instant::now() + Duration::from_secs(11);
    eventually("a checkpoint is recorded", Duration::from_secs(60), async || {
        (std::time::Instant::now() > recorded).then_some(())
    })
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

/// Posts other messages until the key is accepted with this text, because it was forgotten.
async fn until_forgotten(world: &World, key: &str, text: &str) -> Answer {
    let mut others = 0;
    eventually("the key is forgotten", DEADLINE, async || {
        others += 1;
        // The log's clock needs stored events.
        placed(&world.post(&world.nodes[others % 2], &format!("other-{}-{others}", text.len()), "hi").await);
        let answer = world.post(&world.nodes[0], key, text).await;
        (answer.status != 422).then_some(answer)
    })
    .await
}

#[tokio::test]
async fn a_key_reused_after_it_was_forgotten_names_a_new_message() {
    let world = World::start_with(|settings| settings.set("ingest.idempotency_seconds", "3")).await;
    let first = placed(&world.post(&world.nodes[0], "key", "hi").await);
    let second = placed(&until_forgotten(&world, "key", "something else").await);
    let third = placed(&until_forgotten(&world, "key", "hi").await);
    assert!(first.0 != second.0 && second.0 != third.0 && first.0 != third.0, "{first:?} {second:?} {third:?}");
    // Every reader sees each accepted message at its answered position.
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
    while started.elapsed() < Duration::from_secs(9) {
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
async fn when_the_key_memory_is_full_new_keys_are_refused_and_none_is_forgotten() {
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
    // The keys of this minute are known, at least the last three.
    for (key, first) in accepted.iter().enumerate().skip(accepted.len() - 3) {
        assert_eq!(placed(&world.post(&world.nodes[0], &key.to_string(), "hi").await), *first);
    }
    let request = world.client.post(world.nodes[0].url() + MESSAGES).bearer_auth(token(7, "nick"));
    assert_eq!(answer(request.json(&json!({ "text": "without a key" }))).await.status, 202);
}
