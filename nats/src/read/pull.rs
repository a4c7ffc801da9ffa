//! Pulls batches from a consumer with one request at a time, and can end without losing any.
//!
//! The server tells the end of each request, and sends it after the request's last batch. The client library's own
//! stream of messages is dropped with a request open: what the server sends at that moment is lost, and comes again
//! only after the ack wait.

use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull::BatchConfig;
use async_nats::jetstream::{self, Message};
use async_nats::{StatusCode, Subject, Subscriber};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::{Instant, timeout_at};

use crate::error::Error;
use crate::jetstream::request;

/// The server ends a request after this time. It is also the longest wait of [`Pull::rest`] for a server that answers.
const EXPIRES: Duration = Duration::from_secs(1);

/// A request whose end has not come this long after it expired is lost, with the server or the consumer.
const LOST_AFTER: Duration = Duration::from_secs(5);

const READING: &str = "reading batches";

pub(super) struct Pull {
    jetstream: jetstream::Context,
    consumer: PullConsumer,
    /// Each request is answered at a subject of its own below it: the end of an earlier request, which the server also
    /// tells after the last batch, is not taken for the end of this one.
    inbox: Subject,
    messages: Subscriber,
    /// Requests so far.
    requests: u64,
    batches: usize,
    bytes: usize,
    /// The open request. None: it has ended, and nothing of it is on its way.
    open: Option<Open>,
}

struct Open {
    /// Where the server tells its end.
    subject: Subject,
    /// The batches that it still asks for.
    left: usize,
    expires: Instant,
}

impl Pull {
    /// Each request is for so many batches, and so many bytes.
    pub(super) async fn start(
        jetstream: &jetstream::Context,
        consumer: PullConsumer,
        batches: usize,
        bytes: usize,
    ) -> Result<Pull, Error> {
        let client = jetstream.client();
        let inbox = Subject::from(client.new_inbox());
        let messages = request("requesting batches", client.subscribe(format!("{inbox}.*"))).await?;
        Ok(Pull { jetstream: jetstream.clone(), consumer, inbox, messages, requests: 0, batches, bytes, open: None })
    }

    /// Waits for the next batch. Dropping the future loses no batch.
    pub(super) async fn next(&mut self) -> Result<Message, Error> {
        loop {
            let expires = match &self.open {
                Some(open) => open.expires,
                None => self.request().await?,
            };
            let lost = |error: &str| Error::JetStream { doing: READING, source: error.into() };
            let message = match timeout_at(expires + LOST_AFTER, self.messages.next()).await {
                Ok(Some(message)) => message,
                Ok(None) => return Err(lost("the subscription has ended")),
                Err(_) => return Err(lost("the server did not end a request")),
            };
            if let Some(message) = self.batch(message)? {
                return Ok(message);
            }
        }
    }

    /// What has arrived, and what the server still sends for the open request, until it has ended.
    pub(super) async fn rest(mut self) -> Vec<Message> {
        let mut rest = Vec::new();
        while let Some(Open { expires, .. }) = self.open {
            match timeout_at(expires + EXPIRES, self.messages.next()).await {
                Ok(Some(message)) => {
                    if let Ok(Some(message)) = self.batch(message) {
                        rest.push(message);
                    }
                }
                // What the server sends later is redelivered after the ack wait.
                Ok(None) | Err(_) => break,
            }
        }
        rest
    }

    /// What has arrived.
    pub(super) fn arrived(mut self) -> Vec<Message> {
        let mut arrived = Vec::new();
        while let Some(Some(message)) = self.messages.next().now_or_never() {
            if let Ok(Some(message)) = self.batch(message) {
                arrived.push(message);
            }
        }
        arrived
    }

    async fn request(&mut self) -> Result<Instant, Error> {
        let wanted = BatchConfig {
            batch: self.batches,
            max_bytes: self.bytes,
            expires: Some(EXPIRES),
            ..BatchConfig::default()
        };
        // Open from before it is sent: dropping this future must not hide it.
        let expires = Instant::now() + EXPIRES;
        self.requests += 1;
        let subject = Subject::from(format!("{}.{}", self.inbox, self.requests));
        self.open = Some(Open { subject: subject.clone(), left: self.batches, expires });
        request("requesting batches", self.consumer.request_batch(wanted, subject)).await?;
        Ok(expires)
    }

    /// A message of the inbox, if it is a batch. Another one can be the end of the request.
    fn batch(&mut self, message: async_nats::Message) -> Result<Option<Message>, Error> {
        match message.status {
            None | Some(StatusCode::OK) => {
                self.open =
                    self.open.take().filter(|open| open.left > 1).map(|open| Open { left: open.left - 1, ..open });
                Ok(Some(Message { message, context: self.jetstream.clone() }))
            }
            Some(StatusCode::IDLE_HEARTBEAT) => Ok(None),
            Some(_) if self.open.as_ref().is_none_or(|open| open.subject != message.subject) => Ok(None),
            Some(status) => {
                let open = self.open.take();
                let why = message.description.as_deref().unwrap_or_default();
                match status {
                    StatusCode::TIMEOUT => Ok(None),
                    // The next batch does not fit into the rest of the request. It fits into a new one, unless this one
                    // was new.
                    StatusCode::REQUEST_TERMINATED
                        if why == "Message Size Exceeds MaxBytes"
                            && open.is_some_and(|open| open.left < self.batches) =>
                    {
                        Ok(None)
                    }
                    _ => Err(Error::JetStream { doing: READING, source: format!("{status} {why}").into() }),
                }
            }
        }
    }
}
