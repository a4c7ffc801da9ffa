//! The review hook: a service of the platform that is asked about every message before it is accepted, by an HTTP
//! request signed according to Standard Webhooks. Requests have a deadline and a bound on their number. Two kinds of
//! circuit breaker, one for all rooms and one per room, cannot be opened by a single user. An answer that cannot be
//! parsed is a failure. The configured fallback decides about failures. The caller decides what a verdict means to the
//! sender.

mod signature;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat::{EventId, PresenterIdx, User, now};
use conf::{Address, Span, optional_address};
use metrics::Registry;
use parking_lot::RwLock;
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use runtime::ShardedLru;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use web::NoAnswer;

use crate::outbound::circuit_breaker::{About, Change, CircuitBreaker, Failure, Scope};
use crate::outbound::log_throttle::LogThrottle;
use crate::outbound::metrics::OutboundMetrics;
use crate::posting::text::Text;

pub use self::signature::SigningKey;

/// 64 KB: the longest replacement has 8 KB, or six times that if every byte is escaped.
const LARGEST_ANSWER_BYTES: usize = 64 * 1024;

/// Characters of a reason. Longer reasons are cut.
const LONGEST_REASON: usize = 200;

/// The section `[ingest.review]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewConfig {
    /// Where every message is posted before it is accepted. Empty: nowhere.
    #[serde(deserialize_with = "optional_address")]
    pub url: Option<Address>,
    /// Signs the request: `whsec_` and the base64 of at least 24 bytes. Required with a url.
    #[serde(default)]
    pub secret: Option<SigningKey>,
    /// The time for a whole answer.
    pub deadline: Span,
    /// The decision about a message without an answer.
    pub fallback: Fallback,
    /// Concurrent requests. The fallback applies to more.
    pub max_in_flight: usize,
    /// How many users, in as many rooms, have to fail before the breaker opens.
    pub breaker_failures: u32,
    /// How long the breaker stays open before it lets one request through.
    pub breaker_open: Span,
}

/// What happens to a message when the hook gives no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fallback {
    /// It is accepted, with the flag `review.unavailable`.
    Allow,
    /// It is refused with 503, `review_unavailable`.
    Deny,
    /// It waits for a moderator, with the flag `review.unavailable`.
    Hold,
}

/// The flag of a message that was accepted without a review.
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
    /// The word filter's findings.
    pub(crate) flags: &'a [String],
}

/// The outcome of a review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allow,
    /// This text replaces the message's.
    Replace(Text),
    /// The message waits for a moderator.
    Hold,
    /// With the hook's reason, if it gave one: one line of at most 200 characters.
    Deny {
        reason: Option<String>,
    },
    /// There was no answer. The reason is logged.
    Unavailable(Fallback),
}

#[derive(Debug)]
pub(crate) struct Review {
    client: Client,
    address: Address,
    key: RwLock<SigningKey>,
    deadline: Duration,
    fallback: Fallback,
    slots: Semaphore,
    breakers: Breakers,
    refusals: LogThrottle,
    metrics: OutboundMetrics,
}

/// The breaker for all rooms, and those for rooms with failures.
#[derive(Debug)]
struct Breakers {
    failures: u32,
    pause: Duration,
    all: CircuitBreaker,
    rooms: ShardedLru<PresenterIdx, RoomBreaker>,
}

#[derive(Debug, Clone)]
struct RoomBreaker {
    breaker: Arc<CircuitBreaker>,
    used: Instant,
}

/// 10,000 rooms with failures, about 10 MB at most. The rooms that were unused longest are forgotten first.
const MOST_ROOMS: usize = 10_000;

/// 10 minutes: a room's breaker that was unused for that long starts anew.
const ROOM_IDLE: Duration = Duration::from_secs(600);

/// The body of a request.
#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    data: &'a Question<'a>,
}

/// The body of an answer with status 200.
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
enum HookAnswer {
    Allow,
    Deny { reason: Option<String> },
    Hold,
    Replace { text: String },
}

#[derive(Debug, thiserror::Error)]
enum HookError {
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error("the answer is not {{\"action\": \"allow\", \"deny\", \"hold\" or \"replace\"}} as documented")]
    NotUnderstood,
    #[error("the answer replaces the text with one that is not a valid message text")]
    InvalidText,
}

impl ReviewConfig {
    /// Err: what is missing, naming the key.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.url.is_some() && self.secret.is_none() {
            let missing = "ingest.review.secret is required with ingest.review.url";
            return Err(format!("{missing}: set it to whsec_ and the base64 of at least 24 bytes"));
        }
        Ok(())
    }
}

impl Review {
    /// None: no hook is configured. `client` must not follow redirects. Err: what is wrong with the configuration.
    pub(crate) fn new(client: Client, config: &ReviewConfig) -> Result<Option<Review>, String> {
        config.check()?;
        let (Some(address), Some(key)) = (&config.url, config.secret.clone()) else { return Ok(None) };
        Ok(Some(Review {
            client,
            address: address.clone(),
            key: RwLock::new(key),
            deadline: config.deadline.get(),
            fallback: config.fallback,
            slots: Semaphore::new(config.max_in_flight.min(Semaphore::MAX_PERMITS)),
            breakers: Breakers::new(config.breaker_failures, config.breaker_open.get()),
            refusals: LogThrottle::new(),
            metrics: OutboundMetrics::new(
                ("chatting_ingest_review_hook_seconds", "Time of a request to the review hook."),
                ("chatting_ingest_review_hook_requests_total", "Requests to the review hook, by result."),
            ),
        }))
    }

