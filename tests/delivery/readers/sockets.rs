//! Readers by the WebSocket, `start` with a `room`: they see what the events of the room show, and are no presenters.

use chat::{ModeratorAdded, ModeratorRemoved};

use super::*;
use crate::delivery::presenter::Seen;

/// A socket that has asked to read room 42.
async fn asks(node: &Role, token: &str, position: Option<&str>) -> Page {
    let mut page = Page::open(node).await;
    let mut start = json!({ "type": "start", "token": token, "room": 42 });
    if let Some(position) = position {
        start["position"] = position.into();
    }
    page.say(start).await;
    page
}

/// The same, and its welcome.
async fn reads(node: &Role, token: &str, position: Option<&str>) -> (Page, Value) {
    let mut page = asks(node, token, position).await;
    let welcome = page.frame().await;
    assert_eq!(welcome["type"], "welcome", "{welcome}");
    page.position = welcome["position"].as_str().map(str::to_owned);
    (page, welcome)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reader_gets_what_the_events_of_the_room_show_on_any_node() {
    let world = World::with(&[("ingest.room.readers", "members")]).await;
    let nodes = [world.node().await, world.node().await];
    world.post(42, &["before"]).await;
    let mut pairs = Vec::new();
    for (node, token) in [
        (&nodes[0], token(42, "presenter")),
        (&nodes[1], moderator()),
        (&nodes[0], analyst()),
        (&nodes[1], token(7, "viewer")),
    ] {
        let (page, welcome) = reads(node, &token, None).await;
        assert_eq!(welcome["recovered"], true);
        pairs.push((page, Reader::start(node, 42, &token, "now").await.0));
    }
    let mut flagged = message(42, "flagged");
    if let Body::MessagePosted(posted) = &mut flagged.body {
        posted.flags = vec!["ko.abuse".to_owned()];
    }
    world.log.append(&flagged).await.unwrap();
    for part in texts(1, 300).chunks(100) {
        world.post(42, &refs(part)).await;
        world.post(43, &["to another room"]).await;
    }
    for (page, reader) in &mut pairs {
        let shown = page.events(301).await;
        assert_eq!(shown, reader.events(301).await);
        assert_eq!(shown[300]["text"], "message 300");
    }
    // After a break exactly what was missed follows, elsewhere.
    let (last, _) = pairs.pop().unwrap();
    let position = last.position.clone().unwrap();
    last.break_off();
    world.post(42, &refs(&texts(301, 500))).await;
    let (mut page, welcome) = reads(&nodes[0], &token(7, "viewer"), Some(&position)).await;
    assert_eq!((&welcome["recovered"], &welcome["position"]), (&json!(true), &json!(position)));
    assert_eq!(page.texts(200).await, texts(301, 500));
    let (_, welcome) = reads(&nodes[0], &token(7, "viewer"), Some("1-2-3")).await;
    assert_eq!(welcome["recovered"], false);
    let (mut page, _) = reads(&nodes[0], &moderator(), Some("window")).await;
    let seen = page.texts_to("message 500").await;
    assert_eq!((seen.len(), seen[0].as_str()), (502, "before"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_by_a_socket_is_not_a_presenter() {
    let world = World::start().await;
    let node = world.node().await;
    let owner = token(42, "presenter");
    let (mut reader, _) = reads(&node, &owner, None).await;
    world.post(42, &["nobody is there"]).await;
    assert_eq!(reader.texts(1).await, ["nobody is there"]);
    let position = reader.position.clone().unwrap();
    reader.ack(&position).await;
    reader.is_served_and_quiet().await;
    assert!(world.presence.session(idx(42)).is_none() && world.cursors.get(idx(42)).is_none());
    let (mut page, _) = Page::connect(&node, 42).await;
    assert_eq!(page.texts(1).await, ["nobody is there"], "the presenter's cursor did not move");
    let claim = world.session(42, None).await;
    let (mut second, _) = reads(&node, &owner, None).await;
    let (mut third, _) = reads(&node, &owner, None).await;
    world.post(42, &["still here"]).await;
    for page in [&mut page, &mut reader, &mut second, &mut third] {
        assert_eq!(page.texts(1).await, ["still here"]);
    }
    assert_eq!(world.presence.session(idx(42)).unwrap().id, claim.id);
    reader.say(json!({ "type": "ack", "position": "nonsense" })).await;
    reader.is_told("bad_position").await;
    reader.say(json!({ "type": "start", "token": owner })).await;
    reader.is_told("already_started").await;
    reader.say(json!({ "type": "token", "token": owner })).await;
    assert_eq!(reader.frame().await["type"], "renewed");
    for other in [token(43, "another"), moderator()] {
        reader.say(json!({ "type": "token", "token": other })).await;
        reader.is_told("token_not_renewed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_the_token_does_not_show_is_refused_and_the_right_ends_the_reading() {
    let world = World::with(&[("auth.leeway", "0s")]).await;
    let settings = world.settings.clone().set("delivery.max_readers_of_user", "2");
    let node = Role::start("delivery", &settings).await;
    let helper = token(8, "helper");
    assert_eq!(asks(&node, &helper, None).await.see().await, Seen::Closed(4006));
    let mut page = Page::open(&node).await;
    page.say(json!({ "type": "start", "token": helper, "room": "42" })).await;
    page.is_told("bad_frame").await;

    let by = User { idx: 42.try_into().unwrap(), nickname: "presenter".to_owned(), role: chat::Role::Presenter };
    let added = Body::ModeratorAdded(ModeratorAdded { user: 8.try_into().unwrap(), by: by.clone(), reason: None });
    world.log.append(&Event::now(idx(42), added)).await.unwrap();
    let mut page = eventually("the helper moderates the room", PATIENCE, async || {
        let mut page = asks(&node, &helper, None).await;
        matches!(page.see().await, Seen::Frame(_)).then_some(page)
    })
    .await;
    let (_second, _) = reads(&node, &helper, None).await;
    assert_eq!(asks(&node, &helper, None).await.see().await, Seen::Closed(4100));
    // In a quiet room.
    let removed = Body::ModeratorRemoved(ModeratorRemoved { user: 8.try_into().unwrap(), by, reason: None });
    world.log.append(&Event::now(idx(42), removed)).await.unwrap();
    assert_eq!(page.rest().await.1, 4006);

    let short = signed(SECRET, json!({ "user_idx": 42, "exp": now() + 6 }));
    let (mut page, _) = reads(&node, &short, None).await;
    assert_eq!(page.rest().await.1, 4005);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_by_a_socket_are_told_of_a_stop_and_miss_nothing_elsewhere() {
    let world = World::start().await;
    let (old, new) = (world.node().await, world.node().await);
    let (mut page, _) = reads(&old, &moderator(), None).await;
    world.post(42, &["before"]).await;
    assert_eq!(page.texts(1).await, ["before"]);
    let stopped = old.terminate();
    let moved = async {
        assert_eq!(page.frame().await, json!({ "type": "reconnect", "withinMs": 2_000 }));
        world.post(42, &["meanwhile"]).await;
        let (mut next, welcome) = reads(&new, &moderator(), page.position.as_deref()).await;
        assert_eq!(welcome["recovered"], true);
        assert_eq!(next.texts(1).await, ["meanwhile"]);
        page.rest().await.1
    };
    assert_eq!(tokio::join!(stopped, moved), (0, 4200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_by_a_socket_that_takes_nothing_is_closed_and_harms_nobody() {
    let world = World::start().await;
    let node = world.node_with("write_timeout", "2s").await;
    let small = tokio::net::TcpSocket::new_v4().unwrap();
    small.set_recv_buffer_size(4_096).unwrap();
    let mut slow = Page::handshake_on(small, &node, &[]).await.unwrap();
    slow.say(json!({ "type": "start", "token": moderator(), "room": 42 })).await;
    assert_eq!(slow.frame().await["type"], "welcome");
    let (mut reader, _) = reads(&node, &analyst(), None).await;
    let large = "x".repeat(64 * 1024);
    let posting = async {
        // 16 MB: more than the kernel takes on both sides.
        for _ in 0..256 {
            world.post(42, &[&large]).await;
        }
        world.post(42, &["last"]).await;
    };
    let ((), read) = tokio::join!(posting, reader.texts_to("last"));
    assert_eq!(read.len(), 257);
    eventually("the slow reader is closed", PATIENCE, async || node.log().contains(r#""end":"slow""#).then_some(()))
        .await;
}
