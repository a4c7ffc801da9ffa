//! Warnings: the answer to the user's next post carries one, through any node, and moderators see that it was sent.

use chat::{Body, ErasureMode, Event, EventId, PresenterIdx, Role as Of, User, UserErased, UserIdx, WarningSent};

use super::lives_on::{let_the_log_age, until_kept};
use super::*;

const WARNINGS: &str = "/v1/rooms/42/warnings";

fn warning(user: i64) -> String {
    format!("{WARNINGS}/{user}")
}

impl World {
    async fn warn(&self, node: &Role, user: i64, reason: &str) -> Value {
        decided(&self.put(node, &warning(user), &presenter(), json!({ "reason": reason })).await)
    }

    /// The warning in the answer to a post of the user, which may be refused.
    async fn told(&self, node: &Role, user: i64) -> Option<Value> {
        self.post(node, PRESENTER, user, &different("what did I do?")).await.json().get("warning").cloned()
    }

    /// Within the promised time an answer of the node carries the warning.
    async fn is_told(&self, node: &Role, user: i64) -> Value {
        eventually("an answer carries the warning", PROMISED, async || self.told(node, user).await).await
    }

    /// Every node knows that the warning was sent.
    async fn is_sent(&self, user: i64) {
        for node in &self.nodes {
            eventually("the warning is recorded as sent", PATIENCE, async || {
                self.get(node, &warning(user), &presenter()).await.json().get("sentAt").cloned()
            })
            .await;
        }
    }

    /// Every event of the log.
    async fn events(&self) -> Vec<Event> {
        let log = self.log().await;
        let mut tail = log.tail(nats::Start::Oldest);
        let status = tail.status();
        let mut events = Vec::new();
        loop {
            tokio::select! {
                biased;
                more = tail.next() => events.extend(more.unwrap().iter().map(|entry| entry.event().unwrap())),
                () = status.caught_up() => return events,
            }
        }
    }
}

#[tokio::test]
async fn a_warning_is_carried_by_answers_of_any_node_until_one_has_recorded_that_it_was_sent() {
    let world = World::start().await;
    let (one, other) = (&world.nodes[0], &world.nodes[1]);
    assert_eq!(world.told(other, 7).await, None);
    let warned = world.warn(one, 7, " no links please ").await;
    let told = world.is_told(other, 7).await;
    assert_eq!((&told["id"], &told["reason"]), (&warned["id"], &json!("no links please")));
    assert_eq!(told.as_object().unwrap().keys().collect::<Vec<_>>(), ["at", "id", "reason"], "not who warned");
    // Neither other users nor other rooms.
    assert_eq!(world.told(other, 8).await, None);
    assert!(world.post(other, 43, 7, "hi").await.json().get("warning").is_none());

    world.is_sent(7).await;
    for node in [one, other] {
        assert_eq!(world.told(node, 7).await, None);
        let known = world.get(node, &warning(7), &moderator()).await.json();
        let by = json!({ "idx": PRESENTER, "nickname": "presenter", "role": "presenter" });
        assert_eq!((&known["user"], &known["by"], &known["id"]), (&json!(7), &by, &warned["id"]));
        assert_eq!(world.get(node, WARNINGS, &presenter()).await.json()["warnings"], json!([known]));
    }
    let sent: Vec<Event> =
        world.events().await.into_iter().filter(|event| matches!(event.body, Body::WarningSent(_))).collect();
    assert_eq!(sent.len(), 1, "{sent:?}");

    // A new warning is told again.
    let warned = world.warn(other, 7, "the last time").await;
    assert_eq!(world.is_told(one, 7).await["id"], warned["id"]);
}

#[tokio::test]
async fn an_answer_that_refuses_a_message_carries_the_warning_too_and_the_originals_answers_stay_as_they_are() {
    let world = World::start().await;
    let node = &world.nodes[0];
    world.warn(node, 7, "no links please").await;
    let original = world.client.post(format!("{}/send/message", node.url())).bearer_auth(token(7, "nick"));
    let original = original.json(&json!({ "presenterIdx": PRESENTER, "userType": "viewer", "textMessage": "hi" }));
    let original = answer(original).await;
    original.assert_sent();
    assert!(!original.headers.keys().any(|name| name.as_str().contains("warning")), "{original:?}");

    let empty = world.post(node, PRESENTER, 7, "").await;
    empty.assert_problem(400, "text_empty");
    assert_eq!(empty.json()["warning"]["reason"], "no links please");
    world.ban(node, 7, json!({})).await;
    let banned = world.post(node, PRESENTER, 7, "hi").await;
    banned.assert_problem(403, "msg_banned");
    assert_eq!(banned.json()["warning"]["reason"], "no links please");
    world.is_sent(7).await;
    assert_eq!(world.told(node, 7).await, None);
}

