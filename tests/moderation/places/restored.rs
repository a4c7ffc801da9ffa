//! Restorations and purges, at all four places and on a delivery node that starts later.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_restoration_is_answered_shown_archived_and_known_to_the_other_node() {
    let mut everything = Everything::start().await;
    let posted = everything.post(7, "said once").await;
    let shown = everything.next_event().await;
    assert_eq!((&shown["id"], &shown["text"]), (&posted["id"], &json!("said once")));
    let message = format!("/v1/rooms/42/messages/{}", posted["id"].as_str().unwrap());
    let path = format!("{message}/deletion?reason=a%20mistake");
    // Twice, so that the second deletion counts again.
    for round in ["first", "second"] {
        let world = &everything.world;
        let deleted = decided(&world.delete(&world.nodes[0], &message, &presenter()).await);
        let members = json!({ "presenterIdx": PRESENTER, "target": posted["id"], "by": by_presenter() });
        everything.is_on_the_socket(&deleted, "message.deleted", members).await;
        let deletion = everything.taken_away(&posted).await;
        assert_eq!(deletion.get_str("decision").unwrap(), deleted["id"].as_str().unwrap());

        let world = &everything.world;
        let request = world.client.delete(world.nodes[1].url() + &path).bearer_auth(moderator());
        let restored = decided(&answer(request.header("idempotency-key", round)).await);
        let request = world.client.delete(world.nodes[0].url() + &path).bearer_auth(moderator());
        let again = eventually("the other node knows the decision", PROMISED, async || {
            let answer = answer(request.try_clone().unwrap().header("idempotency-key", round)).await;
            (answer.status == 202).then_some(answer)
        });
        assert_eq!(again.await.json(), restored);
        for node in &world.nodes {
            eventually("the node refuses a second restoration", PROMISED, async || {
                let answer = world.delete(node, &path, &presenter()).await;
                (answer.status == 404).then(|| answer.assert_problem(404, "not_deleted"))
            })
            .await;
        }
        // With the message as it was, so that the page can show it again.
        let members = json!({
            "presenterIdx": PRESENTER, "target": posted["id"], "by": by_moderator(), "reason": "a mistake",
            "message": shown,
        });
        everything.is_on_the_socket(&restored, "message.restored", members).await;
        let target = posted["id"].as_str().unwrap();
        let members = doc! { "presenterIdx": PRESENTER, "target": target, "reason": "a mistake" };
        assert_archived(&everything.archived(&restored).await, "message.restored", members);
        let messages = everything.archive.collection::<Document>("chatting_log");
        let found = eventually("the message is back in the archive", PATIENCE, async || {
            let found = messages.find_one(doc! { "_id": target, "deleted": { "$exists": false } });
            found.await.unwrap()
        });
        let record = found.await.get_document("restored").unwrap().clone();
        assert_eq!(record.get_str("decision").unwrap(), restored["id"].as_str().unwrap());
    }

    // A delivery node that starts now, and a session from the beginning.
    let settings = everything.world.settings.clone();
    let later = Role::start("delivery", &settings).await;
    let (mut page, _) = Page::connect(&later, PRESENTER).await;
    let events = page.events(5).await;
    assert_eq!(events[0], shown);
    let restored: Vec<&Value> = events.iter().map(|event| &event["message"]).collect();
    // The first restoration shows nothing any more: the message was deleted again after it.
    assert_eq!(restored, [&Value::Null, &Value::Null, &Value::Null, &Value::Null, &shown]);
}

