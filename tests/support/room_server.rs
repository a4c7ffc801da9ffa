//! A stand-in for the room server, on its own thread, that fails in the ways such servers do.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{listen_again, port};

/// The answer to every request.
#[derive(Debug, Clone, Copy)]
pub enum Behaviour {
    /// A correct answer.
    Answer,
    /// A correct answer, late.
    Delay(Duration),
    /// This status, with the body of a correct answer.
    Status(u16),
    /// A redirect to a URL that would answer live.
    Redirect,
    /// 200 with an invalid body.
    Garbage,
    /// A correct answer, but this status for rooms of 2^31 and more, which it cannot represent.
    Narrow(u16),
}

#[derive(Debug)]
struct Shared {
    live: Mutex<HashMap<i64, bool>>,
    behaviour: Mutex<Behaviour>,
    requests: AtomicUsize,
}

/// `POST /room/live/check`. Every room is live until it is switched off.
#[derive(Debug)]
pub struct RoomServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    // Its own runtime: shutting it down closes every connection.
    runtime: Mutex<Option<Runtime>>,
}

impl RoomServer {
    pub async fn start() -> RoomServer {
        let shared = Shared {
            live: Mutex::default(),
            behaviour: Mutex::new(Behaviour::Answer),
            requests: AtomicUsize::default(),
        };
        let address = SocketAddr::from(([127, 0, 0, 1], port()));
        let server = RoomServer { address, shared: Arc::new(shared), runtime: Mutex::default() };
        server.start_again().await;
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set_live(&self, presenter: i64, live: bool) {
        self.shared.live.lock().insert(presenter, live);
    }

    pub fn set_behaviour(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock() = behaviour;
    }

    /// The number of requests.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Closes the port and every connection.
    pub async fn stop(&self) {
        let runtime = self.runtime.lock().take().expect("the room server runs");
        tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(5))).await.unwrap();
    }

    /// Opens the same port again.
    pub async fn start_again(&self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // The server's own runtime must know it.
        let listener = listen_again(self.address).await.into_std().unwrap();
        let app = Router::new()
            .route("/room/live/check", post(live_check))
            .route("/elsewhere", post(async || Json(answer(true))).get(async || Json(answer(true))))
            .with_state(Arc::clone(&self.shared));
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, app).await.unwrap();
        });
        *self.runtime.lock() = Some(runtime);
    }
}

impl Drop for RoomServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.lock().take() {
            // A runtime must not be dropped inside another one, because that blocks.
            runtime.shutdown_background();
        }
    }
}

fn answer(alive: bool) -> Value {
    json!({ "timestamp": "2024-01-01 00:00:00", "message": "success", "data": { "alive": alive } })
}

async fn live_check(State(shared): State<Arc<Shared>>, Json(body): Json<Value>) -> Response {
    shared.requests.fetch_add(1, Ordering::Relaxed);
    // The contract: digits, as a JSON string.
    let Some(presenter) = body["presenterIdx"].as_str().and_then(|digits| digits.parse::<i64>().ok()) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let alive = *shared.live.lock().get(&presenter).unwrap_or(&true);
    let behaviour = *shared.behaviour.lock();
    match behaviour {
        Behaviour::Answer => Json(answer(alive)).into_response(),
        Behaviour::Delay(delay) => {
            tokio::time::sleep(delay).await;
            Json(answer(alive)).into_response()
        }
        Behaviour::Status(status) => (StatusCode::from_u16(status).unwrap(), Json(answer(alive))).into_response(),
        Behaviour::Redirect => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/elsewhere")]).into_response(),
        Behaviour::Narrow(status) if presenter >= 1 << 31 => StatusCode::from_u16(status).unwrap().into_response(),
        Behaviour::Narrow(_) => Json(answer(alive)).into_response(),
        Behaviour::Garbage => "<html>It works!</html>".into_response(),
    }
}
