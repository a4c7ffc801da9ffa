//! Asks the room server whether a room is live: with a deadline, at most one request in flight per room, a short-lived
//! cache, and a circuit breaker. An answer that cannot be parsed counts as no answer, never as "not live". A 4xx
//! concerns its room alone. Only requests of the node's own open the breaker ([`guard`]). The caller decides what an
//! outage means.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use chat::PresenterIdx;
use conf::Address;
use metrics::Registry;
use moka::Expiry;
use moka::future::Cache;
use reqwest::Client;
use serde::Serialize;
use serde_json::Value;
use web::NoAnswer;

use crate::config::RoomsConfig;
use crate::outbound::log_throttle::LogThrottle;
use crate::outbound::metrics::Metrics;
use guard::Guard;

mod guard;
#[cfg(test)]
mod tests;

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
    answers: Cache<PresenterIdx, CachedAnswer>,
    metrics: Metrics,
}

/// What is cached of a room.
#[derive(Debug, Clone, Copy)]
enum CachedAnswer {
    Is(Liveness),
    /// The room server refuses to answer about this room.
    Refused,
}

/// 100,000 rooms: about 20 MB at most. Beyond that, the least used rooms are asked about again.
const MOST_ANSWERS: u64 = 100_000;

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

struct Keep {
    live: Duration,
    not_live: Duration,
}

impl RoomServer {
    pub(crate) fn new(client: Client, config: &RoomsConfig) -> RoomServer {
        let keep = Keep { live: config.live.get(), not_live: config.not_live.get() };
        RoomServer {
            client,
            address: config.url.with("/room/live/check"),
            deadline: config.deadline.get(),
            guard: Guard::new(config.breaker_failures),
            pause: config.breaker_open.get(),
            refusals: LogThrottle::new(),
            answers: Cache::builder().max_capacity(MOST_ANSWERS).expire_after(keep).build(),
            metrics: Metrics::new(
                ("chatting_ingest_room_server_seconds", "Time of a request to the room server."),
                ("chatting_ingest_room_server_requests_total", "Requests to the room server, by result."),
            ),
        }
    }

    /// Whether the room is live. Concurrent callers for one room share one request. Refusals are cached, failures are
    /// not.
    pub(crate) async fn liveness(&self, presenter: PresenterIdx) -> Result<Liveness, Unreachable> {
        match self.answers.try_get_with(presenter, self.ask(presenter)).await {
            Ok(CachedAnswer::Is(liveness)) => Ok(liveness),
            Ok(CachedAnswer::Refused) => Err(Unreachable),
            Err(unreachable) => Err(*unreachable),
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

    async fn ask(&self, presenter: PresenterIdx) -> Result<CachedAnswer, Unreachable> {
        if !self.guard.may_ask() {
            return Err(Unreachable);
        }
        match self.request(presenter).await {
            Ok(liveness) => {
                self.guard.answered(presenter);
                Ok(CachedAnswer::Is(liveness))
            }
            Err(AskError::NoAnswer(error)) if error.is_refusal() => {
                if self.refusals.may_log(Instant::now()) {
                    let others = "and maybe others";
                    tracing::warn!(%error, %presenter, "the room server refuses to answer for room {presenter}, {others}: {error}");
                }
                Ok(CachedAnswer::Refused)
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

/// Reads `{"data":{"alive":true}}` and ignores all other members.
fn parse(answer: &[u8]) -> Option<Liveness> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    Some(if answer.pointer("/data/alive")?.as_bool()? { Liveness::Live } else { Liveness::NotLive })
}

impl Keep {
    fn duration(&self, answer: &CachedAnswer) -> Option<Duration> {
        match answer {
            CachedAnswer::Is(Liveness::Live) => Some(self.live),
            CachedAnswer::Is(Liveness::NotLive) | CachedAnswer::Refused => Some(self.not_live),
        }
    }
}

impl Expiry<PresenterIdx, CachedAnswer> for Keep {
    fn expire_after_create(&self, _: &PresenterIdx, answer: &CachedAnswer, _: Instant) -> Option<Duration> {
        self.duration(answer)
    }

    fn expire_after_update(
        &self,
        _: &PresenterIdx,
        answer: &CachedAnswer,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.duration(answer)
    }
}