#[tokio::test]
async fn a_message_of_unknown_fate_is_restored_and_a_deletion_through_another_node_is_not_overlooked() {
    let world = World::start().await;
    let message = format!("/v1/rooms/42/messages/{}", uuid::Uuid::new_v4());
    let deletion = format!("{message}/deletion");
    for node in world.nodes.iter().cycle().take(6) {
        decided(&world.delete(node, &deletion, &presenter()).await);
        world.delete(node, &deletion, &presenter()).await.assert_problem(404, "not_deleted");
        // Through either node, and with no time for the other one to hear of it.
        decided(&world.delete(&world.nodes[0], &message, &presenter()).await);
        decided(&world.delete(&world.nodes[1], &deletion, &presenter()).await);
        decided(&world.delete(&world.nodes[1], "/v1/rooms/42/messages", &presenter()).await);
    }
    let no_id = "/v1/rooms/42/messages/1/deletion";
    world.delete(&world.nodes[0], no_id, &presenter()).await.assert_problem(400, "message_id_invalid");
    world.delete(&world.nodes[0], &deletion, &token(7, "viewer")).await.assert_problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_is_answered_shown_archived_and_applied_by_a_node_that_starts_later() {
    let mut everything = Everything::start().await;
    let (first, second, other) =
        (everything.post(7, "first").await, everything.post(7, "second").await, everything.post(8, "other").await);
    let world = &everything.world;
    let body = json!({ "seconds": 600, "purgeSeconds": 300, "reason": "flood" });
    let request = world.client.put(world.nodes[0].url() + &ban(7)).bearer_auth(presenter()).json(&body);
    let purge = decided(&answer(request.header("idempotency-key", "purge")).await);
    // Only through the node that knows at once: what the other one still took would be shown.
    world.is_banned(&world.nodes[0], PRESENTER, 7).await;
    // Without the purge it would be another request.
    let body = json!({ "seconds": 600, "reason": "flood" });
    let request = world.client.put(world.nodes[0].url() + &ban(7)).bearer_auth(presenter()).json(&body);
    answer(request.header("idempotency-key", "purge")).await.assert_problem(422, "idempotency_key_reused");
    let until = world.get(&world.nodes[0], &ban(7), &moderator()).await.json()["until"].clone();
    let members = json!({
        "presenterIdx": PRESENTER, "user": 7, "until": until, "purgeSeconds": 300, "by": by_presenter(),
        "reason": "flood",
    });
    let before = everything.is_on_the_socket(&purge, "user.banned", members).await;
    assert_eq!(before, ["first", "second", "other"]);
    let archived = everything.archived(&purge).await;
    let (from, at) = (archived.get_datetime("purgeFrom").unwrap(), archived.get_datetime("at").unwrap());
    assert_eq!(at.timestamp_millis() - from.timestamp_millis(), 300_000);
    for message in [&first, &second] {
        let deletion = everything.taken_away(message).await;
        assert_eq!(deletion.get_str("decision").unwrap(), purge["id"].as_str().unwrap());
        // The audit has it, where an erasure of the user finds it.
        assert!(!deletion.contains_key("reason"), "{deletion}");
    }

    // One of the messages comes back, and the ban stays.
    let world = &everything.world;
    let path = format!("/v1/rooms/42/messages/{}/deletion", first["id"].as_str().unwrap());
    let restored = decided(&world.delete(&world.nodes[1], &path, &moderator()).await);
    let messages = everything.archive.collection::<Document>("chatting_log");
    everything.archived(&restored).await;
    let shown = doc! { "deleted": { "$exists": false } };
    eventually("two messages are shown in the archive", PATIENCE, async || {
        (messages.count_documents(shown.clone()).await.unwrap() == 2).then_some(())
    })
    .await;
    world.is_banned(&world.nodes[0], PRESENTER, 7).await;

    let later = Role::start("delivery", &world.settings).await;
    let (mut page, _) = Page::connect(&later, PRESENTER).await;
    let events = page.events(5).await;
    let texts: Vec<Option<&str>> = events.iter().map(|event| event["text"].as_str()).collect();
    assert_eq!(texts, [Some("first"), None, Some("other"), None, None]);
    assert_eq!((&events[1]["id"], &events[1]["deleted"]), (&second["id"], &json!(true)));
    assert_eq!((&events[2]["id"], &events[4]["message"]["text"]), (&other["id"], &json!("first")));
}

#[tokio::test]
async fn a_purge_out_of_bounds_or_in_every_room_is_refused() {
    let world = World::start().await;
    for bad in [json!(0), json!(-1), json!(3_601), json!("60"), json!(1.5), json!([60]), json!(true)] {
        let answer = world.put(&world.nodes[0], &ban(7), &presenter(), json!({ "purgeSeconds": bad })).await;
        answer.assert_problem(400, "purge_seconds_invalid");
    }
    let everywhere = world.put(&world.nodes[0], "/v1/bans/7", &moderator(), json!({ "purgeSeconds": 60 })).await;
    everywhere.assert_problem(400, "purge_seconds_invalid");
    assert_eq!(world.post(&world.nodes[0], PRESENTER, 7, "not banned").await.status, 202);
    for good in [json!(null), json!(1), json!(3_600), json!(60.0)] {
        decided(&world.put(&world.nodes[0], &ban(7), &presenter(), json!({ "purgeSeconds": good })).await);
    }
}
