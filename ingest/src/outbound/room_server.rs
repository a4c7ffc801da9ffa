//! Asks the room server which rooms are live: with a deadline, one question in flight a room, answers kept for a short
//! while, and a circuit breaker. Whatever is not a plain answer is none, and that is never "not live". A 4xx concerns its
//! room alone; the breaker opens only by questions of our own ([`guard`]). What follows from an outage is not decided here.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use chat::PresenterIdx;
use conf::Address;
use moka::Expiry;
use moka::future::Cache;
use reqwest::Client;
use serde::Serialize;
use serde_json::Value;
use web::NoAnswer;

use crate::config::RoomsConfig;
use crate::outbound::log_throttle::Seldom;
use guard::Guard;

mod guard;
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
    address: Address,
    deadline: Duration,
    guard: Guard,
    pause: Duration,
    refusals: Seldom,
    answers: Cache<PresenterIdx, Answer>,
}

/// What is kept of a room.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Is(Liveness),
    /// The room server says nothing about such a room.
    Refused,
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
        let keep = Keep { live: config.live.get(), not_live: config.not_live.get() };
        RoomServer {
            client,
            address: config.url.with("/room/live/check"),
            deadline: config.deadline.get(),
            guard: Guard::new(config.breaker_failures),
            pause: config.breaker_open.get(),
            refusals: Seldom::new(),
            answers: Cache::builder().max_capacity(MOST_ANSWERS).expire_after(keep).build(),
        }
    }

    /// Whether the room is live. Concurrent callers for one room share one question; failures are not kept, refusals are.
    pub(crate) async fn liveness(&self, presenter: PresenterIdx) -> Result<Liveness, Unreachable> {
        match self.answers.try_get_with(presenter, self.ask(presenter)).await {
            Ok(Answer::Is(liveness)) => Ok(liveness),
            Ok(Answer::Refused) => Err(Unreachable),
            Err(unreachable) => Err(*unreachable),
        }
    }

    /// Finds out about outages, for as long as it is polled.
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
                if self.refusals.may_say(Instant::now()) {
                    let others = "and maybe others";
                    tracing::warn!(%error, %presenter, "the room server refuses to say of room {presenter}, {others}: {error}");
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

    /// Err: it answers for none of them.
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
        let question = Question { presenter_idx: presenter.to_string() };
        let request = self.client.post(self.address.url().clone()).json(&question).timeout(self.deadline);
        parse(&web::answer(request, LARGEST_ANSWER_BYTES).await?).ok_or(AskError::NotUnderstood)
    }
}

/// `{"data":{"alive":true}}`, whatever else is in it.
fn parse(answer: &[u8]) -> Option<Liveness> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    Some(if answer.pointer("/data/alive")?.as_bool()? { Liveness::Live } else { Liveness::NotLive })
}

impl Keep {
    fn duration(&self, answer: &Answer) -> Option<Duration> {
        match answer {
            Answer::Is(Liveness::Live) => Some(self.live),
            Answer::Is(Liveness::NotLive) | Answer::Refused => Some(self.not_live),
        }
    }
}

impl Expiry<PresenterIdx, Answer> for Keep {
    fn expire_after_create(&self, _: &PresenterIdx, answer: &Answer, _: Instant) -> Option<Duration> {
        self.duration(answer)
    }

    fn expire_after_update(
        &self,
        _: &PresenterIdx,
        answer: &Answer,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.duration(answer)
    }
}
