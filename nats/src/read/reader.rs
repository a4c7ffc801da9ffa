//! Reads one stream from a place onwards, in order, for as long as the log is open: the machinery under the tail, the
//! presence, the cursors and the decisions.
//!
//! Underneath is an ordered consumer, which mends most troubles by itself and in silence. So that an outage cannot look
//! like a quiet night, a watchdog asks the stream itself every few seconds: where it has grown and nothing came, the
//! consumer is made anew; where it is not the stream that was read before, reading ends with an error.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::push::OrderedConfig;
use async_nats::jetstream::message::Message;
use async_nats::jetstream::stream::{self, LastRawMessageErrorKind, Stream};
use bytes::Bytes;
use futures_util::StreamExt;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::epoch::continuity::{Doubt, GONE_AFTER, TIMELINE_CHANGED, Verdict, record_loss};
use crate::epoch::memory::{Memory, other_message, went_back};
use crate::epoch::timeline::Timeline;
use crate::error::Error;
use crate::jetstream::{REQUEST_TIMEOUT, request, request_within};
use crate::log::Inner;
use crate::partition;
use crate::read::entry::timestamp;
use crate::setup;
use crate::setup::timeline;
use runtime::Moment;

/// How often the watchdog asks the stream.
const WATCHDOG_INTERVAL: Duration = Duration::from_secs(3);

/// A reader that has heard nothing of its stream for so long is not current: three answers of the watchdog are missing.
const CURRENT_WITHIN: Duration = Duration::from_secs(10);

/// The pause before a consumer is made anew, doubled up to the second while consumers read nothing and fail soon.
const MIN_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// A stream is known and a consumer created in milliseconds, unless a cluster elects a leader or gives the consumer to a
/// member that has just died. What is asked then is never answered; what is asked again may be, and presenters wait.
const ANSWERED_WITHIN: Duration = Duration::from_millis(1_500);

/// Where reading begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum From {
    /// At the oldest message that the stream has.
    Oldest,
    /// At the first message stored at or after that time.
    Since(Timestamp),
    /// With the last message of every subject: the present state of a bucket.
    LastPerSubject,
    /// At that sequence.
    Sequence(u64),
}

/// What a reader hands out.
#[derive(Debug)]
pub(crate) enum Item {
    /// The next message.
    Record(Record),
    /// Everything that was in the stream when reading began, up to this sequence, came before this.
    CaughtUp(u64),
    /// There was an outage; whatever was concluded from silence is to be forgotten.
    Resumed,
}

/// A message of a stream.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) subject: String,
    pub(crate) sequence: u64,
    /// When, by the server's clock.
    pub(crate) stored: Timestamp,
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) payload: Bytes,
}

/// How a reader is doing. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    caught_up: Arc<watch::Sender<bool>>,
    heard: Arc<Mutex<Option<Moment>>>,
}

impl Status {
    fn new() -> Status {
        Status { caught_up: Arc::new(watch::Sender::new(false)), heard: Arc::default() }
    }

    /// Whether [`Status::set_caught_up`] was called.
    pub(crate) fn is_caught_up(&self) -> bool {
        *self.caught_up.borrow()
    }

    pub(crate) async fn caught_up(&self) {
        let mut caught_up = self.caught_up.subscribe();
        caught_up.wait_for(|caught_up| *caught_up).await.expect("self keeps the sender");
    }

    /// Whether the stream was heard of lately.
    pub(crate) fn is_current(&self) -> bool {
        let heard = *self.heard.lock().expect("nothing panics while it holds the lock");
        heard.is_some_and(|heard| heard.elapsed() < CURRENT_WITHIN)
    }

    fn hear(&self) {
        *self.heard.lock().expect("nothing panics while it holds the lock") = Some(Moment::now());
    }

    /// For the receiver, once it has dealt with [`Item::CaughtUp`].
    pub(crate) fn set_caught_up(&self) {
        self.caught_up.send_if_modified(|caught_up| !std::mem::replace(caught_up, true));
    }
}

/// Starts to read. What is read goes to `sink` as what `map` makes of it; reading ends with the log, with `stop`, when
/// the sink is dropped, or after an error, which is the last item.
pub(crate) fn read<T: Send + 'static>(
    log: &Arc<Inner>,
    stream: &str,
    from: From,
    stop: CancellationToken,
    sink: mpsc::Sender<T>,
    map: impl Fn(Result<Item, Error>) -> T + Send + Sync + 'static,
) -> Status {
    start(Reader::new(log, stream, from, sink, map), log, stop)
}

