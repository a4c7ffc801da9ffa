//! A node that is cut off from the log refuses to answer from state that may have changed.

use super::*;
use crate::support::Proxy;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_has_not_heard_of_a_ban_answers_503_to_its_end_and_ends_it_once_the_log_is_back() {
    let world = World::start().await;
    let network = Proxy::start(world.nats.url().replace("nats://", "")).await;
    let cut_off = Role::start("ingest", &world.settings.clone().set("nats.urls", &network.url())).await;
    network.hold_up();
    world.ban(&world.nodes[0], 7, json!({})).await;

    let unbanned = world.delete(&cut_off, &ban(7), &presenter()).await;

    unbanned.assert_problem(503, "log_unavailable");
    world.is_banned(&world.nodes[1], PRESENTER, 7).await;
    network.release();
    eventually("the node ends the ban", PATIENCE, async || {
        let answer = world.delete(&cut_off, &ban(7), &presenter()).await;
        assert!([202, 503].contains(&answer.status.as_u16()), "{answer:?}");
        (answer.status == 202).then_some(())
    })
    .await;
    world.is_heard(&world.nodes[0], PRESENTER, 7).await;
}
