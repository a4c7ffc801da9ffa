//! The fast path and the router answer alike, to the byte.

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, VARY};
use axum::response::IntoResponse as _;
use axum::routing::post;
use conf::Span;
use http_body_util::BodyExt as _;

use super::*;
use crate::serve::bounded::{routed, with_bounds};
use crate::serve::tests::{Server, answer};
use crate::serve::{App, FairSlots, Metrics, Registry};

/// Answers `POST /` as the header `case` says.
#[derive(Debug, Clone)]
struct Cases;

const CASES: [&str; 9] = ["empty", "json", "accepted", "refused", "cached", "varied", "large", "panic", "slow"];

async fn handle(parts: &Parts, body: Body) -> Response {
    let length = body.collect().await.unwrap().to_bytes().len();
    match parts.headers.get("case").and_then(|case| case.to_str().ok()).unwrap_or_default() {
        "empty" => ([("message-id", "1"), ("ratelimit", "2")], ()).into_response(),
        "json" => axum::Json(length).into_response(),
        "accepted" => (StatusCode::ACCEPTED, "accepted").into_response(),
        "refused" => (StatusCode::UNAUTHORIZED, "no").into_response(),
        "cached" => ([(CACHE_CONTROL, "public, max-age=1")], "yes").into_response(),
        "varied" => ([(VARY, "accept-language")], "yes").into_response(),
        "large" => "x".repeat(64 * 1024).into_response(),
        "panic" => panic!("on purpose"),
        "slow" => std::future::pending().await,
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}

impl FastPath for Cases {
    type Route = ();

    fn route(&self, method: &Method, uri: &Uri) -> Option<()> {
        (method == Method::POST && uri.path() == "/").then_some(())
    }

    async fn answer(&self, (): (), parts: &Parts, body: Body, _peer: SocketAddr) -> Response {
        handle(parts, body).await
    }
}

fn router() -> Router {
    let handler = async |request: Request| {
        let (parts, body) = request.into_parts();
        handle(&parts, body).await
    };
    Router::new().route("/", post(handler))
}

/// The whole answer, without its time.
async fn wire(server: &Server, request: &str) -> String {
    let answer = answer(&mut server.send(request).await).await;
    answer.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ")).collect()
}

#[tokio::test]
async fn both_paths_send_the_same_bytes() {
    let [fast, slow] = [
        Server::start_with(router(), Cases, None, |config| config.request_timeout = Span::from_millis(300)).await,
        Server::start(router(), |config| config.request_timeout = Span::from_millis(300)).await,
    ];
    let mut requests = Vec::new();
    for case in CASES.into_iter().chain(["nothing"]) {
        for (version, host, header) in [
            ("1.1", "host: x\r\n", ""),
            ("1.1", "host: x\r\n", "token: t\r\n"),
            ("1.1", "host: x\r\n", "authorization: Bearer t\r\norigin: https://example.com\r\n"),
            ("1.1", "", ""),
            ("1.1", "host: x y\r\n", "token: t\r\n"),
            ("1.1", "host: x\r\nhost: x\r\n", ""),
            ("1.0", "", ""),
        ] {
            let head = format!(
                "{host}{header}x-request-id: r\r\ncase: {case}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"
            );
            requests.push(format!("POST / HTTP/{version}\r\n{head}"));
        }
    }
    for line in ["GET /", "OPTIONS /", "HEAD /", "POST /elsewhere", "POST /?a=b", "POST http://x/"] {
        let head = "host: x\r\nx-request-id: r\r\ncase: json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
        requests.push(format!("{line} HTTP/1.1\r\n{head}"));
    }
    for request in requests {
        let (fast, slow) = (wire(&fast, &request).await, wire(&slow, &request).await);
        assert_eq!(fast, slow, "{request}");
        assert!(fast.starts_with("HTTP/1.") && fast.contains("\r\nx-request-id: r\r\n"), "{request}: {fast}");
    }
}

#[tokio::test]
async fn a_connection_from_before_a_standstill_is_refused_on_both_paths() {
    let metrics = Metrics::declare(&Registry::new(), &FairSlots::new(1, 1));
    let app = with_bounds(App { router: router(), fast_path: Cases }, Duration::from_secs(5), metrics);
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let request = || Request::post("/").header("host", "x").header("case", "json").body(Body::empty()).unwrap();
    let (parts, body) = request().into_parts();
    let fast = Fast { route: (), parts, body, peer, stale: Some(Stale) };
    let fast = fast.answered(&Cases, Duration::from_secs(5), &Timers::default()).await;
    let slow = routed(app.router, request(), peer, Some(Stale)).await;
    assert_eq!((fast.status(), fast.status()), (slow.status(), StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(fast.headers(), slow.headers());
    let [fast, slow] = [fast, slow].map(|response| response.into_body().collect());
    assert_eq!(fast.await.unwrap().to_bytes(), slow.await.unwrap().to_bytes());
}
