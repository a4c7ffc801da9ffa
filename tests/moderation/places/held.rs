//! Held messages, at all four places and on two nodes: moderators alone know of them until they are released.

use std::sync::Arc;

use tokio::sync::Notify;

use super::*;
use crate::support::{EventStream, Gate, Held, ReviewHook, Says};

/// Of the presenter's room.
const HOLDS: &str = "/v1/rooms/42/holds";

impl Everything {
    /// With a room that holds messages with the word "spoiler".
    async fn with_holds() -> Everything {
        let everything = Everything::start().await;
        everything.world.holds().await;
        everything
    }

    /// What a moderator reads live.
    async fn reader(&self) -> EventStream {
        let url = format!("{}/v1/rooms/42/events?from=now", self.delivery.url());
        let answer = testkit::client().build().unwrap().get(url).bearer_auth(moderator()).send().await.unwrap();
        let mut stream = EventStream::of(answer, PATIENCE);
        assert_eq!(stream.next().await.unwrap().event.as_deref(), Some("welcome"));
        stream
    }

    /// The archived decision of that type about the message.
    async fn archived_about(&self, message: &Value, kind: &str) -> Document {
        let decisions = self.archive.collection::<Document>("moderation_log");
        let about = doc! { "type": kind, "target": message["id"].as_str().unwrap() };
        eventually("the decision is archived", PATIENCE, async || decisions.find_one(about.clone()).await.unwrap())
            .await
    }
}

impl World {
    async fn holds(&self) {
        let settings = json!({ "settings": { "words": ["spoiler"], "wordPolicy": "hold" } });
        decided(&self.patch(&self.nodes[0], SETTINGS, &presenter(), settings).await);
        for node in &self.nodes {
            self.has_set(node, &json!({ "words": ["spoiler"], "wordPolicy": "hold" })).await;
        }
    }

    /// Posts a text that is held, and returns the answer.
    async fn post_held(&self, node: &Role, user: i64, text: &str) -> Value {
        let answer = self.post(node, PRESENTER, user, text).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["held"]), (202, &json!(true)), "{answer:?}");
        answer.json()
    }

    async fn decide(&self, node: &Role, message: &Value, decision: &str, token: &str) -> Answer {
        let path = format!("{HOLDS}/{}/{decision}", message["id"].as_str().unwrap());
        self.call(node, Method::POST, &path, token, None).await
    }

    /// The ids of the room's queue at the node.
    async fn queue(&self, node: &Role) -> Vec<Value> {
        let answer = self.get(node, HOLDS, &moderator()).await.json();
        answer["holds"].as_array().unwrap().iter().map(|held| held["id"].clone()).collect()
    }

    async fn queues_are(&self, expected: &[&Value]) {
        let expected: Vec<&Value> = expected.iter().map(|message| &message["id"]).collect();
        for node in &self.nodes {
            eventually("the node has the queue", PROMISED, async || {
                (self.queue(node).await.iter().collect::<Vec<_>>() == expected).then_some(())
            })
            .await;
        }
    }
}

