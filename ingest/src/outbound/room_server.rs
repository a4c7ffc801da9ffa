//! Asks the room server whether a room is live: with a deadline, at most one request in flight per room
//! ([`in_flight`]), a short-lived cache, and a circuit breaker. An answer that cannot be parsed counts as no answer,
//! never as "not live". A 4xx concerns its room alone. Only requests of the node's own open the breaker ([`guard`]).
//! The caller decides what an outage means.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use chat::PresenterIdx;
use conf::{Address, Span};
use metrics::Registry;
use reqwest::Client;
use reqwest::redirect::Policy;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use web::NoAnswer;

use crate::outbound::log_throttle::LogThrottle;
use crate::outbound::metrics::OutboundMetrics;
use guard::Guard;
use in_flight::InFlight;
use runtime::ShardedLru;

mod guard;
mod in_flight;
#[cfg(test)]
mod tests;

/// The section `[ingest.rooms]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomsConfig {
    /// The base, `http://host:port`; `/room/live/check` is appended.
    pub url: Address,
    /// The time for a whole answer.
    pub deadline: Span,
    /// How long "live" is cached.
    pub live: Span,
    /// How long "not live" is cached.
    pub not_live: Span,
    /// After how many failures in a row the node checks whether there is an outage.
    pub breaker_failures: u32,
    /// How long the breaker stays open before it lets one request through.
    pub breaker_open: Span,
}

/// The room server's answer about a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    Live,
    NotLive,
}

/// The room server gave no usable answer, or was not asked because the breaker is open. The reason is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreachable;

#[derive(Debug)]
pub(crate) struct RoomServer {
    client: Client,
    address: Address,
    deadline: Duration,
    guard: Guard,
    pause: Duration,
    refusals: LogThrottle,
    keep: Keep,
    answers: ShardedLru<PresenterIdx, CachedAnswer>,
    in_flight: InFlight<Result<Answer, Unreachable>>,
    metrics: OutboundMetrics,
}

/// What the room server says about a room.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Is(Liveness),
    /// The room server refuses to answer about this room.
    Refused,
}

/// An answer, and the time until which it holds.
#[derive(Debug, Clone, Copy)]
struct CachedAnswer {
    answer: Answer,
    until: Instant,
}

/// 100,000 rooms: about 8 MB. Beyond that, the rooms that were unused longest are asked about again.
const MOST_ANSWERS: usize = 100_000;

/// 16 KB: an answer has about 100 bytes.
const LARGEST_ANSWER_BYTES: usize = 16 * 1024;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LivenessRequest {
    /// Digits, as a JSON string: the room server's format.
    presenter_idx: String,
}

#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error("the answer has no boolean data.alive")]
    NotUnderstood,
}

/// How long answers hold.
#[derive(Debug)]
struct Keep {
    live: Duration,
    not_live: Duration,
}

impl RoomServer {
    pub(crate) fn new(client: Client, config: &RoomsConfig) -> RoomServer {
        RoomServer {
            client,
            address: config.url.with("/room/live/check"),
            deadline: config.deadline.get(),
            guard: Guard::new(config.breaker_failures),
            pause: config.breaker_open.get(),
            refusals: LogThrottle::new(),
            keep: Keep { live: config.live.get(), not_live: config.not_live.get() },
            answers: ShardedLru::new(MOST_ANSWERS),
            in_flight: InFlight::default(),
            metrics: OutboundMetrics::new(
                ("chatting_ingest_room_server_seconds", "Time of a request to the room server."),
                ("chatting_ingest_room_server_requests_total", "Requests to the room server, by result."),
            ),
        }
    }

    /// Whether the room is live. Concurrent callers for one room share one request. Refusals are cached, failures are
    /// not.
    pub(crate) async fn liveness(&self, presenter: PresenterIdx) -> Result<Liveness, Unreachable> {
        let answer = match self.cached(presenter) {
            Some(answer) => Ok(answer),
            // Boxed: nearly every post finds an answer, and its future should not have room for a request.
            None => Box::pin(self.in_flight.share(presenter, self.ask_and_cache(presenter))).await,
        };
        match answer? {
            Answer::Is(liveness) => Ok(liveness),
            Answer::Refused => Err(Unreachable),
        }
    }

    /// Whether the breaker is open: the room server is asked by the node alone.
    pub(crate) fn is_cut_off(&self) -> bool {
        !self.guard.may_ask()
    }