/// The same for a partition of the log, whose timeline is known.
pub(crate) fn read_partition<T: Send + 'static>(
    log: &Arc<Inner>,
    partition: u32,
    from: From,
    stop: CancellationToken,
    sink: mpsc::Sender<T>,
    map: impl Fn(Result<Item, Error>) -> T + Send + Sync + 'static,
) -> Status {
    let reader = Reader::new(log, &partition::stream(partition), from, sink, map);
    let timeline = Some(log.timelines.get(partition).clone());
    let memory = log.memories[partition as usize].clone();
    start(Reader { partition: Some(partition), timeline, memory, ..reader }, log, stop)
}

fn start<T: Send + 'static, F: Fn(Result<Item, Error>) -> T + Send + Sync + 'static>(
    reader: Reader<T, F>,
    log: &Inner,
    stop: CancellationToken,
) -> Status {
    let status = reader.status.clone();
    log.tasks.spawn(stop.run_until_cancelled_owned(reader.run()));
    status
}

struct Reader<T, F> {
    log: Weak<Inner>,
    stream: String,
    from: From,
    /// The partition of the log, if it is one.
    partition: Option<u32>,
    /// The stream's timeline, once known: another one is another stream.
    timeline: Option<Timeline>,
    /// What was seen of it.
    memory: Arc<Memory>,
    /// The last sequence that was handed out.
    last: Option<u64>,
    caught_up: bool,
    /// Since when the server has said that there is no such stream.
    missing: Option<Instant>,
    /// Since when the stream is said to have gone back.
    doubt: Doubt,
    /// How long an answer may take. It grows while none comes: a server that is slow for everybody would never finish if
    /// all gave up and asked again.
    patience: Duration,
    status: Status,
    /// Bounded: a slow receiver slows the consumer, whose flow control slows the server.
    sink: mpsc::Sender<T>,
    map: F,
}

/// Why a consumer was given up; the reader goes on with another.
enum Trouble {
    /// It failed, in the client's words, or did not keep up.
    Passing(String),
    /// Nobody receives any more.
    Unwanted,
    /// Reading cannot go on.
    Final(Error),
}

impl std::convert::From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        match error {
            Error::Replaced { .. } => Trouble::Final(error),
            error => Trouble::Passing(error.to_string()),
        }
    }
}

/// The sequence of the last message that the stream has. Its own last sequence may be further on: a server that was stopped
/// in good order remembers where a file ended that has lost its end since, and counts what is missing as deleted.
async fn last_there(stream: &Stream, state: &stream::State) -> Result<u64, Error> {
    let last = state.last_sequence;
    if state.messages == 0 || state.deleted_count.unwrap_or(0) == 0 {
        return Ok(last);
    }
    let asking = async {
        match stream.get_raw_message(last).await {
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(false),
            found => found.map(|_| true),
        }
    };
    if request("asking for the last message of a stream", asking).await? {
        return Ok(last);
    }
    let details = stream.info_builder().with_deleted(true).fetch();
    let details = request("asking what a stream has lost", details).await?;
    let deleted: HashSet<u64> = details.info.state.deleted.into_iter().flatten().collect();
    Ok((state.first_sequence..=last).rev().find(|sequence| !deleted.contains(sequence)).unwrap_or(last))
}

/// Whether the stream has nothing after what was handed out last. A consumer that has nothing is no evidence of that: in
/// a cluster it may be on a member that has yet to catch up with the stream. (To go on from the stream's end would then
/// pass over what that member hands out later.)
fn nothing_is_left(state: &stream::State, last_there: u64, last: Option<u64>, from: From) -> bool {
    let holds_nothing = state.messages == 0;
    holds_nothing
        || match (last, from) {
            (Some(last), _) => last >= last_there,
            (None, From::Sequence(first)) => first > last_there,
            (None, From::Since(time)) => state.last_timestamp.unix_timestamp_nanos() < time.as_nanosecond(),
            (None, From::Oldest | From::LastPerSubject) => false,
        }
}

