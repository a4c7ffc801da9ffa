//! A real listener and raw sockets.

#![allow(clippy::disallowed_methods, reason = "a test awaits its tasks, or ends with them")]

use super::*;
use axum::body::Bytes;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::private::Shared;

mod encrypted;
mod limits;

pub(super) struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    slots: Arc<FairSlots>,
    metrics: Arc<Metrics>,
}

impl Server {
    pub(super) async fn start(app: Router, change: impl FnOnce(&mut ServeConfig)) -> Server {
        Server::start_with(app, NoFastPath, None, change).await
    }

    pub(super) async fn start_with(
        app: Router,
        fast_path: impl FastPath,
        tls: Option<Arc<ServerTls>>,
        change: impl FnOnce(&mut ServeConfig),
    ) -> Server {
        let mut config = ServeConfig {
            header_timeout: Span::from_millis(5_000),
            request_timeout: Span::from_millis(5_000),
            write_timeout: Span::from_millis(5_000),
            max_connections: 100,
            max_held_size: Size::from_bytes(1024 * 1024),
            connection_rate: SourceRate::UNLIMITED,
            refusal_rate: SourceRate::UNLIMITED,
            proxies: Vec::new(),
            grace: Span::from_millis(5_000),
        };
        change(&mut config);
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let slots = FairSlots::new(config.max_connections, config.max_held_size.in_memory());
        let stop = CancellationToken::new();
        let metrics = Metrics::declare(&Registry::new(), &slots);
        let task = tokio::spawn({
            let (stop, slots, metrics) = (stop.clone(), slots.clone(), metrics.clone());
            async move {
                let listener = Listener { socket, tls };
                serve_in(listener, App { router: app, fast_path }, &config, stop, slots, metrics).await;
            }
        });
        Server { address, stop, task, slots, metrics }
    }

    pub(super) async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    fn connections(&self) -> usize {
        self.slots.in_use()
    }

    fn held(&self) -> usize {
        self.slots.bytes()
    }

    async fn stopped(self) {
        timeout(Duration::from_secs(10), self.task).await.expect("serve returns after a stop").unwrap();
    }
}

pub(super) async fn answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer));
    // A reset is an end as well.
    let _ = read.await.expect("the connection ends");
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_header_that_does_not_arrive_ends_the_connection() {
    let server = Server::start(Router::new(), |config| config.header_timeout = Span::from_millis(50)).await;
    let mut stream = server.send("GET / HTTP/1.1\r\nhost: ").await;
    answer(&mut stream).await;
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_a_503_with_unknown_outcome() {
    let app = Router::new().route("/", get(std::future::pending::<()>));
    let server = Server::start(app, |config| config.request_timeout = Span::from_millis(50)).await;
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
        move || async move {
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
        move || async move {
            entered.notify_one();
            std::future::pending::<()>().await;
        }
    };
    let server =
        Server::start(Router::new().route("/", get(handler)), |config| config.grace = Span::from_millis(50)).await;
    let mut stream = server.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    entered.notified().await;
    server.stop.cancel();
    assert_eq!(answer(&mut stream).await, "");
    server.stopped().await;
}

/// A handler that tells when it was entered, and goes on when it is told.
fn gated(answer: &'static str) -> (Router, Arc<Notify>, Arc<Notify>) {
    let (entered, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (entered, go_on) = (entered.clone(), go_on.clone());
        move || async move {
            entered.notify_one();
            go_on.notified().await;
            answer
        }
    };
    (Router::new().route("/", get(handler)).route("/here", get(|| async { "here" })), entered, go_on)
}

const LAST: &str = "GET /here HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn connections_beyond_the_bound_wait_while_all_others_are_worked_for() {
    let (app, entered, go_on) = gated("done");
    let server = Server::start(app, |config| config.max_connections = 1).await;
    let mut first = server.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    entered.notified().await;
    let mut second = server.send(LAST).await;
    let early = timeout(Duration::from_millis(300), second.readable()).await;
    assert!(early.is_err(), "the second connection is not served while the first is worked for");
    go_on.notify_one();
    assert!(answer(&mut second).await.ends_with("here"));
    assert!(answer(&mut first).await.ends_with("done"), "and the first has its answer");
}

#[tokio::test]
async fn a_connection_that_only_waits_for_its_peer_can_be_evicted() {
    let app = Router::new()
        .route("/here", get(|| async { "here" }))
        .route("/body", axum::routing::post(|body: Bytes| async move { body.len().to_string() }));
    // Idle, amid a header, and amid a body.
    for begun in ["", "GET /here HTT", "POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhi"] {
        let server = Server::start(app.clone(), |config| config.max_connections = 1).await;
        let mut first = server.send(begun).await;
        assert!(answer(&mut server.send(LAST).await).await.ends_with("here"), "{begun:?}");
        assert_eq!(answer(&mut first).await, "", "{begun:?}");
    }
}

/// 4 MB: more than the kernel takes on both sides.
fn large() -> Router {
    Router::new()
        .route("/large", get(|| async { "x".repeat(4 << 20) }))
        .route("/here", get(|| async { "here" }))
        .route("/shared", get(|| async { (axum::Extension(Shared), "x".repeat(4 << 20)) }))
}

