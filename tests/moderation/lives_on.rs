//! Decisions survive: on nodes that start later, through the death of every process, and beyond the log's age.

use async_nats::jetstream;
use chat::{Body, Event, Role as Of, User, UserBanned, UserIdx, UserUnbanned};

use super::*;

/// The stream of the log, through a client with all permissions.
async fn stream(world: &World, name: &str) -> jetstream::stream::Stream {
    let client = async_nats::connect(world.nats.url()).await.unwrap();
    jetstream::new(client).get_stream(name).await.unwrap()
}

async fn reconfigure(world: &World, name: &str, change: impl FnOnce(&mut jetstream::stream::Config)) {
    let client = async_nats::connect(world.nats.url()).await.unwrap();
    let context = jetstream::new(client);
    let mut config = context.get_stream(name).await.unwrap().cached_info().config.clone();
    change(&mut config);
    context.update_stream(config).await.unwrap();
}

/// Waits until everything in the log has expired.
pub(super) async fn let_the_log_age(world: &World) {
    reconfigure(world, "CHAT_0", |config| {
        config.max_age = Duration::from_secs(1);
        config.duplicate_window = Duration::from_secs(1);
    })
    .await;
    let stream = stream(world, "CHAT_0").await;
    eventually("the log is empty", PATIENCE, async || {
        (stream.get_info().await.unwrap().state.messages == 0).then_some(())
    })
    .await;
}

/// Waits until the bucket has this many decisions.
pub(super) async fn until_kept(world: &World, count: usize) {
    let log = world.log().await;
    eventually("the decisions are kept", PATIENCE, async || {
        (log.decisions().load().await.unwrap().entries.len() == count).then_some(())
    })
    .await;
}

fn user(idx: i64) -> UserIdx {
    UserIdx::try_from(idx).unwrap()
}

fn event(body: Body) -> Event {
    Event::now(chat::PresenterIdx::try_from(PRESENTER).unwrap(), body)
}

fn by() -> User {
    User { idx: user(PRESENTER), nickname: "presenter".to_owned(), role: Of::Presenter }
}

fn banned(idx: i64) -> Event {
    event(Body::UserBanned(UserBanned { user: user(idx), until: None, purge_seconds: None, by: by(), reason: None }))
}

fn unbanned(idx: i64) -> Event {
    event(Body::UserUnbanned(UserUnbanned { user: user(idx), by: by(), reason: None }))
}

/// In the presenter's room: 7 is banned, 8 was banned, 9 has a long time-out, and two settings are set. 10 is banned
/// everywhere.
async fn decide_something(world: &World) {
    let node = &world.nodes[0];
    world.ban(node, 7, json!({})).await;
    world.ban(node, 8, json!({})).await;
    decided(&world.delete(node, &ban(8), &presenter()).await);
    world.ban(node, 9, json!({ "seconds": 1_000 })).await;
    decided(&world.put(node, "/v1/bans/10", &moderator(), json!({})).await);
    decided(&world.patch(node, SETTINGS, &presenter(), json!({ "settings": { "maxLength": 60 } })).await);
    let settings = json!({ "settings": { "uniqueChat": true }, "seconds": 1_000 });
    decided(&world.patch(node, SETTINGS, &presenter(), settings).await);
}

/// Without waiting: a ready node knows everything.
async fn all_of_it_holds(world: &World, node: &Role) {
    // The room has unique chat.
    let text = || different("am I banned?");
    for (room, user) in [(PRESENTER, 7), (PRESENTER, 9), (PRESENTER, 10), (43, 10)] {
        world.post(node, room, user, &text()).await.assert_problem(403, "msg_banned");
    }
    for (room, user) in [(PRESENTER, 8), (43, 7)] {
        let posted = world.post(node, room, user, &text()).await;
        assert_eq!(posted.status, 202, "{posted:?}");
    }
    let settings = world.get(node, SETTINGS, &presenter()).await.json();
    assert_eq!(settings["own"], json!({ "maxLength": 60, "uniqueChat": true }));
    assert_eq!(settings["until"].as_object().unwrap().keys().collect::<Vec<_>>(), ["uniqueChat"]);
}

#[tokio::test]
async fn a_node_that_starts_later_knows_every_decision_when_it_is_ready() {
    let world = World::start().await;
    decide_something(&world).await;
    all_of_it_holds(&world, &world.node().await).await;
}