impl<T: Send + 'static, F: Fn(Result<Item, Error>) -> T + Send + Sync + 'static> Reader<T, F> {
    fn new(log: &Arc<Inner>, stream: &str, from: From, sink: mpsc::Sender<T>, map: F) -> Reader<T, F> {
        Reader {
            log: Arc::downgrade(log),
            stream: stream.to_owned(),
            from,
            partition: None,
            timeline: None,
            memory: Arc::default(),
            last: None,
            caught_up: false,
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
                    // A receiver that has gone does not need the error.
                    let _ = self.sink.send((self.map)(Err(error))).await;
                    return;
                }
                Trouble::Passing(reason) => {
                    tracing::warn!(stream = self.stream, reason, "reading the log was interrupted, beginning again");
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

    /// Reads through one consumer until there is trouble. A new connection is trouble: what was underway over the one
    /// before it may be lost, and it could take seconds until somebody misses it.
    async fn follow(&mut self) -> Trouble {
        let Some(mut connections) = self.log.upgrade().map(|log| log.connections.clone()) else {
            return Trouble::Unwanted;
        };
        connections.mark_unchanged();
        // Whatever the consumer held when it is dropped was not handed out, and the next one begins with it.
        tokio::select! {
            followed = self.try_follow() => match followed {
                Ok(never) => match never {},
                Err(trouble) => trouble,
            },
            Ok(()) = connections.changed() => Trouble::Passing("there is a new connection".to_owned()),
        }
    }

    async fn try_follow(&mut self) -> Result<std::convert::Infallible, Trouble> {
        let log = self.log.upgrade().ok_or(Trouble::Unwanted)?;
        // Before the stream is asked: what is acknowledged meanwhile may be missing from its answer.
        let seen = self.memory.last();
        let asking = timeout(self.patience, request("asking for a stream", log.context.get_stream(&self.stream)));
        let stream = match asking.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(self.missing(&log, error).await),
            Err(_) => return Err(Trouble::Passing("nobody answers for the stream".to_owned())),
        };
        self.missing = None;
        self.compare(&stream, seen).await?;
        let last_at_start = last_there(&stream, &stream.cached_info().state).await?;
        let config = OrderedConfig {
            deliver_subject: log.context.client().new_inbox(),
            deliver_policy: self.deliver_policy(),
            // The last message of every subject is only given to who names the subjects.
            filter_subject: ">".to_owned(),
            ..OrderedConfig::default()
        };
        let creating = stream.create_consumer(config);
        let consumer = request_within(self.patience, "creating a consumer", creating).await?;
        let info = consumer.cached_info();
        let is_empty = info.num_pending == 0 && info.delivered.consumer_sequence == 0;
        if is_empty && nothing_is_left(&stream.cached_info().state, last_at_start, self.last, self.from) {
            // Nothing is left of what the stream may have held in between.
            self.last = self.last.max(Some(last_at_start));
            self.say_caught_up(last_at_start).await?;
        }
        let mut messages = request("subscribing", consumer.messages()).await?;
        self.patience = ANSWERED_WITHIN;
        // From here on the log may be dropped: a reader must not keep alive what owns it.
        drop(log);
        let mut watchdog = interval(WATCHDOG_INTERVAL);
        watchdog.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut behind_since_last_tick = None;
        loop {
            // A message is taken from the consumer only by the branch that hands it out, so none is lost with a
            // dropped branch.
            tokio::select! {
                message = messages.next() => match message {
                    Some(Ok(message)) => {
                        self.hand_out(&message).await?;
                        if self.last >= Some(last_at_start) {
                            self.say_caught_up(last_at_start).await?;
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
                        return Err(Trouble::Passing("the stream has grown and nothing came".to_owned()));
                    }
                    behind_since_last_tick = behind.then_some(self.last);
                }
                () = self.sink.closed() => return Err(Trouble::Unwanted),
            }
        }
    }

    /// What it means that the stream did not answer: an outage, unless it stays away while the server does answer.
    async fn missing(&mut self, log: &Inner, error: Error) -> Trouble {
        if !matches!(setup::find(&log.context, &self.stream).await, Ok(None)) {
            self.missing = None;
            return error.into();
        }
        let since = *self.missing.get_or_insert_with(Instant::now);
        if since.elapsed() < GONE_AFTER {
            return error.into();
        }
        self.replaced("it is gone".to_owned())
    }

    /// Whether this is still the stream that was read before, as it says of itself. `seen`: the last sequence that was known
    /// before it was asked.
    async fn check(&mut self, info: &stream::Info, seen: u64) -> Result<(), Trouble> {
        let timeline = timeline(info);
        if *self.timeline.get_or_insert_with(|| timeline.clone()) != timeline {
            return Err(self.replaced(TIMELINE_CHANGED.to_owned()));
        }
        self.judge(info, went_back(info, seen)).await
    }

    /// The same, comparing the stream with what is remembered of it: it may have been filled again.
    async fn compare(&mut self, stream: &Stream, seen: u64) -> Result<(), Trouble> {
        let info = stream.cached_info();
        self.check(info, seen).await?;
        let contradiction = self.memory.contradiction(stream, info).await?;
        self.judge(info, contradiction).await
    }

    async fn judge(&mut self, info: &stream::Info, contradiction: Option<String>) -> Result<(), Trouble> {
        match self.doubt.judge(info, contradiction) {
            Verdict::Same => Ok(()),
            Verdict::Doubtful(reason) => Err(Trouble::Passing(format!(
                "a member of the cluster says that {reason}, which others may know better"
            ))),
            Verdict::Lost(reason) => Err(self.lost(reason).await),
        }
    }

    /// The stream is not the one that was read before.
    async fn lost(&self, reason: String) -> Trouble {
        match (self.partition, self.log.upgrade()) {
            (Some(partition), Some(log)) => Trouble::Final(record_loss(&log, partition, reason, None).await),
            _ => self.replaced(reason),
        }
    }

    fn replaced(&self, reason: String) -> Trouble {
        Trouble::Final(Error::Replaced { stream: self.stream.clone(), reason })
    }

    fn deliver_policy(&self) -> DeliverPolicy {
        let from = self.last.map_or(self.from, |last| From::Sequence(last + 1));
        match from {
            From::Oldest => DeliverPolicy::All,
            From::Since(time) => match async_nats::datetime::from_nanos(time.as_nanosecond()) {
                Ok(start_time) => DeliverPolicy::ByStartTime { start_time },
                // A time before every stream.
                Err(_) => DeliverPolicy::All,
            },
            From::LastPerSubject => DeliverPolicy::LastPerSubject,
            From::Sequence(start_sequence) => DeliverPolicy::ByStartSequence { start_sequence },
        }
    }

    async fn say_caught_up(&mut self, sequence: u64) -> Result<(), Trouble> {
        if !self.caught_up {
            self.sink.send((self.map)(Ok(Item::CaughtUp(sequence)))).await.map_err(|_| Trouble::Unwanted)?;
            self.caught_up = true;
        }
        Ok(())
    }

    /// Hands out what was not handed out before.
    async fn hand_out(&mut self, message: &Message) -> Result<(), Trouble> {
        let info = message.info().map_err(|error| Trouble::Passing(error.to_string()))?;
        let (sequence, stored) = (info.stream_sequence, timestamp(info.published));
        // The ordered consumer begins at the very start where it has to begin again before its first message.
        let early = match (self.last, self.from) {
            (Some(last), _) => sequence <= last,
            (None, From::Since(time)) => stored < time,
            (None, From::Sequence(first)) => sequence < first,
            (None, From::Oldest | From::LastPerSubject) => false,
        };
        if !self.memory.see(sequence, stored) {
            return Err(self.lost(other_message(sequence)).await);
        }
        if early {
            return Ok(());
        }
        self.status.hear();
        let record = Record {
            subject: message.subject.to_string(),
            sequence,
            stored,
            headers: message.headers.clone(),
            payload: message.payload.clone(),
        };
        self.sink.send((self.map)(Ok(Item::Record(record)))).await.map_err(|_| Trouble::Unwanted)?;
        self.last = Some(sequence);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(messages: u64, first: u64, last: u64) -> stream::State {
        let state = serde_json::json!({
            "messages": messages, "bytes": 0, "consumer_count": 1,
            "first_seq": first, "first_ts": "2026-11-22T12:00:00Z",
            "last_seq": last, "last_ts": "2026-11-22T12:34:56Z",
        });
        serde_json::from_value(state).unwrap()
    }

    #[test]
    fn a_consumer_that_has_nothing_does_not_mean_that_nothing_is_left() {
        let check = |state: &stream::State, last, from, expected| {
            assert_eq!(
                nothing_is_left(state, state.last_sequence, last, from),
                expected,
                "{state:?} after {last:?}, {from:?}"
            );
        };
        let at = |time: &str| From::Since(time.parse().unwrap());
        let grown = state(778, 1, 778);
        check(&grown, Some(774), From::Oldest, false);
        check(&grown, Some(778), From::Oldest, true);
        check(&grown, None, From::Oldest, false);
        check(&grown, None, From::LastPerSubject, false);
        check(&grown, None, From::Sequence(778), false);
        check(&grown, None, From::Sequence(779), true);
        check(&grown, None, at("2026-11-22T12:34:56Z"), false);
        check(&grown, None, at("2026-11-22T12:34:57Z"), true);
        // Everything has left it.
        check(&state(0, 779, 778), Some(774), From::Oldest, true);
        check(&state(0, 0, 0), None, From::Oldest, true);
    }
}
