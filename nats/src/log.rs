//! What a role does with the log: append, tail, consume, and share state with other nodes. All clones of a [`Log`]
//! share one connection.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::stream::Stream;
use chat::{Event, EventId, NodeId, Position, PresenterIdx};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use tokio::sync::watch as watch_channel;
use tokio::time::timeout;

use crate::capacity::{Fill, Shortage};
use crate::config::Config;
use crate::connection;
use crate::context::Context;
use crate::epoch::continuity;
use crate::epoch::continuity::Mark;
use crate::epoch::timeline::Timelines;
use crate::error::{AppendError, Error};
use crate::jetstream::{REQUEST_TIMEOUT, find_stream, next_message, request, timestamp};
use crate::partition;
use crate::partition::partition_of;
use crate::read::consume;
use crate::read::consume::{Backlog, Consumer};
use crate::read::entry::Entry;
use crate::read::event_tail::EventTail;
use crate::read::lookup;
use crate::read::lookup::{LookedUp, Lookup};
use crate::read::scan;
use crate::read::scan::ScanEnd;
use crate::read::tail::{Copies, Start, Tail};
use crate::setup;
use crate::state::cursors::Cursors;
use crate::state::decisions::Decisions;
use crate::state::lease::Lease;
use crate::state::presence::Presence;
use crate::state::tickets::Tickets;
use crate::trim;
use crate::watch;
use crate::write::append::Appender;

/// The log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Log {
    context: Arc<Context>,
    /// One for each partition.
    appenders: Arc<[Appender]>,
}

/// How far a partition reached at a given time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The time by the leader's clock.
    pub at: Timestamp,
    /// Everything stored before that time stands at or before this position.
    pub last: Position,
}

impl Log {
    /// Connects as `name`, which the server's monitoring shows, to a log that [`crate::set_up`] has created. It logs
    /// differences from the configuration, and changes nothing. Leases last as long as NATS keeps them.
    ///
    /// It does not wait for a missing server or stream. [`Error::Connect`], [`Error::Missing`] and [`Error::JetStream`]
    /// are worth a retry; [`Error::Config`] and [`Error::Partitions`] are not.
    pub async fn connect(config: &Config, name: &str) -> Result<Log, Error> {
        let log = Log::connect_to_change(config, name).await?;
        continuity::first_look(&log.context).await?;
        Ok(log)
    }

    /// As [`Log::connect`], for a process that changes the streams and may not read them: it asks for no message.
    pub async fn connect_to_change(config: &Config, name: &str) -> Result<Log, Error> {
        let (connected, connections) = watch_channel::channel(());
        let jetstream = connection::connect(config, name, connected).await?;
        let found = setup::look(&jetstream, config).await?;
        let context = Arc::new(Context::new(jetstream, config.clone(), connections, found));
        let appenders = (0..config.partitions).map(|partition| Appender::start(&context, partition)).collect();
        let weak = || Arc::downgrade(&context);
        context.tasks.spawn_until_stop("epoch watch", watch::epochs(weak()));
        context.tasks.spawn_until_stop("clock watch", watch::clocks(weak()));
        context.tasks.spawn_until_stop("capacity watch", watch::capacity(weak()));
        Ok(Log { context, appenders })
    }

    /// Appends one event, and returns once it is fsynced, or at the configured deadline. After the deadline the event
    /// cannot take effect any more, whatever the outcome.
    ///
    /// An event of all rooms gets a copy in every partition, so that it has a position in the order of each room. The
    /// first partition's copy counts.
    ///
    /// A log that is nearly full refuses messages, and accepts decisions: see [`Log::shortage`].
    pub async fn append(&self, event: &Event) -> Result<Position, AppendError> {
        self.append_by(event, None).await
    }

    /// As [`Log::append`]. In addition the event has no effect unless it is stored before `end`, by the log's clock.
    pub async fn append_before(&self, event: &Event, end: Timestamp) -> Result<Position, AppendError> {
        self.append_by(event, Some(end)).await
    }

    /// As [`Log::append`], or as [`Log::append_before`] with an `end`, for a process that replays what it appends: its
    /// [`EventTail`] hands out this very event, without parsing it again.
    pub async fn append_own(&self, event: Arc<Event>, end: Option<Timestamp>) -> Result<Position, AppendError> {
        self.append_line(&event, Some(event.clone()), end).await
    }