#[tokio::test]
async fn a_withdrawn_warning_is_told_to_nobody() {
    let world = World::start().await;
    let (one, other) = (&world.nodes[0], &world.nodes[1]);
    world.warn(one, 7, "no links please").await;
    decided(&world.delete(other, &(warning(7) + "?reason=another%20user"), &moderator()).await);
    for node in [one, other] {
        eventually("the warning is withdrawn", PROMISED, async || {
            (world.get(node, &warning(7), &presenter()).await.status == 404).then_some(())
        })
        .await;
        assert_eq!(world.told(node, 7).await, None);
        world.get(node, &warning(7), &presenter()).await.assert_problem(404, "not_warned");
        world.delete(node, &warning(7), &presenter()).await.assert_problem(404, "not_warned");
        assert_eq!(world.get(node, WARNINGS, &presenter()).await.json(), json!({ "warnings": [] }));
    }
}

#[tokio::test]
async fn who_may_warn_whom_and_how() {
    let world = World::start().await;
    let node = &world.nodes[0];
    let (appointed, body) = (token(8, "helper"), json!({ "reason": "calm down" }));
    world.put(node, &warning(7), &appointed, body.clone()).await.assert_problem(403, "forbidden");
    world.get(node, WARNINGS, &token(7, "nick")).await.assert_problem(403, "forbidden");
    for user in [8, 9] {
        decided(&world.put(node, &format!("/v1/rooms/42/moderators/{user}"), &presenter(), json!({})).await);
    }
    decided(&world.put(node, &warning(7), &appointed, body.clone()).await);
    let elsewhere = world.put(node, "/v1/rooms/43/warnings/7", &appointed, body.clone()).await;
    elsewhere.assert_problem(403, "forbidden");
    world.put(node, &warning(9), &appointed, body.clone()).await.assert_problem(403, "moderator_not_warnable");
    decided(&world.put(node, &warning(9), &moderator(), body.clone()).await);
    world.put(node, &warning(PRESENTER), &moderator(), body).await.assert_problem(409, "presenter_not_warnable");
    for (body, code) in [
        (json!({}), "reason_invalid"),
        (json!({ "reason": null }), "reason_invalid"),
        (json!({ "reason": "  " }), "reason_invalid"),
        (json!({ "reason": "x".repeat(501) }), "reason_invalid"),
        (json!({ "reason": 5 }), "body_malformed"),
    ] {
        world.put(node, &warning(7), &presenter(), body).await.assert_problem(400, code);
    }
    // Listed by user, and by pages.
    let page = world.get(node, &format!("{WARNINGS}?first=1"), &presenter()).await.json();
    assert_eq!((&page["warnings"][0]["user"], &page["next"]), (&json!(7), &json!("7")));
    let rest = world.get(node, &format!("{WARNINGS}?first=1&after=7"), &presenter()).await.json();
    assert_eq!((&rest["warnings"][0]["user"], rest.get("next")), (&json!(9), None));
}

#[tokio::test]
async fn warnings_outlive_the_log_and_so_does_that_they_were_sent() {
    let mut world = World::start().await;
    let node = &world.nodes[0];
    for user in [7, 8] {
        world.warn(node, user, "no links please").await;
    }
    world.is_told(node, 7).await;
    world.is_sent(7).await;
    until_kept(&world, 3).await;
    let_the_log_age(&world).await;
    let later = world.node().await;
    assert_eq!(world.told(&later, 7).await, None);
    assert_eq!(world.is_told(&later, 8).await["reason"], "no links please");
    let known = world.get(&later, &warning(7), &presenter()).await.json();
    assert!(known["sentAt"].is_string() && known["reason"] == "no links please", "{known}");
    world.nodes.push(later);
    world.is_sent(8).await;
}