/// A peer whose kernel takes little unread, and which asks often and reads nothing.
async fn deaf(server: &Server, path: &str) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    let asked = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").repeat(20);
    stream.write_all(asked.as_bytes()).await.unwrap();
    stream
}

/// Whether the connection is cut before everything was read.
async fn is_cut(stream: &mut TcpStream) -> bool {
    let (mut all, mut piece) = (0, vec![0; 64 * 1024]);
    loop {
        match timeout(Duration::from_secs(20), stream.read(&mut piece)).await.expect("it ends") {
            Ok(0) | Err(_) => return all < 20 * (4 << 20),
            Ok(some) => all += some,
        }
    }
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_given_up() {
    let server = Server::start(large(), |config| {
        config.write_timeout = Span::from_millis(200);
        config.header_timeout = Span::from_millis(60_000);
        config.max_held_size = Size::from_bytes(1 << 30);
    })
    .await;
    let _stream = deaf(&server, "/large").await;
    // The kernels keep a part of the first answer at most.
    let waited = async {
        while server.connections() > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(10), waited).await.expect("the connection is given up");
}

#[tokio::test]
async fn a_slow_but_steady_reader_gets_everything() {
    let server = Server::start(large(), |config| {
        config.write_timeout = Span::from_millis(400);
        config.max_held_size = Size::from_bytes(8 << 20);
    })
    .await;
    let request = "GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut stream = server.send(request).await;
    let (mut all, mut piece) = (0, vec![0; 128 * 1024]);
    loop {
        match stream.read(&mut piece).await.unwrap() {
            0 => break,
            some => all += some,
        }
        // In all much longer than the write timeout.
        sleep(Duration::from_millis(20)).await;
    }
    assert!(all > 4 << 20, "{all}");
}

#[tokio::test]
async fn a_reader_without_progress_can_be_evicted_after_a_second() {
    let server = Server::start(large(), |config| {
        config.max_connections = 3;
        config.write_timeout = Span::from_millis(60_000);
        config.max_held_size = Size::from_bytes(1 << 30);
    })
    .await;
    let _deaf = [deaf(&server, "/large").await, deaf(&server, "/large").await, deaf(&server, "/large").await];
    assert!(answer(&mut server.send(LAST).await).await.ends_with("here"));
    assert!(server.connections() <= 3);
}

#[tokio::test]
async fn large_answers_that_nobody_reads_are_bounded_together_and_shared_ones_cost_nothing() {
    let server = Server::start(large(), |config| {
        config.write_timeout = Span::from_millis(60_000);
        config.max_held_size = Size::from_bytes(5 << 20);
    })
    .await;
    let _shared = [deaf(&server, "/shared").await, deaf(&server, "/shared").await, deaf(&server, "/shared").await];
    let mut first = deaf(&server, "/large").await;
    while server.held() == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    // It may still be reading.
    let request = "GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let second = answer(&mut server.send(request).await).await;
    assert!(second.starts_with("HTTP/1.1 503 ") && second.contains("answers_unread"), "{}", &second[..200]);
    assert!(second.contains("cache-control: no-store") && second.contains("retry-after: 1"), "{}", &second[..200]);
    let again = async { while answer(&mut server.send(request).await).await.starts_with("HTTP/1.1 503 ") {} };
    timeout(Duration::from_secs(10), again).await.expect("whoever reads nothing makes room");
    assert!(is_cut(&mut first).await);
}

#[tokio::test]
async fn headers_that_are_not_whole_are_bounded_together() {
    let server = Server::start(large(), |config| config.max_held_size = Size::from_bytes(100 * 1024)).await;
    let begun = format!("GET /here HTTP/1.1\r\nhost: x\r\nx: {}", "y".repeat(30_000));
    let mut slow = Vec::new();
    for _ in 0..4 {
        slow.push(server.send(&begun).await);
    }
    assert_eq!(answer(&mut slow.remove(0)).await, "");
    // The last of them may still come to its end.
    let last = slow.last_mut().unwrap();
    last.write_all(b"\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(answer(last).await.ends_with("here"));
}

#[tokio::test]
async fn http_1_1_needs_one_host() {
    let server = Server::start(large(), |_| {}).await;
    for (host, status) in [("host: x\r\n", 200), ("", 400), ("host: x\r\nhost: x\r\n", 400), ("host: x y\r\n", 400)] {
        let request = format!("GET /here HTTP/1.1\r\n{host}connection: close\r\n\r\n");
        let answer = answer(&mut server.send(&request).await).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host:?}: {answer}");
        assert!(answer.contains("x-content-type-options: nosniff"), "{answer}");
        assert_eq!(answer.contains("host_invalid"), status == 400, "{answer}");
    }
    let answer = answer(&mut server.send("GET /here HTTP/1.0\r\n\r\n").await).await;
    assert!(answer.starts_with("HTTP/1.0 200 ") || answer.starts_with("HTTP/1.1 200 "), "{answer}");
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

#[tokio::test]
async fn of_many_connections_that_waited_through_a_standstill_none_is_left() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1_024).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    for _ in 0..300 {
        waiting.push(TcpStream::connect(address).await.unwrap());
    }
    drop_waiting(&listener);
    assert!(unconstrained(listener.accept()).now_or_never().is_none());
}
