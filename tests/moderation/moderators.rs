//! Moderators of a room: who appoints them, what they may do, and for how long.

use chat::{Body, ErasureMode, Event, Role as Of, User, UserErased, UserIdx};

use super::*;

/// A moderator of the presenter's room, once appointed.
const APPOINTED: i64 = 8;

fn appointment(user: i64) -> String {
    format!("/v1/rooms/{PRESENTER}/moderators/{user}")
}

const MODERATORS: &str = "/v1/rooms/42/moderators";

fn appointed() -> String {
    token(APPOINTED, "helper")
}

impl World {
    async fn appoint(&self, node: &Role, user: i64) -> Value {
        decided(&self.put(node, &appointment(user), &presenter(), json!({})).await)
    }

    /// Within the promised time the user can or cannot moderate the room through the node.
    async fn moderates(&self, node: &Role, user: i64, does: bool) {
        eventually(&format!("whether {user} moderates is {does}"), PROMISED, async || {
            let answer = self.get(node, SETTINGS, &token(user, "helper")).await;
            match answer.status.as_u16() {
                200 => does.then_some(()),
                403 => (!does).then_some(()),
                _ => panic!("{answer:?}"),
            }
        })
        .await;
    }

    async fn listed(&self, node: &Role) -> Vec<Value> {
        let list = self.get(node, MODERATORS, &presenter()).await.json();
        list["moderators"].as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn a_moderator_appointed_on_one_node_moderates_on_the_other_until_removed() {
    let world = World::start().await;
    let (one, other) = (&world.nodes[0], &world.nodes[1]);
    world.moderates(other, APPOINTED, false).await;
    let body = json!({ "reason": "helps on Fridays" });
    decided(&world.put(one, &appointment(APPOINTED), &presenter(), body).await);
    world.moderates(other, APPOINTED, true).await;
    let known = world.get(other, &appointment(APPOINTED), &appointed()).await.json();
    let by = json!({ "idx": PRESENTER, "nickname": "presenter", "role": "presenter" });
    assert_eq!((&known["user"], &known["by"]), (&json!(APPOINTED), &by));
    assert_eq!(known["reason"], "helps on Fridays");
    assert_eq!(world.listed(other).await, [known]);

    for (method, path, body) in [
        (Method::PUT, ban(7), Some(json!({ "seconds": 600 }))),
        (Method::DELETE, ban(7), None),
        (Method::DELETE, "/v1/rooms/42/messages".to_owned(), None),
        (Method::DELETE, "/v1/rooms/42/messages/019ab5a0-8000-7000-8000-000000000001".to_owned(), None),
        (Method::PATCH, SETTINGS.to_owned(), Some(json!({ "settings": { "presenterOnly": true } }))),
    ] {
        decided(&world.call(other, method, &path, &appointed(), body).await);
    }
    // In this room, but neither in others nor in every room.
    for path in ["/v1/rooms/43/bans/7", "/v1/bans/7"] {
        world.put(other, path, &appointed(), json!({})).await.assert_problem(403, "forbidden");
    }

    decided(&world.delete(other, &(appointment(APPOINTED) + "?reason=left"), &moderator()).await);
    world.moderates(one, APPOINTED, false).await;
    let refused = world.put(one, &ban(7), &appointed(), json!({})).await;
    refused.assert_problem(403, "forbidden");
    for node in [one, other] {
        world.delete(node, &appointment(APPOINTED), &presenter()).await.assert_problem(404, "not_moderator");
        world.get(node, &appointment(APPOINTED), &presenter()).await.assert_problem(404, "not_moderator");
        assert!(world.listed(node).await.is_empty());
    }
}

#[tokio::test]
async fn a_moderator_writes_by_the_rules_of_the_presenter_and_with_the_role() {
    let world = World::start().await;
    let (one, other) = (&world.nodes[0], &world.nodes[1]);
    let settings = json!({ "settings": { "presenterOnly": true, "slowModeSeconds": 3_600, "uniqueChat": true } });
    decided(&world.patch(one, SETTINGS, &presenter(), settings).await);
    world.post(one, PRESENTER, APPOINTED, "hi").await.assert_problem(403, "msg_presenter_only");
    world.appoint(one, APPOINTED).await;
    world.moderates(other, APPOINTED, true).await;
    for node in [one, other, one] {
        assert_eq!(world.post(node, PRESENTER, APPOINTED, "hi").await.status, 202);
    }
    let log = world.log().await;
    let mut tail = log.tail(nats::Start::Oldest);
    let mut roles = Vec::new();
    while roles.len() < 3 {
        for entry in tail.next().await.unwrap() {
            if let Ok(Body::MessagePosted(posted)) = entry.body() {
                roles.push(posted.user.role);
            }
        }
    }
    assert_eq!(roles, [Of::Moderator; 3]);
    decided(&world.delete(one, &appointment(APPOINTED), &presenter()).await);
    world.post(one, PRESENTER, APPOINTED, "hi").await.assert_problem(403, "msg_presenter_only");
}

#[tokio::test]
async fn moderators_cannot_touch_the_presenter_or_each_other() {
    let world = World::start().await;
    let node = &world.nodes[0];
    for user in [APPOINTED, 9] {
        world.appoint(node, user).await;
    }
    for (method, user) in [(Method::PUT, 10), (Method::PUT, APPOINTED), (Method::DELETE, 9), (Method::DELETE, 10)] {
        let body = (method == Method::PUT).then(|| json!({}));
        let refused = world.call(node, method, &appointment(user), &appointed(), body).await;
        refused.assert_problem(403, "forbidden");
    }
    for user in [9, APPOINTED] {
        for body in [json!({}), json!({ "seconds": 1 })] {
            world.put(node, &ban(user), &appointed(), body).await.assert_problem(403, "moderator_not_bannable");
        }
    }
    world.put(node, &ban(PRESENTER), &appointed(), json!({})).await.assert_problem(409, "presenter_not_bannable");
    assert_eq!(world.listed(node).await.len(), 2);
}

#[tokio::test]
async fn a_ban_of_a_moderator_ends_the_role_and_lifting_it_does_not_bring_it_back() {
    let world = World::start().await;
    let (one, other) = (&world.nodes[0], &world.nodes[1]);
    for (user, token) in [(8, presenter()), (9, moderator())] {
        world.appoint(one, user).await;
        world.moderates(other, user, true).await;
        decided(&world.put(other, &ban(user), &token, json!({ "seconds": 600 })).await);
        world.moderates(one, user, false).await;
        world.is_banned(one, PRESENTER, user).await;
        let refused = world.put(one, &appointment(user), &presenter(), json!({})).await;
        refused.assert_problem(409, "banned_not_appointable");
        decided(&world.delete(one, &ban(user), &token).await);
        world.is_heard(other, PRESENTER, user).await;
        world.moderates(other, user, false).await;
        world.moderates(&world.node().await, user, false).await;
    }
    assert!(world.listed(one).await.is_empty());
}

#[tokio::test]
async fn a_user_who_is_banned_from_every_room_moderates_none_while_the_ban_holds() {
    let world = World::start().await;
    let (one, other) = (&world.nodes[0], &world.nodes[1]);
    world.appoint(one, APPOINTED).await;
    decided(&world.put(one, "/v1/bans/8", &moderator(), json!({})).await);
    world.moderates(other, APPOINTED, false).await;
    decided(&world.delete(one, "/v1/bans/8", &moderator()).await);
    world.moderates(other, APPOINTED, true).await;
}

#[tokio::test]
async fn moderators_are_bounded_and_appointing_one_again_changes_nothing() {
    let world = World::start_with(|settings| settings.set("ingest.limits.moderators_in_room", "2")).await;
    let node = &world.nodes[0];
    for user in [8, 9, 8] {
        world.appoint(node, user).await;
    }
    assert_eq!(world.listed(node).await.len(), 2);
    let refused = world.put(node, &appointment(10), &presenter(), json!({})).await;
    refused.assert_problem(409, "too_many_moderators");
    assert!(refused.json()["detail"].as_str().unwrap().contains('2'), "{refused:?}");
    let page = world.get(node, &format!("{MODERATORS}?first=1"), &presenter()).await.json();
    assert_eq!((&page["moderators"][0]["user"], &page["next"]), (&json!(8), &json!("8")));
    let page = world.get(node, &format!("{MODERATORS}?first=1&after=8"), &presenter()).await.json();
    assert_eq!((&page["moderators"][0]["user"], page.get("next")), (&json!(9), None));
    decided(&world.delete(node, &appointment(9), &presenter()).await);
    world.appoint(node, 10).await;
    let refused = world.put(node, &appointment(PRESENTER), &presenter(), json!({})).await;
    refused.assert_problem(409, "presenter_not_appointable");
    world.put(node, &appointment(0), &presenter(), json!({})).await.assert_problem(400, "user_idx_invalid");
    let malformed = world.put(node, &appointment(11), &presenter(), json!({ "reason": 1 })).await;
    malformed.assert_problem(400, "body_malformed");
}

#[tokio::test]
async fn a_retry_under_a_key_is_the_same_appointment() {
    let world = World::start().await;
    let appoint = async |node: &Role| {
        let request = world.client.put(node.url() + &appointment(APPOINTED)).bearer_auth(presenter());
        decided(&answer(request.header("idempotency-key", "a").json(&json!({}))).await)
    };
    let first = appoint(&world.nodes[0]).await;
    assert_eq!(appoint(&world.nodes[1]).await, first);
    decided(&world.delete(&world.nodes[0], &appointment(APPOINTED), &presenter()).await);
    assert_eq!(appoint(&world.nodes[0]).await, first);
    world.moderates(&world.nodes[0], APPOINTED, false).await;
}

#[tokio::test]
async fn roles_outlive_every_process_and_the_log() {
    let world = World::start().await;
    let node = &world.nodes[0];
    for user in 8..12 {
        world.appoint(node, user).await;
    }
    decided(&world.delete(node, &appointment(9), &presenter()).await);
    world.ban(node, 10, json!({})).await;
    decided(&world.delete(node, &ban(10), &presenter()).await);
    // An event of a later version decides nothing.
    let later = json!({ "user": 11 }).as_object().unwrap().clone();
    let unknown = Body::Unknown { kind: "moderator.suspended".to_owned(), members: later };
    let log = world.log().await;
    log.append(&Event::now(chat::PresenterIdx::try_from(PRESENTER).unwrap(), unknown)).await.unwrap();
    // Four roles, of which two have ended, and a ban that was lifted.
    super::lives_on::until_kept(&world, 5).await;
    for aged in [false, true] {
        world.nodes.iter().for_each(Role::kill);
        if aged {
            super::lives_on::let_the_log_age(&world).await;
        }
        world.nats.kill();
        world.nats.start_again().await;
        for node in &world.nodes {
            node.start_again().await;
            for (user, does) in [(8, true), (9, false), (10, false), (11, true)] {
                world.moderates(node, user, does).await;
            }
        }
    }
}

#[tokio::test]
async fn an_erasure_takes_the_name_and_the_reason_from_an_appointment_and_ends_no_role() {
    let world = World::start().await;
    let node = &world.nodes[0];
    let body = json!({ "reason": "a private reason" });
    for user in [8, 9] {
        decided(&world.put(node, &appointment(user), &moderator(), body.clone()).await);
    }
    let log = world.log().await;
    for idx in [MODERATOR, 8] {
        let user = UserIdx::try_from(idx).unwrap();
        let by = User { idx: UserIdx::try_from(999).unwrap(), nickname: "privacy".to_owned(), role: Of::Moderator };
        let erased = Body::UserErased(UserErased { user, mode: ErasureMode::Remove, by });
        log.append(&Event::of_every_room(erased)).await.unwrap();
    }
    let (erased, other) = eventually("the name is gone", PATIENCE, async || {
        let erased = world.get(node, &appointment(8), &presenter()).await.json();
        let other = world.get(node, &appointment(9), &presenter()).await.json();
        let is_gone = erased["by"]["nickname"] == "" && other["by"]["nickname"] == "" && erased.get("reason").is_none();
        is_gone.then_some((erased, other))
    })
    .await;
    assert_eq!((&erased["by"]["idx"], &other["reason"]), (&json!(MODERATOR), &json!("a private reason")));
    eventually("nothing of it is kept", PATIENCE, async || {
        let entries = log.decisions().load().await.unwrap().entries;
        let lines: Vec<_> = entries.iter().map(|entry| String::from_utf8_lossy(&entry.line).into_owned()).collect();
        let is_private = |line: &&String| line.contains("private");
        let is_clean =
            !lines.iter().any(|line| line.contains("\"mod\"")) && lines.iter().filter(is_private).count() == 1;
        is_clean.then_some(())
    })
    .await;
    world.moderates(&world.nodes[1], 8, true).await;
}