    /// What is counted of the requests.
    pub(crate) fn metrics(&self) -> &Registry {
        &self.metrics.registry
    }

    fn cached(&self, presenter: PresenterIdx) -> Option<Answer> {
        let cached = self.answers.get(presenter).filter(|cached| Instant::now() < cached.until)?;
        Some(cached.answer)
    }

    async fn ask_and_cache(&self, presenter: PresenterIdx) -> Result<Answer, Unreachable> {
        // Another request may have been answered since this caller looked.
        if let Some(answer) = self.cached(presenter) {
            return Ok(answer);
        }
        let answer = self.ask(presenter).await?;
        let kept = match answer {
            Answer::Is(Liveness::Live) => self.keep.live,
            Answer::Is(Liveness::NotLive) | Answer::Refused => self.keep.not_live,
        };
        self.answers.insert(presenter, CachedAnswer { answer, until: Instant::now() + kept });
        Ok(answer)
    }

    /// Opens and closes the breaker, until it is dropped.
    pub(crate) async fn watch(&self) -> Infallible {
        loop {
            self.guard.suspicion().await;
            let Err(error) = self.ask_witnesses().await else { continue };
            self.guard.open();
            tracing::warn!(%error, "the room server does not answer, asking it less often: {error}");
            loop {
                tokio::time::sleep(self.pause).await;
                match self.ask_witnesses().await {
                    Ok(()) => break,
                    Err(error) => tracing::debug!(%error, "the room server still does not answer: {error}"),
                }
            }
            self.guard.close();
            tracing::info!("the room server answers again");
        }
    }

    async fn ask(&self, presenter: PresenterIdx) -> Result<Answer, Unreachable> {
        if !self.guard.may_ask() {
            return Err(Unreachable);
        }
        match self.request(presenter).await {
            Ok(liveness) => {
                self.guard.answered(presenter);
                Ok(Answer::Is(liveness))
            }
            Err(AskError::NoAnswer(error)) if error.is_refusal() => {
                if self.refusals.may_log(Instant::now()) {
                    let others = "and maybe others";
                    tracing::warn!(%error, %presenter, "the room server refuses to answer for room {presenter}, {others}: {error}");
                }
                Ok(Answer::Refused)
            }
            Err(error) => {
                self.guard.failed();
                tracing::debug!(%error, %presenter, "the room server does not answer for room {presenter}: {error}");
                Err(Unreachable)
            }
        }
    }

    /// Err: the room server answers for neither witness.
    async fn ask_witnesses(&self) -> Result<(), AskError> {
        let ask = async |presenter| match self.request(presenter).await {
            Ok(_) => Ok(()),
            Err(AskError::NoAnswer(error)) if error.is_refusal() => Ok(()),
            Err(error) => Err(error),
        };
        let [one, other] = self.guard.witnesses();
        let (one, other) = tokio::join!(ask(one), ask(other));
        one.or(other)
    }

    async fn request(&self, presenter: PresenterIdx) -> Result<Liveness, AskError> {
        let question = LivenessRequest { presenter_idx: presenter.to_string() };
        let request = self.client.post(self.address.url().clone()).json(&question).timeout(self.deadline);
        let began = Instant::now();
        let answer = web::answer(request, LARGEST_ANSWER_BYTES).await.map_err(AskError::from);
        let answer = answer.and_then(|answer| parse(&answer).ok_or(AskError::NotUnderstood));
        self.metrics.asked(began.elapsed(), answer.as_ref().err().map(AskError::no_answer));
        answer
    }
}

impl AskError {
    fn no_answer(&self) -> Option<&NoAnswer> {
        match self {
            AskError::NoAnswer(error) => Some(error),
            AskError::NotUnderstood => None,
        }
    }
}

/// Asks the room server about one room, for `chatting-server check`. A refusal of that room is an answer.
pub async fn probe_room_server(config: &RoomsConfig) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let client = Client::builder().redirect(Policy::none()).no_proxy().build()?;
    let room = PresenterIdx::try_from(1)?;
    match RoomServer::new(client, config).request(room).await {
        Ok(_) => Ok(()),
        Err(AskError::NoAnswer(error)) if error.is_refusal() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Reads `{"data":{"alive":true}}` and ignores all other members.
fn parse(answer: &[u8]) -> Option<Liveness> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    Some(if answer.pointer("/data/alive")?.as_bool()? { Liveness::Live } else { Liveness::NotLive })
}