    async fn append_by(&self, event: &Event, end: Option<Timestamp>) -> Result<Position, AppendError> {
        self.append_line(event, None, end).await
    }

    async fn append_line(
        &self,
        event: &Event,
        own: Option<Arc<Event>>,
        end: Option<Timestamp>,
    ) -> Result<Position, AppendError> {
        let Some(presenter) = event.presenter else {
            // Boxed: nearly every event is of a room, and its future should not have room for copies.
            return Box::pin(self.append_copies(event, end)).await.map(|positions| positions[0]);
        };
        let partition = partition_of(presenter, self.context.config.partitions);
        if !self.context.capacity.admits(partition, &event.body) {
            return Err(AppendError::Full);
        }
        let (line, deadline) = (event.to_line(), self.context.config.append_deadline());
        debug_assert!(
            own.is_none() || Event::from_line(&line).is_ok_and(|parsed| parsed == *event),
            "every reader sees in the line what this process has in memory"
        );
        let bytes = line.len();
        let appended = self.appenders[partition as usize].append(line, own, deadline, end).await;
        if appended.is_ok() {
            self.context.capacity.count(partition, bytes);
        }
        appended
    }

    /// As [`Log::append`], for an event of all rooms. Returns the positions of its copies, one in each partition.
    ///
    /// The first partition's copy is appended last: once it is stored, the others are, and a retry need not check.
    pub async fn append_everywhere(&self, event: &Event) -> Result<Vec<Position>, AppendError> {
        self.append_copies(event, None).await
    }

    async fn append_copies(&self, event: &Event, end: Option<Timestamp>) -> Result<Vec<Position>, AppendError> {
        let (line, deadline) = (event.to_line(), self.context.config.append_deadline());
        let (first, others) = self.appenders.split_first().expect("a log has at least one partition");
        let copies = others.iter().map(|appender| appender.append(line.clone(), None, deadline, end));
        // After a failure some of the copies may be stored.
        let mut positions = try_join_all(copies).await.map_err(|_| AppendError::Unknown)?;
        let position = first.append(line.clone(), None, deadline, end).await;
        positions.insert(0, position.map_err(|error| if others.is_empty() { error } else { AppendError::Unknown })?);
        Ok(positions)
    }

    /// Asks the leader of the room's partition, or of the first partition, how far it reaches and what time it is.
    pub async fn extent(&self, presenter: Option<PresenterIdx>) -> Result<Extent, Error> {
        let partition = presenter.map_or(0, |presenter| partition_of(presenter, self.context.config.partitions));
        let reading = self.context.clocks[partition as usize].read(&self.context.jetstream).await?;
        let last = self.context.timelines.get(partition).position(reading.last_sequence, u32::MAX);
        Ok(Extent { at: reading.time, last })
    }

    /// The earliest time that the leader of the room's partition, or of the first partition, can show now. `None`: its
    /// clock was not read since the last connection.
    pub fn now_in(&self, presenter: Option<PresenterIdx>) -> Option<Timestamp> {
        let partition = presenter.map_or(0, |presenter| partition_of(presenter, self.context.config.partitions));
        Some(self.context.clocks[partition as usize].last()?.earliest())
    }

    /// The longest time that an append may take. Later it has no effect.
    pub fn append_deadline(&self) -> Duration {
        self.context.config.append_deadline()
    }

    /// The age at which batches leave the log.
    pub fn max_age(&self) -> Duration {
        self.context.config.max_age()
    }

    /// The time by the clock of the log's servers, which also stamps [`Entry::stored`]. This machine's clock may
    /// differ.
    pub fn now(&self) -> Timestamp {
        self.context.now()
    }

    /// Whether this copy of an event has an effect. Of the copies of an event of all rooms only the first partition's
    /// has one.
    pub fn counts(&self, entry: &Entry) -> bool {
        entry.presenter.is_some() || self.context.timelines.partition(entry.position) == Some(0)
    }

    /// The timelines of this log, which tell whether a position is of this log.
    pub fn timelines(&self) -> &Timelines {
        &self.context.timelines
    }

