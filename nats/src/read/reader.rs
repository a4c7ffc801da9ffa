//! Reads one stream from a position on, in order, for as long as the log is open. The tail, presence, cursors and
//! decisions are built on it.
//!
//! It uses an ordered consumer, which repairs most troubles silently. So that an outage cannot look like a quiet night,
//! a watchdog asks the stream itself every few seconds. If the stream has grown and nothing came, the consumer is
//! recreated. If it is another stream than before, reading ends with an error.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::push::OrderedConfig;
use async_nats::jetstream::message::Message;
use async_nats::jetstream::stream::{self, Stream};
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::epoch::continuity::{accept_evidence, record_doubted_loss, record_loss};
use crate::epoch::doubt::{Doubt, GONE_AFTER, Verdict};
use crate::epoch::evidence;
use crate::epoch::memory::{Memory, other_message, went_back};
use crate::epoch::timeline::{TIMELINE_CHANGED, Timeline};
use crate::error::Error;
use crate::jetstream::{REQUEST_TIMEOUT, find_stream, request, request_within, timestamp};
use crate::partition;
use crate::read::end::{last_there, nothing_is_left};
use crate::read::item::{Item, ReadFrom, Record, Status};

/// How often the watchdog asks the stream.
const WATCHDOG_INTERVAL: Duration = Duration::from_secs(3);

/// The pause before a consumer is recreated. It doubles up to the second value while consumers fail soon and read
/// nothing.
const MIN_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// The deadline for a stream's answer or a new consumer. Both take milliseconds, unless a cluster elects a leader or
/// assigns the consumer to a member that has just died. Such a request is never answered; a retry may be, and
/// presenters wait.
const ANSWERED_WITHIN: Duration = Duration::from_millis(1_500);

/// Starts a reader. It sends every item to `sink`, converted by `map`. It ends with the log, with `stop`, when the sink
/// is dropped, or after an error, which is the last item.
pub(crate) fn read<T: Send + 'static>(
    context: &Arc<Context>,
    stream: &str,
    from: ReadFrom,
    stop: CancellationToken,
    sink: mpsc::Sender<T>,
    map: impl Fn(Result<Item, Error>) -> T + Send + Sync + 'static,
) -> Status {
    start(Reader::new(context, stream, from, sink, map), context, stop)
}

/// As [`read`], for a partition of the log, whose timeline is known.
pub(crate) fn read_partition<T: Send + 'static>(
    context: &Arc<Context>,
    partition: u32,
    from: ReadFrom,
    stop: CancellationToken,
    sink: mpsc::Sender<T>,
    map: impl Fn(Result<Item, Error>) -> T + Send + Sync + 'static,
) -> Status {
    let reader = Reader::new(context, &partition::stream(partition), from, sink, map);
    let timeline = Some(context.timelines.get(partition).clone());
    let memory = context.memories[partition as usize].clone();
    start(Reader { partition: Some(partition), timeline, memory, ..reader }, context, stop)
}

fn start<T: Send + 'static, F: Fn(Result<Item, Error>) -> T + Send + Sync + 'static>(
    reader: Reader<T, F>,
    context: &Context,
    stop: CancellationToken,
) -> Status {
    let status = reader.status.clone();
    context.tasks.spawn("stream reader", async move {
        stop.run_until_cancelled(reader.run()).await;
    });
    status
}

struct Reader<T, F> {
    context: Weak<Context>,
    stream: String,
    from: ReadFrom,
    /// The partition, if the stream is one.
    partition: Option<u32>,
    /// The stream's timeline, once known. A stream with another timeline is another stream.
    timeline: Option<Timeline>,
    /// What was seen of the stream.
    memory: Arc<Memory>,
    /// The last sequence that was handed out.
    last: Option<u64>,
    /// The sequence of the last [`Item::CaughtUp`].
    caught_up: Option<u64>,
    /// Since when the server has said that the stream does not exist.
    missing: Option<Instant>,
    /// Since when the stream has contradicted what was seen of it.
    doubt: Doubt,
    /// The deadline of a request. It grows while no answer comes: a server that is slow for everyone would never finish
    /// if all clients gave up and asked again.
    patience: Duration,
    status: Status,
    /// Bounded: a slow receiver slows the consumer, whose flow control slows the server.
    sink: mpsc::Sender<T>,
    map: F,
}

