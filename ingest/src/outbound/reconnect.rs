//! Requests that a presenter reconnects: on NATS and, if configured, by a webhook.
//!
//! Requests are best effort: no post waits for one, and a later message of the room requests again. They are bounded:
//! one per room every 5 s from this node, 64 at once, each with a deadline. Ingest awaits them at its stop. They are
//! not [`runtime::Tasks`]: a panic in one loses that request alone, and ingest goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat::PresenterIdx;
use conf::Address;
use nats::Log;
use reqwest::Client;
use runtime::{ShardedLru, for_same_request};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// 5 s: by then a presenter's client has tried to reconnect a few times.
const PAUSE: Duration = Duration::from_secs(5);

/// 100,000 rooms, about 6 MB. If more are requested within 5 s, some are requested twice.
const MOST_ROOMS: usize = 100_000;

/// 64 requests at once. More are dropped: the next message of the room requests again.
const MOST_REQUESTS: usize = 64;

/// 2 s: the next message requests again what the signalling server has not accepted by then.
const DEADLINE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Reconnects {
    log: Log,
    webhook: Option<(Client, Address)>,
    /// When each room was last requested.
    requested: ShardedLru<PresenterIdx, Instant>,
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    /// Digits, as a JSON string: the room server's format.
    presenter_idx: String,
}

impl Reconnects {
    pub(crate) fn new(log: Log, webhook: Option<(Client, Address)>) -> Reconnects {
        Reconnects {
            log,
            webhook,
            requested: ShardedLru::new(MOST_ROOMS),
            slots: Arc::new(Semaphore::new(MOST_REQUESTS)),
            tasks: TaskTracker::new(),
        }
    }

    /// Starts a request, unless there was one recently. Returns at once.
    pub(crate) fn request(&self, presenter: PresenterIdx) {
        let now = Instant::now();
        let was_recent = self.requested.update(presenter, |last| {
            let was_recent = last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE);
            if !was_recent {
                *last = Some(now);
            }
            was_recent
        });
        if was_recent {
            return;
        }
        let Ok(slot) = self.slots.clone().try_acquire_owned() else {
            self.requested.remove(presenter);
            return;
        };
        let (log, webhook) = (self.log.clone(), self.webhook.clone());
        self.tasks.spawn(for_same_request(async move {
            let _slot = slot;
            let all = async { tokio::join!(log.request_reconnect(presenter), call(webhook, presenter)) };
            if timeout(DEADLINE, all).await.is_err() {
                let deadline = DEADLINE.as_secs();
                tracing::warn!(%presenter, "the reconnect request for room {presenter} took longer than {deadline} s");
            }
        }));
    }

    /// Waits for the requests in progress, at most for the deadline.
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