#[tokio::test]
async fn a_replaying_node_answers_503_instead_of_an_empty_list_of_bans() {
    let world = World::start().await;
    world.nodes.iter().for_each(Role::kill);
    // Enough to replay for a while. The ban is last, and was never saved.
    let log = world.log().await;
    let said = || {
        let user = User { idx: user(7), nickname: "nick".to_owned(), role: Of::Viewer };
        event(Body::MessagePosted(chat::MessagePosted::new(user, "hi")))
    };
    for _ in 0..10 {
        let messages: Vec<Event> = (0..4_000).map(|_| said()).collect();
        let appended = futures_util::future::join_all(messages.iter().map(|message| log.append(message))).await;
        assert!(appended.iter().all(Result::is_ok));
    }
    log.append(&banned(7)).await.unwrap();
    let node = Role::spawn("ingest", &world.settings);
    eventually("the node knows the ban", PATIENCE, async || {
        let request = world.client.get(node.url() + &ban(7)).bearer_auth(presenter()).send().await.ok()?;
        match request.status().as_u16() {
            200 => Some(()),
            503 => None,
            status => panic!("{status}: {}", request.text().await.unwrap()),
        }
    })
    .await;
}

#[tokio::test]
async fn decisions_survive_the_death_of_every_process() {
    let world = World::start().await;
    decide_something(&world).await;
    for round in 0..2 {
        world.nodes.iter().for_each(Role::kill);
        world.nats.kill();
        world.nats.start_again().await;
        for node in &world.nodes {
            node.start_again().await;
        }
        for node in &world.nodes {
            all_of_it_holds(&world, node).await;
        }
        if round == 0 {
            // The second time the log has lost it, and the saved decisions must have it.
            until_kept(&world, 5).await;
            world.nodes.iter().for_each(Role::kill);
            let_the_log_age(&world).await;
        }
    }
}

#[tokio::test]
async fn decisions_hold_when_they_are_older_than_the_log() {
    let world = World::start().await;
    decide_something(&world).await;
    until_kept(&world, 5).await;
    let_the_log_age(&world).await;
    let later = world.node().await;
    all_of_it_holds(&world, &later).await;
    all_of_it_holds(&world, &world.nodes[1]).await;

    // Later decisions count, also on nodes that know the old one from the bucket.
    decided(&world.delete(&later, &ban(7), &presenter()).await);
    let patch = json!({ "settings": { "maxLength": null, "presenterOnly": false } });
    decided(&world.patch(&later, SETTINGS, &presenter(), patch).await);
    let last = world.node().await;
    for node in [&later, &world.nodes[0], &last] {
        world.is_heard(node, PRESENTER, 7).await;
        world.has_set(node, &json!({ "presenterOnly": false, "uniqueChat": true })).await;
    }
}

#[tokio::test]
async fn a_node_killed_as_soon_as_it_has_answered_has_decided() {
    let world = World::start().await;
    for user in 100..108 {
        world.ban(&world.nodes[0], user, json!({})).await;
        world.nodes[0].kill();
        if user % 4 == 0 {
            world.nodes[1].kill();
            world.nats.kill();
            world.nats.start_again().await;
            world.nodes[1].start_again().await;
        }
        world.is_banned(&world.nodes[1], PRESENTER, user).await;
        world.nodes[0].start_again().await;
        world.post(&world.nodes[0], PRESENTER, user, "am I?").await.assert_problem(403, "msg_banned");
    }
}

#[tokio::test]
async fn decisions_that_were_appended_but_never_saved_are_read_from_the_log() {
    let world = World::start().await;
    let log = world.log().await;
    world.ban(&world.nodes[0], 7, json!({})).await;
    until_kept(&world, 1).await;
    // All nodes are dead during this append: no node saves it.
    world.nodes.iter().for_each(Role::kill);
    log.append(&unbanned(7)).await.unwrap();
    let position = log.append(&banned(8)).await.unwrap();
    // The checkpoint from before.
    let before = chat::Position { sequence: position.sequence - 2, ..position };
    log.decisions().set_checkpoints([before]).await.unwrap();
    world.nats.kill();
    world.nats.start_again().await;

    let node = world.node().await;
    assert_eq!(world.post(&node, PRESENTER, 7, "am I banned?").await.status, 202);
    world.post(&node, PRESENTER, 8, "am I banned?").await.assert_problem(403, "msg_banned");
    // It is saved now, with an unban in place of the ban.
    until_kept(&world, 2).await;
    node.kill();
    let_the_log_age(&world).await;
    let node = world.node().await;
    assert_eq!(world.post(&node, PRESENTER, 7, "am I banned?").await.status, 202);
    world.post(&node, PRESENTER, 8, "am I banned?").await.assert_problem(403, "msg_banned");
}