/// Why a consumer was given up. The reader continues with another one, if it can.
enum Trouble {
    /// The consumer failed, in the client's words, or fell behind.
    Passing(String),
    /// Nobody receives any more.
    Unwanted,
    /// Reading cannot continue.
    Final(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        match error {
            Error::Replaced { .. } => Trouble::Final(error),
            error => Trouble::Passing(error.to_string()),
        }
    }
}

impl<T: Send + 'static, F: Fn(Result<Item, Error>) -> T + Send + Sync + 'static> Reader<T, F> {
    fn new(context: &Arc<Context>, stream: &str, from: ReadFrom, sink: mpsc::Sender<T>, map: F) -> Reader<T, F> {
        Reader {
            context: Arc::downgrade(context),
            stream: stream.to_owned(),
            from,
            partition: None,
            timeline: None,
            memory: Arc::default(),
            last: None,
            caught_up: None,
            missing: None,
            doubt: Doubt::default(),
            patience: ANSWERED_WITHIN,
            status: Status::new(),
            sink,
            map,
        }
    }

    async fn run(mut self) {
        let mut pause = MIN_PAUSE;
        loop {
            let (last, began) = (self.last, Instant::now());
            match self.follow().await {
                Trouble::Unwanted => return,
                Trouble::Final(error) => {
                    // A receiver that is gone does not need the error.
                    let _ = self.sink.send((self.map)(Err(error))).await;
                    return;
                }
                Trouble::Passing(reason) => {
                    tracing::warn!(stream = self.stream, reason, "reading the log was interrupted, retrying");
                }
            }
            if self.sink.send((self.map)(Ok(Item::Resumed))).await.is_err() {
                return;
            }
            let is_steady = self.last != last || began.elapsed() > MAX_PAUSE;
            pause = if is_steady { MIN_PAUSE } else { (pause * 2).min(MAX_PAUSE) };
            self.patience = self.patience.mul_f32(1.5).min(REQUEST_TIMEOUT);
            sleep(pause).await;
        }
    }

    /// Reads through one consumer until there is trouble. A new connection is trouble: messages in flight on the old
    /// one may be lost, and detecting that could take seconds.
    async fn follow(&mut self) -> Trouble {
        let Some(mut connections) = self.context.upgrade().map(|context| context.connections.clone()) else {
            return Trouble::Unwanted;
        };
        connections.mark_unchanged();
        // Messages held by a dropped consumer were not handed out, and the next consumer begins with them.
        tokio::select! {
            followed = self.try_follow() => match followed {
                Ok(never) => match never {},
                Err(trouble) => trouble,
            },
            Ok(()) = connections.changed() => Trouble::Passing("there is a new connection".to_owned()),
        }
    }

