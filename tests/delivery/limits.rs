//! Slow, silent, noisy and too many peers: each has its bound, its code, and no effect on the others.

use futures_util::SinkExt;
use tokio::net::TcpSocket;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::presenter::Seen;
use super::*;
use crate::support::token;

/// A presenter whose kernel takes little unread.
async fn narrow(node: &Role, room: i64) -> Presenter {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    Presenter::handshake_on(socket, node, &[("token", &token(room, "presenter"))]).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presenter_who_stops_reading_is_closed_and_nobody_else_notices() {
    let world = World::start().await;
    let node = world.node_with("write_timeout_ms", "1000").await;
    let mut slow = narrow(&node, 42).await;
    let mut other = Presenter::connect(&node, 43).await;
    let claimed = world.session(42, None).await;
    let (log, large) = (world.log.clone(), "x".repeat(64 * 1024));
    let flooding = tokio::spawn(async move {
        // 16 MB: more than the kernel takes on both sides.
        for _ in 0..256 {
            log.append(&message(42, large.as_str())).await.unwrap();
        }
    });
    let mut worst = Duration::ZERO;
    for number in 1..=100 {
        let sent = std::time::Instant::now();
        world.post(43, &[&number.to_string()]).await;
        assert_eq!(other.chats(1).await, [number.to_string()]);
        worst = worst.max(sent.elapsed());
    }
    assert!(worst < Duration::from_secs(2), "a message took {worst:?}");
    flooding.await.unwrap();
    eventually("the slow session ends", PATIENCE, async || {
        world.presence.session(idx(42)).is_none_or(|session| session.id != claimed.id).then_some(())
    })
    .await;
    assert!(node.log().contains("slow"));
    // What it took stays taken, and the next session goes on after what was written.
    let mut next = Presenter::connect(&node, 42).await;
    assert_eq!(next.chats(1).await[0].len(), 64 * 1024);
    // Whoever reads what the kernel kept comes to the end of it.
    slow.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_answers_a_ping_is_closed_and_who_does_stays() {
    let world = World::start().await;
    let settings =
        world.settings.clone().set("delivery.ping_interval_ms", "200").set("delivery.silence_timeout_ms", "1500");
    let node = Role::start("delivery", &settings).await;
    let mut alive = Presenter::connect(&node, 42).await;
    let mut dead = Presenter::connect(&node, 43).await;
    let reading = tokio::spawn(async move { (alive.chats(1).await, alive) });
    // It does not read, so it does not answer.
    eventually("the silent session ends", PATIENCE, async || node.log().contains("silent").then_some(())).await;
    assert_eq!(dead.rest().await.1, 4202);
    world.post(42, &["still here"]).await;
    assert_eq!(reading.await.unwrap().0, ["still here"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_frames_is_closed() {
    let world = World::start().await;
    let node = world.node().await;
    for authenticated in [false, true] {
        let mut noisy = if authenticated { Presenter::connect(&node, 42).await } else { Presenter::open(&node).await };
        for _ in 0..200 {
            // The server hangs up in the middle of it.
            if noisy.socket.send(Message::text("ping")).await.is_err() {
                break;
            }
        }
        let (pongs, code) = noisy.rest().await;
        assert_eq!(code, 4101);
        assert!(pongs.len() <= 100, "{} frames were answered", pongs.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_sessions_than_allowed_are_told_to_come_later() {
    let world = World::start().await;
    let node = world.node_with("max_sessions", "1").await;
    let mut first = Presenter::connect(&node, 42).await;
    world.session(42, None).await;
    let mut second = Presenter::connect(&node, 43).await;
    assert_eq!(second.see().await, Seen::Closed(4100));
    first.is_served_and_quiet().await;
    first.socket.close(None).await.unwrap();
    eventually("there is room again", PATIENCE, async || {
        let mut third = Presenter::connect(&node, 43).await;
        third.say("ping").await;
        (third.see().await == Seen::Text("pong".to_owned())).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_without_a_token_are_bounded_in_number() {
    let world = World::start().await;
    let node = world.node_with("max_unauthenticated", "2").await;
    let waiting = [Presenter::open(&node).await, Presenter::open(&node).await];
    match Presenter::handshake(&node, &[]).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 503),
        other => panic!("not refused: {:?}", other.map(|_| ())),
    }
    drop(waiting);
    eventually("there is room again", PATIENCE, async || Presenter::handshake(&node, &[]).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_work_are_refused_by_name() {
    let world = World::start().await;
    for (key, value) in [
        ("delivery.max_sessions", "0"),
        ("delivery.ping_interval_ms", "0"),
        ("delivery.silence_timeout_ms", "20000"),
        ("delivery.keepalive_seconds", "0"),
        ("delivery.drain_spread_ms", "4000"),
        ("delivery.time_zone", "Asia/Pyongyang2"),
    ] {
        let node = Role::spawn("delivery", &world.settings.clone().set(key, value));
        assert_eq!(node.exit_code(PATIENCE).await, 64, "{key}");
        assert!(node.log().contains(key), "{key}: {}", node.log());
    }
}
