//! A review hook like a platform's. It allows, denies, holds, replaces, answers late or fails, by the number at the end
//! of the text, so that every attempt of a post gets the same verdict. Verdicts are recorded.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use judge::history::{Observation, Recorder, ReviewVerdict};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// In so many posts, one is denied, one replaced, two wait for a moderator, one is answered too late, and one not
/// answered.
const OF: u64 = 50;

/// Longer than ingest waits in a run.
const TOO_LONG: Duration = Duration::from_secs(3);

/// Of [`OF`] posts, this one is replaced.
const REPLACED: u64 = 17;

/// Whether the post gets another text.
pub(crate) fn replaces(post: u64) -> bool {
    post % OF == REPLACED
}

#[derive(Debug, Deserialize)]
struct Question {
    data: Data,
}

#[derive(Debug, Deserialize)]
struct Data {
    text: String,
}

/// The recorder, once the run has begun.
pub(crate) type Notes = Arc<OnceLock<Arc<Recorder>>>;

/// Starts the hook. Returns its address.
pub(crate) async fn start(notes: Notes) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let router = Router::new().route("/review", post(review)).with_state(notes);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn review(State(notes): State<Notes>, Json(question): Json<Question>) -> Result<Json<Value>, StatusCode> {
    let text = question.data.text;
    // The last words of presenters are nothing but a number. Each is allowed, because the run waits for them.
    let said = text.rsplit_once('#').filter(|(words, _)| !words.is_empty());
    let number: Option<u64> = said.and_then(|(_, number)| number.parse().ok());
    let verdict = match number.map(|number| (number, number % OF)) {
        Some((_, 7)) => ReviewVerdict::Deny,
        Some((_, 12 | 33)) => ReviewVerdict::Hold,
        Some((number, REPLACED)) => ReviewVerdict::Replace { with: format!("in other words #{number}") },
        Some((_, 27 | 37)) => ReviewVerdict::NoAnswer,
        _ => ReviewVerdict::Allow,
    };
    let answer = match &verdict {
        ReviewVerdict::Allow => Ok(json!({ "action": "allow" })),
        ReviewVerdict::Deny => Ok(json!({ "action": "deny", "reason": "seven" })),
        ReviewVerdict::Hold => Ok(json!({ "action": "hold" })),
        ReviewVerdict::Replace { with } => Ok(json!({ "action": "replace", "text": with })),
        ReviewVerdict::NoAnswer => Err(StatusCode::INTERNAL_SERVER_ERROR),
    };
    if number.is_some_and(|number| number % OF == 27) {
        tokio::time::sleep(TOO_LONG).await;
    }
    // Most verdicts allow, and need no record.
    if let (Some(recorder), false) = (notes.get(), verdict == ReviewVerdict::Allow) {
        recorder.note(Observation::Reviewed { text, verdict });
    }
    answer.map(Json)
}