    /// Asks the server whether the log has reached that position.
    pub async fn has_reached(&self, presenter: PresenterIdx, position: Position) -> Result<bool, Error> {
        let stream = partition::stream(self.context.timelines.partition_of(presenter));
        let info = find_stream(&self.context.jetstream, &stream).await?;
        Ok(info.is_some_and(|info| position.sequence <= info.state.last_sequence))
    }

    /// The event at that position. `None`: the log no longer has it, or the position is not of this log.
    pub async fn event_at(&self, position: Position) -> Result<Option<LookedUp>, Error> {
        lookup::at(&self.context, position).await
    }

    /// Looks for an event of the room by its id, in at most `most` batches after the batch `after`.
    pub async fn find_event(
        &self,
        presenter: PresenterIdx,
        id: EventId,
        after: u64,
        most: usize,
    ) -> Result<Lookup, Error> {
        lookup::find(&self.context, presenter, id, after, most).await
    }

    /// Hands out what the room's partition has of the room and of every room, from the first batch stored at or after
    /// that time to the present end, each event once. It reads at most `most` events of all rooms.
    pub async fn scan(
        &self,
        presenter: PresenterIdx,
        since: Timestamp,
        most: usize,
        take: impl FnMut(Entry),
    ) -> Result<ScanEnd, Error> {
        scan::scan(&self.context, presenter, since, most, take).await
    }

    /// The time from which on the room's partition has everything that was stored. The beginning of time: nothing has
    /// left it.
    pub async fn whole_since(&self, presenter: PresenterIdx) -> Result<Timestamp, Error> {
        scan::whole_since(&self.context, presenter).await
    }

    /// Compares the log with positions that were saved elsewhere, each with its partition. If the log does not reach
    /// one of them, the log is older than the saved state: the loss is recorded, and the answer is [`Error::Replaced`].
    /// The process should end then; the next one starts from the log as it is.
    pub async fn confirm(&self, kept: impl IntoIterator<Item = (u32, Position)>) -> Result<(), Error> {
        continuity::confirm(&self.context, kept).await
    }

    /// What this process has seen of each partition so far, to be saved outside NATS.
    pub fn marks(&self) -> Vec<Mark> {
        continuity::marks(&self.context)
    }

    /// Compares the log with what an earlier process saw of it. If something else stands there now, the log went back:
    /// the loss is recorded, and the answer is [`Error::Replaced`], as for [`Log::confirm`].
    pub async fn compare(&self, mark: &Mark) -> Result<(), Error> {
        continuity::compare(&self.context, mark).await
    }

    /// Begins a new epoch at the present end of every partition, for a log that was restored from a backup. Running
    /// processes notice and start over. Returns the last sequence and the new epoch of each partition.
    pub async fn begin_epoch(&self) -> Result<Vec<(u64, u64)>, Error> {
        continuity::begin_epoch(&self.context).await
    }

    /// Everything in the log from `start` on, in order, each event once.
    pub fn tail(&self, start: Start) -> Tail {
        Tail::start(&self.context, start, Copies::Dropped)
    }

    /// As [`Log::tail`], with every copy of an event, for a reader that remembers ids longer than a tail does.
    pub fn tail_with_copies(&self, start: Start) -> Tail {
        Tail::start(&self.context, start, Copies::HandedOut)
    }

    /// As [`Log::tail_with_copies`], with parsed events.
    pub fn tail_of_events(&self, start: Start) -> EventTail {
        EventTail::new(self.tail_with_copies(start))
    }

    /// Joins the shared, durable reader of that name. Each batch goes to one of its consumers, and is redelivered until
    /// it is acknowledged.
    pub fn consume(&self, name: &str) -> Consumer {
        Consumer::start(&self.context, name)
    }

    /// The backlog of the shared reader of that name, stream by stream. An error if that reader never existed.
    pub async fn backlog(&self, name: &str) -> Result<Vec<Backlog>, Error> {
        consume::backlog(&self.context, name).await
    }

    /// What a full or nearly full log refuses, as far as this process knows.
    pub fn shortage(&self) -> Option<Shortage> {
        self.context.capacity.shortage()
    }

    /// How full each stream of the log is.
    pub async fn fill(&self) -> Result<Vec<Fill>, Error> {
        try_join_all((0..self.context.config.partitions).map(|partition| trim::fill(&self.context, partition))).await
    }

