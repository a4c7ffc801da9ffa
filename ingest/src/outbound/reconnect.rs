//! Asks for a presenter to reconnect: on NATS and, if configured, by a webhook. Best effort and bounded: at most one
//! request a room every 5 s from this node, each with a deadline, and no post waits for any.

use std::sync::Arc;
use std::time::Duration;

use chat::PresenterIdx;
use conf::Address;
use moka::future::Cache;
use nats::Log;
use reqwest::Client;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// 5 s: a presenter's client has tried a few times by then.
const PAUSE: Duration = Duration::from_secs(5);

/// 100,000 rooms; if more are asked for within 5 s, some are asked for twice.
const MOST_ROOMS: u64 = 100_000;

/// 64 requests at once. More are dropped: the next message of the room asks again.
const MOST_REQUESTS: usize = 64;

/// 2 s: what the signalling server has not taken by then is soon asked for again.
const DEADLINE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Reconnects {
    log: Log,
    webhook: Option<(Client, Address)>,
    asked: Cache<PresenterIdx, ()>,
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    /// Digits, as a JSON string: as the room server wants it.
    presenter_idx: String,
}

impl Reconnects {
    pub(crate) fn new(log: Log, webhook: Option<(Client, Address)>) -> Reconnects {
        Reconnects {
            log,
            webhook,
            asked: Cache::builder().max_capacity(MOST_ROOMS).time_to_live(PAUSE).build(),
            slots: Arc::new(Semaphore::new(MOST_REQUESTS)),
            tasks: TaskTracker::new(),
        }
    }

    /// Returns at once.
    pub(crate) async fn request(&self, presenter: PresenterIdx) {
        if !self.asked.entry(presenter).or_insert_with(async {}).await.is_fresh() {
            return;
        }
        let Ok(slot) = self.slots.clone().try_acquire_owned() else {
            self.asked.invalidate(&presenter).await;
            return;
        };
        let (log, webhook) = (self.log.clone(), self.webhook.clone());
        self.tasks.spawn(async move {
            let _slot = slot;
            let all = async { tokio::join!(log.request_reconnect(presenter), call(webhook, presenter)) };
            if timeout(DEADLINE, all).await.is_err() {
                tracing::warn!(%presenter, "the reconnect request for room {presenter} was given up");
            }
        });
    }

    /// Waits for the requests in hand, for which the deadline above holds.
    pub(crate) async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn call(webhook: Option<(Client, Address)>, presenter: PresenterIdx) {
    let Some((client, address)) = webhook else { return };
    let request = client.post(address.url().clone()).json(&Request { presenter_idx: presenter.to_string() });
    if let Err(error) = request.send().await.and_then(|response| response.error_for_status()) {
        let error = error.without_url();
        tracing::warn!(%error, %presenter, "the reconnect webhook failed for room {presenter}: {error}");
    }
}
