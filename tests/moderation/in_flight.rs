//! A ban while the user posts as fast as possible through every node, and while a node is cut off.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::ingest::messages;
use crate::support::{Proxy, ReviewHook, Says};

/// Concurrent posts through each node.
const POSTERS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_after_a_ban_no_message_of_the_user_enters_the_log() {
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
async fn a_message_that_is_being_reviewed_when_its_writer_is_banned_is_refused() {
    let hook = ReviewHook::start().await;
    let world = World::start_with(|settings| hook.settings(settings).set("ingest.review.deadline_ms", "10000")).await;
    hook.say(Says::Delay(PROMISED * 2));
    let posts = futures_util::future::join_all(world.nodes.iter().map(|node| world.post(node, PRESENTER, 7, "hm")));
    let ban = async {
        let asked = async || (hook.asked().len() == 2).then_some(());
        eventually("both messages are being reviewed", PATIENCE, asked).await;
        world.ban(&world.nodes[0], 7, json!({})).await;
    };
    let (refused, ()) = tokio::join!(posts, ban);
    refused.iter().for_each(|refused| refused.assert_problem(403, "msg_banned"));
    assert!(messages(&world.nats.url()).await.is_empty());
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

#[tokio::test(flavor = "multi_thread")]
async fn a_reconnected_node_knows_within_a_second_what_it_missed() {
    let world = World::start().await;
    let proxy = Proxy::start(world.nats.url().replace("nats://", "")).await;
    let behind = Role::start("ingest", &world.settings.clone().set("nats.urls", &proxy.url())).await;
    for (round, user) in (100..110).enumerate() {
        match round % 2 {
            0 => proxy.cut(),
            _ => proxy.hold_up(),
        }
        world.ban(&world.nodes[0], user, json!({})).await;
        proxy.release();
        let refused = eventually("the ban holds on the node", PROMISED, async || {
            let answer = world.post(&behind, PRESENTER, user, "am I banned?").await;
            (answer.status == 403).then_some(answer)
        })
        .await;
        refused.assert_problem(403, "msg_banned");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_read_several_partitions_hold_the_same() {
    let world = World::start_with(|settings| settings.set("nats.partitions", "3")).await;
    let rooms = 42..52;
    for room in rooms.clone() {
        let path = format!("/v1/rooms/{room}/bans/7");
        decided(&world.put(&world.nodes[0], &path, &moderator(), json!({})).await);
    }
    decided(&world.put(&world.nodes[0], "/v1/bans/8", &moderator(), json!({})).await);
    let later = world.node().await;
    for room in rooms.clone() {
        for node in [&world.nodes[1], &later] {
            world.is_banned(node, room, 7).await;
            world.is_banned(node, room, 8).await;
        }
    }
    decided(&world.delete(&later, "/v1/bans/8", &moderator()).await);
    for room in rooms {
        world.is_banned(&world.nodes[0], room, 7).await;
        world.is_heard(&world.nodes[0], room, 8).await;
    }
}