/// The next event of the room.
async fn next(stream: &mut EventStream) -> Value {
    loop {
        let event = stream.next().await.expect("the stream goes on");
        if event.event.is_none() {
            return event.data;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_message_is_for_moderators_alone_until_it_is_released_and_then_in_all_places() {
    let mut everything = Everything::with_holds().await;
    let mut reader = everything.reader().await;
    let world = &everything.world;
    let held = world.post_held(&world.nodes[0], 7, "a spoiler").await;
    let denied = world.post_held(&world.nodes[1], 8, "another spoiler").await;
    let after = everything.post(9, "after").await;
    let world = &everything.world;
    world.queues_are(&[&held, &denied]).await;
    let listed = world.get(&world.nodes[1], HOLDS, &presenter()).await.json()["holds"][0].clone();
    assert_eq!(
        (&listed["id"], &listed["position"], &listed["text"]),
        (&held["id"], &held["position"], &json!("a spoiler"))
    );
    assert_eq!(listed["user"], json!({ "idx": 7, "nickname": "nick", "role": "viewer" }));
    let seen = next(&mut reader).await;
    assert_eq!(
        (&seen["type"], &seen["target"], &seen["text"]),
        (&json!("message.held"), &held["id"], &json!("a spoiler"))
    );
    assert_eq!((&seen["position"], &seen["until"]), (&held["position"], &listed["until"]));
    assert_eq!(next(&mut reader).await["target"], denied["id"]);
    assert_eq!(next(&mut reader).await["id"], after["id"]);

    let released = decided(&world.decide(&world.nodes[1], &held, "release?reason=harmless", &moderator()).await);
    assert_eq!(released["id"], held["id"]);
    let denial = decided(&world.decide(&world.nodes[0], &denied, "deny", &presenter()).await);
    assert_eq!(denial["id"], denied["id"]);
    world.queues_are(&[]).await;
    let seen = next(&mut reader).await;
    let released_as = (&seen["type"], &seen["id"], &seen["position"], &seen["text"]);
    assert_eq!(released_as, (&json!("message.posted"), &held["id"], &released["position"], &json!("a spoiler")));
    assert!(seen.get("held").is_none(), "{seen}");
    let seen = next(&mut reader).await;
    assert_eq!((&seen["type"], &seen["id"], &seen["user"]), (&json!("message.denied"), &denied["id"], &json!(8)));

    // The page has the released message in its place, and nothing of the holds.
    assert_eq!(everything.next_event().await["type"], "room.updated");
    let (first, second) = (everything.next_event().await, everything.next_event().await);
    assert_eq!((&first["id"], &second["id"]), (&after["id"], &held["id"]));
    assert_eq!((&second["position"], &second["text"]), (&released["position"], &json!("a spoiler")));
    let last = everything.post(9, "last").await;
    assert_eq!(everything.next_event().await["id"], last["id"]);

    let archived = everything.archived_about(&held, "message.released").await;
    assert_archived(&archived, "message.released", doc! { "userIdx": 7_i64, "reason": "harmless" });
    assert_eq!(archived.get_document("by").unwrap().get_i64("userIdx").unwrap(), MODERATOR);
    let hold = everything.archived_about(&held, "message.held").await;
    assert!(hold.get_datetime("at").unwrap() <= archived.get_datetime("at").unwrap());
    assert_archived(
        &everything.archived_about(&denied, "message.denied").await,
        "message.denied",
        doc! { "userIdx": 8_i64 },
    );
    let messages = everything.archive.collection::<Document>("chatting_log");
    eventually("the archive has the three messages", PATIENCE, async || {
        (messages.count_documents(doc! {}).await.unwrap() == 3).then_some(())
    })
    .await;
    let text = messages.find_one(doc! { "_id": held["id"].as_str().unwrap() }).await.unwrap().unwrap();
    assert_eq!(text.get_datetime("sentAt").unwrap(), archived.get_datetime("at").unwrap());

    // A node that starts now shows the same.
    let later = Role::start("delivery", &everything.world.settings).await;
    let (mut page, _) = Page::connect(&later, PRESENTER).await;
    // The first event is the change of settings.
    let ids: Vec<Value> = page.events(4).await.iter().skip(1).map(|event| event["id"].clone()).collect();
    assert_eq!(ids, [after, held, last].map(|message| message["id"].clone()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_message_keeps_its_answer_its_attributes_and_its_emotes() {
    let mut everything = Everything::with_holds().await;
    let mut reader = everything.reader().await;
    let first = everything.post(9, "first").await;
    let world = &everything.world;
    let emotes = json!([{ "id": "spoiler-alert", "start": 2, "end": 9 }]);
    let mut body = json!({ "text": "a spoiler", "replyTo": first["id"], "attributes": { "amount": 5 } });
    body["emotes"] = emotes.clone();
    let author = token_with(json!({ "user_idx": 7, "nickname": "nick", "scope": "chat:attributes" }));
    let posted = world.call(&world.nodes[0], Method::POST, "/v1/rooms/42/messages", &author, Some(body)).await;
    let held = posted.json();
    assert_eq!((posted.status.as_u16(), &held["held"]), (202, &json!(true)), "{posted:?}");
    world.queues_are(&[&held]).await;
    let extras = |message: &Value| ["replyTo", "attributes", "emotes"].map(|member| message[member].clone());
    let expected = [first["id"].clone(), json!({ "amount": 5 }), emotes];
    let listed = world.get(&world.nodes[1], HOLDS, &moderator()).await.json()["holds"][0].clone();
    assert_eq!(extras(&listed), expected);
    decided(&world.decide(&world.nodes[1], &held, "release", &moderator()).await);

    assert_eq!(next(&mut reader).await["id"], first["id"]);
    for kind in ["message.held", "message.posted"] {
        let seen = next(&mut reader).await;
        assert_eq!((&seen["type"], extras(&seen)), (&json!(kind), expected.clone()));
    }
    assert_eq!(everything.next_event().await["type"], "room.updated");
    assert_eq!(everything.next_event().await["id"], first["id"]);
    let shown = everything.next_event().await;
    assert_eq!((&shown["id"], extras(&shown)), (&held["id"], expected));
    let messages = everything.archive.collection::<Document>("chatting_log");
    let archived = eventually("the message is archived", PATIENCE, async || {
        messages.find_one(doc! { "_id": held["id"].as_str().unwrap() }).await.unwrap()
    })
    .await;
    assert_eq!(archived.get_str("replyTo").ok(), first["id"].as_str());
    assert_eq!(archived.get_document("attributes").unwrap().keys().collect::<Vec<_>>(), ["amount"]);
    let expected = doc! { "id": "spoiler-alert", "start": 2_i64, "end": 9_i64 };
    assert_eq!(archived.get_array("emotes").unwrap(), &[expected.into()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_moderators_at_once_make_one_decision_and_the_second_learns_which() {
    let world = World::start().await;
    world.holds().await;
    for round in 0..20 {
        let held = world.post_held(&world.nodes[0], 7, &different("a spoiler")).await;
        let (release, other) = (moderator(), presenter());
        let second = if round % 2 == 0 { "deny" } else { "release" };
        let answers = tokio::join!(
            world.decide(&world.nodes[0], &held, "release", &release),
            world.decide(&world.nodes[1], &held, second, &other),
        );
        match (answers.0.status.as_u16(), answers.1.status.as_u16()) {
            (202, 202) => assert_eq!((second, answers.0.json()), ("release", answers.1.json())),
            (202, 409) => answers.1.assert_problem(409, "already_released"),
            (409, 202) => answers.0.assert_problem(409, "already_denied"),
            _ => panic!("{answers:?}"),
        }
        let is_released = answers.0.status == 202;
        // Later ones learn the same, through either node.
        for node in &world.nodes {
            let (same, other, code) = match is_released {
                true => ("release", "deny", "already_released"),
                false => ("deny", "release", "already_denied"),
            };
            assert_eq!(world.decide(node, &held, same, &moderator()).await.status, 202);
            world.decide(node, &held, other, &moderator()).await.assert_problem(409, code);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_under_its_key_and_in_the_limits_as_a_post_is() {
    let world = World::start_with(|settings| settings.set("ingest.limits.holds_in_room", "2")).await;
    world.holds().await;
    let post = async |node: &Role| {
        let request = world.client.post(format!("{}/v1/rooms/42/messages", node.url())).bearer_auth(token(7, "nick"));
        answer(request.header("idempotency-key", "once").json(&json!({ "text": "a spoiler" }))).await
    };
    let (first, again) = (post(&world.nodes[0]).await, post(&world.nodes[1]).await);
    assert_eq!((first.status.as_u16(), &first.json()["held"]), (202, &json!(true)), "{first:?}");
    assert_eq!(first.json(), again.json());
    world.queues_are(&[&first.json()]).await;
    let second = world.post_held(&world.nodes[0], 8, "another spoiler").await;
    world.queues_are(&[&first.json(), &second]).await;
    let full = world.post(&world.nodes[1], PRESENTER, 9, "a third spoiler").await;
    full.assert_problem(429, "hold_queue_full");
    assert!(full.headers.contains_key("retry-after"), "{full:?}");
    let page = world.get(&world.nodes[0], &format!("{HOLDS}?first=1"), &presenter()).await.json();
    assert_eq!((&page["holds"][0]["id"], &page["next"]), (&first.json()["id"], &first.json()["position"]));
    let path = format!("{HOLDS}?first=1&after={}", page["next"].as_str().unwrap());
    let page = world.get(&world.nodes[0], &path, &presenter()).await.json();
    assert_eq!((&page["holds"][0]["id"], page.get("next")), (&second["id"], None));

    // A presenter and a moderator could release theirs themselves.
    for (user, role) in [(PRESENTER, presenter()), (MODERATOR, moderator())] {
        let body = json!({ "text": format!("a spoiler of {user}") });
        let answer = world.call(&world.nodes[0], Method::POST, "/v1/rooms/42/messages", &role, Some(body)).await;
        assert_eq!((answer.status.as_u16(), answer.json().get("held")), (202, None), "{answer:?}");
    }
    // After a release the retry still gets the first answer.
    decided(&world.decide(&world.nodes[1], &second, "release", &presenter()).await);
    decided(&world.decide(&world.nodes[1], &first.json(), "release", &presenter()).await);
    assert_eq!(post(&world.nodes[0]).await.json(), first.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_deletes_a_message_ends_its_hold_and_so_does_its_time() {
    let world = World::start_with(|settings| settings.set("ingest.hold", "10s")).await;
    world.holds().await;
    let expiring = world.post_held(&world.nodes[0], 9, "a spoiler to expire").await;
    let path = |message: &Value| format!("/v1/rooms/42/messages/{}", message["id"].as_str().unwrap());
    let held = world.post_held(&world.nodes[0], 7, "a spoiler to delete").await;
    decided(&world.delete(&world.nodes[1], &path(&held), &presenter()).await);
    world.decide(&world.nodes[1], &held, "release", &presenter()).await.assert_problem(404, "not_held");
    let held = world.post_held(&world.nodes[1], 7, "a spoiler to purge").await;
    world.ban(&world.nodes[0], 7, json!({ "purgeSeconds": 60 })).await;
    world.decide(&world.nodes[0], &held, "release", &presenter()).await.assert_problem(404, "not_held");
    world.queues_are(&[&expiring]).await;
    // A node that starts knows of the hold, and all forget it when its time is over.
    let later = world.node().await;
    assert_eq!(world.queue(&later).await, [expiring["id"].clone()]);
    eventually("the time is over", PATIENCE, async || world.queue(&later).await.is_empty().then_some(())).await;
    world.queues_are(&[]).await;
    for decision in ["release", "deny"] {
        world.decide(&world.nodes[0], &expiring, decision, &presenter()).await.assert_problem(404, "not_held");
    }
    let held = world.post_held(&world.nodes[1], 8, "a spoiler to clear").await;
    decided(&world.delete(&world.nodes[0], "/v1/rooms/42/messages", &presenter()).await);
    world.decide(&world.nodes[0], &held, "deny", &presenter()).await.assert_problem(404, "not_held");
}

#[tokio::test]
async fn only_moderators_of_the_room_see_and_decide_holds() {
    let world = World::start().await;
    world.holds().await;
    let node = &world.nodes[0];
    let held = world.post_held(node, 7, "a spoiler").await;
    for stranger in [token(7, "nick"), token(43, "presenter")] {
        world.get(node, HOLDS, &stranger).await.assert_problem(403, "forbidden");
        for decision in ["release", "deny"] {
            world.decide(node, &held, decision, &stranger).await.assert_problem(403, "forbidden");
        }
    }
    let elsewhere = format!("/v1/rooms/43/holds/{}/release", held["id"].as_str().unwrap());
    world.call(node, Method::POST, &elsewhere, &token(43, "presenter"), None).await.assert_problem(404, "not_held");
    for query in ["first=0", "first=1001", "after=7"] {
        world.get(node, &format!("{HOLDS}?{query}"), &presenter()).await.assert_problem(400, "query_invalid");
    }
    let no_id = format!("{HOLDS}/7/deny");
    world.call(node, Method::POST, &no_id, &presenter(), None).await.assert_problem(400, "message_id_invalid");
    decided(&world.put(node, "/v1/rooms/42/moderators/8", &presenter(), json!({})).await);
    decided(&world.decide(node, &held, "deny", &token(8, "helper")).await);
}

/// Two tries of one post under a key, through two nodes of which one asks the hook. The hold is in the log first.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_another_try_brings_into_the_room_waits_no_longer() {
    let hook = ReviewHook::start().await;
    let world = World::start_with(|settings| hook.settings(settings).set("ingest.review.deadline_ms", "10000")).await;
    hook.say(Says::Hold);
    let gate = Gate::start(&world.nats.url()).await;
    let unreviewed = world.settings.clone().unset("ingest.review.url").unset("ingest.review.secret");
    // The other try takes as long as it takes on a busy machine.
    let unreviewed = unreviewed.set("nats.append_deadline", "15s");
    let other = Role::start("ingest", &unreviewed.set("nats.urls", &gate.url())).await;
    let post = async |node: &Role| {
        let url = format!("{}/v1/rooms/{PRESENTER}/messages", node.url());
        let request = world.client.post(url).bearer_auth(token(7, "nick")).header("idempotency-key", "twice");
        answer(request.json(&json!({ "text": "is this right?" }))).await
    };
    gate.hold(Held::Requests, "is this right?");
    let (late, held) = tokio::join!(post(&other), async {
        gate.caught().await;
        let held = post(&world.nodes[0]).await;
        world.queues_are(&[&held.json()]).await;
        gate.release();
        held
    });
    assert_eq!((held.status.as_u16(), &held.json()["held"]), (202, &json!(true)), "{held:?}");
    assert_eq!((late.status.as_u16(), late.json()), (202, held.json()), "both tries have one answer");
    let in_room = crate::ingest::messages(&world.nats.url()).await;
    assert_eq!(in_room.iter().filter(|message| message["text"] == "is this right?").count(), 1, "{in_room:?}");
    world.queues_are(&[]).await;
    let denied = world.decide(&world.nodes[1], &held.json(), "deny", &moderator()).await;
    denied.assert_problem(409, "already_released");
}

/// As before, but the message is denied while the other node waits for the hook.
#[tokio::test(flavor = "multi_thread")]
async fn a_denied_message_is_not_brought_into_the_room_by_a_try_that_waited_for_the_hook() {
    let hook = ReviewHook::start().await;
    let world = World::start_with(|settings| hook.settings(settings).set("ingest.review.deadline_ms", "10000")).await;
    let post = async |node: &Role| {
        let url = format!("{}/v1/rooms/{PRESENTER}/messages", node.url());
        let request = world.client.post(url).bearer_auth(token(7, "nick")).header("idempotency-key", "twice");
        answer(request.json(&json!({ "text": "is this right?" }))).await
    };
    let moment = Arc::new(Notify::new());
    hook.say(Says::AllowAfter(moment.clone()));
    let (late, held) = tokio::join!(post(&world.nodes[1]), async {
        eventually("the first try is reviewed", PATIENCE, async || (hook.asked().len() == 1).then_some(())).await;
        hook.say(Says::Hold);
        let held = post(&world.nodes[0]).await;
        world.queues_are(&[&held.json()]).await;
        decided(&world.decide(&world.nodes[1], &held.json(), "deny", &moderator()).await);
        moment.notify_one();
        held
    });
    assert_eq!((held.status.as_u16(), &held.json()["held"]), (202, &json!(true)), "{held:?}");
    assert_eq!((late.status.as_u16(), late.json()), (202, held.json()), "both tries have one answer");
    assert!(crate::ingest::messages(&world.nats.url()).await.is_empty());
    world.queues_are(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_review_hook_holds_messages_on_both_surfaces() {
    let hook = ReviewHook::start().await;
    let world = World::start_with(|settings| {
        hook.settings(settings).set("ingest.review.deadline_ms", "10000").set("ingest.review.fallback", "hold")
    })
    .await;
    hook.say(Says::Hold);
    let node = &world.nodes[0];
    let held = world.post_held(node, 7, "is this right?").await;
    let body = json!({ "presenterIdx": 42, "userType": "viewer", "textMessage": "and this?" });
    let answer = world.call(node, Method::POST, "/send/message", &token(8, "nick"), Some(body)).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
    let original = json!({ "id": answer.headers["message-id"].to_str().unwrap() });
    hook.say(Says::Status(500));
    let unreviewed = world.post_held(node, 9, "nobody looked at this").await;
    world.queues_are(&[&held, &original, &unreviewed]).await;
    let flags = world.get(node, HOLDS, &presenter()).await.json()["holds"][2]["flags"].clone();
    assert_eq!(flags, json!(["review.unavailable"]));
    for message in [held, original, unreviewed] {
        decided(&world.decide(&world.nodes[1], &message, "release", &moderator()).await);
    }
    assert_eq!(crate::ingest::messages(&world.nats.url()).await.len(), 3);
}
