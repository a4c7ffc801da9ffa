//! A real listener and raw sockets.

use super::*;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start(app: Router, change: impl FnOnce(&mut ServeConfig)) -> Server {
        let mut config =
            ServeConfig { header_timeout_ms: 5_000, request_timeout_ms: 5_000, max_connections: 100, grace_ms: 5_000 };
        change(&mut config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let stop = stop.clone();
            async move { serve(listener, app, &config, stop).await }
        });
        Server { address, stop, task }
    }

    async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn stopped(self) {
        timeout(Duration::from_secs(10), self.task).await.expect("serve returns after a stop").unwrap();
    }
}

async fn answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer));
    read.await.expect("the connection ends").unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_header_that_does_not_arrive_ends_the_connection() {
    let server = Server::start(Router::new(), |config| config.header_timeout_ms = 50).await;
    let mut stream = server.send("GET / HTTP/1.1\r\nhost: ").await;
    answer(&mut stream).await;
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_a_503_with_unknown_outcome() {
    let app = Router::new().route("/", get(std::future::pending::<()>));
    let server = Server::start(app, |config| config.request_timeout_ms = 50).await;
    let answer = answer(&mut server.send("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains(r#""outcome":"unknown""#), "{answer}");
    assert!(answer.contains("access-control-allow-origin: *"), "{answer}");
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_server_goes_on() {
    async fn panics() {
        panic!("on purpose");
    }
    let server = Server::start(Router::new().route("/", get(panics)), |_| {}).await;
    for _ in 0..2 {
        let answer = answer(&mut server.send("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await).await;
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        assert!(answer.contains("internal_error") && !answer.contains("on purpose"), "{answer}");
        assert!(answer.contains("access-control-allow-origin: *"), "{answer}");
    }
}

#[tokio::test]
async fn a_page_may_ask_and_read_whatever_is_answered() {
    let server = Server::start(Router::new().route("/", get(async || "hi")), |_| {}).await;
    for (request, status) in [("GET /", 200), ("GET /nowhere", 404), ("POST /", 405), ("OPTIONS /nowhere", 200)] {
        let head =
            "host: x\r\norigin: https://example.com\r\naccess-control-request-headers: token\r\nconnection: close";
        let answer = answer(&mut server.send(&format!("{request} HTTP/1.1\r\n{head}\r\n\r\n")).await).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("access-control-allow-origin: *"), "{answer}");
        if request.starts_with("OPTIONS") {
            assert!(answer.contains("access-control-allow-headers: token"), "{answer}");
            assert!(answer.contains("access-control-max-age: 7200"), "{answer}");
        } else {
            assert!(answer.contains("access-control-expose-headers: *"), "{answer}");
        }
    }
}

#[tokio::test]
async fn a_stop_lets_the_request_in_hand_finish() {
    let (entered, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (entered, go_on) = (entered.clone(), go_on.clone());
        || async move {
            entered.notify_one();
            go_on.notified().await;
            "done"
        }
    };
    let server = Server::start(Router::new().route("/", get(handler)), |_| {}).await;
    let mut idle = server.send("").await;
    let mut stream = server.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    entered.notified().await;
    server.stop.cancel();
    answer(&mut idle).await;
    go_on.notify_one();
    assert!(answer(&mut stream).await.ends_with("done"));
    server.stopped().await;
}

#[tokio::test]
async fn work_that_outlasts_the_grace_period_is_cut() {
    let entered = Arc::new(Notify::new());
    let handler = {
        let entered = entered.clone();
        || async move {
            entered.notify_one();
            std::future::pending::<()>().await;
        }
    };
    let server = Server::start(Router::new().route("/", get(handler)), |config| config.grace_ms = 50).await;
    let mut stream = server.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    entered.notified().await;
    server.stop.cancel();
    assert_eq!(answer(&mut stream).await, "");
    server.stopped().await;
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_their_turn() {
    let server = Server::start(Router::new().route("/", get(|| async { "here" })), |config| {
        config.max_connections = 1;
    })
    .await;
    let first = server.send("").await;
    let mut second = server.send("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let early = timeout(Duration::from_millis(100), second.readable()).await;
    assert!(early.is_err(), "the second connection is not served while the first is there");
    drop(first);
    assert!(answer(&mut second).await.ends_with("here"));
}

#[tokio::test]
async fn a_peer_that_only_listens_any_more_gets_its_answer() {
    let handler = || async {
        sleep(Duration::from_millis(50)).await;
        "here"
    };
    let server = Server::start(Router::new().route("/", get(handler)), |_| {}).await;
    let mut stream = server.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    stream.shutdown().await.unwrap();
    assert!(answer(&mut stream).await.ends_with("here"));
}
