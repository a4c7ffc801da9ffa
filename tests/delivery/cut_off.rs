//! One node is cut off from the log: its presenters are sent to the others and miss nothing.

use super::*;
use crate::support::Proxy;

/// A node that reaches the log through a network of its own.
async fn apart(world: &World, network: &Proxy, grace_ms: &str) -> Role {
    let settings = world.settings.clone().set("nats.urls", &network.url()).set("delivery.cut_off_grace_ms", grace_ms);
    Role::start("delivery", &settings).await
}

async fn network(world: &World) -> Proxy {
    Proxy::start(world.nats.url().trim_start_matches("nats://").to_owned()).await
}

async fn readiness(node: &Role) -> u16 {
    reqwest::get(format!("{}/readyz", node.url())).await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn presenters_of_a_node_that_is_cut_off_go_elsewhere_and_miss_nothing() {
    let world = World::start().await;
    let network = network(&world).await;
    let (lonely, other) = (apart(&world, &network, "1000").await, world.node().await);
    let (mut page, _) = Page::connect(&lonely, 42).await;
    let (mut leaving, _) = Page::connect(&lonely, 43).await;
    let mut original = Presenter::connect(&lonely, 44).await;
    let session = world.session(43, None).await;
    world.session(44, None).await;
    world.post(42, &["before"]).await;
    assert_eq!(page.texts(1).await, ["before"]);

    network.hold_up();
    world.post(42, &["meanwhile"]).await;
    assert_eq!(page.rest().await, (Vec::new(), 4103));
    assert_eq!((leaving.rest().await.1, original.rest().await.1), (4103, 4103));
    assert_eq!(readiness(&lonely).await, 503);
    let (mut page, welcome) = Page::resume(&other, 42, page.position.as_deref()).await;
    assert_eq!(welcome["recovered"], true);
    assert_eq!(page.texts(1).await, ["meanwhile"]);

    // Once it is back, whoever did not come back is no longer taken for connected, and who did stays.
    network.release();
    lonely.ready().await;
    let mut tail = world.log.tail(nats::Start::Oldest);
    tokio::time::timeout(PATIENCE, async {
        loop {
            let ended = |entry: &nats::Entry| match entry.event().unwrap().body {
                Body::PresenterDisconnected(ended) => ended.session == session.id && ended.reason == "cut_off",
                _ => false,
            };
            if tail.next().await.unwrap().iter().any(ended) {
                return;
            }
        }
    })
    .await
    .expect("the log says that the session ended");
    for gone in [43, 44] {
        eventually("the claim is withdrawn", PATIENCE, async || {
            world.presence.session(idx(gone)).is_none().then_some(())
        })
        .await;
    }
    world.post(42, &["after"]).await;
    assert_eq!(page.texts(1).await, ["after"]);
    let (mut again, _) = Page::connect(&lonely, 43).await;
    again.is_served_and_quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn presenters_stay_connected_through_an_outage_shorter_than_the_grace_period() {
    let world = World::start().await;
    let network = network(&world).await;
    let node = apart(&world, &network, "60000").await;
    let (mut page, _) = Page::connect(&node, 42).await;
    world.session(42, None).await;
    network.hold_up();
    eventually("the lease runs out", PATIENCE, async || world.presence.session(idx(42)).is_none().then_some(())).await;
    eventually("the node knows", PATIENCE, async || (readiness(&node).await == 503).then_some(())).await;
    world.post(42, &["meanwhile"]).await;
    network.release();
    assert_eq!(page.texts(1).await, ["meanwhile"]);
    page.is_served_and_quiet().await;
}
