//! A sweep and its end, at all four places and on a delivery node that starts later.

use chat::{Body, Event, MessagePosted, PresenterIdx, Role as Of, User, UserIdx};

use super::*;

const SWEEPS: &str = "/v1/rooms/42/sweeps";

/// A message of the raid, by one of 100 users.
fn raid(number: i64) -> Event {
    let idx = UserIdx::try_from(1_000 + number % 100).unwrap();
    let user = User { idx, nickname: "raider".to_owned(), role: Of::Viewer };
    let text = if number % 2 == 0 { "Come to MY room" } else { "ｃｏｍｅ to my room" };
    let room = PresenterIdx::try_from(PRESENTER).unwrap();
    Event::now(room, Body::MessagePosted(MessagePosted::new(user, text)))
}

impl Everything {
    /// The next events on the presenter's socket, this many.
    async fn next_events(&mut self, count: usize) -> Vec<Value> {
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            events.push(self.next_event().await);
        }
        events
    }

    /// Waits until the archive has so many messages that the decision deleted.
    async fn are_deleted(&self, decision: &Value, count: u64) {
        let messages = self.archive.collection::<Document>("chatting_log");
        let by = doc! { "deleted.decision": decision["id"].as_str().unwrap() };
        eventually("the archive has the marks", PATIENCE, async || {
            (messages.count_documents(by.clone()).await.unwrap() == count).then_some(())
        })
        .await;
    }

    /// The ids of the sweeps that the node lists.
    async fn listed(&self, node: usize) -> Vec<Value> {
        let answer = self.world.get(&self.world.nodes[node], SWEEPS, &moderator()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["sweeps"].as_array().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raid_of_500_messages_is_swept_and_comes_back_when_that_is_undone() {
    let mut everything = Everything::start().await;
    let other = everything.post(7, "hello").await;
    let log = everything.world.log().await;
    let raid: Vec<Event> = (0..500).map(raid).collect();
    for message in &raid {
        log.append(message).await.unwrap();
    }
    let ids: Vec<Value> = raid.iter().map(|message| json!(message.id)).collect();
    let posted = everything.next_events(501).await;

    let world = &everything.world;
    let body = json!({ "rule": { "texts": ["come to my ROOM"] }, "secondsBack": 600, "reason": "raid" });
    let sweep = async |node: usize, body: &Value| {
        let request = world.client.post(world.nodes[node].url() + SWEEPS).bearer_auth(presenter()).json(body);
        answer(request.header("idempotency-key", "sweep")).await
    };
    let swept = decided(&sweep(0, &body).await);
    eventually("the other node knows the sweep", PROMISED, async || {
        let listed = everything.listed(1).await;
        (listed.len() == 1).then_some(listed)
    })
    .await;
    assert_eq!(decided(&sweep(1, &body).await), swept, "a retry is the same sweep");
    let another = json!({ "rule": { "texts": ["hello"] }, "secondsBack": 600, "reason": "raid" });
    sweep(1, &another).await.assert_problem(422, "idempotency_key_reused");
    let listed = everything.listed(0).await;
    assert_eq!(
        (&listed[0]["id"], &listed[0]["by"], &listed[0]["rule"]),
        (&swept["id"], &by_presenter(), &body["rule"])
    );
    assert_eq!((&listed[0]["reason"], &listed[0]["secondsBack"]), (&json!("raid"), &json!(600)));
    assert!(listed[0]["undoableUntil"].as_str() > listed[0]["at"].as_str(), "{listed:?}");

    // The socket: a deletion of each message, and the sweep itself without its rule.
    let deletions = everything.next_events(500).await;
    for (deletion, id) in deletions.iter().zip(&ids) {
        assert_eq!((&deletion["type"], &deletion["target"]), (&json!("message.deleted"), id), "{deletion}");
        assert_eq!((&deletion["sweep"], &deletion["by"]), (&swept["id"], &by_presenter()));
    }
    let members = json!({ "presenterIdx": PRESENTER, "secondsBack": 600, "by": by_presenter(), "reason": "raid" });
    everything.is_on_the_socket(&swept, "room.swept", members).await;
    // The archive: a mark of each message, and the decision.
    everything.are_deleted(&swept, 500).await;
    let archived = everything.archived(&swept).await;
    assert_archived(&archived, "room.swept", doc! { "presenterIdx": PRESENTER, "reason": "raid" });
    let texts = archived.get_document("rule").unwrap().get_array("texts").unwrap();
    assert_eq!(texts.len(), 1);

    // What is said afterwards stays.
    let after = everything.post(1_001, "come to my room").await;
    assert_eq!(everything.next_event().await["id"], after["id"]);

    let world = &everything.world;
    let path = format!("{SWEEPS}/{}", swept["id"].as_str().unwrap());
    let undone = decided(&world.delete(&world.nodes[1], &(path.clone() + "?reason=too%20much"), &moderator()).await);
    for node in &world.nodes {
        eventually("the node refuses to undo it again", PROMISED, async || {
            let answer = world.delete(node, &path, &presenter()).await;
            (answer.status == 404).then(|| answer.assert_problem(404, "not_swept"))
        })
        .await;
    }
    assert!(everything.listed(0).await.is_empty() && everything.listed(1).await.is_empty());
    let restorations = everything.next_events(500).await;
    for (restoration, posted) in restorations.iter().zip(&posted[1..]) {
        assert_eq!((&restoration["type"], &restoration["message"]), (&json!("message.restored"), posted));
        assert_eq!((&restoration["sweep"], &restoration["by"]), (&swept["id"], &by_moderator()));
    }
    let members = json!({
        "presenterIdx": PRESENTER, "target": swept["id"], "by": by_moderator(), "reason": "too much",
    });
    everything.is_on_the_socket(&undone, "sweep.undone", members).await;
    everything.are_deleted(&swept, 0).await;
    let target = swept["id"].as_str().unwrap();
    assert_archived(
        &everything.archived(&undone).await,
        "sweep.undone",
        doc! { "target": target, "reason": "too much" },
    );

    // A delivery node that starts now, and a session from the beginning: every text is there.
    let later = Role::start("delivery", &everything.world.settings).await;
    let (mut page, _) = Page::connect(&later, PRESENTER).await;
    let mut events = Vec::new();
    while events.last().is_none_or(|event: &Value| event["id"] != undone["id"]) {
        events.extend(page.frame().await["events"].as_array_mut().map(std::mem::take).unwrap_or_default());
    }
    assert_eq!((events.len(), &events[0]["id"]), (501 + 501 + 1 + 501, &other["id"]));
    assert_eq!(events[..501], posted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_by_similarity_deletes_the_variations_of_a_text_at_every_place() {
    let mut everything = Everything::start().await;
    let mut posted = Vec::new();
    for text in ["Come to MY room 17", "come 2 my room!!", "what a goal", "ｃｏｍｅ to my room"] {
        everything.post(1_001, text).await;
        posted.push(everything.next_event().await);
    }
    let world = &everything.world;
    let mut body = json!({ "rule": { "texts": ["come to my room"], "similarity": 0.8 }, "secondsBack": 600 });
    body["dryRun"] = json!(true);
    let dry = world.call(&world.nodes[1], Method::POST, SWEEPS, &presenter(), Some(body.clone())).await;
    assert_eq!((dry.status.as_u16(), &dry.json()["messages"]), (200, &json!(2)), "{dry:?}");
    body["dryRun"] = json!(false);
    let swept = decided(&world.call(&world.nodes[0], Method::POST, SWEEPS, &presenter(), Some(body.clone())).await);
    let deletions = everything.next_events(2).await;
    let targets: Vec<&Value> = deletions.iter().map(|deletion| &deletion["target"]).collect();
    assert_eq!(targets, [&posted[0]["id"], &posted[3]["id"]]);
    assert_eq!(everything.next_event().await["id"], swept["id"]);
    everything.are_deleted(&swept, 2).await;
    eventually("both nodes list the rule as it was given", PROMISED, async || {
        let listed = [everything.listed(0).await, everything.listed(1).await];
        listed.iter().all(|sweeps| sweeps.first().is_some_and(|sweep| sweep["rule"] == body["rule"])).then_some(())
    })
    .await;

    let path = format!("{SWEEPS}/{}", swept["id"].as_str().unwrap());
    let undone = decided(&everything.world.delete(&everything.world.nodes[1], &path, &presenter()).await);
    let restorations = everything.next_events(2).await;
    let messages: Vec<&Value> = restorations.iter().map(|restoration| &restoration["message"]).collect();
    assert_eq!(messages, [&posted[0], &posted[3]]);
    assert_eq!(everything.next_event().await["id"], undone["id"]);
    everything.are_deleted(&swept, 0).await;
}
