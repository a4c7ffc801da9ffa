//! Slow, silent, noisy and too many peers: each has its bound, its code, and no effect on the others.

use futures_util::SinkExt;
use tokio::net::TcpSocket;
use tokio_tungstenite::tungstenite::Message;

use super::presenter::Seen;
use super::*;
use crate::support::token;

/// A presenter whose kernel buffers little.
async fn narrow(node: &Role, room: i64) -> Presenter {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    Presenter::handshake_on(socket, node, &[("token", &token(room, "presenter"))]).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presenter_that_stops_reading_is_closed_and_others_are_not_delayed() {
    let world = World::start().await;
    let node = world.node_with("write_timeout_ms", "1000").await;
    let mut slow = narrow(&node, 42).await;
    let mut other = Presenter::connect(&node, 43).await;
    let claimed = world.session(42, None).await;
    let (log, large) = (world.log.clone(), "x".repeat(64 * 1024));
    let flooding = tokio::spawn(async move {
        // 16 MB: more than both kernels buffer.
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
    // Read messages stay read, and the next session continues after the written ones.
    let mut next = Presenter::connect(&node, 42).await;
    assert_eq!(next.chats(1).await[0].len(), 64 * 1024);
    // The kernel's buffer ends with the last written message.
    slow.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_answers_no_ping_is_closed_and_one_that_answers_stays() {
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
async fn sessions_above_the_limit_are_told_to_retry_later() {
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
async fn sockets_without_a_token_are_bounded_in_number_and_the_oldest_makes_room() {
    let world = World::start().await;
    let node = world.node_with("max_unauthenticated", "2").await;
    let mut waiting = Vec::new();
    for _ in 0..10 {
        waiting.push(Presenter::open(&node).await);
    }
    for mut early in waiting.drain(..8) {
        assert_eq!(early.see().await, Seen::Closed(4100));
    }
    // The last newcomer can still begin.
    let mut last = waiting.pop().unwrap();
    last.start(&token(42, "presenter")).await;
    last.is_served_and_quiet().await;
    world.session(42, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_without_a_token_keep_no_presenter_out_and_evict_each_other() {
    let world = World::start().await;
    let node = world.node_with("max_unauthenticated", "3").await;
    let _waiting = [Presenter::open(&node).await, Presenter::open(&node).await, Presenter::open(&node).await];
    for room in 42..50 {
        let mut presenter = Presenter::connect(&node, room).await;
        presenter.is_served_and_quiet().await;
        world.session(room, None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_messages_count_as_frames_before_the_start_and_after_it() {
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
    let world = World::start().await;
    let node = world.node().await;
    for authenticated in [false, true] {
        for part in ["", "x"] {
            let mut noisy =
                if authenticated { Presenter::connect(&node, 42).await } else { Presenter::open(&node).await };
            for number in 0..200 {
                let kind = if number == 0 { Data::Text } else { Data::Continue };
                let frame = Frame::message(part.as_bytes().to_vec(), OpCode::Data(kind), false);
                // The server hangs up in the middle of it.
                if noisy.socket.send(Message::Frame(frame)).await.is_err() {
                    break;
                }
            }
            assert_eq!(noisy.rest().await.1, 4101, "{authenticated} {part:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_no_larger_in_parts_than_in_one() {
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
    let world = World::start().await;
    let node = world.node().await;
    let mut large = Presenter::open(&node).await;
    for kind in [Data::Text, Data::Continue, Data::Continue] {
        let _ = large.socket.send(Message::Frame(Frame::message(vec![b'x'; 16_000], OpCode::Data(kind), false))).await;
    }
    assert_eq!(large.rest().await.1, 1009);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_is_that_of_rfc_6455() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::start().await;
    let node = world.node().await;
    let good = [
        "connection: keep-alive, Upgrade",
        "upgrade: WebSocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let answer = async |lines: &[&str]| {
        let mut stream = tokio::net::TcpStream::connect(node.url().replace("http://", "")).await.unwrap();
        let head = format!("GET /chatting HTTP/1.1\r\nhost: x\r\n{}\r\n\r\n", lines.join("\r\n"));
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let mut piece = [0; 1_024];
        while !answer.windows(4).any(|window| window == b"\r\n\r\n") {
            let read = tokio::time::timeout(PATIENCE, stream.read(&mut piece)).await.unwrap().unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&piece[..read]);
        }
        String::from_utf8_lossy(&answer).to_lowercase()
    };
    let accepted = answer(&good).await;
    assert!(accepted.starts_with("http/1.1 101 "), "{accepted}");
    // The example of RFC 6455, section 1.3.
    assert!(accepted.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{accepted}");
    for (line, instead, status) in [
        (0, "connection: close", 400),
        (1, "upgrade: h2c", 400),
        (2, "sec-websocket-version: 8", 426),
        (2, "x: y", 426),
        (3, "x: y", 400),
        (3, "sec-websocket-key: x", 400),
        (3, "sec-websocket-key: dGhlIHNhbXBsZSBub25j", 400),
        (3, "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQECAw==", 400),
        (3, "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", 400),
    ] {
        let mut lines = good;
        lines[line] = instead;
        let refused = answer(&lines).await;
        assert!(refused.starts_with(&format!("http/1.1 {status} ")), "{instead}: {refused}");
        assert_eq!(refused.contains("sec-websocket-version: 13"), status == 426, "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_work_are_refused_by_name() {
    let world = World::start().await;
    for (key, value) in [
        ("delivery.max_sessions", "0"),
        ("delivery.ping_interval", "0s"),
        ("delivery.silence_timeout", "20s"),
        ("delivery.keepalive", "0s"),
        ("delivery.drain_spread", "4s"),
        ("delivery.time_zone", "Asia/Pyongyang2"),
    ] {
        let node = Role::spawn("delivery", &world.settings.clone().set(key, value));
        assert_eq!(node.exit_code(PATIENCE).await, 64, "{key}");
        assert!(node.log().contains(key), "{key}: {}", node.log());
    }
}
