//! The pull requests of a shared reader.
//!
//! The client has a stream for this, but dropping that stream discards the batches on their way to it, and the server
//! redelivers those only after the ack wait. Here every request expires soon. A reader that closes waits until its last
//! request has ended, and then holds every batch that the server has sent.

use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull::BatchConfig;
use async_nats::jetstream::{Context, Message};
use async_nats::{StatusCode, Subscriber};
use futures_util::{FutureExt, StreamExt};
use tokio::task::unconstrained;
use tokio::time::timeout;

use crate::error::Error;
use crate::jetstream::request;

/// The server ends a request that it could not fill after this time. An idle reader sends so often a new one, which a
/// cluster replicates, and a reader that closes waits at most so long.
const EXPIRES: Duration = Duration::from_secs(2);

/// A server that says nothing for so long after a request should have ended has lost it.
const OVERDUE: Duration = Duration::from_secs(5);

/// A reader that closes waits this much longer than [`EXPIRES`] for the end of its last request.
const LAST_STATUS: Duration = Duration::from_secs(1);

const DOING: &str = "reading batches";

/// Requests batches ahead, and receives them.
pub(crate) struct Pull {
    context: Context,
    consumer: PullConsumer,
    subscriber: Subscriber,
    inbox: String,
    request: BatchConfig,
    /// Batches that were requested, did not arrive, and may still arrive. None: no request is open.
    open_batches: usize,
    /// The same in bytes, about: the server counts a little differently.
    open_bytes: usize,
}

impl Pull {
    /// At most so many batches and bytes are requested at once. More are requested when half of them have arrived.
    pub(crate) async fn start(
        context: &Context,
        consumer: PullConsumer,
        batches: usize,
        bytes: usize,
    ) -> Result<Pull, Error> {
        let inbox = context.client().new_inbox();
        let subscriber = request("requesting batches", context.client().subscribe(inbox.clone())).await?;
        let request =
            BatchConfig { batch: batches, max_bytes: bytes, expires: Some(EXPIRES), ..BatchConfig::default() };
        Ok(Pull { context: context.clone(), consumer, subscriber, inbox, request, open_batches: 0, open_bytes: 0 })
    }

    /// Waits for the next batch. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Message, Error> {
        loop {
            if self.open_batches <= self.request.batch / 2 || self.open_bytes <= self.request.max_bytes / 2 {
                let sent = self.consumer.request_batch(self.request.clone(), self.inbox.clone().into());
                request("requesting batches", sent).await?;
                self.open_batches += self.request.batch;
                self.open_bytes += self.request.max_bytes;
            }
            if let Some(message) = self.receive().await? {
                return Ok(message);
            }
        }
    }

    /// Waits until the last request has ended, and gives what came until then.
    pub(crate) async fn close(mut self) -> Vec<Message> {
        let mut left = Vec::new();
        let all = async {
            // An error ends the requests too.
            while self.open_batches > 0
                && let Ok(received) = self.receive().await
            {
                left.extend(received);
            }
        };
        if timeout(EXPIRES + LAST_STATUS, all).await.is_err() {
            tracing::debug!("a reader closed without an answer to its last request");
        }
        left
    }

    /// What has arrived so far.
    pub(crate) fn arrived(mut self) -> Vec<Message> {
        let mut left = Vec::new();
        // Without the scheduler's budget, which would end the loop early.
        while let Some(Ok(received)) = unconstrained(self.receive()).now_or_never() {
            left.extend(received);
        }
        left
    }

    /// Waits for a batch, or for the server's word about a request (None). Cancel safe.
    async fn receive(&mut self) -> Result<Option<Message>, Error> {
        let message = match timeout(EXPIRES + OVERDUE, self.subscriber.next()).await {
            Ok(message) => message.ok_or(Error::Closed)?,
            Err(elapsed) => return Err(Error::JetStream { doing: DOING, source: elapsed.into() }),
        };
        match message.status {
            None | Some(StatusCode::OK) => {
                self.end(1, message.length);
                Ok(Some(Message { message, context: self.context.clone() }))
            }
            Some(StatusCode::TIMEOUT | StatusCode::REQUEST_TERMINATED) if !is_final(&message) => {
                let left = |header: &'static str| -> Option<usize> {
                    message.headers.as_ref()?.get(header)?.as_str().parse().ok()
                };
                // Where the server does not say what was left of a request, it was all.
                let batches = left("Nats-Pending-Messages").unwrap_or(self.request.batch);
                self.end(batches, left("Nats-Pending-Bytes").unwrap_or(self.request.max_bytes));
                Ok(None)
            }
            Some(status) => {
                let said = message.description.unwrap_or_default();
                Err(Error::JetStream { doing: DOING, source: format!("the server answered {status}: {said}").into() })
            }
        }
    }

    /// So much of what was requested has arrived or will not.
    fn end(&mut self, batches: usize, bytes: usize) {
        self.open_batches = self.open_batches.saturating_sub(batches);
        self.open_bytes = if self.open_batches == 0 { 0 } else { self.open_bytes.saturating_sub(bytes) };
    }
}

/// Whether the server would say the same of the next request.
fn is_final(message: &async_nats::Message) -> bool {
    let said = message.description.as_deref().unwrap_or_default();
    said == "Consumer Deleted" || said == "Consumer is push based" || said.starts_with("Exceeded MaxRequest")
}
