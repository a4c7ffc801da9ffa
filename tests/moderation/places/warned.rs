//! Warnings and notes in all places: the archive has them, and the presenter's page does not.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn warnings_and_notes_are_archived_and_reach_no_presenters_page() {
    let mut everything = Everything::start().await;
    let world = &everything.world;
    let (one, other) = (&world.nodes[0], &world.nodes[1]);
    let reason = json!({ "reason": "no links please" });
    let warned = decided(&world.put(one, "/v1/rooms/42/warnings/7", &moderator(), reason).await);
    let note = json!({ "text": "spams elsewhere" });
    let notes = "/v1/rooms/42/users/7/notes";
    let noted = decided(&world.create(one, notes, &moderator(), note).await);
    let told = eventually("an answer carries the warning", PROMISED, async || {
        let answer = world.post(other, PRESENTER, 7, &different("what did I do?")).await.json();
        answer.get("warning").is_some().then_some(answer)
    })
    .await;
    assert_eq!(told["warning"]["id"], warned["id"]);
    let deletion = format!("{notes}/{}?reason=outdated", noted["id"].as_str().unwrap());
    let deleted = decided(&world.delete(other, &deletion, &presenter()).await);
    eventually("the warning was sent", PATIENCE, async || {
        let known = world.get(one, "/v1/rooms/42/warnings/7", &presenter()).await.json();
        known["sentAt"].is_string().then_some(())
    })
    .await;
    let withdrawn = decided(&world.delete(one, "/v1/rooms/42/warnings/7", &presenter()).await);

    let user = doc! { "presenterIdx": PRESENTER, "userIdx": 7_i64 };
    let with = |name: &str, value: &Value| {
        let mut members = user.clone();
        members.insert(name, value.as_str().unwrap());
        members
    };
    assert_archived(&everything.archived(&warned).await, "user.warned", with("reason", &json!("no links please")));
    assert_archived(&everything.archived(&noted).await, "note.added", with("reason", &json!("spams elsewhere")));
    assert_archived(&everything.archived(&deleted).await, "note.deleted", with("target", &noted["id"]));
    assert_archived(&everything.archived(&withdrawn).await, "warning.withdrawn", user.clone());
    let decisions = everything.archive.collection::<Document>("moderation_log");
    let sent = decisions.find_one(doc! { "type": "warning.sent" }).await.unwrap();
    let sent = sent.expect("the withdrawal follows it, and is archived");
    assert_archived(&sent, "warning.sent", with("target", &warned["id"]));
    assert!(!sent.contains_key("by"), "{sent}");

    everything.post(8, "the last message").await;
    loop {
        let event = everything.next_event().await;
        assert_eq!(event["type"], "message.posted");
        if event["text"] == "the last message" {
            break;
        }
    }
}