    /// The oldest batch of that stream from `sequence` on: its sequence, and when it was stored. A stream whose files
    /// were damaged has holes. `None`: there is none.
    pub async fn next_stored(&self, stream: &str, sequence: u64) -> Result<Option<(u64, Timestamp)>, Error> {
        let asking = self.context.jetstream.get_stream_no_info(stream);
        let stream: Stream<()> = request("asking for a stream of the log", asking).await?;
        let next = next_message(&stream, sequence).await?;
        Ok(next.map(|batch| (batch.sequence, timestamp(batch.time))))
    }

    /// Removes archived batches before their age from each partition that is nearly full, and returns their number.
    /// `archived` maps a partition's epoch to the sequence up to which all its batches are archived. Batches younger
    /// than `nats.min_age` stay, and so do decisions that no bucket holds.
    pub async fn make_room(&self, archived: impl Fn(u64) -> Option<u64>) -> Result<u64, Error> {
        let mut removed = 0;
        for (partition, epoch) in (0_u32..).zip(self.context.timelines.epochs()) {
            let Some(sequence) = archived(epoch) else { continue };
            removed += trim::trim(&self.context, partition, Position { epoch, sequence, index: 0 }).await?;
        }
        Ok(removed)
    }

    /// The stream that holds the room.
    pub fn stream_of(&self, presenter: PresenterIdx) -> String {
        partition::stream(partition_of(presenter, self.context.config.partitions))
    }

    /// The claims and leases of all nodes, kept up to date until the log is closed. Waits for the present state.
    pub async fn presence(&self) -> Result<Presence, Error> {
        Presence::start(&self.context).await
    }

    /// The saved cursors, kept up to date until the log is closed. Waits for the present state.
    pub async fn cursors(&self) -> Result<Cursors, Error> {
        let cursors = self.follow_cursors();
        cursors.caught_up().await;
        Ok(cursors)
    }

    /// As [`Log::cursors`], without the wait for the present state.
    pub fn follow_cursors(&self) -> Cursors {
        Cursors::start(&self.context)
    }

    /// The decisions in force, which outlive the log's age.
    pub fn decisions(&self) -> Decisions {
        Decisions::new(&self.context)
    }

    /// The tickets of readers.
    pub fn tickets(&self) -> Tickets {
        Tickets::new(&self.context)
    }

    /// Announces this delivery node, and keeps its lease until [`Lease::end`] or until the log is closed.
    pub async fn lease(&self, node: NodeId) -> Result<Lease, Error> {
        Lease::start(&self.context, node).await
    }

    /// Asks signalling servers, which listen on `control.reconnect.<presenterIdx>`, to make the presenter reconnect.
    /// Best effort: the request is not stored.
    pub async fn request_reconnect(&self, presenter: PresenterIdx) {
        if !self.context.is_connected() {
            return;
        }
        let subject = format!("control.reconnect.{presenter}");
        let client = self.context.jetstream.client();
        let publish = client.publish(subject, Default::default());
        if let Err(error) = request("requesting a reconnect", publish).await {
            tracing::warn!(%presenter, %error, "a reconnect request was not sent");
        }
    }

    /// Exposes the metrics of this log: appends, the connection, how full the streams are.
    pub fn declare_metrics(&self, registry: &metrics::Registry) {
        crate::metrics::declare(registry, &self.context, &self.appenders);
    }

    /// Whether the client is connected to a server.
    pub fn is_connected(&self) -> bool {
        self.context.is_connected()
    }

    /// Waits for a failure that this process cannot repair, such as a log that was deleted and recreated, or a panic in
    /// a background task. The process should end then; the next one starts from the log as it is.
    pub async fn failed(&self) -> &Error {
        let error = self.context.failed().await;
        continuity::amend(&self.context).await;
        error
    }

    /// Ends all background tasks, sends what is still buffered, and disconnects.
    pub async fn close(&self) {
        continuity::amend(&self.context).await;
        self.context.tasks.finish().await;
        // An unreachable server needs nothing from this process, and nothing accepted depends on it.
        let _ = timeout(REQUEST_TIMEOUT, self.context.jetstream.client().drain()).await;
    }
}
