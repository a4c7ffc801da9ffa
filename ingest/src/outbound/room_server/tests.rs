//! Answers as data, and answers that never end.

#![allow(clippy::disallowed_methods, reason = "a test awaits its tasks, or ends with them")]

use super::*;
use axum::Router;
use axum::body::Body;
use axum::routing::post;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

#[test]
fn an_answer_is_data_alive_and_nothing_else_is() {
    let cases = [
        (r#"{"data":{"alive":true}}"#, Some(Liveness::Live)),
        (r#"{"data":{"alive":false}}"#, Some(Liveness::NotLive)),
        (r#"{"timestamp":"x","message":null,"data":{"alive":true,"viewers":3}}"#, Some(Liveness::Live)),
        (r#"{"data":{}}"#, None),
        (r#"{"data":null}"#, None),
        (r#"{"data":{"alive":null}}"#, None),
        (r#"{"data":{"alive":"true"}}"#, None),
        (r#"{"data":{"alive":1}}"#, None),
        (r#"{"data":[true]}"#, None),
        (r#"{"alive":true}"#, None),
        ("true", None),
        ("", None),
        ("<html>", None),
        (r#"{"data":{"alive":true}"#, None),
    ];
    for (answer, expected) in cases {
        assert_eq!(parse(answer.as_bytes()), expected, "{answer}");
    }
}

async fn room_server(body: impl Fn() -> Body + Clone + Send + Sync + 'static) -> (RoomServer, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let handler = move || {
        counter.fetch_add(1, Ordering::Relaxed);
        std::future::ready(body())
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let room_server = asking(&listener);
    let app = Router::new().route("/base/room/live/check", post(handler));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (room_server, asked)
}

fn asking(listener: &TcpListener) -> RoomServer {
    let config = RoomsConfig {
        url: format!("http://{}/base/", listener.local_addr().unwrap()).parse().unwrap(),
        deadline: Span::from_millis(300),
        live: Span::from_secs(60),
        not_live: Span::from_secs(60),
        breaker_failures: 1_000,
        breaker_open: Span::from_secs(1),
    };
    RoomServer::new(Client::builder().no_proxy().build().unwrap(), &config)
}

fn room(idx: i64) -> PresenterIdx {
    idx.try_into().unwrap()
}

#[tokio::test]
async fn an_answer_is_kept_and_a_failure_is_not() {
    let (good, asked) = room_server(|| Body::from(r#"{"data":{"alive":false}}"#)).await;
    for _ in 0..3 {
        assert_eq!(good.liveness(room(1)).await, Ok(Liveness::NotLive));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);

    let (mut brief, asked) = room_server(|| Body::from(r#"{"data":{"alive":false}}"#)).await;
    brief.keep.not_live = Duration::ZERO;
    for _ in 0..3 {
        assert_eq!(brief.liveness(room(1)).await, Ok(Liveness::NotLive));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 3, "an answer was used after its time");

    let (bad, asked) = room_server(|| Body::from("garbage")).await;
    for _ in 0..3 {
        assert_eq!(bad.liveness(room(1)).await, Err(Unreachable));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn an_answer_that_is_too_large_or_does_not_end_is_an_outage() {
    let large = format!(r#"{{"data":{{"alive":true}},"more":"{}"}}"#, "x".repeat(17_000));
    let (large, _) = room_server(move || Body::from(large.clone())).await;
    assert_eq!(large.liveness(room(1)).await, Err(Unreachable));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endless = asking(&listener);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await.unwrap();
        std::future::pending::<()>().await;
    });
    assert_eq!(endless.liveness(room(1)).await, Err(Unreachable));
}

/// A room server that answers by the room's number, and the numbers that it was asked about.
async fn by_room(answer: fn(i64) -> (u16, &'static str)) -> (Arc<RoomServer>, Arc<parking_lot::Mutex<Vec<i64>>>) {
    let asked = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let seen = asked.clone();
    let handler = move |axum::Json(question): axum::Json<Value>| {
        let room = question["presenterIdx"].as_str().unwrap().parse().unwrap();
        seen.lock().push(room);
        let (status, body) = answer(room);
        std::future::ready((axum::http::StatusCode::from_u16(status).unwrap(), body))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut room_server = asking(&listener);
    (room_server.guard, room_server.pause) = (Guard::new(3), Duration::from_millis(50));
    // No answer is late here, however busy the machine is.
    room_server.deadline = Duration::from_secs(20);
    let app = Router::new().route("/base/room/live/check", post(handler));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let room_server = Arc::new(room_server);
    let watching = room_server.clone();
    tokio::spawn(async move { watching.watch().await });
    (room_server, asked)
}

const LIVE: &str = r#"{"data":{"alive":true}}"#;

#[tokio::test]
async fn a_refusal_is_kept_for_its_room_and_says_nothing_of_others() {
    let (room_server, asked) = by_room(|room| if room > 1 << 31 { (400, "") } else { (200, LIVE) }).await;
    for n in 1..=100 {
        assert_eq!(room_server.liveness(room((1 << 31) + n)).await, Err(Unreachable));
        assert_eq!(room_server.liveness(room((1 << 31) + n)).await, Err(Unreachable));
        assert_eq!(room_server.liveness(room(n)).await, Ok(Liveness::Live));
    }
    assert_eq!(asked.lock().len(), 200);
}

#[tokio::test]
async fn rooms_that_fail_alone_open_nothing_however_many_they_are() {
    let (room_server, asked) = by_room(|room| if room > 1 << 31 { (500, "") } else { (200, LIVE) }).await;
    for n in 1..=100 {
        assert_eq!(room_server.liveness(room((1 << 31) + n)).await, Err(Unreachable));
    }
    for n in 1..=20 {
        assert_eq!(room_server.liveness(room(n)).await, Ok(Liveness::Live));
    }
    let own = asked.lock().iter().filter(|room| **room == 1).count();
    assert!(own > 1, "room 1 was asked about by the node itself: {own}");
}

#[tokio::test]
async fn an_outage_is_found_by_questions_of_our_own_and_so_is_its_end() {
    static IS_OUT: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    let (room_server, asked) = by_room(|_| if IS_OUT.load(Ordering::Relaxed) { (503, "") } else { (200, LIVE) }).await;
    assert_eq!(room_server.liveness(room(7)).await, Ok(Liveness::Live));
    IS_OUT.store(true, Ordering::Relaxed);
    let mut n = 100;
    while room_server.guard.may_ask() {
        n += 1;
        assert_eq!(room_server.liveness(room(n)).await, Err(Unreachable));
        tokio::task::yield_now().await;
    }
    IS_OUT.store(false, Ordering::Relaxed);
    while !room_server.guard.may_ask() {
        tokio::task::yield_now().await;
    }
    assert_eq!(room_server.liveness(room(8)).await, Ok(Liveness::Live));
    assert!(asked.lock().contains(&1), "room 7 alone was answered");
}
