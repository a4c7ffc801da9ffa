//! The shared, durable reader: several processes take batches from the same place, and each batch comes again until
//! one of them has acknowledged it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::{AckKind, Message};
use futures_util::future::try_join_all;
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::epoch::continuity::{record_loss, same_stream};
use crate::epoch::memory::other_message;
use crate::epoch::timeline::Timeline;
use crate::error::Error;
use crate::jetstream::request;
use crate::log::Inner;
use crate::partition;
use crate::read::entry::{Entry, Malformed, entries, timestamp};
use chat::Position;

/// A batch that is neither acknowledged nor reported to be in progress for so long is handed out again.
const ACK_WAIT: Duration = Duration::from_secs(30);

/// Batches handed out and not acknowledged, over all processes. What one process holds is bounded by what it requests;
/// this only has to be more than all of them hold together.
const MAX_ACK_PENDING: i64 = 65_536;

/// Batches requested ahead: a batch may hold a single event, and the next write wants a thousand.
const PREFETCH: usize = 2_048;

/// Bytes requested ahead, in all partitions together; the next request is made when half of them have come, so half as
/// much again may be on its way. Some 7,000 events: at the speed of MongoDB a fraction of a second. Not more, because
/// nobody asks for more time for what only waits here: a MongoDB that writes 300 events a second must come to all of it
/// within the ack wait, or writes everything twice.
const PREFETCH_BYTES: usize = 2 * 1024 * 1024;

/// Bytes requested ahead in one partition at least: the largest batch has 512 KiB, and one that exceeds the request is
/// not handed out.
const MIN_PREFETCH_BYTES: usize = 1024 * 1024;

/// Batches that are read and wait to be taken, so that reading and writing need not take turns.
const READ_AHEAD: usize = 16;

/// The server says so often that it lives; twice without a word, and the request is made anew.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// The pause before reading is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// One of the processes that share a durable reader. Dropping it ends its tasks.
#[derive(Debug)]
pub struct Consumer {
    deliveries: mpsc::Receiver<Result<Delivery, Error>>,
    stop: DropGuard,
}

/// A batch that waits for its acknowledgement. Dropped without one it comes again, here or elsewhere, after the ack
/// wait of 30 s.
#[derive(Debug)]
pub struct Delivery {
    /// The lines of the batch, in order; none where it came too late, or somebody appended an empty batch.
    pub lines: Vec<Result<Entry, Malformed>>,
    /// Where it stands: its epoch and its sequence.
    pub place: Position,
    /// When it was stored, by the clock of the log's servers.
    pub stored: Timestamp,
    message: Message,
    delivered: i64,
}

/// What a shared reader has yet to deal with in one stream of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// The stream.
    pub stream: String,
    /// Batches that were handed to nobody yet.
    pub waiting: u64,
    /// Batches that were handed out and are not acknowledged.
    pub held: u64,
    /// Those of them that were handed out more than once.
    pub held_again: u64,
    /// Every batch up to this sequence is acknowledged; it can then leave the log without loss.
    pub acknowledged: u64,
}