#[tokio::test]
async fn while_decisions_cannot_be_saved_they_hold_from_the_log_and_are_saved_later() {
    let world = World::start().await;
    let log = world.log().await;
    // The bucket is full, until an operator updates its configuration.
    reconfigure(&world, "KV_decisions", |config| config.max_bytes = 1).await;
    decide_something(&world).await;
    for node in &world.nodes {
        // The last of them.
        world.has_set(node, &json!({ "maxLength": 60, "uniqueChat": true })).await;
        all_of_it_holds(&world, node).await;
    }
    assert!(log.decisions().load().await.unwrap().entries.is_empty());
    all_of_it_holds(&world, &world.node().await).await;
    until_kept(&world, 5).await;
    let_the_log_age(&world).await;
    all_of_it_holds(&world, &world.node().await).await;
}

#[tokio::test]
async fn only_decisions_that_have_ended_and_are_older_than_the_log_are_forgotten() {
    let world = World::start().await;
    let log = world.log().await;
    let long_ago = chat::now() - Duration::from_secs(48 * 60 * 60);
    let old = |event: Event| event.recorded_at(long_ago);
    let timed_out = |idx, until| {
        event(Body::UserBanned(UserBanned {
            user: user(idx),
            until: Some(until),
            purge_seconds: None,
            by: by(),
            reason: None,
        }))
    };
    let an_hour = Duration::from_secs(60 * 60);
    for event in [
        old(banned(7)),
        old(banned(8)),
        old(unbanned(8)),
        old(timed_out(9, long_ago + an_hour)),
        old(timed_out(10, chat::now() + an_hour)),
        // Ended but young: it may still replace an older one in the log.
        unbanned(11),
    ] {
        log.append(&event).await.unwrap();
    }
    until_kept(&world, 5).await;
    let node = world.node().await;
    until_kept(&world, 3).await;
    for user in [7, 10] {
        world.post(&node, PRESENTER, user, "am I banned?").await.assert_problem(403, "msg_banned");
    }
    let_the_log_age(&world).await;
    let node = world.node().await;
    for (user, status) in [(7, 403), (8, 202), (9, 202), (10, 403), (11, 202)] {
        let answer = world.post(&node, PRESENTER, user, "am I banned?").await;
        assert_eq!(answer.status, status, "{user}: {answer:?}");
    }
}

#[tokio::test]
async fn a_pin_outlives_the_log_and_a_deletion_that_unpins_does_too() {
    let world = World::start().await;
    let node = &world.nodes[0];
    let pin = |room: i64| format!("/v1/rooms/{room}/pin");
    let message = uuid::Uuid::new_v4().to_string();
    for room in [42, 43, 44] {
        decided(&world.put(node, &pin(room), &moderator(), json!({ "messageId": message })).await);
    }
    decided(&world.delete(node, &format!("/v1/rooms/43/messages/{message}"), &moderator()).await);
    decided(&world.delete(node, "/v1/rooms/44/messages", &moderator()).await);
    let log = world.log().await;
    eventually("the pin and both unpinnings are kept", PATIENCE, async || {
        let kept = log.decisions().load().await.unwrap().entries;
        let pinned = kept.iter().filter(|kept| kept.kind == chat::EventKind::MessagePinned).count();
        (kept.len() == 3 && pinned == 1).then_some(())
    })
    .await;
    let_the_log_age(&world).await;
    let later = world.node().await;
    let shown = world.get(&later, &pin(42), &moderator()).await;
    assert_eq!((shown.status.as_u16(), &shown.json()["messageId"]), (200, &json!(message)));
    for room in [43, 44] {
        world.get(&later, &pin(room), &moderator()).await.assert_problem(404, "not_pinned");
    }
    let delivery = Role::start("delivery", &world.settings).await;
    let (_, welcome) = crate::delivery::page::Page::connect(&delivery, 42).await;
    assert_eq!(welcome["pinned"], message);
}
