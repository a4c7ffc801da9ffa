//! The review hook: a program of the platform's own that is asked about every message before it is accepted, by an HTTP
//! request signed as Standard Webhooks wants it. It has a deadline, a bounded number of questions at once and circuit
//! breakers, one for all and one a room, that no single user opens. Whatever is not a plain answer is a failure, and for failures the operator has said what holds. What a
//! verdict means to the sender is not decided here.

mod signature;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat::{EventId, PresenterIdx, User, now};
use conf::Address;
use moka::sync::Cache;
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use web::NoAnswer;

use crate::config::ReviewConfig;
use crate::outbound::circuit_breaker::{About, Breaker, Change, Failure, Scope};
use crate::outbound::log_throttle::Seldom;
use crate::posting::text::Text;

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
    address: Address,
    key: SigningKey,
    deadline: Duration,
    fallback: Fallback,
    slots: Semaphore,
    breakers: Breakers,
    refusals: Seldom,
}

/// When not to ask: about no room, or about those of which alone the questions fail.
#[derive(Debug)]
struct Breakers {
    failures: u32,
    pause: Duration,
    all: Breaker,
    rooms: Cache<PresenterIdx, Arc<Breaker>>,
}

/// 10,000 rooms with failures, some 10 MB at the most: those that did not fail for longest are forgotten first.
const MOST_ROOMS: u64 = 10_000;

/// 10 minutes: a room without failures for so long starts anew.
const ROOM_IDLE: Duration = Duration::from_secs(600);

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
        let (Some(address), Some(key)) = (&config.url, config.secret.clone()) else { return Ok(None) };
        Ok(Some(Review {
            client,
            address: address.clone(),
            key,
            deadline: config.deadline.get(),
            fallback: config.fallback,
            slots: Semaphore::new(config.max_in_flight.min(Semaphore::MAX_PERMITS)),
            breakers: Breakers::new(config.breaker_failures, config.breaker_open.get()),
            refusals: Seldom::new(),
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
        let about = About { room: question.presenter, user: question.user.idx };
        if !self.breakers.may_ask(about) {
            return unavailable;
        }
        match self.request(question).await {
            Ok(verdict) => {
                self.breakers.succeeded(about);
                verdict
            }
            Err(AskError::NoAnswer(error)) if error.is_refusal() => {
                if self.refusals.may_say(Instant::now()) {
                    tracing::warn!(%error, %id, "the review hook refuses to review message {id}, and maybe others: {error}");
                }
                unavailable
            }
            Err(error) => {
                self.breakers.failed(about, id, &error);
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
            .post(self.address.url().clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-signature", self.key.sign(&id, &seconds, &body))
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .timeout(self.deadline)
            .body(body);
        verdict(&web::answer(request, LARGEST_ANSWER_BYTES).await?)
    }
}

impl Breakers {
    fn new(failures: u32, pause: Duration) -> Breakers {
        let rooms = Cache::builder().max_capacity(MOST_ROOMS).time_to_idle(ROOM_IDLE).build();
        Breakers { failures, pause, all: Breaker::new(failures, Scope::All, pause), rooms }
    }

    fn may_ask(&self, about: About) -> bool {
        let now = Instant::now();
        // The room's first: what it keeps back is no probe for all.
        self.rooms.get(&about.room).is_none_or(|room| room.may_ask(about, now)) && self.all.may_ask(about, now)
    }

    fn succeeded(&self, about: About) {
        if self.rooms.remove(&about.room).is_some_and(|room| room.succeeded() == Change::Closed) {
            let presenter = about.room;
            tracing::info!(%presenter, "the review hook answers again for room {presenter}");
        }
        if self.all.succeeded() == Change::Closed {
            tracing::info!("the review hook answers again");
        }
    }

    fn failed(&self, about: About, id: EventId, error: &AskError) {
        let now = Instant::now();
        let failure = match error {
            AskError::NoAnswer(error) if error.is_unreachable() => Failure::Unreachable,
            _ => Failure::NoAnswer,
        };
        let presenter = about.room;
        let room = self.rooms.get_with(presenter, || Arc::new(Breaker::new(self.failures, Scope::Room, self.pause)));
        // Where nothing can be connected to, the one for all speaks.
        let in_room = room.failed(about, Failure::NoAnswer, now);
        match (self.all.failed(about, failure, now), in_room) {
            (Change::Opened, _) => {
                tracing::warn!(%error, "the review hook does not answer, asking it less often: {error}");
            }
            (_, Change::Opened) => {
                let seldom = "asking it less often about that room";
                tracing::warn!(%error, %presenter, "the review hook does not answer for room {presenter}, {seldom}: {error}");
            }
            _ => tracing::debug!(%error, %id, "the review hook does not answer for message {id}: {error}"),
        }
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
