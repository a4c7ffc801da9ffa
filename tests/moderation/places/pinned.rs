//! Notices and the pinned message, in all four places, for readers, and on nodes that start later.

use super::*;
use crate::delivery::readers::Reader;

const PIN: &str = "/v1/rooms/42/pin";
const NOTICES: &str = "/v1/rooms/42/notices";

/// The message that the node says is pinned. None: none.
async fn pinned(world: &World, node: &Role) -> Option<Value> {
    let answer = world.get(node, PIN, &moderator()).await;
    if answer.status == 200 {
        return Some(answer.json()["messageId"].clone());
    }
    answer.assert_problem(404, "not_pinned");
    None
}

async fn is_pinned(world: &World, node: &Role, expected: Option<&Value>) {
    eventually(&format!("{expected:?} is pinned"), PROMISED, async || {
        (pinned(world, node).await.as_ref() == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_answered_shown_to_everybody_archived_and_deleted_as_a_message_is() {
    let mut everything = Everything::start().await;
    let delivery =
        Role::start("delivery", &everything.world.settings.clone().set("ingest.room.readers", "anyone")).await;
    let (mut viewer, _) = Reader::start(&delivery, PRESENTER, &token(9, "viewer"), "now").await;
    let world = &everything.world;
    let post = world.client.post(world.nodes[0].url() + NOTICES).bearer_auth(moderator());
    let post = post.header("idempotency-key", "notice").json(&json!({ "text": " the quiz starts " }));
    let notice = decided(&answer(post.try_clone().unwrap()).await);
    assert_eq!(decided(&answer(post).await), notice, "a retry is the same notice");
    let members = json!({ "presenterIdx": PRESENTER, "user": by_moderator(), "text": "the quiz starts" });
    everything.is_on_the_socket(&notice, "notice.posted", members).await;
    let seen = viewer.event().await;
    assert_eq!((&seen["type"], &seen["text"]), (&json!("notice.posted"), &json!("the quiz starts")));
    let target = notice["id"].as_str().unwrap().to_owned();
    let audited = everything.archived(&notice).await;
    assert_archived(&audited, "notice.posted", doc! { "presenterIdx": PRESENTER, "target": &target });
    assert_eq!(audited.get_document("by").unwrap().get_i64("userIdx").unwrap(), MODERATOR);
    let messages = everything.archive.collection::<Document>("chatting_log");
    // The archive stores decisions first.
    let archived = eventually("the notice is archived", PATIENCE, async || {
        messages.find_one(doc! { "_id": &target }).await.unwrap()
    })
    .await;
    assert_eq!((archived.get_bool("notice").unwrap(), archived.get_str("message").unwrap()), (true, "the quiz starts"));

    let world = &everything.world;
    let path = format!("/v1/rooms/42/messages/{target}");
    let deleted = decided(&world.delete(&world.nodes[1], &path, &presenter()).await);
    let members = json!({ "presenterIdx": PRESENTER, "target": target, "by": by_presenter() });
    everything.is_on_the_socket(&deleted, "message.deleted", members).await;
    everything.taken_away(&notice).await;
    viewer.event().await;
    let (mut late, _) = Reader::start(&delivery, PRESENTER, &token(9, "viewer"), "window").await;
    let gone = late.event().await;
    assert_eq!((&gone["type"], &gone["deleted"], gone.get("text")), (&json!("notice.posted"), &json!(true), None));

    let world = &everything.world;
    for (text, code) in [(json!(null), "text_empty"), (json!("a\nb"), "text_forbidden_characters")] {
        let body = Some(json!({ "text": text }));
        world.call(&world.nodes[0], Method::POST, NOTICES, &presenter(), body).await.assert_problem(400, code);
    }
    let viewers = Some(json!({ "text": "I am in charge" }));
    let refused = world.call(&world.nodes[0], Method::POST, NOTICES, &token(7, "viewer"), viewers).await;
    refused.assert_problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_is_answered_shown_archived_and_known_to_who_comes_later_until_its_message_is_deleted() {
    let mut everything = Everything::start().await;
    let settings = everything.world.settings.clone().set("ingest.room.readers", "anyone");
    let delivery = Role::start("delivery", &settings).await;
    let (mut viewer, welcome) = Reader::start(&delivery, PRESENTER, &token(9, "viewer"), "now").await;
    assert_eq!(welcome.get("pinned"), None);
    let (first, second) =
        (everything.post(7, "first").await["id"].clone(), everything.post(8, "second").await["id"].clone());
    viewer.event().await;
    viewer.event().await;

    let world = &everything.world;
    for (node, message) in [(&world.nodes[0], &first), (&world.nodes[1], &second)] {
        let pin = decided(&world.put(node, PIN, &moderator(), json!({ "messageId": message })).await);
        for node in &world.nodes {
            is_pinned(world, node, Some(message)).await;
        }
        let seen = viewer.event().await;
        assert_eq!((&seen["type"], &seen["target"], seen.get("by")), (&json!("message.pinned"), message, None));
        assert_eq!(seen["id"], pin["id"]);
        let decisions = everything.archive.collection::<Document>("moderation_log");
        let id = doc! { "_id": pin["id"].as_str().unwrap() };
        let archived =
            eventually("the pin is archived", PATIENCE, async || decisions.find_one(id.clone()).await.unwrap());
        assert_archived(&archived.await, "message.pinned", doc! { "target": message.as_str().unwrap() });
    }
    let shown = world.get(&world.nodes[0], PIN, &presenter()).await.json();
    assert_eq!((&shown["messageId"], &shown["by"]), (&second, &by_moderator()));

    // Readers that begin now, also on a node that starts now.
    let later = Role::start("delivery", &settings).await;
    for node in [&delivery, &later] {
        let (_, welcome) = Reader::start(node, PRESENTER, &token(9, "viewer"), "now").await;
        assert_eq!(welcome["pinned"], second);
    }

    let path = format!("/v1/rooms/42/messages/{}", second.as_str().unwrap());
    decided(&world.delete(&world.nodes[0], &path, &presenter()).await);
    for node in &world.nodes {
        is_pinned(world, node, None).await;
    }
    world.delete(&world.nodes[1], PIN, &presenter()).await.assert_problem(404, "not_pinned");
    assert_eq!(viewer.event().await["type"], "message.deleted");
    let (_, welcome) = Reader::start(&delivery, PRESENTER, &token(9, "viewer"), "now").await;
    assert_eq!(welcome.get("pinned"), None);

    decided(&world.put(&world.nodes[0], PIN, &presenter(), json!({ "messageId": first })).await);
    is_pinned(world, &world.nodes[1], Some(&first)).await;
    let unpinned = decided(&world.delete(&world.nodes[1], PIN, &presenter()).await);
    is_pinned(world, &world.nodes[0], None).await;
    let members = json!({ "presenterIdx": PRESENTER, "target": first, "by": by_presenter() });
    everything.is_on_the_socket(&unpinned, "message.unpinned", members).await;
    let archived = everything.archived(&unpinned).await;
    assert_archived(&archived, "message.unpinned", doc! { "target": first.as_str().unwrap() });

    let world = &everything.world;
    for wrong in [json!({}), json!({ "messageId": 7 }), json!({ "messageId": "7" })] {
        world.put(&world.nodes[0], PIN, &presenter(), wrong).await.assert_problem(400, "message_id_invalid");
    }
    world
        .put(&world.nodes[0], PIN, &token(7, "n"), json!({ "messageId": first }))
        .await
        .assert_problem(403, "forbidden");
}
