//! Sends requests to ingest, and classifies the answers: accepted, definitely refused, or unknown. The distinction
//! matters most: a refused request must never take effect. `/v1` states the outcome in the body. The original's surface
//! states it in headers, because its bodies have to stay as they are.

use std::time::Duration;

use chat::{EventId, Position};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::system::token;

/// The meaning of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted {
        id: EventId,
        position: Position,
        status: u16,
        /// Whether the answer says that the room's presenter is connected. None: it says nothing about it.
        connected: Option<bool>,
        /// Whether the answer says that the message waits for a moderator. The original's surface never does.
        is_held: bool,
    },
    Refused {
        status: u16,
        code: String,
    },
    Unknown(String),
}

/// A warning in the answer to a post.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Warning {
    pub(crate) id: EventId,
    pub(crate) reason: String,
}

/// Longer than ingest may take (`answered_in_time` of the checker), so that the checker sees slow answers.
const TIMEOUT: Duration = Duration::from_secs(12);

/// An HTTP client like a gateway's: pooled, with a deadline, without a proxy.
pub(crate) fn client() -> anyhow::Result<Client> {
    let client = testkit::client().redirect(reqwest::redirect::Policy::none());
    Ok(client.timeout(TIMEOUT).connect_timeout(Duration::from_secs(2)).build()?)
}

/// Sends one attempt to `/v1`.
pub(crate) async fn ask(
    client: &Client,
    method: Method,
    url: String,
    token: &str,
    key: Option<&str>,
    body: Option<&Value>,
) -> Answer {
    ask_and_be_warned(client, method, url, token, key, body).await.0
}

/// The same, with the warning that the answer has, whatever else it says.
pub(crate) async fn ask_and_be_warned(
    client: &Client,
    method: Method,
    url: String,
    token: &str,
    key: Option<&str>,
    body: Option<&Value>,
) -> (Answer, Option<Warning>) {
    #[derive(Deserialize)]
    struct Body {
        id: Option<EventId>,
        position: Option<Position>,
        code: Option<String>,
        outcome: Option<String>,
        presenter: Option<String>,
        #[serde(default)]
        held: bool,
        warning: Option<Warning>,
    }
    let request = client.request(method, url).bearer_auth(token);
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    let answer = match sent(request, key).await {
        Ok(answer) => answer,
        Err(answer) => return (answer, None),
    };
    let status = answer.status();
    let body = match answer.json::<Body>().await {
        Ok(body) => body,
        Err(error) => return (Answer::Unknown(format!("{status}, and {}", error.without_url())), None),
    };
    let code = body.code.unwrap_or_default();
    let connected = body.presenter.map(|presenter| presenter == "connected");
    let answer = match (body.id, body.position) {
        (Some(id), Some(position)) if status.is_success() => {
            Answer::Accepted { id, position, status: status.as_u16(), connected, is_held: body.held }
        }
        _ => not_accepted(status, body.outcome.as_deref(), code),
    };
    (answer, body.warning)
}

/// Sends one attempt to the original's surface, as its gateway forwards it. A presenter names no room when posting in
/// the presenter's own room.
pub(crate) async fn send_message(
    client: &Client,
    ingest: &str,
    user: i64,
    room: i64,
    key: Option<&str>,
    text: &str,
) -> Answer {
    /// The error body. Before ingest has reached the log, this surface too answers with a `/v1` problem.
    #[derive(Default, Deserialize)]
    struct Body {
        message: Option<String>,
        code: Option<String>,
        outcome: Option<String>,
    }
    let body = if user == room {
        json!({ "presenterIdx": null, "userType": "presenter", "textMessage": text })
    } else {
        json!({ "presenterIdx": room, "userType": "viewer", "textMessage": text })
    };
    let request = client
        .post(format!("{ingest}/send/message"))
        // The original's gateway forwards the token in this header.
        .header("token", token(user, false))
        .header("x-forward-userIdx", user.to_string())
        .header("x-forward-email", format!("user{user}%40example.com"))
        .header("x-forward-nickname", format!("%EC%8B%9C%EC%B2%AD%EC%9E%90+{user}"))
        .json(&body);
    let answer = match sent(request, key).await {
        Ok(answer) => answer,
        Err(answer) => return answer,
    };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let accepted = named(&headers, "message-id").zip(named(&headers, "message-position"));
    // The headers have the whole answer: it counts even if the connection breaks before the body.
    if let Some((id, position)) = accepted.filter(|_| status.is_success()) {
        // Only the presenter of the room is told.
        let connected = (user == room).then_some(status != StatusCode::ACCEPTED);
        return Answer::Accepted { id, position, status: status.as_u16(), connected, is_held: false };
    }
    let body: Body = answer.json().await.unwrap_or_default();
    let outcome = headers.get("message-outcome").and_then(|value| value.to_str().ok()).map(str::to_owned);
    not_accepted(status, outcome.or(body.outcome).as_deref(), body.code.or(body.message).unwrap_or_default())
}

/// The answer, or the meaning of a missing one.
async fn sent(request: RequestBuilder, key: Option<&str>) -> Result<Response, Answer> {
    let request = match key {
        Some(key) => request.header("idempotency-key", key),
        None => request,
    };
    request.send().await.map_err(|error| {
        // No connection: nothing was sent.
        if error.is_connect() {
            Answer::Refused { status: 0, code: "not_connected".to_owned() }
        } else {
            Answer::Unknown(error.without_url().to_string())
        }
    })
}

fn named<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// A 4xx stores nothing. Any other failure has to state its outcome.
fn not_accepted(status: StatusCode, outcome: Option<&str>, code: String) -> Answer {
    if status.is_client_error() || outcome == Some("not_stored") {
        Answer::Refused { status: status.as_u16(), code }
    } else {
        Answer::Unknown(format!("{status} {code}"))
    }
}
