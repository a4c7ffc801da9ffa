//! Pages of the original reconnect at once whenever they are closed. Two open pages of one presenter therefore replace
//! each other forever. That must not fill the log.

use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use nats::Start;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::support::token;

/// More than the sessions of a burst.
const SESSIONS: usize = 23;

/// The sessions that all pages of a room have seen.
#[derive(Debug, Default)]
struct Together {
    texts: Vec<String>,
    connects: usize,
}

/// A page that reconnects as soon as it is closed.
async fn come_back(node: Arc<Role>, room: i64, together: Arc<Mutex<Together>>) {
    loop {
        let Ok(mut page) = Presenter::handshake(&node, &[("token", &token(room, "presenter"))]).await else {
            continue;
        };
        together.lock().connects += 1;
        loop {
            match page.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    let frame: serde_json::Value = serde_json::from_str(&text).unwrap();
                    together.lock().texts.push(frame["message"].as_str().unwrap().to_owned());
                }
                Some(Ok(Message::Close(_))) | Some(Err(_)) | None => break,
                Some(Ok(_)) => {}
            }
        }
    }
}

/// Lets a page on each of these nodes fight for the room until there were this many sessions, and some seconds more.
async fn fight(world: &World, room: i64, nodes: Vec<&Arc<Role>>) {
    let (together, mut tail, started) = (Arc::default(), world.log.tail(Start::Oldest), Instant::now());
    let mut pages = JoinSet::new();
    for node in &nodes {
        pages.spawn(come_back(Arc::clone(node), room, Arc::clone(&together)));
    }
    let (mut sessions, mut posted) = (0, Vec::new());
    while sessions < SESSIONS {
        for entry in tokio::time::timeout(6 * PATIENCE, tail.next()).await.expect("no session comes").unwrap() {
            let event = entry.event().unwrap();
            if event.presenter == Some(idx(room)) && matches!(event.body, Body::PresenterConnected(_)) {
                sessions += 1;
                posted.push(format!("beside session {sessions}"));
                world.post(room, &[posted.last().unwrap()]).await;
            }
        }
    }
    let took = started.elapsed();
    // 20 at once, and then one in five seconds. On two nodes two can be in progress.
    let most = 20 + 1 + nodes.len() + usize::try_from(took.as_secs()).unwrap() / 5;
    assert!(sessions <= most, "{sessions} sessions of room {room} in {took:?}");
    // The holder of the room is served throughout.
    eventually("one of them gets each message", PATIENCE, async || {
        let seen = together.lock();
        posted.iter().all(|text| seen.texts.contains(text)).then_some(())
    })
    .await;
    let connects = together.lock().connects;
    assert!(connects <= 4 * most, "{connects} sockets in {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_replace_each_other_start_at_most_one_session_every_five_seconds() {
    let world = World::start().await;
    let (one, other) = (Arc::new(world.node().await), Arc::new(world.node().await));
    tokio::join!(
        fight(&world, 1, vec![&one, &one]),
        fight(&world, 2, vec![&one, &other]),
        fight(&world, 3, vec![&one, &one, &one]),
    );
}

/// Opens pages until the next one has to wait for seconds. Returns the page that holds the room, and its session.
async fn claimed_often(world: &World, node: &Role, room: i64) -> (Presenter, Claim) {
    let mut session = None;
    for _ in 0..100 {
        let page = Presenter::connect(node, room).await;
        session = Some(world.session(room, session.as_ref()).await);
        if node.log().contains(&format!("presenter {room} was claimed often, and waits for its turn")) {
            return (page, session.unwrap());
        }
    }
    panic!("nobody ever waits");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_waits_for_its_turn_is_answered_and_takes_the_room_from_nobody_if_it_leaves() {
    let world = World::start().await;
    let node = world.node().await;
    let (mut holder, session) = claimed_often(&world, &node, 42).await;
    let mut leaves = Presenter::connect(&node, 42).await;
    leaves.is_served_and_quiet().await;
    leaves.socket.close(None).await.unwrap();
    leaves.rest().await;
    eventually("the node knows that it has left", PATIENCE, async || {
        node.log().contains("presenter 42 got no session: closed").then_some(())
    })
    .await;
    assert_eq!(world.presence.session(idx(42)), Some(session.clone()));
    holder.is_served_and_quiet().await;

    // Invalid frames are answered during the wait, too.
    let mut wrong = Presenter::connect(&node, 42).await;
    wrong.start(&token(43, "another")).await;
    assert_eq!(wrong.rest().await.1, 4004);
    let mut page = Page::open(&node).await;
    page.say_start(&token(42, "presenter"), None).await;
    page.say_start(&token(42, "presenter"), None).await;
    page.ack("0").await;
    page.is_told("already_started").await;
    page.is_told("bad_position").await;

    // A page that stays gets its turn.
    let welcome = page.frame().await;
    assert_eq!(welcome["type"], "welcome", "{welcome}");
    assert_eq!(holder.rest().await.1, 4002);
    page.is_served_and_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_does_not_wait_for_a_page_that_waits_for_its_turn() {
    let world = World::start().await;
    let node = world.node().await;
    let (_holder, _) = claimed_often(&world, &node, 42).await;
    let mut waits = Presenter::connect(&node, 42).await;
    waits.is_served_and_quiet().await;
    let (code, seen) = tokio::join!(node.terminate(), waits.rest());
    assert_eq!((code, seen.1), (0, 4200));
}