    /// Signs the requests from now on with this key.
    pub(crate) fn set_key(&self, key: &SigningKey) {
        key.clone_into(&mut self.key.write());
    }

    /// Whether the breaker for all rooms is open.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.breakers.all.is_open()
    }

    /// What is counted of the requests.
    pub(crate) fn metrics(&self) -> &Registry {
        &self.metrics.registry
    }

    /// The deadline of a request.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Asks the hook about the message, within the deadline.
    pub(crate) async fn ask(&self, question: &Question<'_>) -> Verdict {
        let (id, unavailable) = (question.id, Verdict::Unavailable(self.fallback));
        // Not a failure of the hook, so the breakers do not count it.
        let Ok(_slot) = self.slots.try_acquire() else {
            tracing::debug!(%id, "too many concurrent reviews, message {id} is not reviewed");
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
            Err(HookError::NoAnswer(error)) if error.is_refusal() => {
                if self.refusals.may_log(Instant::now()) {
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

    async fn request(&self, question: &Question<'_>) -> Result<Verdict, HookError> {
        let (id, at) = (question.id.to_string(), now());
        let envelope = Envelope { kind: "message.review", timestamp: format!("{at:.3}"), data: question };
        let body = serde_json::to_vec(&envelope).expect("a question has string keys and no failing serializer");
        let seconds = at.as_second().to_string();
        let request = self
            .client
            .post(self.address.url().clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-signature", self.key.read().sign(&id, &seconds, &body))
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .timeout(self.deadline)
            .body(body);
        let began = Instant::now();
        let answer = web::answer(request, LARGEST_ANSWER_BYTES).await.map_err(HookError::from);
        let verdict = answer.and_then(|answer| verdict(&answer));
        self.metrics.asked(began.elapsed(), verdict.as_ref().err().map(HookError::no_answer));
        verdict
    }
}

impl HookError {
    fn no_answer(&self) -> Option<&NoAnswer> {
        match self {
            HookError::NoAnswer(error) => Some(error),
            HookError::NotUnderstood | HookError::InvalidText => None,
        }
    }
}

impl Breakers {
    fn new(failures: u32, pause: Duration) -> Breakers {
        let rooms = ShardedLru::new(MOST_ROOMS);
        Breakers { failures, pause, all: CircuitBreaker::new(failures, Scope::All, pause), rooms }
    }

    fn may_ask(&self, about: About) -> bool {
        let now = Instant::now();
        // The room's breaker first: a request that it holds back must not use up the probe for all rooms.
        self.room(about.room, now).is_none_or(|room| room.may_ask(about, now)) && self.all.may_ask(about, now)
    }

    /// The room's breaker, if the room has failures.
    fn room(&self, presenter: PresenterIdx, now: Instant) -> Option<Arc<CircuitBreaker>> {
        self.rooms.update(presenter, |room| {
            *room = room.take().filter(|room| now.saturating_duration_since(room.used) < ROOM_IDLE);
            let room = room.as_mut()?;
            room.used = now;
            Some(room.breaker.clone())
        })
    }

    /// A breaker for a room without failures so far, or the one of a concurrent failure.
    fn begin(&self, presenter: PresenterIdx, now: Instant) -> Arc<CircuitBreaker> {
        let new = || Arc::new(CircuitBreaker::new(self.failures, Scope::Room, self.pause));
        let begun = |room: &mut Option<RoomBreaker>| {
            room.get_or_insert_with(|| RoomBreaker { breaker: new(), used: now }).breaker.clone()
        };
        self.rooms.update(presenter, begun)
    }

    fn succeeded(&self, about: About) {
        if self.rooms.remove(about.room).is_some_and(|room| room.breaker.succeeded() == Change::Closed) {
            let presenter = about.room;
            tracing::info!(%presenter, "the review hook answers again for room {presenter}");
        }
        if self.all.succeeded() == Change::Closed {
            tracing::info!("the review hook answers again");
        }
    }

    fn failed(&self, about: About, id: EventId, error: &HookError) {
        let now = Instant::now();
        let failure = match error {
            HookError::NoAnswer(error) if error.is_unreachable() => Failure::Unreachable,
            _ => Failure::NoAnswer,
        };
        let presenter = about.room;
        let room = self.room(presenter, now).unwrap_or_else(|| self.begin(presenter, now));
        // Failures to connect count for all rooms only, so the room's breaker takes each as one without an answer.
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

fn verdict(answer: &[u8]) -> Result<Verdict, HookError> {
    match serde_json::from_slice(answer).map_err(|_| HookError::NotUnderstood)? {
        HookAnswer::Allow => Ok(Verdict::Allow),
        HookAnswer::Hold => Ok(Verdict::Hold),
        HookAnswer::Deny { reason } => Ok(Verdict::Deny { reason: reason.as_deref().and_then(one_line) }),
        HookAnswer::Replace { text } => Text::parse(&text).map(Verdict::Replace).map_err(|_| HookError::InvalidText),
    }
}

/// None: nothing is left.
fn one_line(reason: &str) -> Option<String> {
    let line: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_REASON).collect();
    let line = line.trim();
    (!line.is_empty()).then(|| line.to_owned())
}
