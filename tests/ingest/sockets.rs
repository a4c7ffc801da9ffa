//! Misbehaving peers, over bare sockets.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

use serde_json::json;

use super::{DEADLINE, System, answer};
use crate::support::{Role, Settings, token};

pub(crate) async fn connect(ingest: &Role) -> TcpStream {
    TcpStream::connect(ingest.url().replace("http://", "")).await.unwrap()
}

/// Everything until the peer closes.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("the connection ends");
    // A reset after the answer is a close too.
    let _ = read;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_slowly_dripping_header_is_cut_off() {
    let system = System::start_with(|settings| settings.set("ingest.http.header_timeout_ms", "500")).await;
    let mut stream = connect(&system.ingest).await;
    stream.write_all(b"POST /send/message HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let mut pace = interval(Duration::from_millis(50));
    let drip = async {
        while stream.write_all(b"x: y\r\n").await.is_ok() {
            pace.tick().await;
        }
    };
    timeout(DEADLINE, drip).await.expect("the connection is cut off");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_answered_408() {
    let system = System::start_with(|settings| settings.set("ingest.body_timeout_ms", "200")).await;
    let mut stream = connect(&system.ingest).await;
    let head = format!(
        "POST /v1/rooms/42/messages HTTP/1.1\r\nhost: x\r\ntoken: {}\r\ncontent-type: application/json\r\n\
         content-length: 100\r\n\r\n{{",
        token(7, "nick")
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("body_timeout"), "{answer}");
}

/// Sends an unfinished post.
async fn begin(system: &System, token: Option<&str>) -> TcpStream {
    let mut stream = connect(&system.ingest).await;
    let token = token.map(|token| format!("token: {token}\r\n")).unwrap_or_default();
    let head = format!(
        "POST /v1/rooms/42/messages HTTP/1.1\r\nhost: x\r\n{token}content-type: application/json\r\n\
         content-length: 100\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn unfinished_posts_do_not_keep_others_out() {
    let system = System::start_with(|settings| {
        settings
            .set("ingest.max_in_flight", "2")
            .set("ingest.max_unfinished", "2")
            .set("ingest.body_timeout_ms", "60000")
    })
    .await;
    // Without a token, with a bad one, and with a good one.
    let (bad, good) = ("garbage".to_owned(), token(8, "slow"));
    let mut unfinished = Vec::new();
    for token in [None, Some(&bad), Some(&good)] {
        for _ in 0..4 {
            unfinished.push(begin(&system, token.map(String::as_str)).await);
        }
    }
    for user in [7, 9] {
        for text in ["one", "two", "three"] {
            let post =
                system.post("/v1/rooms/42/messages").bearer_auth(token(user, "nick")).json(&json!({"text": text}));
            assert_eq!(answer(post).await.status, 202);
        }
    }
    // The source with most lost its oldest, but their order is not visible from outside.
    let of_the_user = unfinished[8..].iter_mut().map(|stream| Box::pin(read_to_end(stream)));
    let (given_up, ..) = futures_util::future::select_all(of_the_user).await;
    assert!(given_up.starts_with("HTTP/1.1 503 ") && given_up.contains("overloaded"), "{given_up}");
    assert!(given_up.contains("\"outcome\":\"not_stored\""), "{given_up}");
}

#[tokio::test]
async fn connections_that_wait_for_their_peer_keep_nobody_out() {
    let system = System::start_with(|settings| settings.set("ingest.http.max_connections", "4")).await;
    let (mut idle, mut begun, mut unread) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..20 {
        idle.push(connect(&system.ingest).await);
        let mut stream = connect(&system.ingest).await;
        stream.write_all(b"POST /send/message HTTP/1.1\r\nhost: x\r\n").await.unwrap();
        begun.push(stream);
        let mut stream = connect(&system.ingest).await;
        let asked = "GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(200);
        let _ = stream.write_all(asked.as_bytes()).await;
        unread.push(stream);
    }
    for number in 0..5 {
        let post = system.post_v1("42", json!({"text": format!("{number}")})).await;
        assert_eq!(post.status, 202);
    }
    assert_eq!(answer(system.get("/livez")).await.status, 200);
    assert_eq!(answer(system.client.get(system.ingest.admin_url() + "/readyz")).await.status, 200);
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_given_up() {
    let system = System::start_with(|settings| settings.set("ingest.http.write_timeout_ms", "500")).await;
    let mut stream = connect(&system.ingest).await;
    let asked = "GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1_000);
    // At some point it accepts no more, and then closes.
    let ask = async { while stream.write_all(asked.as_bytes()).await.is_ok() {} };
    timeout(DEADLINE, ask).await.expect("the connection is given up");
}

/// The number of served connections, of this many from 127.0.0.2.
async fn served_elsewhere(system: &System, connections: usize) -> usize {
    let address = system.ingest.url().replace("http://", "").parse().unwrap();
    let mut served = 0;
    for _ in 0..connections {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let Ok(mut stream) = socket.connect(address).await else { continue };
        let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        served += usize::from(read_to_end(&mut stream).await.starts_with("HTTP/1.1 200 "));
    }
    served
}

#[tokio::test]
async fn an_address_that_connects_too_often_is_cut_off_unless_it_is_the_gateway() {
    // The readiness probe of the start connects too, from 127.0.0.1.
    let rate = |settings: Settings| {
        settings.set("ingest.http.connection_rate.count", "1000").set("ingest.http.connection_rate.seconds", "1000000")
    };
    let system = System::start_with(rate).await;
    assert_eq!(served_elsewhere(&system, 1_020).await, 1_000);
    assert_eq!(system.post_v1("42", json!({"text": "hi"})).await.status, 202);
    let log = system.ingest.log();
    assert!(log.contains("127.0.0.2 opens more than 1000 connections in 1000000 s"), "{log}");

    let gateway = |settings: Settings| {
        rate(settings).set("ingest.gateway.mode", "trusted-addresses").set("ingest.gateway.trusted", "127.0.0.2/32")
    };
    assert_eq!(served_elsewhere(&System::start_with(gateway).await, 1_020).await, 1_020);
}
