//! The shared, durable reader: several processes share one position, and each batch is redelivered until one of them
//! acknowledges it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::{AckKind, Message};
use chat::Position;
use futures_util::future::try_join_all;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::context::Context;
use crate::epoch::continuity::{accept_evidence, record_loss, same_stream};
use crate::epoch::evidence;
use crate::epoch::memory::other_message;
use crate::epoch::timeline::Timeline;
use crate::error::Error;
use crate::jetstream::{find_consumer, request, timestamp};
use crate::partition;
use crate::read::entry::{Entry, Malformed, entries};
use crate::read::pull::Pull;
use crate::setup::wanted::{Difference, difference};

/// A batch that is neither acknowledged nor reported in progress for this long is redelivered.
const ACK_WAIT: Duration = Duration::from_secs(30);

/// The limit on unacknowledged batches over all processes. Each process bounds what it holds by its requests; this
/// limit only has to exceed their sum.
const MAX_ACK_PENDING: i64 = 65_536;

/// Batches requested ahead. A batch may hold a single event, and the next write wants a thousand.
const PREFETCH: usize = 2_048;

/// Bytes requested ahead in all partitions together. This is about 7,000 events, which MongoDB writes in a fraction of
/// a second. It is not more, because nobody extends the ack wait of batches that only wait here: a MongoDB that writes
/// 300 events a second must reach all of them within the ack wait, or it writes everything twice.
const PREFETCH_BYTES: usize = 2 * 1024 * 1024;

/// The minimum of bytes requested ahead in one partition. The largest batch has 512 KiB, and the server does not hand
/// out a batch that exceeds the request.
const MIN_PREFETCH_BYTES: usize = 1024 * 1024;

/// Batches that were read and wait for [`Consumer::next`], so that reading and writing overlap.
const READ_AHEAD: usize = 16;

/// The pause before reading is retried.
const PAUSE: Duration = Duration::from_millis(500);

/// One consumer of a shared reader. Dropping it ends its tasks.
#[derive(Debug)]
pub struct Consumer {
    deliveries: mpsc::Receiver<Result<Delivery, Error>>,
    stop: DropGuard,
}

/// A batch that waits for its acknowledgement. A batch dropped without one is redelivered, here or elsewhere, after the
/// ack wait of 30 s.
#[derive(Debug)]
pub struct Delivery {
    /// The lines of the batch, in order. Empty if the batch expired before it was stored, or was appended empty.
    pub lines: Vec<Result<Entry, Malformed>>,
    /// The batch's position: its epoch and its sequence.
    pub place: Position,
    /// When the batch was stored, by the clock of the log's servers.
    pub stored: Timestamp,
    message: Message,
    delivered: i64,
}

/// A shared reader's backlog in one stream of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// The stream.
    pub stream: String,
    /// Batches that were never handed out.
    pub waiting: u64,
    /// Batches that were handed out and are not acknowledged.
    pub held: u64,
    /// The part of `held` that was handed out more than once.
    pub held_again: u64,
    /// Every batch up to this sequence is acknowledged, and can leave the log without loss.
    pub acknowledged: u64,
}

/// See [`crate::Log::backlog`].
pub(crate) async fn backlog(context: &Context, name: &str) -> Result<Vec<Backlog>, Error> {
    let asked = (0..context.config.partitions).map(async |partition| {
        let stream = partition::stream(partition);
        let durable = durable(context.timelines.get(partition), name);
        let consumer = context.jetstream.get_consumer_from_stream::<pull::Config, _, _>(durable, &stream);
        let consumer = request("asking for a consumer", consumer).await?;
        let info = consumer.cached_info();
        Ok(Backlog {
            stream,
            waiting: info.num_pending,
            held: info.num_ack_pending as u64,
            held_again: info.num_redelivered as u64,
            acknowledged: info.ack_floor.stream_sequence,
        })
    });
    try_join_all(asked).await
}

impl Consumer {
    pub(crate) fn start(context: &Arc<Context>, name: &str) -> Consumer {
        // These batches are parsed already. The others wait in the client, where the prefetch bounds them.
        let (sink, deliveries) = mpsc::channel(READ_AHEAD);
        let stop = context.tasks.stop().child_token();
        for partition in 0..context.config.partitions {
            let run = run(Arc::downgrade(context), partition, name.to_owned(), sink.clone(), stop.clone());
            context.tasks.spawn("shared reader", run);
        }
        Consumer { deliveries, stop: CancellationToken::drop_guard(stop) }
    }