    async fn try_follow(&mut self) -> Result<std::convert::Infallible, Trouble> {
        let context = self.context.upgrade().ok_or(Trouble::Unwanted)?;
        // Read before the request: the answer may lack what is acknowledged meanwhile.
        let seen = self.memory.last();
        let asking = timeout(self.patience, request("asking for a stream", context.jetstream.get_stream(&self.stream)));
        let stream = match asking.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(self.missing(&context, error).await),
            Err(_) => return Err(Trouble::Passing("the stream does not answer".to_owned())),
        };
        self.missing = None;
        self.compare(&stream, seen).await?;
        let last_at_start = last_there(&stream, &stream.cached_info().state).await?;
        // Nothing is left of what the server counts behind the last message.
        let end = stream.cached_info().state.last_sequence;
        let config = OrderedConfig {
            deliver_subject: context.jetstream.client().new_inbox(),
            deliver_policy: self.deliver_policy(),
            // The server hands out the last message of every subject only if the subjects are named.
            filter_subject: ">".to_owned(),
            ..OrderedConfig::default()
        };
        let creating = stream.create_consumer(config);
        let consumer = request_within(self.patience, "creating a consumer", creating).await?;
        let info = consumer.cached_info();
        let is_empty = info.num_pending == 0 && info.delivered.consumer_sequence == 0;
        if is_empty && nothing_is_left(&stream.cached_info().state, last_at_start, self.last, self.from) {
            // The stream has lost everything that it may have held in between.
            self.last = self.last.max(Some(last_at_start));
            self.say_caught_up(end).await?;
        }
        let mut messages = request("subscribing", consumer.messages()).await?;
        self.patience = ANSWERED_WITHIN;
        // From here on the log may be dropped: a reader must not keep its owner alive.
        drop(context);
        let mut watchdog = interval(WATCHDOG_INTERVAL);
        watchdog.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut behind_since_last_tick = None;
        loop {
            // Only the branch that hands a message out takes it from the consumer, so a dropped branch loses none.
            tokio::select! {
                message = messages.next() => match message {
                    Some(Ok(message)) => {
                        self.hand_out(message).await?;
                        if self.last >= Some(last_at_start) {
                            self.say_caught_up(end).await?;
                        }
                    }
                    Some(Err(error)) => return Err(Trouble::Passing(error.to_string())),
                    None => return Err(Trouble::Passing("the subscription ended".to_owned())),
                },
                _ = watchdog.tick() => {
                    let seen = self.memory.last();
                    let info = request("asking for a stream", stream.get_info()).await?;
                    self.check(&info, seen).await?;
                    self.status.hear();
                    let is_behind = |last_there: u64| self.last.is_none_or(|last| last < last_there);
                    let behind = is_behind(info.state.last_sequence)
                        && is_behind(last_there(&stream, &info.state).await?);
                    if behind && behind_since_last_tick == Some(self.last) {
                        return Err(Trouble::Passing("the stream has grown, but nothing was received".to_owned()));
                    }
                    behind_since_last_tick = behind.then_some(self.last);
                }
                () = self.sink.closed() => return Err(Trouble::Unwanted),
            }
        }
    }

    /// Judges a stream that did not answer: an outage, unless the server answers that the stream does not exist, and
    /// keeps to it.
    async fn missing(&mut self, context: &Context, error: Error) -> Trouble {
        if !matches!(find_stream(&context.jetstream, &self.stream).await, Ok(None)) {
            self.missing = None;
            return error.into();
        }
        let since = *self.missing.get_or_insert_with(Instant::now);
        if since.elapsed() < GONE_AFTER {
            return error.into();
        }
        self.replaced("it is gone".to_owned())
    }

    /// Checks by the stream's own account that it is the stream that was read before. `seen`: the last sequence that
    /// was known before the request.
    async fn check(&mut self, info: &stream::Info, seen: u64) -> Result<(), Trouble> {
        let timeline = Timeline::of(info);
        if *self.timeline.get_or_insert_with(|| timeline.clone()) != timeline {
            return Err(self.replaced(TIMELINE_CHANGED.to_owned()));
        }
        self.judge(info, went_back(info, seen)).await
    }

    /// As [`Reader::check`], and compares the stream with what is remembered of it: it may have been filled again.
    async fn compare(&mut self, stream: &Stream, seen: u64) -> Result<(), Trouble> {
        let info = stream.cached_info();
        self.check(info, seen).await?;
        let contradiction = self.memory.contradiction(stream, info).await?;
        self.judge(info, contradiction).await
    }

    async fn judge(&mut self, info: &stream::Info, contradiction: Option<String>) -> Result<(), Trouble> {
        match self.doubt.judge(info, contradiction) {
            Verdict::Same => Ok(()),
            Verdict::Doubtful(reason) => {
                Err(Trouble::Passing(format!("a member of the cluster says: {reason}; other members may disagree")))
            }
            Verdict::Lost(reason) => match (self.partition, self.context.upgrade()) {
                (Some(partition), Some(context)) => {
                    record_doubted_loss(&context, partition, reason).await?;
                    self.doubt = Doubt::default();
                    Err(Trouble::Passing("the cluster has what it seemed to have lost".to_owned()))
                }
                _ => Err(self.replaced(reason)),
            },
        }
    }

    /// The stream is not the one that was read before.
    async fn lost(&self, reason: String) -> Trouble {
        match (self.partition, self.context.upgrade()) {
            (Some(partition), Some(context)) => Trouble::Final(record_loss(&context, partition, reason, None).await),
            _ => self.replaced(reason),
        }
    }

    fn replaced(&self, reason: String) -> Trouble {
        Trouble::Final(Error::Replaced { stream: self.stream.clone(), reason })
    }

    fn deliver_policy(&self) -> DeliverPolicy {
        let from = self.last.map_or(self.from, |last| ReadFrom::Sequence(last + 1));
        match from {
            ReadFrom::Oldest => DeliverPolicy::All,
            ReadFrom::Since(time) => match async_nats::datetime::from_nanos(time.as_nanosecond()) {
                Ok(start_time) => DeliverPolicy::ByStartTime { start_time },
                // The time is before every stream.
                Err(_) => DeliverPolicy::All,
            },
            ReadFrom::LastPerSubject => DeliverPolicy::LastPerSubject,
            ReadFrom::Sequence(start_sequence) => DeliverPolicy::ByStartSequence { start_sequence },
        }
    }

    async fn say_caught_up(&mut self, sequence: u64) -> Result<(), Trouble> {
        if self.caught_up < Some(sequence) {
            self.status.hear();
            self.sink.send((self.map)(Ok(Item::CaughtUp(sequence)))).await.map_err(|_| Trouble::Unwanted)?;
            self.caught_up = Some(sequence);
        }
        Ok(())
    }

    /// Hands out a message, unless it was handed out before.
    async fn hand_out(&mut self, message: Message) -> Result<(), Trouble> {
        let info = message.info().map_err(|error| Trouble::Passing(error.to_string()))?;
        let (sequence, stored) = (info.stream_sequence, timestamp(info.published));
        // An ordered consumer that restarts before its first message starts at the beginning of the stream.
        let early = match (self.last, self.from) {
            (Some(last), _) => sequence <= last,
            (None, ReadFrom::Since(time)) => stored < time,
            (None, ReadFrom::Sequence(first)) => sequence < first,
            (None, ReadFrom::Oldest | ReadFrom::LastPerSubject) => false,
        };
        if !self.memory.see(sequence, stored) {
            // Boxed, because it never happens, and the future of every message would have room for it.
            return Err(Box::pin(self.lost(other_message(sequence))).await);
        }
        if let (Some(partition), Some(timeline)) = (self.partition, &self.timeline)
            && let Some(evidence) = evidence::against(timeline, sequence, message.message.headers.as_ref())
        {
            let context = self.context.upgrade().ok_or(Trouble::Unwanted)?;
            // Boxed for the same reason.
            return Err(Trouble::Final(Box::pin(accept_evidence(&context, partition, evidence)).await));
        }
        if early {
            return Ok(());
        }
        self.status.hear();
        let record = Record {
            subject: message.message.subject,
            sequence,
            stored,
            headers: message.message.headers,
            payload: message.message.payload,
        };
        self.sink.send((self.map)(Ok(Item::Record(record)))).await.map_err(|_| Trouble::Unwanted)?;
        self.last = Some(sequence);
        Ok(())
    }
}
