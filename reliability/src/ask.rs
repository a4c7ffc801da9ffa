//! A request to ingest, and which of three things its answer means: accepted, refused for certain, or nobody knows. The
//! distinction is the heart of the matter: what counts as refused must never appear. The two surfaces say it in
//! different ways, `/v1` in its bodies and the original's in its headers, because its bodies are not ours to change.

use std::time::Duration;

use chat::{EventId, Position};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::system::token;

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted {
        id: EventId,
        position: Position,
        status: u16,
        /// Whether it takes the room's presenter to be connected, if it says so.
        connected: Option<bool>,
    },
    Refused {
        status: u16,
        code: String,
    },
    Unknown(String),
}

/// Longer than ingest may take to answer (`answered_in_time` of the checker), so that it is seen if it takes longer.
const TIMEOUT: Duration = Duration::from_secs(12);

/// A client as the gateway has one: with a pool, a deadline and no proxy.
pub(crate) fn client() -> anyhow::Result<Client> {
    let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    Ok(client.timeout(TIMEOUT).connect_timeout(Duration::from_secs(2)).build()?)
}

/// One attempt on `/v1`.
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
        presenter: Option<String>,
    }
    let request = client.request(method, url).bearer_auth(token);
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    let answer = match sent(request, key).await {
        Ok(answer) => answer,
        Err(answer) => return answer,
    };
    let status = answer.status();
    let body = match answer.json::<Body>().await {
        Ok(body) => body,
        Err(error) => return Answer::Unknown(format!("{status}, and {}", error.without_url())),
    };
    let code = body.code.unwrap_or_default();
    let connected = body.presenter.map(|presenter| presenter == "connected");
    match (body.id, body.position) {
        (Some(id), Some(position)) if status.is_success() => {
            Answer::Accepted { id, position, status: status.as_u16(), connected }
        }
        _ => not_accepted(status, body.outcome.as_deref(), code),
    }
}

/// One attempt to post on the original's surface, as its gateway forwards it. A presenter who writes in the own room
/// names none.
pub(crate) async fn send_message(
    client: &Client,
    ingest: &str,
    user: i64,
    room: i64,
    key: Option<&str>,
    text: &str,
) -> Answer {
    /// The error body; before an ingest has reached the log it is a problem of `/v1` here too.
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
        // The gateway leaves it where it was.
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
    // Everything that counts came with the headers: whoever loses the connection now knows it all the same.
    if let Some((id, position)) = accepted.filter(|_| status.is_success()) {
        // Only who writes in the own room is told.
        let connected = (user == room).then_some(status != StatusCode::ACCEPTED);
        return Answer::Accepted { id, position, status: status.as_u16(), connected };
    }
    let body: Body = answer.json().await.unwrap_or_default();
    let outcome = headers.get("message-outcome").and_then(|value| value.to_str().ok()).map(str::to_owned);
    not_accepted(status, outcome.or(body.outcome).as_deref(), body.code.or(body.message).unwrap_or_default())
}

/// The answer, or what it means that there is none.
async fn sent(request: RequestBuilder, key: Option<&str>) -> Result<Response, Answer> {
    let request = match key {
        Some(key) => request.header("idempotency-key", key),
        None => request,
    };
    request.send().await.map_err(|error| {
        // There was no connection to send anything over.
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

/// A request that was refused as such is stored nowhere. Of anything else it has to be said.
fn not_accepted(status: StatusCode, outcome: Option<&str>, code: String) -> Answer {
    if status.is_client_error() || outcome == Some("not_stored") {
        Answer::Refused { status: status.as_u16(), code }
    } else {
        Answer::Unknown(format!("{status} {code}"))
    }
}
