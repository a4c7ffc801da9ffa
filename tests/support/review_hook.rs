//! A stand-in for a platform's review hook. It accepts only requests that the reference implementation of Standard
//! Webhooks accepts, and fails in the ways such hooks do.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::Settings;

/// The key of the hook in tests.
const KEY: &str = "whsec_YSBrZXkgb2YgdGhlIHRlc3RzLCBvZiAzMiBieXRlcyE=";

/// The answer to every request.
#[derive(Debug, Clone)]
pub enum Says {
    Allow,
    Deny(Option<&'static str>),
    Replace(String),
    Hold,
    /// Allow, late.
    Delay(Duration),
    /// Allow, once this is notified.
    AllowAfter(Arc<Notify>),
    /// Allow, with this status.
    Status(u16),
    /// A redirect to a URL that would allow.
    Redirect,
    /// 200 with this body.
    Garbage(String),
}

/// A received request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The header `webhook-id`.
    pub id: String,
    pub body: Value,
}

/// `POST /review`
#[derive(Debug)]
pub struct ReviewHook {
    url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    says: Mutex<Says>,
    /// Answers for single texts.
    says_to: Mutex<Option<(String, Says)>>,
    asked: Mutex<Vec<Asked>>,
}

impl ReviewHook {
    pub async fn start() -> ReviewHook {
        let shared =
            Arc::new(Shared { says: Mutex::new(Says::Allow), says_to: Mutex::default(), asked: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/review", listener.local_addr().unwrap());
        let app = Router::new()
            .route("/review", post(review))
            .route("/elsewhere", post(async || json!({"action": "allow"}).to_string()))
            .with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        ReviewHook { url, shared, task }
    }

    /// Configures ingest to ask this hook.
    pub fn settings(&self, settings: Settings) -> Settings {
        settings.set("ingest.review.url", &self.url).set("ingest.review.secret", KEY)
    }

    pub fn say(&self, says: Says) {
        *self.shared.says.lock() = says;
    }

    /// Sets another answer for one text.
    pub fn say_to(&self, text: &str, says: Says) {
        *self.shared.says_to.lock() = Some((text.to_owned(), says));
    }

    /// Every request with a valid signature, in order of arrival.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().clone()
    }
}

impl Drop for ReviewHook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn review(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    if let Err(error) = Webhook::new(KEY).unwrap().verify(&body, &headers) {
        return (StatusCode::UNAUTHORIZED, error.to_string()).into_response();
    }
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let text = body["data"]["text"].as_str().unwrap().to_owned();
    shared.asked.lock().push(Asked { id, body });

    let allow = json!({"action": "allow"}).to_string();
    let special = shared.says_to.lock().clone().filter(|(special, _)| *special == text).map(|(_, says)| says);
    let says = special.unwrap_or_else(|| shared.says.lock().clone());
    match says {
        Says::Allow => allow.into_response(),
        Says::Deny(reason) => json!({"action": "deny", "reason": reason}).to_string().into_response(),
        Says::Hold => json!({"action": "hold"}).to_string().into_response(),
        Says::Replace(text) => json!({"action": "replace", "text": text}).to_string().into_response(),
        Says::Delay(delay) => {
            tokio::time::sleep(delay).await;
            allow.into_response()
        }
        Says::AllowAfter(moment) => {
            moment.notified().await;
            allow.into_response()
        }
        Says::Status(status) => (StatusCode::from_u16(status).unwrap(), allow).into_response(),
        Says::Redirect => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/elsewhere")]).into_response(),
        Says::Garbage(body) => body.into_response(),
    }
}
