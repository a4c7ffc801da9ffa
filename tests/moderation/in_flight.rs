//! A ban while the banned user writes as fast as it goes, through every node.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::ingest::messages;

/// Posts at once through each node.
const POSTERS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_after_a_ban_nothing_of_the_user_comes_into_the_log() {
    let world = World::start().await;
    let stop = AtomicBool::new(false);
    let poster = async |node: &Role| {
        while !stop.load(Ordering::Relaxed) {
            let answer = world.post(node, PRESENTER, 7, "faster!").await;
            assert!([202, 403].contains(&answer.status.as_u16()), "{answer:?}");
        }
    };
    let posters = world.nodes.iter().flat_map(|node| (0..POSTERS).map(|_| poster(node)));
    let ban = async {
        let posted = async || (messages(&world.nats.url()).await.len() > 50).then_some(());
        eventually("the user writes", PATIENCE, posted).await;
        world.ban(&world.nodes[0], 7, json!({})).await;
        let banned = tokio::time::Instant::now();
        let passed = async || (banned.elapsed() >= PROMISED).then_some(());
        eventually("the promised second has passed", PROMISED * 2, passed).await;
        let then = messages(&world.nats.url()).await.len();
        // Long enough for hundreds of posts.
        let passed = async || (banned.elapsed() >= PROMISED * 2).then_some(());
        eventually("another second has passed", PROMISED * 3, passed).await;
        stop.store(true, Ordering::Relaxed);
        then
    };
    let (_, then) = tokio::join!(futures_util::future::join_all(posters), ban);
    assert_eq!(messages(&world.nats.url()).await.len(), then);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_node_that_answered_a_ban_it_holds_at_once() {
    let world = World::start().await;
    for user in 100..130 {
        world.ban(&world.nodes[0], user, json!({})).await;
        world.post(&world.nodes[0], PRESENTER, user, "am I?").await.assert_problem(403, "msg_banned");
        decided(&world.delete(&world.nodes[0], &ban(user), &presenter()).await);
        assert_eq!(world.post(&world.nodes[0], PRESENTER, user, "am I?").await.status, 202);
    }
}
