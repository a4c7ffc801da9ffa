//! The platform around the pages: its web server with pages, modules and tokens, and its load balancer in front of the
//! delivery nodes.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Path as Name, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::{Role, SECRET, token};

/// The web server.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) address: SocketAddr,
    tokens_are_expired: Arc<AtomicBool>,
    serving: JoinHandle<()>,
}

impl Site {
    pub(super) async fn start() -> Site {
        let tokens_are_expired = Arc::new(AtomicBool::new(false));
        let router = Router::new()
            .route("/token", get(hand_out))
            .route("/documented/{delivery}", get(documented))
            .route("/example/{delivery}", get(example))
            .route("/packaged/{delivery}", get(packaged))
            .route("/packaged/node_modules/@chatting-server/web/dist/{name}", get(of_the_package))
            .route("/{name}", get(file))
            .with_state(tokens_are_expired.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Site { address, tokens_are_expired, serving }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Whether newly issued tokens have expired already.
    pub(super) fn expire_tokens(&self, expired: bool) {
        self.tokens_are_expired.store(expired, Ordering::SeqCst);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A token for the presenter 42.
async fn hand_out(State(expired): State<Arc<AtomicBool>>) -> String {
    if !expired.load(Ordering::SeqCst) {
        return token(42, "presenter");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({ "user_idx": 42, "nickname": "presenter", "exp": now - 1 });
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes()).unwrap();
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

/// The page of `docs/reference/presenter-js.md`, for a delivery node at another address than that of `dev`.
async fn documented(Name(delivery): Name<String>) -> impl IntoResponse {
    at(page_in(include_str!("../../docs/reference/presenter-js.md")), &delivery)
}

/// The same for the page in the README of the package for the web.
async fn packaged(Name(delivery): Name<String>) -> impl IntoResponse {
    at(page_in(include_str!("../../clients/web/README.md")), &delivery)
}

fn page_in(documentation: &str) -> &str {
    documentation.split("```html\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap()
}

/// A module of the package, as npm packs it.
async fn of_the_package(Name(name): Name<String>) -> impl IntoResponse {
    sent("text/javascript; charset=utf-8", &Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/web/dist").join(name))
}

/// The same for `examples/chat.html`.
async fn example(Name(delivery): Name<String>) -> impl IntoResponse {
    at(include_str!("../../examples/chat.html"), &delivery)
}

fn at(page: &str, delivery: &str) -> impl IntoResponse + use<> {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page.replace("127.0.0.1:8081", delivery))
}

/// A page of `tests/browser`, or a module of the tree.
async fn file(Name(name): Name<String>) -> impl IntoResponse {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    match name.rsplit_once('.') {
        Some((_, "html")) => sent("text/html; charset=utf-8", &root.join("tests/browser").join(name)),
        Some((_, "js")) => sent("text/javascript; charset=utf-8", &root.join("delivery/js").join(name)),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn sent(kind: &'static str, path: &Path) -> Response {
    match std::fs::read_to_string(path) {
        Ok(text) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A load balancer: new connections go to ready nodes in turn.
#[derive(Debug)]
pub(super) struct Balancer {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Balancer {
    pub(super) async fn start(nodes: &[&Role]) -> Balancer {
        let nodes: Vec<String> = nodes.iter().map(|node| node.url()).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, nodes.clone()));
            }
        });
        Balancer { address, accepting }
    }

    pub(super) fn ws_url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Forwards a connection to a ready node, or drops it if there is none.
async fn carry(mut client: TcpStream, nodes: Vec<String>) {
    let http = testkit::client().timeout(Duration::from_millis(500)).build().unwrap();
    for node in nodes {
        let ready = http.get(format!("{node}/readyz")).send().await;
        if ready.is_ok_and(|answer| answer.status().is_success())
            && let Ok(mut server) = TcpStream::connect(node.trim_start_matches("http://")).await
        {
            // Either end may disappear at any moment, as the tests intend.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}
