//! The review hook: a program of the platform's own that is asked about every message before it is accepted, by an HTTP
//! request signed as Standard Webhooks wants it. It has a deadline, a bounded number of questions at once and a circuit
//! breaker. Whatever is not a plain answer is a failure, and for failures the operator has said what holds. What a
//! verdict means to the sender is not decided here.

mod signature;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use nats::{EventId, PresenterIdx, User, now};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use web::NoAnswer;

use crate::breaker::{Breaker, Change};
use crate::config::ReviewConfig;
use crate::text::Text;

pub use self::signature::SigningKey;

/// 64 KB: the longest replacement has 8 KB, and six times that where every byte is escaped.
const LARGEST_ANSWER_BYTES: usize = 64 * 1024;

/// Characters of a reason; what is longer is cut.
const LONGEST_REASON: usize = 200;

/// What becomes of a message for which the hook has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fallback {
    /// It is accepted, with the flag `review.unavailable`.
    Allow,
    /// It is refused, for no fault of its sender.
    Deny,
}

/// The flag of a message that nobody could be asked about.
pub(crate) const UNAVAILABLE_FLAG: &str = "review.unavailable";

/// A message that the hook is asked about.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Question<'a> {
    pub(crate) id: EventId,
    #[serde(rename = "presenterIdx")]
    pub(crate) presenter: PresenterIdx,
    pub(crate) user: &'a User,
    pub(crate) text: &'a str,
    /// What the word filter found.
    pub(crate) flags: &'a [String],
}

/// What holds for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allow,
    /// This text takes the place of the message's.
    Replace(Text),
    /// The reason, if there is one, is the hook's, in one line of at most 200 characters.
    Deny {
        reason: Option<String>,
    },
    /// There was no answer; the log says why.
    Unavailable(Fallback),
}

#[derive(Debug)]
pub(crate) struct Review {
    client: Client,
    url: Url,
    key: SigningKey,
    deadline: Duration,
    fallback: Fallback,
    slots: Semaphore,
    breaker: Breaker,
}

/// The body of a question.
#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    data: &'a Question<'a>,
}

/// The body of an answer, whose status is 200.
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
enum Answer {
    Allow,
    Deny { reason: Option<String> },
    Replace { text: String },
}

#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error("the answer is not {{\"action\": \"allow\", \"deny\" or \"replace\"}} as documented")]
    NotUnderstood,
    #[error("the answer replaces the text by one that no message may have")]
    InvalidText,
}

impl Review {
    /// None: nobody is to be asked. The client follows no redirects. Err: what is wrong with the configuration.
    pub(crate) fn new(client: Client, config: &ReviewConfig) -> Result<Option<Review>, String> {
        config.check()?;
        let (Some(url), Some(key)) = (config.url.clone(), config.secret.clone()) else { return Ok(None) };
        Ok(Some(Review {
            client,
            url,
            key,
            deadline: Duration::from_millis(config.deadline_ms),
            fallback: config.fallback,
            slots: Semaphore::new(config.max_in_flight.min(Semaphore::MAX_PERMITS)),
            breaker: Breaker::new(config.breaker_failures, Duration::from_millis(config.breaker_open_ms)),
        }))
    }

    /// How long a question may take.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// What the hook says of the message, within the deadline.
    pub(crate) async fn ask(&self, question: &Question<'_>) -> Verdict {
        let (id, unavailable) = (question.id, Verdict::Unavailable(self.fallback));
        // No failure of the hook's: the breaker does not hear of it.
        let Ok(_slot) = self.slots.try_acquire() else {
            tracing::debug!(%id, "too many questions for the review hook, message {id} is not one of them");
            return unavailable;
        };
        if !self.breaker.may_ask(Instant::now()) {
            return unavailable;
        }
        match self.request(question).await {
            Ok(verdict) => {
                if self.breaker.succeeded() == Change::Closed {
                    tracing::info!("the review hook answers again");
                }
                verdict
            }
            Err(error) => {
                if self.breaker.failed(Instant::now()) == Change::Opened {
                    tracing::warn!(%error, "the review hook does not answer, asking it less often: {error}");
                } else {
                    tracing::debug!(%error, %id, "the review hook does not answer for message {id}: {error}");
                }
                unavailable
            }
        }
    }

    async fn request(&self, question: &Question<'_>) -> Result<Verdict, AskError> {
        let (id, at) = (question.id.to_string(), now());
        let envelope = Envelope { kind: "message.review", timestamp: format!("{at:.3}"), data: question };
        let body = serde_json::to_vec(&envelope).expect("a question has string keys and no failing serializer");
        let seconds = at.as_second().to_string();
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-signature", self.key.sign(&id, &seconds, &body))
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .timeout(self.deadline)
            .body(body);
        verdict(&web::answer(request, LARGEST_ANSWER_BYTES).await?)
    }
}

fn verdict(answer: &[u8]) -> Result<Verdict, AskError> {
    match serde_json::from_slice(answer).map_err(|_| AskError::NotUnderstood)? {
        Answer::Allow => Ok(Verdict::Allow),
        Answer::Deny { reason } => Ok(Verdict::Deny { reason: reason.as_deref().and_then(one_line) }),
        Answer::Replace { text } => Text::parse(&text).map(Verdict::Replace).map_err(|_| AskError::InvalidText),
    }
}

/// None: nothing is left.
fn one_line(reason: &str) -> Option<String> {
    let line: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_REASON).collect();
    let line = line.trim();
    (!line.is_empty()).then(|| line.to_owned())
}
