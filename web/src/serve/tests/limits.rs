//! Rates of a source: the peers are of two addresses, 127.0.0.1 and 127.0.0.2.

use std::num::NonZeroU32;

use super::*;

const HERE: &str = "GET /here HTTP/1.1\r\nhost: x\r\n\r\n";
const NOWHERE: &str = "GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n";

/// So many, and none again while the test runs.
fn only(count: u32) -> SourceRate {
    SourceRate { count, seconds: NonZeroU32::new(1_000_000).unwrap() }
}

fn app() -> Router {
    Router::new().route("/here", get(|| async { "here" }))
}

impl Server {
    async fn connect_from(&self, address: &str) -> TcpStream {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
        socket.connect(self.address).await.unwrap()
    }
}

/// Asks over an open connection. None: it was closed without an answer.
async fn ask(stream: &mut TcpStream, request: &str) -> Option<String> {
    stream.write_all(request.as_bytes()).await.ok()?;
    let (mut answer, mut piece) = (String::new(), [0; 4_096]);
    loop {
        match timeout(Duration::from_secs(10), stream.read(&mut piece)).await.expect("an answer or an end") {
            Ok(0) | Err(_) => return None,
            Ok(some) => answer.push_str(std::str::from_utf8(&piece[..some]).unwrap()),
        }
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if length == Some(body.len()) {
            return Some(answer);
        }
    }
}

#[tokio::test]
async fn a_source_that_connects_too_often_loses_only_the_new_connection() {
    let server = Server::start(app(), |config| config.connection_rate = only(3)).await;
    let mut first = server.connect_from("127.0.0.1").await;
    for _ in 0..2 {
        assert!(ask(&mut server.connect_from("127.0.0.1").await, HERE).await.is_some());
    }
    for _ in 0..300 {
        // The reset may come before the connection is known to stand.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        if let Ok(mut stream) = socket.connect(server.address).await {
            assert_eq!(ask(&mut stream, HERE).await, None);
        }
    }
    assert!(ask(&mut first, HERE).await.is_some(), "a connection that stands is not touched");
    assert!(ask(&mut server.connect_from("127.0.0.2").await, HERE).await.is_some(), "nor another source");
}

#[tokio::test]
async fn connections_through_a_proxy_have_no_rate() {
    let server = Server::start(app(), |config| {
        config.connection_rate = only(1);
        config.refusal_rate = only(1);
        config.proxies = vec!["127.0.0.2/32".parse().unwrap()];
    })
    .await;
    for _ in 0..10 {
        let mut stream = server.connect_from("127.0.0.2").await;
        for _ in 0..2 {
            let refused = ask(&mut stream, NOWHERE).await.expect("an answer");
            assert!(!refused.contains("connection: close"), "{refused}");
        }
    }
}

#[tokio::test]
async fn a_source_with_too_many_refusals_needs_a_new_connection_for_each_request() {
    let server = Server::start(app(), |config| config.refusal_rate = only(3)).await;
    let mut other = server.connect_from("127.0.0.1").await;
    let mut stream = server.connect_from("127.0.0.1").await;
    for _ in 0..3 {
        let refused = ask(&mut stream, NOWHERE).await.expect("an answer");
        assert!(refused.starts_with("HTTP/1.1 404 ") && !refused.contains("connection: close"), "{refused}");
        // Answers that refuse nothing do not count.
        assert!(ask(&mut stream, HERE).await.is_some());
    }
    let refused = ask(&mut stream, NOWHERE).await.expect("an answer");
    assert!(refused.starts_with("HTTP/1.1 404 ") && refused.contains("connection: close"), "{refused}");
    assert_eq!(ask(&mut stream, HERE).await, None);
    let served = ask(&mut other, HERE).await.expect("who is not refused is served over the same connection");
    assert!(!served.contains("connection: close"), "{served}");
    let elsewhere = ask(&mut server.connect_from("127.0.0.2").await, NOWHERE).await.expect("an answer");
    assert!(!elsewhere.contains("connection: close"), "{elsewhere}");
}