/// It has loaded the saved warning, and cannot read the log, which has that the warning was sent.
#[tokio::test]
async fn a_node_that_is_starting_tells_nobody_a_warning_that_was_sent() {
    // This login may read every bucket, and not the log.
    let lines = r#"
        authorization { users: [
            { user: all, password: of-all }
            { user: starting, password: of-starting, permissions: {
                publish: { deny: ["$JS.API.CONSUMER.CREATE.CHAT_0", "$JS.API.CONSUMER.CREATE.CHAT_0.>"] }
            } }
        ] }
    "#;
    let (nats, rooms) = tokio::join!(NatsServer::start_configured(lines, &[], &[]), RoomServer::start());
    let settings = settings(&nats, &rooms).set("nats.urls", &nats.url_of("all", "of-all"));
    let node = Role::start("ingest", &settings).await;
    let world = World { nodes: vec![node], _rooms: rooms, nats, settings, client: client() };
    let warned = world.warn(&world.nodes[0], 7, "no links please").await;
    until_kept(&world, 1).await;
    // No node saves that it was sent.
    world.nodes[0].kill();
    let (room, target) = (PresenterIdx::try_from(PRESENTER).unwrap(), warned["id"].as_str().unwrap().parse().unwrap());
    let sent = Body::WarningSent(WarningSent { user: UserIdx::try_from(7).unwrap(), target });
    let sent = Event { id: EventId::of_sent(target), ..Event::now(room, sent) };
    world.log().await.append(&sent).await.unwrap();

    let cut_off = world.settings.clone().set("nats.urls", &world.nats.url_of("starting", "of-starting"));
    let starting = Role::spawn("ingest", &cut_off);
    starting.says("loaded 1 saved decisions").await;
    let refused = eventually("the node answers", PATIENCE, async || {
        let post = json!({ "text": different("what did I do?") });
        let url = format!("{}/v1/rooms/{PRESENTER}/messages", starting.url());
        let answer = world.client.post(url).bearer_auth(token(7, "nick")).json(&post).send().await.ok()?;
        Some((answer.status().as_u16(), answer.json::<Value>().await.unwrap()))
    })
    .await;

    assert_eq!((refused.0, &refused.1["code"]), (503, &json!("log_unavailable")), "{refused:?}");
    assert_eq!(refused.1.get("warning"), None, "{refused:?}");
    // With the log it knows.
    let whole = world.node().await;
    assert_eq!(world.told(&whole, 7).await, None);
}

#[tokio::test]
async fn an_erasure_of_the_user_ends_the_warning_and_removes_what_it_said() {
    let world = World::start().await;
    let node = &world.nodes[0];
    for user in [7, 8] {
        world.warn(node, user, "no links please").await;
    }
    until_kept(&world, 2).await;
    let log = world.log().await;
    for user in [7, PRESENTER] {
        let by = User { idx: UserIdx::try_from(999).unwrap(), nickname: "privacy".to_owned(), role: Of::Moderator };
        let user = UserIdx::try_from(user).unwrap();
        let erased = Body::UserErased(UserErased { user, mode: ErasureMode::Remove, by });
        log.append(&Event::of_every_room(erased)).await.unwrap();
    }
    for node in &world.nodes {
        eventually("the warning has ended", PATIENCE, async || {
            (world.get(node, &warning(7), &moderator()).await.status == 404).then_some(())
        })
        .await;
        assert_eq!(world.told(node, 7).await, None);
        eventually("the moderator has no name", PATIENCE, async || {
            let known = world.get(node, &warning(8), &moderator()).await.json();
            (known["by"]["nickname"] == "" && known["reason"] == "no links please").then_some(())
        })
        .await;
    }
    eventually("the words are not kept", PATIENCE, async || {
        let kept = log.decisions().load().await.unwrap().entries;
        let lines = kept.iter().map(|entry| String::from_utf8_lossy(&entry.line).into_owned());
        let about = lines.filter(|line| line.contains("no links please")).count();
        (about == 1).then_some(())
    })
    .await;
    let later = world.node().await;
    world.get(&later, &warning(7), &moderator()).await.assert_problem(404, "not_warned");
    assert_eq!(world.told(&later, 7).await, None);
}
