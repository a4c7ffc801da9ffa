//! Slow, silent, noisy and too many pages: each meets its bound and its close code, and others are not affected.

use futures_util::SinkExt;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use super::presenter::Seen;
use super::*;
use crate::support::token;

/// The longest time from a post to the page, of this many posts.
async fn worst_latency(world: &World, page: &mut Page, room: i64, posts: usize) -> Duration {
    let mut worst = Duration::ZERO;
    for text in texts(1, posts) {
        let sent = std::time::Instant::now();
        world.post(room, &[&text]).await;
        assert_eq!(page.texts(1).await, [text]);
        worst = worst.max(sent.elapsed());
    }
    worst
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_stops_reading_is_closed_and_gets_the_rest_when_it_comes_back() {
    let world = World::start().await;
    let node = world.node_with("write_timeout_ms", "1000").await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut slow = Page::handshake_on(socket, &node, &[]).await.unwrap();
    slow.start(42, None).await;
    let (mut other, _) = Page::connect(&node, 43).await;
    let (log, large) = (world.log.clone(), "x".repeat(64 * 1024));
    let flooding = tokio::spawn(async move {
        // 16 MB: more than both kernels buffer.
        for _ in 0..256 {
            log.append(&message(42, large.as_str())).await.unwrap();
        }
        log.append(&message(42, "last")).await.unwrap();
    });
    let worst = worst_latency(&world, &mut other, 43, 100).await;
    assert!(worst < Duration::from_secs(2), "a message took {worst:?}");
    flooding.await.unwrap();
    eventually("the slow session ends", PATIENCE, async || node.log().contains(r#""end":"slow""#).then_some(())).await;
    // It reads what the kernel had buffered to the end, and resumes from there.
    let (first, _) = slow.rest().await;
    assert!((1..256).contains(&first.len()), "{} events", first.len());
    let (mut back, welcome) = Page::resume(&node, 42, slow.position.as_deref()).await;
    assert_eq!(welcome["recovered"], true);
    let rest = back.texts_to("last").await;
    assert_eq!(first.len() + rest.len(), 257);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_page_or_one_that_answers_no_ping_is_closed() {
    let world = World::start().await;
    let settings = world
        .settings
        .clone()
        .set("delivery.authenticate_timeout_ms", "500")
        .set("delivery.ping_interval_ms", "200")
        .set("delivery.silence_timeout_ms", "1500");
    let node = Role::start("delivery", &settings).await;
    let mut mute = Page::open(&node).await;
    let (mut dead, _) = Page::connect(&node, 42).await;
    let (mut alive, _) = Page::connect(&node, 43).await;
    let reading = tokio::spawn(async move { alive.texts(1).await });
    assert_eq!(mute.see().await, Seen::Closed(4000));
    // It does not read, so it does not answer.
    eventually("the silent session ends", PATIENCE, async || node.log().contains(r#""end":"silent""#).then_some(()))
        .await;
    assert_eq!(dead.rest().await.1, 4202);
    world.post(43, &["still here"]).await;
    assert_eq!(reading.await.unwrap(), ["still here"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_garbage_is_closed() {
    let world = World::start().await;
    let node = world.node().await;
    for started in [false, true] {
        let mut page = if started { Page::connect(&node, 42).await.0 } else { Page::open(&node).await };
        for _ in 0..200 {
            // The server closes during the write.
            if page.presenter.socket.send(Message::text("}{")).await.is_err() {
                break;
            }
        }
        assert_eq!(page.rest().await, (Vec::new(), 4101));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connects_of_one_token_leave_the_newest_and_harm_nobody() {
    let world = World::start().await;
    let node = std::sync::Arc::new(world.node().await);
    let (mut other, _) = Page::connect(&node, 43).await;
    let storm = tokio::spawn({
        let node = node.clone();
        async move {
            let (mut watching, mut remaining) = (JoinSet::new(), Vec::new());
            for _ in 0..100 {
                let opening = (0..10).map(|_| Page::open(&node));
                for mut page in futures_util::future::join_all(opening).await {
                    page.say_start(&token(42, "presenter"), None).await;
                    watching.spawn(async move { page.rest().await.1 });
                }
            }
            while watching.len() > 1 {
                remaining.push(watching.join_next().await.unwrap().unwrap());
            }
            (remaining, watching)
        }
    });
    let started = std::time::Instant::now();
    let worst = worst_latency(&world, &mut other, 43, 200).await;
    assert!(worst < Duration::from_secs(2), "a message took {worst:?}");
    let (codes, mut last) = storm.await.unwrap();
    let took = started.elapsed();
    assert!(codes.iter().all(|code| *code == 4002), "{codes:?}");
    assert!(last.try_join_next().is_none(), "nobody is left");
    let claims = node.log().matches("presenter 42 connected").count();
    let most = usize::try_from(took.as_millis()).unwrap() / 50 + 2;
    assert!(claims <= most, "{claims} claims in {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_node_and_one_without_its_log_answer_503_with_retry_after() {
    let world = World::start().await;
    let settings = world.settings.clone().set("delivery.max_sessions", "1").set("delivery.max_unauthenticated", "1");
    let node = Role::start("delivery", &settings).await;
    let (mut first, _) = Page::connect(&node, 42).await;
    let mut second = Page::open(&node).await;
    // The next newcomer needs its slot.
    let mut third = Page::open(&node).await;
    assert_eq!(second.see().await, Seen::Closed(4100));
    third.say_start(&token(43, "presenter"), None).await;
    assert_eq!(third.see().await, Seen::Closed(4100));
    first.is_served_and_quiet().await;
    first.close().await;
    world.nats.kill();
    eventually("who comes is told that the room cannot be claimed", PATIENCE, async || {
        let mut page = Page::handshake(&node, &[]).await.ok()?;
        page.say_start(&token(43, "presenter"), None).await;
        // For a moment the first session is still open.
        (page.see().await == Seen::Closed(4102)).then_some(())
    })
    .await;
}
