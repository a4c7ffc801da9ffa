//! A request to ingest, and which of three things its answer means: accepted, refused for certain, or nobody knows. The
//! distinction is the heart of the matter: what counts as refused must never appear.

use std::time::Duration;

use nats::{EventId, Position};
use reqwest::{Client, Method};
use serde::Deserialize;
use serde_json::Value;

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted { id: EventId, position: Position },
    Refused { status: u16, code: String },
    Unknown(String),
}

/// Longer than the deadline of an append, so that ingest answers first if it can.
const TIMEOUT: Duration = Duration::from_secs(8);

/// A client as the gateway has one: with a pool, a deadline and no proxy.
pub(crate) fn client() -> anyhow::Result<Client> {
    let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    Ok(client.timeout(TIMEOUT).connect_timeout(Duration::from_secs(2)).build()?)
}

/// One attempt.
pub(crate) async fn ask(
    client: &Client,
    method: Method,
    url: String,
    token: &str,
    key: Option<&str>,
    body: Option<&Value>,
) -> Answer {
    #[derive(Deserialize)]
    struct Body {
        id: Option<EventId>,
        position: Option<Position>,
        code: Option<String>,
        outcome: Option<String>,
    }
    let request = client.request(method, url).bearer_auth(token);
    let request = match key {
        Some(key) => request.header("idempotency-key", key),
        None => request,
    };
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    let answer = match request.send().await {
        Ok(answer) => answer,
        // There was no connection to send anything over.
        Err(error) if error.is_connect() => return Answer::Refused { status: 0, code: "not_connected".to_owned() },
        Err(error) => return Answer::Unknown(error.without_url().to_string()),
    };
    let status = answer.status();
    let body = match answer.json::<Body>().await {
        Ok(body) => body,
        Err(error) => return Answer::Unknown(format!("{status}, and {}", error.without_url())),
    };
    let code = body.code.unwrap_or_default();
    match (body.id, body.position) {
        (Some(id), Some(position)) if status.is_success() => Answer::Accepted { id, position },
        _ if status.is_client_error() => Answer::Refused { status: status.as_u16(), code },
        _ if body.outcome.as_deref() == Some("not_stored") => Answer::Refused { status: status.as_u16(), code },
        _ => Answer::Unknown(format!("{status} {code}")),
    }
}