    /// Waits for the next batch, also through outages of the server. Cancel safe. An error is final.
    pub async fn next(&mut self) -> Result<Delivery, Error> {
        self.deliveries.recv().await.ok_or(Error::Closed)?
    }

    /// Gives back all batches that were requested but not handed out, so that they are redelivered at once. Waits up to
    /// a second for the end of the open request, and another one if the server does not answer.
    pub async fn close(mut self) {
        self.deliveries.close();
        drop(self.stop);
        let mut left = Vec::new();
        while let Some(delivery) = self.deliveries.recv().await {
            left.extend(delivery.map(|delivery| delivery.message));
        }
        // Every task's request has ended by now. A batch given back earlier would be redelivered here.
        give_back(left).await;
    }
}

impl Delivery {
    /// Acknowledges the batch: its effect is durable. If the acknowledgement fails or is lost, the batch is
    /// redelivered.
    pub async fn ack(&self) -> Result<(), Error> {
        request("acknowledging a batch", self.message.ack()).await
    }

    /// Reports the batch in progress, which extends the ack wait by another 30 s.
    pub async fn progress(&self) -> Result<(), Error> {
        request("asking for more time for a batch", self.message.ack_with(AckKind::Progress)).await
    }

    /// How often the batch was handed out, including this time.
    pub fn delivered(&self) -> i64 {
        self.delivered
    }
}

async fn run(
    context: Weak<Context>,
    partition: u32,
    name: String,
    sink: mpsc::Sender<Result<Delivery, Error>>,
    stop: CancellationToken,
) {
    loop {
        match follow(&context, partition, &name, &sink, &stop).await {
            Ok(Ended::Unwanted) => return,
            Ok(Ended::Reconnected) => {}
            Err(error @ Error::Replaced { .. }) => {
                // A receiver that is gone does not need the error.
                let _ = sink.send(Err(error)).await;
                return;
            }
            Err(error) => {
                tracing::warn!(partition, consumer = name, %error, "reading the log was interrupted, retrying");
                if stop.run_until_cancelled(sleep(PAUSE)).await.is_none() {
                    return;
                }
            }
        }
    }
}

/// Best effort: a batch that is not given back is redelivered after the ack wait.
async fn give_back(messages: Vec<Message>) {
    for message in messages {
        if let Err(error) = request("giving back a batch", message.ack_with(AckKind::Nak(None))).await {
            tracing::debug!(%error, "a batch was not given back");
        }
    }
}

/// Hands out batches until there is trouble or a new connection, or until nobody wants more.
async fn follow(
    context: &Weak<Context>,
    partition: u32,
    name: &str,
    sink: &mpsc::Sender<Result<Delivery, Error>>,
    stop: &CancellationToken,
) -> Result<Ended, Error> {
    let Some(context) = context.upgrade() else { return Ok(Ended::Unwanted) };
    let mut connections = context.connections.clone();
    connections.mark_unchanged();
    let stream = same_stream(&context, partition).await?;
    let (timeline, memory) = (context.timelines.get(partition).clone(), context.memories[partition as usize].clone());
    let weak = Arc::downgrade(&context);
    let config = pull::Config {
        durable_name: Some(durable(&timeline, name)),
        deliver_policy: begins(&context, partition, name).await?,
        ..reader()
    };
    // Of two processes that create it with different beginnings, one is refused, and tries again.
    let consumer = request("creating a consumer", stream.create_consumer(config)).await?;
    let bytes = (PREFETCH_BYTES / context.memories.len()).max(MIN_PREFETCH_BYTES);
    let mut batches = Pull::start(&context.jetstream, consumer, PREFETCH, bytes).await?;
    // The log may be dropped from here on: a reader must not keep its owner alive.
    drop(context);
    let mut left = Vec::new();
    let ended = loop {
        // A dropped branch loses nothing: a batch stays in `batches`, or is given back.
        let message = tokio::select! {
            biased;
            () = stop.cancelled() => break Ok(Ended::Unwanted),
            Ok(()) = connections.changed() => break Ok(Ended::Reconnected),
            message = batches.next() => message,
        };
        let message = match message {
            Ok(message) => message,
            Err(error) => break Err(error),
        };
        let Some(Ok(room)) = stop.run_until_cancelled(sink.reserve()).await else {
            left.push(message);
            break Ok(Ended::Unwanted);
        };
        let info = message.info().map_err(|source| Error::JetStream { doing: "reading a batch", source })?;
        let (sequence, delivered, stored) = (info.stream_sequence, info.delivered, timestamp(info.published));
        if !memory.see(sequence, stored) {
            let Some(context) = weak.upgrade() else { break Ok(Ended::Unwanted) };
            return Err(record_loss(&context, partition, other_message(sequence), None).await);
        }
        let (place, headers) = (timeline.position(sequence, 0), message.headers.as_ref());
        if let Some(evidence) = evidence::against(&timeline, sequence, headers) {
            let Some(context) = weak.upgrade() else { break Ok(Ended::Unwanted) };
            match stop.run_until_cancelled(accept_evidence(&context, partition, evidence)).await {
                Some(error) => return Err(error),
                None => break Ok(Ended::Unwanted),
            }
        }
        let lines = entries(place.epoch, sequence, stored, headers, &message.payload).collect();
        room.send(Ok(Delivery { lines, place, stored, message, delivered }));
    };
    left.extend(match ended {
        Ok(Ended::Unwanted) => batches.rest().await,
        // The connection or the server is another one: the end of the request may never come.
        Ok(Ended::Reconnected) | Err(_) => batches.arrived(),
    });
    give_back(left).await;
    ended
}

