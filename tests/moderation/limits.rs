//! The cost of decisions is bounded: their rate, the number of bans, and the size of a room's words.

use super::*;

fn of_an_hour(settings: Settings, decisions: u32) -> Settings {
    let rate = "ingest.limits.decision_rate";
    settings.set(&format!("{rate}.messages"), &decisions.to_string()).set(&format!("{rate}.seconds"), "3600")
}

#[track_caller]
fn assert_limited(refused: &Answer, most: u32) {
    refused.assert_problem(429, "decision_rate_limited");
    let retry_after: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=3_600).contains(&retry_after), "{refused:?}");
    assert_eq!(refused.header("ratelimit-policy"), format!("\"decisions\";q={most};w=3600"));
    assert_eq!(refused.header("ratelimit"), "\"decisions\";r=0;t=3600");
}

#[tokio::test]
async fn decisions_of_all_kinds_have_a_rate_that_holds_over_all_nodes() {
    let world = World::start_with(|settings| of_an_hour(settings, 6)).await;
    let [one, other] = [&world.nodes[0], &world.nodes[1]];
    let message = uuid::Uuid::now_v7();
    let clear = "/v1/rooms/42/messages";
    let left = async |answer: Answer| {
        decided(&answer);
        answer.header("ratelimit").to_owned()
    };
    let delete = world.delete(one, &format!("{clear}/{message}"), &presenter()).await;
    assert!(left(delete).await.starts_with("\"decisions\";r=5;t="));
    let kinds = [
        world.delete(one, clear, &presenter()).await,
        world.put(one, &ban(7), &presenter(), json!({})).await,
        world.delete(one, &ban(7), &presenter()).await,
        world.patch(one, SETTINGS, &presenter(), json!({ "settings": { "maxLength": 9 } })).await,
        world.put(one, &ban(8), &presenter(), json!({})).await,
    ];
    for answer in kinds {
        left(answer).await;
    }
    // Refused requests append nothing, and reading costs nothing.
    assert_limited(&world.put(one, &ban(9), &presenter(), json!({})).await, 6);
    assert_limited(&world.delete(one, clear, &presenter()).await, 6);
    assert_eq!(world.get(one, &ban(8), &presenter()).await.status, 200);
    assert_eq!(world.get(one, &ban(9), &presenter()).await.status, 404);
    eventually("the other node has counted them too", PATIENCE, async || {
        let holds = world.get(other, &ban(8), &presenter()).await.status == 200;
        holds.then_some(())
    })
    .await;
    assert_limited(&world.put(other, &ban(9), &presenter(), json!({})).await, 6);
    let later = world.node().await;
    assert_limited(&world.put(&later, &ban(9), &presenter(), json!({})).await, 6);
    // Others are not affected, nor are messages of the limited moderator.
    decided(&world.put(one, &ban(9), &moderator(), json!({})).await);
    assert_eq!(world.post(one, PRESENTER, PRESENTER, "sorry").await.status, 202);
}

#[tokio::test]
async fn refused_and_repeated_decisions_cost_no_quota() {
    let world = World::start_with(|settings| of_an_hour(settings, 2)).await;
    let node = &world.nodes[0];
    let ban_under = |key: &'static str, user: i64| {
        let request = world.client.put(node.url() + &ban(user)).bearer_auth(presenter());
        answer(request.header("idempotency-key", key).json(&json!({})))
    };
    let first = decided(&ban_under("a", 7).await);
    for _ in 0..5 {
        assert_eq!(decided(&ban_under("a", 7).await), first, "a retry");
        world.delete(node, &ban(99), &presenter()).await.assert_problem(404, "not_banned");
        world.put(node, &ban(PRESENTER), &presenter(), json!({})).await.assert_problem(409, "presenter_not_bannable");
        let unknown = json!({ "settings": { "noSuchSetting": 1 } });
        world.patch(node, SETTINGS, &presenter(), unknown).await.assert_problem(400, "setting_invalid");
        world.put(node, "/v1/bans/9", &presenter(), json!({})).await.assert_problem(403, "forbidden");
    }
    decided(&ban_under("b", 8).await);
    assert_limited(&ban_under("c", 9).await, 2);
    assert_eq!(decided(&ban_under("a", 7).await), first, "a retry of what was decided before the rate was used up");
}

#[tokio::test]
async fn the_number_of_bans_of_a_room_is_bounded_and_an_ended_one_frees_its_slot() {
    let world = World::start_with(|settings| {
        settings.set("ingest.limits.bans_in_room", "3").set("ingest.limits.bans_everywhere", "2")
    })
    .await;
    let node = &world.nodes[0];
    for user in 7..10 {
        decided(&world.put(node, &ban(user), &presenter(), json!({})).await);
    }
    let refused = world.put(node, &ban(10), &presenter(), json!({})).await;
    refused.assert_problem(409, "too_many_bans");
    assert!(refused.json()["detail"].as_str().unwrap().contains('3'), "{refused:?}");
    // Changing an existing ban does not add one, and other rooms have their own bound.
    decided(&world.put(node, &ban(9), &presenter(), json!({ "seconds": 600 })).await);
    decided(&world.put(node, "/v1/rooms/43/bans/10", &moderator(), json!({})).await);
    for user in 10..12 {
        decided(&world.put(node, &format!("/v1/bans/{user}"), &moderator(), json!({})).await);
    }
    world.put(node, "/v1/bans/12", &moderator(), json!({})).await.assert_problem(409, "too_many_bans");
    decided(&world.delete(node, &ban(7), &presenter()).await);
    decided(&world.put(node, &ban(10), &presenter(), json!({ "seconds": 1 })).await);
    eventually("the time-out is over and makes room", PATIENCE, async || {
        let answer = world.put(node, &ban(11), &presenter(), json!({})).await;
        (answer.status == 202).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_rooms_words_are_bounded_in_total_and_stored_trimmed() {
    let world = World::start().await;
    let node = &world.nodes[0];
    let set =
        async |words: Value| world.patch(node, SETTINGS, &presenter(), json!({ "settings": { "words": words } })).await;
    let long: Vec<String> = (0..200).map(|n| format!("{n:03}{}", "가".repeat(47))).collect();
    let padded = format!("{}spoiler{}", " ".repeat(20_000), " ".repeat(20_000));
    for words in [json!(long), json!(["가\u{301}".repeat(25), "\u{200B}"]), json!(["\u{3164}"])] {
        let refused = set(words).await;
        refused.assert_problem(400, "setting_invalid");
        assert!(refused.json()["detail"].as_str().unwrap().contains("words"), "{refused:?}");
    }
    decided(&set(json!([padded])).await);
    world.has_set(node, &json!({ "words": ["spoiler"] })).await;
    let many: Vec<String> = (0..200).map(|n| format!("스포일러 금지어 {n:03}")).collect();
    decided(&set(json!(many)).await);
}
