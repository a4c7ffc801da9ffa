//! Posts messages as the gateway would, and retries under the same key while the outcome is unknown. Real clients do
//! the same, so a restart in between loses nothing.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use chat::{EventId, Position, PresenterIdx};
use serde_json::{Value, json};

/// The outcome of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log.
    Accepted {
        /// Its id.
        id: EventId,
        /// Its position in the log.
        position: Position,
    },
    /// Refused, with the reason that the sender was given.
    Refused(String),
    /// It may be stored: there was no clear answer for longer than a client would wait.
    Unknown(String),
}

/// A line and its outcome.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(super) room: PresenterIdx,
    pub(super) user: i64,
    /// The line of the recording.
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) outcome: Outcome,
}

/// A client that posts messages.
#[derive(Debug)]
pub(crate) struct Poster {
    client: reqwest::Client,
    url: String,
    patience: Duration,
}

/// Longer than the deadline of an append, so that ingest answers first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// The pause between two attempts. It doubles up to the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Poster {
    pub(crate) fn new(ingest: &str, patience: Duration) -> anyhow::Result<Poster> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ANSWER_TIMEOUT)
            .build()
            .context("cannot create an HTTP client")?;
        Ok(Poster { client, url: format!("{ingest}/send/message"), patience })
    }

    pub(super) async fn post(&self, token: &str, room: PresenterIdx, is_presenter: bool, text: &str) -> Outcome {
        let key = uuid::Uuid::new_v4().to_string();
        let body = json!({
            "presenterIdx": room.get(),
            "userType": if is_presenter { "presenter" } else { "viewer" },
            "textMessage": text,
        });
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let reason = match self.attempt(token, &key, &body).await {
                Ok(outcome) => return outcome,
                Err(reason) => reason,
            };
            if started.elapsed() + pause > self.patience {
                return Outcome::Unknown(reason);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Err: the outcome is unknown, and the request may be retried.
    async fn attempt(&self, token: &str, key: &str, body: &Value) -> Result<Outcome, String> {
        let request = self.client.post(&self.url).header("token", token).header("idempotency-key", key).json(body);
        let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
        let status = answer.status();
        if status.is_server_error() {
            return Err(format!("answered {status}"));
        }
        if status.is_success() {
            let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
            let id = header("message-id").and_then(|id| id.parse().ok());
            let position = header("message-position").and_then(|position| position.parse().ok());
            return Ok(match (id, position) {
                (Some(id), Some(position)) => Outcome::Accepted { id, position },
                _ => Outcome::Unknown(format!("answered {status} without a message-id or message-position")),
            });
        }
        // Several refusals share a sentence. The code tells them apart.
        let code = answer.headers().get("message-code").and_then(|code| code.to_str().ok()).unwrap_or_default();
        let reason = format!("{} {code}", status.as_u16());
        let error: Value = answer.json().await.unwrap_or_default();
        let said = error["message"].as_str().unwrap_or("no message");
        Ok(Outcome::Refused(format!("{}: {said}", reason.trim_end())))
    }
}