/// Why reading ended without trouble.
enum Ended {
    /// Nobody wants more.
    Unwanted,
    /// There is a new connection. Reading goes on after the log is compared with what was seen of it.
    Reconnected,
}

/// The settings of a shared reader.
fn reader() -> pull::Config {
    pull::Config {
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_ack_pending: MAX_ACK_PENDING,
        // The archiver quarantines a batch that it cannot store. Giving up on a batch here would lose it.
        max_deliver: -1,
        ..pull::Config::default()
    }
}

/// Where a reader begins, or began. After the log lost its end it goes on after what its predecessor acknowledged, so
/// that it does not hand out the whole log again. Without a predecessor it begins with the oldest batch.
async fn begins(context: &Context, partition: u32, name: &str) -> Result<DeliverPolicy, Error> {
    let (jetstream, timeline, stream) =
        (&context.jetstream, context.timelines.get(partition), partition::stream(partition));
    if !timeline.has_forks() {
        return Ok(reader().deliver_policy);
    }
    if let Some(present) = find_consumer(jetstream, &stream, &durable(timeline, name)).await? {
        return Ok(present.cached_info().config.deliver_policy);
    }
    for (earlier, lost_from) in timeline.earlier() {
        if let Some(predecessor) = find_consumer(jetstream, &stream, &durable(&earlier, name)).await? {
            let acknowledged = predecessor.cached_info().ack_floor.stream_sequence;
            // What it acknowledged beyond is lost, and other batches may stand there.
            let start_sequence = (acknowledged + 1).min(lost_from);
            return Ok(DeliverPolicy::ByStartSequence { start_sequence });
        }
    }
    Ok(reader().deliver_policy)
}

/// The settings of an existing reader that differ.
pub(crate) fn difference_of_reader(present: &consumer::Config) -> Vec<Difference> {
    let wanted = reader();
    let goes_on = matches!(present.deliver_policy, DeliverPolicy::ByStartSequence { .. });
    let begins = if goes_on { present.deliver_policy } else { wanted.deliver_policy };
    let differences = [
        difference("deliver_policy", present.deliver_policy, begins),
        difference("ack_policy", present.ack_policy, wanted.ack_policy),
        difference("ack_wait", present.ack_wait, wanted.ack_wait),
        difference("max_ack_pending", present.max_ack_pending, wanted.max_ack_pending),
        difference("max_deliver", present.max_deliver, wanted.max_deliver),
        difference("filter_subject", present.filter_subject.as_str(), ""),
    ];
    differences.into_iter().flatten().collect()
}

/// The durable name of a reader. After the log lost its end the name is another one: the old reader would skip new
/// batches that have the sequences of the lost part.
pub(crate) fn durable(timeline: &Timeline, name: &str) -> String {
    if timeline.has_forks() { format!("{name}-{:x}", timeline.epoch()) } else { name.to_owned() }
}
