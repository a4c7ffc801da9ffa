//! Every post gets a clear answer: a 2xx, and it is in the log exactly as sent (trimmed), or a documented 4xx, and it
//! is not. Never a 5xx, a panic or a hang.

mod cases;
mod http;
#[cfg(feature = "shared-data")]
mod shared_data;

use std::collections::HashMap;

use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::Value;

use crate::ingest::{Answer, System, answer};

/// One request.
#[derive(Debug, Clone)]
struct Case {
    name: String,
    method: Method,
    path: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
}

/// The ids of accepted posts, and the text that must be stored under each.
type Accepted = HashMap<String, String>;

/// 64 at once: enough to share fsyncs, and few enough that none is refused for overload.
const AT_ONCE: usize = 64;

/// Posts everything, and checks the form of every answer.
async fn post_all(system: &System, cases: impl IntoIterator<Item = Case>) -> Accepted {
    let answers: Vec<(Case, Answer)> = stream::iter(cases)
        .map(|case| async {
            let answer = post(system, &case).await;
            (case, answer)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut accepted = Accepted::new();
    for (case, answer) in &answers {
        if let Some(id) = check(case, answer) {
            let text = stored_text(&case.body);
            let before = accepted.insert(id, text.unwrap_or_else(|| panic!("accepted without a text: {case:?}")));
            assert_eq!(before, None, "two cases got one id: {case:?}");
        }
    }
    assert_eq!(answer(system.get("/readyz")).await.status, 200);
    assert!(!system.ingest.log().contains("panicked"), "{}", system.ingest.log());
    accepted
}

async fn post(system: &System, case: &Case) -> Answer {
    let mut request = system.client.request(case.method.clone(), system.ingest.url() + &case.path);
    for (name, value) in &case.headers {
        request = request.header(*name, value.as_slice());
    }
    answer(request.body(case.body.clone())).await
}

/// The id, if it was accepted.
#[track_caller]
fn check(case: &Case, answer: &Answer) -> Option<String> {
    let name = &case.name;
    let is_v1 = case.path.starts_with("/v1/");
    assert!(answer.status.is_success() || answer.status.is_client_error(), "{name}: {answer:?}");
    if answer.status.is_client_error() {
        if case.method == Method::HEAD {
            assert_eq!(answer.body, "");
        } else if is_v1 {
            assert_eq!(answer.header("content-type"), "application/problem+json", "{name}");
            assert!(answer.json()["code"].is_string(), "{name}: {answer:?}");
        } else {
            let message = answer.json()["message"].as_str().map(str::to_owned);
            let message = message.unwrap_or_else(|| panic!("{name}: {answer:?}"));
            let path = case.path.split('?').next().unwrap();
            answer.assert_original_body(answer.status.as_u16(), &message, path);
        }
        return None;
    }
    if case.method != Method::POST {
        return None;
    }
    if is_v1 {
        assert_eq!(answer.status, 202, "{name}");
        return Some(answer.json()["id"].as_str().unwrap().to_owned());
    }
    assert!(answer.status == 202 || answer.body.is_empty(), "{name}: {answer:?}");
    Some(answer.header("message-id").to_owned())
}

/// The text that must be stored for an accepted body.
fn stored_text(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Sent {
        #[serde(rename = "textMessage")]
        text_message: Option<String>,
        text: Option<String>,
    }
    let sent: Sent = serde_json::from_slice(body).ok()?;
    Some(sent.text_message.or(sent.text)?.trim().to_owned())
}

#[tokio::test]
async fn every_bad_input_gets_a_clear_answer_and_what_is_accepted_is_stored_as_sent() {
    let system = System::start().await;
    let cases = cases::all();
    assert!(cases.len() >= 120, "{} cases", cases.len());
    let count = cases.len();
    let accepted = post_all(&system, cases).await;
    let stored: Accepted = system
        .messages()
        .await
        .iter()
        .map(|message| {
            let text = |member: &Value| member.as_str().unwrap().to_owned();
            (text(&message["id"]), text(&message["text"]))
        })
        .collect();
    assert_eq!(stored, accepted);
    assert!(accepted.len() > 20 && accepted.len() < count / 2, "{} of {count} were accepted", accepted.len());
}
