//! What a sweep may ask for, who may sweep, and what a node knows of sweeps after a restart and an erasure.

use chat::{Body, ErasureMode, Event, Role as Of, User, UserErased, UserIdx};

use super::*;

const SWEEPS: &str = "/v1/rooms/42/sweeps";

/// The most sweeps of a room that can be undone.
const MOST: usize = 50;

fn of_texts(texts: &[&str]) -> Value {
    json!({ "rule": { "texts": texts }, "secondsBack": 60 })
}

async fn sweep(world: &World, node: &Role, token: &str, body: Value) -> Answer {
    world.call(node, Method::POST, SWEEPS, token, Some(body)).await
}

async fn listed(world: &World, node: &Role) -> Vec<Value> {
    let answer = world.get(node, SWEEPS, &moderator()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["sweeps"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_malformed_sweep_is_refused_with_what_is_wrong() {
    let world = World::start().await;
    let node = &world.nodes[0];
    for rule in [
        json!(null),
        json!("texts"),
        json!({}),
        json!({ "texts": [] }),
        json!({ "texts": ["a\nb"] }),
        json!({ "users": [0] }),
        json!({ "label": "" }),
        json!({ "texts": ["raid"], "users": null }),
        json!({ "texts": ["raid"], "similarity": 0.4 }),
        json!({ "users": [7], "similarity": 0.9 }),
        json!({ "users": [7], "firstSeenSeconds": 0 }),
        json!({ "firstSeenSeconds": 3_601 }),
    ] {
        let answer = sweep(&world, node, &presenter(), json!({ "rule": rule, "secondsBack": 60 })).await;
        answer.assert_problem(400, "rule_invalid");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with("The member \"rule"), "{detail}");
    }
    for seconds in [json!(null), json!(0), json!(3_601), json!("60"), json!(1.5)] {
        let body = json!({ "rule": { "users": [7] }, "secondsBack": seconds });
        sweep(&world, node, &presenter(), body).await.assert_problem(400, "seconds_back_invalid");
    }
    sweep(&world, node, &presenter(), json!({ "rule": { "users": [7] } }))
        .await
        .assert_problem(400, "seconds_back_invalid");
    for (seconds, forward, code) in [
        (json!(0), json!(null), "seconds_forward_invalid"),
        (json!(601), json!("hold"), "seconds_forward_invalid"),
        (json!("60"), json!(null), "seconds_forward_invalid"),
        (json!(60), json!("slow"), "forward_invalid"),
        (json!(null), json!("hold"), "forward_invalid"),
    ] {
        let rule = json!({ "users": [7] });
        let body = json!({ "rule": rule, "secondsBack": 60, "secondsForward": seconds, "forward": forward });
        sweep(&world, node, &presenter(), body).await.assert_problem(400, code);
    }
    let body = json!({ "rule": { "users": [7] }, "secondsBack": 60, "reason": "a\nb" });
    sweep(&world, node, &presenter(), body).await.assert_problem(400, "reason_invalid");
    world.delete(node, &format!("{SWEEPS}/1"), &presenter()).await.assert_problem(400, "sweep_id_invalid");
    let unknown = format!("{SWEEPS}/{}", uuid::Uuid::new_v4());
    world.delete(node, &unknown, &presenter()).await.assert_problem(404, "not_swept");
    assert!(listed(&world, node).await.is_empty());
}

#[tokio::test]
async fn the_presenter_the_rooms_moderators_and_the_scope_may_sweep_and_nobody_else() {
    let world = World::start().await;
    let node = &world.nodes[0];
    let viewer = token(7, "viewer");
    decided(&world.put(node, "/v1/rooms/42/moderators/8", &presenter(), json!({})).await);
    let swept = decided(&sweep(&world, node, &token(8, "appointed"), of_texts(&["raid"])).await);
    let path = format!("{SWEEPS}/{}", swept["id"].as_str().unwrap());
    sweep(&world, node, &viewer, of_texts(&["raid"])).await.assert_problem(403, "forbidden");
    world.get(node, SWEEPS, &viewer).await.assert_problem(403, "forbidden");
    world.delete(node, &path, &viewer).await.assert_problem(403, "forbidden");
    // Another presenter has no sweep of that id.
    let elsewhere = path.replace("/42/", "/43/");
    world.delete(node, &elsewhere, &token(43, "another")).await.assert_problem(404, "not_swept");
    assert_eq!(listed(&world, node).await[0]["by"]["role"], "moderator");
    decided(&world.delete(node, &path, &presenter()).await);
    decided(&sweep(&world, node, &moderator(), of_texts(&["raid"])).await);
}

#[tokio::test]
async fn a_dry_run_tells_what_a_sweep_would_delete_and_deletes_nothing() {
    let world = World::start().await;
    let log = world.log().await;
    let said = |idx: i64, room: i64, text: &str| {
        let user = User { idx: UserIdx::try_from(idx).unwrap(), nickname: format!("user {idx}"), role: Of::Viewer };
        let posted = chat::MessagePosted::new(user, text);
        Event::now(chat::PresenterIdx::try_from(room).unwrap(), Body::MessagePosted(posted))
    };
    let raid: Vec<Event> = (0..150).map(|number| said(1_000 + number % 40, PRESENTER, "Raid")).collect();
    for event in raid.iter().chain(&[said(7, PRESENTER, "hello"), said(7, 43, "raid")]) {
        log.append(event).await.unwrap();
    }
    let deleted = format!("/v1/rooms/42/messages/{}", raid[0].id);
    decided(&world.delete(&world.nodes[0], &deleted, &presenter()).await);
    let mut dry = of_texts(&["RAID"]);
    dry["dryRun"] = json!(true);
    for node in &world.nodes {
        let answer = sweep(&world, node, &presenter(), dry.clone()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let found = answer.json();
        assert_eq!((&found["messages"], &found["users"], &found["complete"]), (&json!(149), &json!(40), &json!(true)));
        let latest = found["latest"].as_array().unwrap();
        assert_eq!((latest.len(), &latest[0]["id"], &latest[0]["text"]), (100, &json!(raid[149].id), &json!("Raid")));
        assert_eq!(latest[0]["user"], json!({ "idx": 1_029, "nickname": "user 1029", "role": "viewer" }));
        let authors = found["authors"].as_array().unwrap();
        assert_eq!(
            (authors.len(), &authors[0]["messages"], &authors[0]["user"]["idx"]),
            (40, &json!(4), &json!(1_001))
        );
        assert!(listed(&world, node).await.is_empty());
    }
    sweep(&world, &world.nodes[0], &token(7, "viewer"), dry.clone()).await.assert_problem(403, "forbidden");
    dry["dryRun"] = json!("yes");
    sweep(&world, &world.nodes[0], &presenter(), dry.clone()).await.assert_problem(400, "body_malformed");

    // What is swept is not there for another sweep, until it is undone.
    dry["dryRun"] = json!(true);
    let swept = decided(&sweep(&world, &world.nodes[0], &presenter(), of_texts(&["raid"])).await);
    let count = async || sweep(&world, &world.nodes[1], &presenter(), dry.clone()).await.json()["messages"].clone();
    assert_eq!(count().await, json!(0));
    let path = format!("{SWEEPS}/{}", swept["id"].as_str().unwrap());
    decided(&world.delete(&world.nodes[0], &path, &presenter()).await);
    assert_eq!(count().await, json!(149));
}

/// A viewer's message of so many seconds ago.
fn said_before(idx: i64, seconds_ago: u64, role: Of) -> Event {
    let user = User { idx: UserIdx::try_from(idx).unwrap(), nickname: "nick".to_owned(), role };
    let room = chat::PresenterIdx::try_from(PRESENTER).unwrap();
    let posted = Body::MessagePosted(chat::MessagePosted::new(user, format!("of {seconds_ago}")));
    let event = Event::now(room, posted);
    let at = event.at - Duration::from_secs(seconds_ago);
    event.recorded_at(at)
}

#[tokio::test]
async fn accounts_that_first_wrote_a_short_while_ago_are_swept_by_their_number() {
    let world = World::start().await;
    let (log, node) = (world.log().await, &world.nodes[0]);
    let regular = [said_before(7, 3_000, Of::Viewer), said_before(7, 5, Of::Viewer)];
    let new = [said_before(8, 200, Of::Viewer), said_before(8, 100, Of::Viewer), said_before(9, 50, Of::Viewer)];
    let moderators = said_before(10, 20, Of::Moderator);
    for event in regular.iter().chain(&new).chain([&moderators]) {
        log.append(event).await.unwrap();
    }
    let mut body = json!({ "rule": { "firstSeenSeconds": 300 }, "secondsBack": 150, "dryRun": true });
    let dry = sweep(&world, node, &presenter(), body.clone()).await.json();
    assert_eq!((&dry["messages"], &dry["users"]), (&json!(2), &json!(2)), "{dry}");
    assert_eq!((&dry["firstSeen"]["users"], &dry["firstSeen"]["complete"]), (&json!(2), &json!(true)), "{dry}");
    body["rule"]["users"] = json!([9, 7]);
    let dry = sweep(&world, &world.nodes[1], &presenter(), body.clone()).await.json();
    assert_eq!((&dry["messages"], &dry["authors"][0]["user"]["idx"]), (&json!(1), &json!(9)), "{dry}");

    body["dryRun"] = json!(false);
    let keyed = async |body: &Value| {
        let request = world.client.post(node.url() + SWEEPS).bearer_auth(presenter()).json(body);
        answer(request.header("idempotency-key", "new-accounts")).await
    };
    let swept = keyed(&body).await;
    assert_eq!((swept.status.as_u16(), &swept.json()["firstSeen"]["users"]), (202, &json!(2)), "{swept:?}");
    assert_eq!(listed(&world, node).await[0]["rule"], json!({ "users": [9] }));
    // A retry after somebody else has come is the same sweep.
    log.append(&said_before(11, 0, Of::Viewer)).await.unwrap();
    let again = keyed(&body).await;
    assert_eq!((&again.json()["id"], again.json().get("firstSeen")), (&swept.json()["id"], None));
    body["rule"]["firstSeenSeconds"] = json!(301);
    keyed(&body).await.assert_problem(422, "idempotency_key_reused");
}

#[tokio::test]
async fn a_log_that_does_not_reach_back_far_enough_makes_nobody_new() {
    let world = World::start().await;
    let log = world.log().await;
    log.append(&said_before(7, 3_000, Of::Viewer)).await.unwrap();
    let context = async_nats::jetstream::new(async_nats::connect(world.nats.url()).await.unwrap());
    context.get_stream("CHAT_0").await.unwrap().purge().await.unwrap();
    log.append(&said_before(7, 5, Of::Viewer)).await.unwrap();
    let mut body = json!({ "rule": { "firstSeenSeconds": 300 }, "secondsBack": 150, "dryRun": true });
    for dry_run in [true, false] {
        body["dryRun"] = json!(dry_run);
        let refused = sweep(&world, &world.nodes[0], &presenter(), body.clone()).await;
        refused.assert_problem(503, "first_seen_unknown");
    }
    assert!(listed(&world, &world.nodes[0]).await.is_empty());
}

#[tokio::test]
async fn a_dry_run_counts_as_a_decision() {
    let world = World::start_with(|settings| {
        settings.set("ingest.limits.decision_rate.messages", "2").set("ingest.limits.decision_rate.seconds", "600")
    })
    .await;
    let mut dry = of_texts(&["raid"]);
    dry["dryRun"] = json!(true);
    for _ in 0..2 {
        assert_eq!(sweep(&world, &world.nodes[0], &presenter(), dry.clone()).await.status, 200);
    }
    sweep(&world, &world.nodes[0], &presenter(), dry).await.assert_problem(429, "decision_rate_limited");
}

#[tokio::test]
async fn a_room_has_so_many_sweeps_that_can_be_undone() {
    let world = World::start().await;
    let node = &world.nodes[0];
    let mut last = Value::Null;
    for number in 0..MOST {
        last = decided(&sweep(&world, node, &presenter(), of_texts(&[&format!("raid {number}")])).await);
    }
    sweep(&world, node, &presenter(), of_texts(&["raid"])).await.assert_problem(409, "too_many_sweeps");
    assert_eq!((listed(&world, node).await.len(), &listed(&world, node).await[0]["id"]), (MOST, &last["id"]));
    decided(&world.delete(node, &format!("{SWEEPS}/{}", last["id"].as_str().unwrap()), &presenter()).await);
    decided(&sweep(&world, node, &presenter(), of_texts(&["raid"])).await);
}

#[tokio::test]
async fn a_node_that_starts_later_undoes_a_sweep_that_has_left_the_log_and_shows_nothing_of_erased_users() {
    let world = World::start().await;
    let rule = json!({ "texts": ["raid"], "users": [7, 8], "label": "ko.abuse" });
    let body = json!({ "rule": rule, "secondsBack": 60, "reason": "of user 7" });
    let swept = decided(&sweep(&world, &world.nodes[0], &moderator(), body).await);
    let log = world.log().await;
    eventually("the sweep is kept", PATIENCE, async || {
        (log.decisions().load().await.unwrap().entries.len() == 1).then_some(())
    })
    .await;
    let context = async_nats::jetstream::new(async_nats::connect(world.nats.url()).await.unwrap());
    context.get_stream("CHAT_0").await.unwrap().purge().await.unwrap();
    let later = world.node().await;
    assert_eq!(listed(&world, &later).await[0]["rule"], rule);

    let user = UserIdx::try_from(7).unwrap();
    let by = User { idx: UserIdx::try_from(999).unwrap(), nickname: "privacy".to_owned(), role: Of::Moderator };
    let erased = UserErased { user, mode: ErasureMode::Remove, by };
    log.append(&Event::of_every_room(Body::UserErased(erased))).await.unwrap();
    for node in [&world.nodes[0], &later] {
        let left = json!({ "texts": [], "users": [8], "label": "ko.abuse" });
        eventually("the user is gone from the rule", PATIENCE, async || {
            let sweep = listed(&world, node).await.remove(0);
            (sweep["rule"] == left && sweep.get("reason").is_none()).then_some(())
        })
        .await;
    }
    let path = format!("{SWEEPS}/{}", swept["id"].as_str().unwrap());
    decided(&world.delete(&later, &path, &presenter()).await);
    assert!(listed(&world, &later).await.is_empty());
    // What is undone stays so, also on a node that knows only what is kept.
    eventually("the end of the sweep is kept", PATIENCE, async || {
        let entries = log.decisions().load().await.unwrap().entries;
        entries.iter().all(|entry| entry.kind == chat::EventKind::SweepUndone).then_some(())
    })
    .await;
    let last = world.node().await;
    assert!(listed(&world, &last).await.is_empty());
    world.delete(&last, &path, &presenter()).await.assert_problem(404, "not_swept");
}
