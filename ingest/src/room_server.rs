//! Asks the room server which rooms are live: with a deadline, one question in flight a room, answers kept for a short
//! while, and a circuit breaker. Whatever is not a plain answer is an outage, and an outage is never "not live". What
//! follows from an outage is not decided here.

use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;
use nats::PresenterIdx;
use reqwest::{Client, Url};
use serde::Serialize;
use serde_json::Value;
use web::NoAnswer;

use crate::breaker::{Breaker, Change};
use crate::config::RoomsConfig;

#[cfg(test)]
mod tests;

/// What the room server says of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    Live,
    NotLive,
}

/// The room server could not be asked, or gave no answer that can be understood; the log says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreachable;

#[derive(Debug)]
pub(crate) struct RoomServer {
    client: Client,
    url: Url,
    deadline: Duration,
    breaker: Breaker,
    answers: Cache<PresenterIdx, Liveness>,
}

/// 100,000 rooms: some 20 MB at the most; beyond, the least used are asked for again.
const MOST_ANSWERS: u64 = 100_000;

/// 16 KB: an answer has about 100 bytes.
const LARGEST_ANSWER_BYTES: usize = 16 * 1024;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    /// Digits, as a JSON string: the room server's format.
    presenter_idx: String,
}

#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error("the answer has no data.alive")]
    NotUnderstood,
}

struct Keep {
    live: Duration,
    not_live: Duration,
}

impl RoomServer {
    pub(crate) fn new(client: Client, config: &RoomsConfig) -> RoomServer {
        let mut url = config.url.clone();
        url.set_path(&format!("{}/room/live/check", url.path().trim_end_matches('/')));
        let keep =
            Keep { live: Duration::from_millis(config.live_ms), not_live: Duration::from_millis(config.not_live_ms) };
        RoomServer {
            client,
            url,
            deadline: Duration::from_millis(config.deadline_ms),
            breaker: Breaker::new(config.breaker_failures, Duration::from_millis(config.breaker_open_ms)),
            answers: Cache::builder().max_capacity(MOST_ANSWERS).expire_after(keep).build(),
        }
    }

    /// Whether the room is live. Concurrent callers for one room share one question; failures are not kept.
    pub(crate) async fn liveness(&self, presenter: PresenterIdx) -> Result<Liveness, Unreachable> {
        self.answers.try_get_with(presenter, self.ask(presenter)).await.map_err(|unreachable| *unreachable)
    }

    async fn ask(&self, presenter: PresenterIdx) -> Result<Liveness, Unreachable> {
        if !self.breaker.may_ask(Instant::now()) {
            return Err(Unreachable);
        }
        match self.request(presenter).await {
            Ok(liveness) => {
                if self.breaker.succeeded() == Change::Closed {
                    tracing::info!("the room server answers again");
                }
                Ok(liveness)
            }
            Err(error) => {
                if self.breaker.failed(Instant::now()) == Change::Opened {
                    tracing::warn!(%error, "the room server does not answer, asking it less often: {error}");
                } else {
                    tracing::debug!(%error, %presenter, "the room server does not answer for room {presenter}: {error}");
                }
                Err(Unreachable)
            }
        }
    }

    async fn request(&self, presenter: PresenterIdx) -> Result<Liveness, AskError> {
        let question = Question { presenter_idx: presenter.to_string() };
        let request = self.client.post(self.url.clone()).json(&question).timeout(self.deadline);
        parse(&web::answer(request, LARGEST_ANSWER_BYTES).await?).ok_or(AskError::NotUnderstood)
    }
}

/// `{"data":{"alive":true}}`, whatever else is in it.
fn parse(answer: &[u8]) -> Option<Liveness> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    Some(if answer.pointer("/data/alive")?.as_bool()? { Liveness::Live } else { Liveness::NotLive })
}

impl Keep {
    fn duration(&self, liveness: Liveness) -> Option<Duration> {
        match liveness {
            Liveness::Live => Some(self.live),
            Liveness::NotLive => Some(self.not_live),
        }
    }
}

impl Expiry<PresenterIdx, Liveness> for Keep {
    fn expire_after_create(&self, _: &PresenterIdx, liveness: &Liveness, _: Instant) -> Option<Duration> {
        self.duration(*liveness)
    }

    fn expire_after_update(
        &self,
        _: &PresenterIdx,
        liveness: &Liveness,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.duration(*liveness)
    }
}
