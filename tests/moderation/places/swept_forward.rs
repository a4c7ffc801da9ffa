//! A sweep with a span forward, at all four places, on two nodes, and on nodes that start while it is in force.

use chat::{Body, Event, MessagePosted, PresenterIdx, Role as Of, User, UserIdx};

use super::*;

const SWEEPS: &str = "/v1/rooms/42/sweeps";

/// A post that another node accepted before it heard of the sweep.
fn accepted_elsewhere(idx: i64, text: &str) -> Event {
    let user = User { idx: UserIdx::try_from(idx).unwrap(), nickname: "raider".to_owned(), role: Of::Viewer };
    let room = PresenterIdx::try_from(PRESENTER).unwrap();
    Event::now(room, Body::MessagePosted(MessagePosted::new(user, text)))
}

impl Everything {
    async fn sweep(&self, forward: &str) -> Value {
        let rule = json!({ "texts": ["come to my room"], "similarity": 0.8 });
        let body = json!({ "rule": rule, "secondsBack": 600, "secondsForward": 600, "forward": forward });
        decided(&self.world.call(&self.world.nodes[0], Method::POST, SWEEPS, &presenter(), Some(body)).await)
    }

    /// Within the promised time, posts to the node get that answer.
    async fn answers(&self, node: &Role, expects: impl Fn(&Answer) -> bool) {
        let mut number = 0;
        eventually("the node has heard of the decision", PROMISED, async || {
            number += 1;
            let answer = self.world.post(node, PRESENTER, 1_000 + number, &format!("Come to MY room {number}")).await;
            expects(&answer).then_some(())
        })
        .await;
    }

    /// The next event on the presenter's socket with that id.
    async fn event(&mut self, id: &Value) -> Value {
        loop {
            let event = self.next_event().await;
            if event["id"] == *id {
                return event;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_refuses_the_next_posts_at_every_place_until_it_is_undone() {
    let mut everything = Everything::start().await;
    let before = everything.post(1_001, "come to my room 7").await;
    everything.event(&before["id"]).await;
    let swept = everything.sweep("refuse").await;
    let shown = everything.event(&swept["id"]).await;
    assert_eq!((&shown["secondsBack"], &shown["forward"]), (&json!(600), &json!("refuse")), "{shown}");
    let world = &everything.world;
    for node in &world.nodes {
        everything.answers(node, |answer| answer.status == 403).await;
        world.post(node, PRESENTER, 1_002, "ＣＯＭＥ to my room").await.assert_problem(403, "msg_swept");
        let listed = world.get(node, SWEEPS, &moderator()).await.json()["sweeps"][0].clone();
        assert_eq!((&listed["forward"], &listed["forwardUntil"]), (&json!("refuse"), &shown["forwardUntil"]));
        assert_eq!(world.post(node, PRESENTER, 1_002, &different("what a goal")).await.status, 202);
    }
    let text = json!({ "text": "come to my room" });
    let path = "/v1/rooms/42/messages";
    let own = world.call(&world.nodes[0], Method::POST, path, &presenter(), Some(text)).await.json();
    assert_eq!(everything.event(&own["id"]).await["text"], "come to my room", "it is about viewers alone");

    // What another node accepted before it heard of the sweep comes without its text, and is marked.
    let log = everything.world.log().await;
    let slipped = accepted_elsewhere(1_003, "come to my room 8");
    log.append(&slipped).await.unwrap();
    let hidden = everything.event(&json!(slipped.id)).await;
    assert!(hidden.get("text").is_none(), "{hidden}");
    let mark = everything.taken_away(&json!({ "id": slipped.id })).await;
    assert_eq!(mark.get_str("decision").unwrap(), swept["id"].as_str().unwrap());
    let archived = everything.archived(&swept).await;
    assert_archived(&archived, "room.swept", doc! { "presenterIdx": PRESENTER, "forward": "refuse" });
    let world = &everything.world;
    let dry = json!({ "rule": { "users": [1_003] }, "secondsBack": 60, "dryRun": true });
    let dry = world.call(&world.nodes[1], Method::POST, SWEEPS, &presenter(), Some(dry)).await;
    assert_eq!(dry.json()["messages"], 0, "it is swept already: {dry:?}");

    // Nodes that start now know it.
    let later = world.node().await;
    world.post(&later, PRESENTER, 1_004, "come to my room 9").await.assert_problem(403, "msg_swept");
    let delivery = Role::start("delivery", &world.settings).await;
    let (mut page, _) = Page::connect(&delivery, PRESENTER).await;
    let mut events = Vec::new();
    while events.last().is_none_or(|event: &Value| event["id"] != json!(slipped.id)) {
        events.extend(page.frame().await["events"].as_array_mut().map(std::mem::take).unwrap_or_default());
    }
    assert!(events.last().unwrap().get("text").is_none());
    // The newest session of a presenter is the only one.
    (everything.page, everything.shown) = (page, VecDeque::new());

    let path = format!("{SWEEPS}/{}", swept["id"].as_str().unwrap());
    let undone = decided(&everything.world.delete(&everything.world.nodes[1], &path, &presenter()).await);
    // Also those that the other node accepted before it had heard of the sweep.
    let mut restored = Vec::new();
    loop {
        let event = everything.next_event().await;
        match event["type"].as_str() {
            Some("message.restored") => restored.push(event),
            _ if event["id"] == undone["id"] => break,
            _ => {}
        }
    }
    for target in [&before["id"], &json!(slipped.id)] {
        assert!(restored.iter().any(|event| event["target"] == *target), "{restored:?}");
    }
    let has_text =
        |event: &Value| event["message"]["text"].as_str().is_some_and(|text| text.ends_with(char::is_numeric));
    assert!(restored.iter().all(has_text), "{restored:?}");
    let messages = everything.archive.collection::<Document>("chatting_log");
    eventually("the archive has no mark", PATIENCE, async || {
        let deleted = doc! { "deleted": { "$exists": true } };
        (messages.count_documents(deleted).await.unwrap() == 0).then_some(())
    })
    .await;
    for node in everything.world.nodes.iter().chain([&later]) {
        everything.answers(node, |answer| answer.status == 202).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_holds_the_next_posts_and_what_a_moderator_releases_stays() {
    let mut everything = Everything::start().await;
    let swept = everything.sweep("hold").await;
    everything.event(&swept["id"]).await;
    for node in &everything.world.nodes {
        everything.answers(node, |answer| answer.json()["held"] == json!(true)).await;
    }
    let slipped = accepted_elsewhere(1_003, "come to my room 800");
    everything.world.log().await.append(&slipped).await.unwrap();
    assert_eq!(everything.event(&json!(slipped.id)).await["text"], "come to my room 800", "it stays");
    let world = &everything.world;
    let held = world.post(&world.nodes[1], PRESENTER, 1_004, "come to my room 900").await.json();
    let refusing = everything.sweep("refuse").await;
    let release = format!("/v1/rooms/42/holds/{}/release", held["id"].as_str().unwrap());
    let released = world.call(&world.nodes[1], Method::POST, &release, &moderator(), None).await;
    assert_eq!(released.status, 202, "{released:?}");
    everything.event(&refusing["id"]).await;
    assert_eq!(everything.event(&held["id"]).await["text"], "come to my room 900", "a moderator let it in");
    let messages = everything.archive.collection::<Document>("chatting_log");
    let by_id = doc! { "_id": held["id"].as_str().unwrap() };
    let archived =
        eventually("the release is archived", PATIENCE, async || messages.find_one(by_id.clone()).await.unwrap()).await;
    assert!(archived.get_bool("released").unwrap() && !archived.contains_key("deleted"), "{archived}");
}
