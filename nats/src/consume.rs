//! The shared, durable reader: several processes take batches from the same place, and each batch comes again until
//! one of them has acknowledged it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::{AckKind, Message};
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::connect::Inner;
use crate::entry::{Entry, Malformed, entries};
use crate::error::Error;
use crate::partition;
use crate::setup::{epoch, request};

/// A batch that is neither acknowledged nor reported to be in progress for so long is handed out again.
const ACK_WAIT: Duration = Duration::from_secs(30);

/// Batches handed out and not acknowledged, over all processes: at most 64 MiB a partition.
const MAX_ACK_PENDING: i64 = 256;

/// Batches requested ahead.
const PREFETCH: usize = 16;

/// The server says so often that it lives; twice without a word, and the request is made anew.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// The pause before reading is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// One of the processes that share a durable reader. Dropping it ends its tasks.
#[derive(Debug)]
pub struct Consumer {
    deliveries: mpsc::Receiver<Result<Delivery, Error>>,
    _stop: DropGuard,
}

/// A batch that waits for its acknowledgement. Dropped without one it comes again, here or elsewhere, after the ack
/// wait of 30 s.
#[derive(Debug)]
pub struct Delivery {
    /// The lines of the batch, in order; none where somebody appended an empty batch.
    pub lines: Vec<Result<Entry, Malformed>>,
    message: Message,
    delivered: i64,
}

impl Consumer {
    pub(crate) fn start(log: &Arc<Inner>, name: &str) -> Consumer {
        // One waits here; the others wait in the client, where their number is bounded by the prefetch.
        let (sink, deliveries) = mpsc::channel(1);
        let stop = log.stop.child_token();
        for partition in 0..log.config.partitions {
            let work = run(Arc::downgrade(log), partition, name.to_owned(), sink.clone());
            log.tasks.spawn(stop.clone().run_until_cancelled_owned(work));
        }
        Consumer { deliveries, _stop: CancellationToken::drop_guard(stop) }
    }

    /// The next batch. Waits for as long as there is none, also through outages of the server. Cancel safe.
    /// An error is final.
    pub async fn next(&mut self) -> Result<Delivery, Error> {
        self.deliveries.recv().await.ok_or(Error::Closed)?
    }
}

impl Delivery {
    /// The effect is durable: the batch need not come again. If this fails, or is lost on the way, it will.
    pub async fn ack(&self) -> Result<(), Error> {
        request("acknowledging a batch", self.message.ack()).await
    }

    /// Still at work: asks for another 30 s.
    pub async fn progress(&self) -> Result<(), Error> {
        request("asking for more time for a batch", self.message.ack_with(AckKind::Progress)).await
    }

    /// How often the batch was handed out, this time included.
    pub fn delivered(&self) -> i64 {
        self.delivered
    }
}

async fn run(log: Weak<Inner>, partition: u32, name: String, sink: mpsc::Sender<Result<Delivery, Error>>) {
    loop {
        match follow(&log, partition, &name, &sink).await {
            Ok(()) => return,
            Err(error @ Error::Replaced { .. }) => {
                // A receiver that has gone does not need the error.
                let _ = sink.send(Err(error)).await;
                return;
            }
            Err(error) => {
                tracing::warn!(partition, consumer = name, %error, "reading the log was interrupted, beginning again");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Hands out batches until there is trouble, or nobody wants more.
async fn follow(
    log: &Weak<Inner>,
    partition: u32,
    name: &str,
    sink: &mpsc::Sender<Result<Delivery, Error>>,
) -> Result<(), Error> {
    let Some(log) = log.upgrade() else { return Ok(()) };
    let stream_name = partition::stream(partition);
    let stream = request("asking for a stream of the log", log.context.get_stream(&stream_name)).await?;
    let epoch_now = epoch(stream.cached_info());
    if epoch_now != log.epochs[partition as usize] {
        let reason = "its creation time has changed".to_owned();
        return Err(Error::Replaced { stream: stream_name, reason });
    }
    let config = pull::Config {
        durable_name: Some(name.to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_ack_pending: MAX_ACK_PENDING,
        // A batch that cannot be dealt with is the reader's to put aside; giving up on it here would lose it.
        max_deliver: -1,
        ..pull::Config::default()
    };
    let consumer = request("creating a consumer", stream.create_consumer(config)).await?;
    let messages = consumer.stream().max_messages_per_batch(PREFETCH).heartbeat(HEARTBEAT).messages();
    let mut messages = request("requesting batches", messages).await?;
    // The log may be dropped from here on: a reader must not keep alive what owns it.
    drop(log);
    while let Some(message) = messages.next().await {
        let message = message.map_err(|error| Error::JetStream { doing: "reading batches", source: error.into() })?;
        let info = message.info().map_err(|source| Error::JetStream { doing: "reading a batch", source })?;
        let (sequence, delivered) = (info.stream_sequence, info.delivered);
        let lines = entries(epoch_now, sequence, &message.payload);
        if sink.send(Ok(Delivery { lines, message, delivered })).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