/// What the reader of that name has yet to deal with, stream by stream. An error where it never read.
pub(crate) async fn backlog(log: &Inner, name: &str) -> Result<Vec<Backlog>, Error> {
    let asked = (0..log.config.partitions).map(async |partition| {
        let stream = partition::stream(partition);
        let durable = durable(log.timelines.get(partition), name);
        let consumer = log.context.get_consumer_from_stream::<pull::Config, _, _>(durable, &stream);
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
    pub(crate) fn start(log: &Arc<Inner>, name: &str) -> Consumer {
        // These are read already; the others wait in the client, where the prefetch bounds them.
        let (sink, deliveries) = mpsc::channel(READ_AHEAD);
        let stop = log.stop.child_token();
        for partition in 0..log.config.partitions {
            log.tasks.spawn(run(Arc::downgrade(log), partition, name.to_owned(), sink.clone(), stop.clone()));
        }
        Consumer { deliveries, stop: CancellationToken::drop_guard(stop) }
    }

    /// The next batch. Waits for as long as there is none, also through outages of the server. Cancel safe.
    /// An error is final.
    pub async fn next(&mut self) -> Result<Delivery, Error> {
        self.deliveries.recv().await.ok_or(Error::Closed)?
    }

    /// Gives back what was requested and not yet handed out, so that it need not wait for the ack wait to come again.
    pub async fn close(mut self) {
        self.deliveries.close();
        drop(self.stop);
        let mut left = Vec::new();
        while let Some(delivery) = self.deliveries.recv().await {
            left.extend(delivery.map(|delivery| delivery.message));
        }
        // Only now has every task withdrawn its request: what is given back earlier would come here again.
        give_back(left).await;
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

async fn run(
    log: Weak<Inner>,
    partition: u32,
    name: String,
    sink: mpsc::Sender<Result<Delivery, Error>>,
    stop: CancellationToken,
) {
    loop {
        match follow(&log, partition, &name, &sink, &stop).await {
            Ok(Ended::Unwanted) => return,
            Ok(Ended::Reconnected) => {}
            Err(error @ Error::Replaced { .. }) => {
                // A receiver that has gone does not need the error.
                let _ = sink.send(Err(error)).await;
                return;
            }
            Err(error) => {
                tracing::warn!(partition, consumer = name, %error, "reading the log was interrupted, beginning again");
                if stop.run_until_cancelled(sleep(PAUSE)).await.is_none() {
                    return;
                }
            }
        }
    }
}

/// Best effort: what is not given back comes again after the ack wait.
async fn give_back(messages: Vec<Message>) {
    for message in messages {
        if let Err(error) = request("giving back a batch", message.ack_with(AckKind::Nak(None))).await {
            tracing::debug!(%error, "a batch was not given back");
        }
    }
}

/// Hands out batches until there is trouble or a new connection, or nobody wants more.
async fn follow(
    log: &Weak<Inner>,
    partition: u32,
    name: &str,
    sink: &mpsc::Sender<Result<Delivery, Error>>,
    stop: &CancellationToken,
) -> Result<Ended, Error> {
    let Some(log) = log.upgrade() else { return Ok(Ended::Unwanted) };
    let mut connections = log.connections.clone();
    connections.mark_unchanged();
    let stream = same_stream(&log, partition).await?;
    let (timeline, memory) = (log.timelines.get(partition).clone(), log.memories[partition as usize].clone());
    let weak = Arc::downgrade(&log);
    let config = pull::Config {
        durable_name: Some(durable(&timeline, name)),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_ack_pending: MAX_ACK_PENDING,
        // A batch that cannot be dealt with is the reader's to put aside; giving up on it here would lose it.
        max_deliver: -1,
        ..pull::Config::default()
    };
    let consumer = request("creating a consumer", stream.create_consumer(config)).await?;
    let bytes = (PREFETCH_BYTES / log.memories.len()).max(MIN_PREFETCH_BYTES);
    let requests = consumer.stream().max_messages_per_batch(PREFETCH).max_bytes_per_batch(bytes);
    let messages = requests.heartbeat(HEARTBEAT).messages();
    let mut messages = request("requesting batches", messages).await?;
    // The log may be dropped from here on: a reader must not keep alive what owns it.
    drop(log);
    let mut left = Vec::new();
    let ended = loop {
        // Nothing is lost with a branch that is dropped: a message stays in `messages`, or is given back.
        let message = tokio::select! {
            biased;
            () = stop.cancelled() => break Ok(Ended::Unwanted),
            Ok(()) = connections.changed() => break Ok(Ended::Reconnected),
            message = messages.next() => message,
        };
        let message = match message {
            Some(Ok(message)) => message,
            Some(Err(error)) => break Err(Error::JetStream { doing: "reading batches", source: error.into() }),
            None => break Ok(Ended::Unwanted),
        };
        let Some(Ok(room)) = stop.run_until_cancelled(sink.reserve()).await else {
            left.push(message);
            break Ok(Ended::Unwanted);
        };
        let info = message.info().map_err(|source| Error::JetStream { doing: "reading a batch", source })?;
        let (sequence, delivered, stored) = (info.stream_sequence, info.delivered, timestamp(info.published));
        if !memory.see(sequence, stored) {
            let Some(log) = weak.upgrade() else { break Ok(Ended::Unwanted) };
            return Err(record_loss(&log, partition, other_message(sequence), None).await);
        }
        let (place, headers) = (timeline.position(sequence, 0), message.headers.as_ref());
        let lines = entries(place.epoch, sequence, stored, headers, &message.payload);
        room.send(Ok(Delivery { lines, place, stored, message, delivered }));
    };
    while let Some(Some(Ok(message))) = messages.next().now_or_never() {
        left.push(message);
    }
    drop(messages);
    give_back(left).await;
    ended
}

/// Why reading ended without trouble.
enum Ended {
    /// Nobody wants more.
    Unwanted,
    /// There is a new connection: the log is compared with what was seen of it before reading goes on.
    Reconnected,
}

/// What the server calls the reader of that name. After the log lost its end it is another one, which reads everything
/// that is left: the old one would pass over what has the sequences of the lost part now.
fn durable(timeline: &Timeline, name: &str) -> String {
    if timeline.has_forks() { format!("{name}-{:x}", timeline.epoch()) } else { name.to_owned() }
}
