//! The log as a whole: one connection to NATS, and what this process runs on it.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_nats::jetstream::{self, kv};
use async_nats::{ConnectOptions, Event as ConnectionEvent, connection::State};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::address;
use crate::capacity;
use crate::capacity::{Fill, Room, Shortage};
use crate::config::Config;
use crate::epoch::continuity;
use crate::epoch::continuity::{Mark, TIMELINE_CHANGED};
use crate::epoch::memory::Memory;
use crate::epoch::timeline::Timelines;
use crate::error::Error;
use crate::jetstream::{REQUEST_TIMEOUT, request};
use crate::partition;
use crate::partition::partition_of;
use crate::read::clock::Clock;
use crate::read::consume;
use crate::read::consume::{Backlog, Consumer};
use crate::read::entry::Entry;
use crate::read::tail::{Copies, Start, Tail};
use crate::setup;
use crate::state::cursors::Cursors;
use crate::state::decisions::Decisions;
use crate::state::lease::Lease;
use crate::state::presence::Presence;
use crate::write::append::{AppendError, Appender};
use chat::Event;
use chat::Position;
use chat::{NodeId, PresenterIdx};

/// A dead server is noticed after two of these; the client's own default takes minutes.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// The longest pause between two attempts to reconnect.
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(2);

/// How often it is asked whether the log is still the same.
const EPOCH_INTERVAL: Duration = Duration::from_secs(5);

/// How often the clocks are read: a reading counts as fresh for half as long again.
const CLOCK_INTERVAL: Duration = Duration::from_secs(1);

/// The log. Cheap to clone; all clones share one connection.
#[derive(Clone, Debug)]
pub struct Log {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) context: jetstream::Context,
    pub(crate) config: Config,
    /// Which epochs the positions of each partition have.
    pub(crate) timelines: Timelines,
    /// What this process has seen of each partition.
    pub(crate) memories: Vec<Arc<Memory>>,
    /// Of each partition the clock of its leader.
    pub(crate) clocks: Vec<Clock>,
    pub(crate) room: Room,
    pub(crate) sessions: kv::Store,
    pub(crate) nodes: kv::Store,
    pub(crate) decisions: kv::Store,
    /// Changes with each new connection.
    pub(crate) connections: watch::Receiver<()>,
    appenders: Vec<Appender>,
    /// Every task that was started for this log; [`Log::close`] awaits them.
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    failure: OnceLock<Error>,
    failed: CancellationToken,
}

/// How far a partition went at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The leader's clock showed this ...
    pub at: Timestamp,
    /// ... and everything that was stored before stands at or before this.
    pub last: Position,
}

impl Inner {
    /// Whether the connection to a server stands.
    pub(crate) fn is_connected(&self) -> bool {
        self.context.client().connection_state() == State::Connected
    }

    /// What time it is by the clock of the log's servers.
    pub(crate) fn now(&self) -> Timestamp {
        self.clocks[0].now()
    }

    /// Reports what nothing in this process can mend; the first report counts.
    pub(crate) fn fail(&self, error: Error) {
        tracing::error!(%error, "the log has failed");
        // A second failure adds nothing: the process is ending because of the first.
        let _ = self.failure.set(error);
        self.failed.cancel();
    }
}

impl Log {
    /// Connects as `name` (shown in the server's monitoring) to a log that [`crate::set_up`] has made. What differs from
    /// the configuration stands in the logs, and nothing is changed; leases last as long as NATS keeps them.
    ///
    /// It does not wait for what is not there: [`Error::Connect`], [`Error::Missing`] and [`Error::JetStream`] are worth
    /// another attempt, [`Error::Config`] and [`Error::Partitions`] are not.
    pub async fn connect(config: &Config, name: &str) -> Result<Log, Error> {
        let (connected, connections) = watch::channel(());
        let context = connect(config, name, connected).await?;
        let found = setup::look(&context, config).await?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let inner = Arc::new_cyclic(|inner| Inner {
            appenders: (0..config.partitions)
                .map(|partition| Appender::start(inner.clone(), config, partition, &tasks, stop.clone()))
                .collect(),
            context,
            config: Config { lease: found.lease.into(), ..config.clone() },
            timelines: found.timelines,
            memories: (0..config.partitions).map(|_| Arc::default()).collect(),
            clocks: found.clocks,
            room: Room::new(config.partitions),
            sessions: found.sessions,
            nodes: found.nodes,
            decisions: found.decisions,
            connections,
            tasks,
            stop,
            failure: OnceLock::new(),
            failed: CancellationToken::new(),
        });
        let watch = watch_epochs(Arc::downgrade(&inner));
        inner.tasks.spawn(inner.stop.clone().run_until_cancelled_owned(watch));
        let clocks = keep_clocks(Arc::downgrade(&inner));
        inner.tasks.spawn(inner.stop.clone().run_until_cancelled_owned(clocks));
        let fill = capacity::watch(Arc::downgrade(&inner));
        inner.tasks.spawn(inner.stop.clone().run_until_cancelled_owned(fill));
        Ok(Log { inner })
    }

    /// Appends one event and waits until it is fsynced, the configured deadline at most. After the deadline it does not
    /// take effect any more, whatever the outcome.
    ///
    /// An event of every room has a copy in every partition, so that it has a place in the order of each room. The first
    /// partition's is the one that counts.
    ///
    /// A log that is nearly full refuses messages, and still takes decisions: see [`Log::shortage`].
    pub async fn append(&self, event: &Event) -> Result<Position, AppendError> {
        self.append_by(event, None).await
    }

    /// As [`Log::append`], so that the event is stored before that time, by the log's clock, or has no effect.
    pub async fn append_before(&self, event: &Event, end: Timestamp) -> Result<Position, AppendError> {
        self.append_by(event, Some(end)).await
    }

    async fn append_by(&self, event: &Event, end: Option<Timestamp>) -> Result<Position, AppendError> {
        let Some(presenter) = event.presenter else {
            return self.append_copies(event, end).await.map(|positions| positions[0]);
        };
        let partition = partition_of(presenter, self.inner.config.partitions);
        if !self.inner.room.is_for(partition, &event.body) {
            return Err(AppendError::Full);
        }
        let (line, deadline) = (event.to_line(), self.inner.config.append_deadline());
        let bytes = line.len();
        let appended = self.inner.appenders[partition as usize].append(line, deadline, end).await;
        if appended.is_ok() {
            self.inner.room.took(partition, bytes);
        }
        appended
    }

    /// As [`Log::append`], for an event of every room: where its copies stand, one in each partition.
    ///
    /// The first partition's comes last: where it is, the others are, and a retry need not look.
    pub async fn append_everywhere(&self, event: &Event) -> Result<Vec<Position>, AppendError> {
        self.append_copies(event, None).await
    }

    async fn append_copies(&self, event: &Event, end: Option<Timestamp>) -> Result<Vec<Position>, AppendError> {
        let (line, deadline) = (event.to_line(), self.inner.config.append_deadline());
        let (first, others) = self.inner.appenders.split_first().expect("a log has at least one partition");
        let copies = others.iter().map(|appender| appender.append(line.clone(), deadline, end));
        // Some of the copies may be there.
        let mut positions = try_join_all(copies).await.map_err(|_| AppendError::Unknown)?;
        let position = first.append(line.clone(), deadline, end).await;
        positions.insert(0, position.map_err(|error| if others.is_empty() { error } else { AppendError::Unknown })?);
        Ok(positions)
    }

    /// How far the room's partition goes, or for every room the first, and what time it is there, by its leader's clock.
    pub async fn extent(&self, presenter: Option<PresenterIdx>) -> Result<Extent, Error> {
        let partition = presenter.map_or(0, |presenter| partition_of(presenter, self.inner.config.partitions));
        let reading = self.inner.clocks[partition as usize].read(&self.inner.context).await?;
        let last = self.inner.timelines.get(partition).position(reading.last_sequence, u32::MAX);
        Ok(Extent { at: reading.time, last })
    }

    /// What time it is at least in the room's partition, or for every room in the first, by its leader's clock. None: it
    /// was not read since the last connection.
    pub fn now_in(&self, presenter: Option<PresenterIdx>) -> Option<Timestamp> {
        let partition = presenter.map_or(0, |presenter| partition_of(presenter, self.inner.config.partitions));
        Some(self.inner.clocks[partition as usize].last()?.earliest())
    }

    /// How long an append may take; later it has no effect.
    pub fn append_deadline(&self) -> Duration {
        self.inner.config.append_deadline()
    }

    /// What is older has left the log.
    pub fn max_age(&self) -> Duration {
        self.inner.config.max_age()
    }

    /// What time it is by the clock of the log's servers, which is that of [`Entry::stored`], whatever ours says.
    pub fn now(&self) -> Timestamp {
        self.inner.now()
    }

    /// Whether an event at that place has an effect: of the copies of an event of every room only one has.
    pub fn counts(&self, entry: &Entry) -> bool {
        entry.presenter.is_some() || self.inner.timelines.partition(entry.position) == Some(0)
    }

    /// Which positions are of this log, and where they stand in it.
    pub fn timelines(&self) -> &Timelines {
        &self.inner.timelines
    }

    /// Whether the log has come so far, as its server says now.
    pub async fn has_reached(&self, presenter: PresenterIdx, position: Position) -> Result<bool, Error> {
        let stream = partition::stream(self.inner.timelines.partition_of(presenter));
        let info = setup::find(&self.inner.context, &stream).await?;
        Ok(info.is_some_and(|info| position.sequence <= info.state.last_sequence))
    }

    /// Compares the log with positions of it that were kept elsewhere, each with the partition that it is of. Where the log does
    /// not reach so far, it is older than what was kept: that is recorded, and [`Error::Replaced`] says so. The process
    /// should end; the next one begins with what is there.
    pub async fn confirm(&self, kept: impl IntoIterator<Item = (u32, Position)>) -> Result<(), Error> {
        continuity::confirm(&self.inner, kept).await
    }

    /// What was seen of each partition so far, to be kept where the log is not.
    pub fn marks(&self) -> Vec<Mark> {
        continuity::marks(&self.inner)
    }

    /// Compares the log with what was seen of it before. Where something else stands now it went back: that is recorded, and
    /// [`Error::Replaced`] says so, as of [`Log::confirm`].
    pub async fn compare(&self, mark: &Mark) -> Result<(), Error> {
        continuity::compare(&self.inner, mark).await
    }

    /// Gives every partition a new epoch from its present end on: for a log that was restored from a backup. What runs
    /// notices and begins anew. Answers with the end of each partition and its new epoch.
    pub async fn begin_epoch(&self) -> Result<Vec<(u64, u64)>, Error> {
        continuity::begin_epoch(&self.inner).await
    }

    /// Everything in the log from `start` on, in order, each event once.
    pub fn tail(&self, start: Start) -> Tail {
        Tail::start(&self.inner, start, Copies::Dropped)
    }

    /// As [`Log::tail`], with every copy of an event: for who remembers longer than a tail what came before.
    pub fn tail_with_copies(&self, start: Start) -> Tail {
        Tail::start(&self.inner, start, Copies::HandedOut)
    }

    /// The shared, durable reader of that name: every batch goes to one of its consumers, again until acknowledged.
    pub fn consume(&self, name: &str) -> Consumer {
        Consumer::start(&self.inner, name)
    }

    /// What the shared reader of that name has yet to deal with, in each stream of the log. Fails where it never read.
    pub async fn backlog(&self, name: &str) -> Result<Vec<Backlog>, Error> {
        consume::backlog(&self.inner, name).await
    }

    /// What the log has no room for, if so, as far as this process knows.
    pub fn shortage(&self) -> Option<Shortage> {
        self.inner.room.shortage()
    }

    /// How full each stream of the log is.
    pub async fn fill(&self) -> Result<Vec<Fill>, Error> {
        try_join_all((0..self.inner.config.partitions).map(|partition| capacity::fill(&self.inner, partition))).await
    }

    /// Lets go, before its age, of what is archived, in each partition that is nearly full: `archived` gives for the epoch
    /// of a partition the last of those batches up to which all are. Nothing goes that is younger than
    /// `nats.min_age`, nor a decision that is kept nowhere else. How many batches went.
    pub async fn make_room(&self, archived: impl Fn(u64) -> Option<u64>) -> Result<u64, Error> {
        let mut gone = 0;
        for (partition, epoch) in (0_u32..).zip(self.inner.timelines.epochs()) {
            let Some(sequence) = archived(epoch) else { continue };
            gone += capacity::make_room(&self.inner, partition, Position { epoch, sequence, index: 0 }).await?;
        }
        Ok(gone)
    }

    /// The stream that holds the room.
    pub fn stream_of(&self, presenter: PresenterIdx) -> String {
        partition::stream(partition_of(presenter, self.inner.config.partitions))
    }

    /// Who is connected where, kept up to date until the log is closed. Waits until the present state is known.
    pub async fn presence(&self) -> Result<Presence, Error> {
        Presence::start(&self.inner).await
    }

    /// The saved cursors, kept up to date until the log is closed. Waits until the present state is known.
    pub async fn cursors(&self) -> Result<Cursors, Error> {
        Cursors::start(&self.inner).await
    }

    /// The decisions that are kept beyond the log's age.
    pub fn decisions(&self) -> Decisions {
        Decisions::new(&self.inner)
    }

    /// Announces this delivery node and keeps its lease until [`Lease::end`] or the log is closed.
    pub async fn lease(&self, node: NodeId) -> Result<Lease, Error> {
        Lease::start(&self.inner, node).await
    }

    /// Asks whoever can (signalling servers listen on `control.reconnect.<presenterIdx>`) to make the presenter
    /// reconnect. Not stored, best effort.
    pub async fn request_reconnect(&self, presenter: PresenterIdx) {
        if !self.inner.is_connected() {
            return;
        }
        let subject = format!("control.reconnect.{presenter}");
        let client = self.inner.context.client();
        let publish = client.publish(subject, Default::default());
        if let Err(error) = request("requesting a reconnect", publish).await {
            tracing::warn!(%presenter, %error, "a reconnect request was not sent");
        }
    }

    /// Whether the connection to a server stands.
    pub fn is_connected(&self) -> bool {
        self.inner.is_connected()
    }

    /// Waits until something is found that nothing in this process can mend, such as a log that was deleted and made
    /// anew. The process should end; the next one begins with what is there.
    pub async fn failed(&self) -> &Error {
        self.inner.failed.cancelled().await;
        self.inner.failure.get().expect("the failure is set before it is announced")
    }

    /// Ends what this log started, sends what is still buffered and disconnects.
    pub async fn close(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        // A server that is away has nothing to hear from us, and nothing accepted depends on it.
        let _ = timeout(REQUEST_TIMEOUT, self.inner.context.client().drain()).await;
    }
}

/// Asks every partition now and then whether it is still the one whose epoch this process gives to its positions.
async fn watch_epochs(log: Weak<Inner>) {
    let mut missing = vec![false; log.upgrade().map_or(0, |log| log.memories.len())];
    loop {
        sleep(EPOCH_INTERVAL).await;
        let Some(log) = log.upgrade() else { return };
        for (partition, missing) in (0_u32..).zip(&mut missing) {
            let stream = partition::stream(partition);
            let reason = match setup::find(&log.context, &stream).await {
                Ok(Some(info)) if setup::timeline(&info) == *log.timelines.get(partition) => {
                    *missing = false;
                    continue;
                }
                Ok(Some(_)) => TIMELINE_CHANGED,
                // Asked twice, as a cluster that is starting may not know everything yet.
                Ok(None) if std::mem::replace(missing, true) => "it is gone",
                // An outage: whoever appends or reads says so.
                Ok(None) | Err(_) => continue,
            };
            log.fail(Error::Replaced { stream, reason: reason.to_owned() });
            return;
        }
    }
}

/// Reads the clocks that somebody goes by, so that who needs the time does not wait for it; and at once after a new
/// connection, which may be to a server that was started again.
async fn keep_clocks(log: Weak<Inner>) {
    let Some(mut connections) = log.upgrade().map(|log| log.connections.clone()) else { return };
    loop {
        match timeout(CLOCK_INTERVAL, connections.changed()).await {
            Ok(Ok(())) => {
                let Some(log) = log.upgrade() else { return };
                log.clocks.iter().for_each(Clock::forget);
            }
            Ok(Err(_)) => return,
            Err(_) => {}
        }
        let Some(log) = log.upgrade() else { return };
        for clock in log.clocks.iter().filter(|clock| clock.is_wanted()) {
            if !log.is_connected() {
                break;
            }
            // Without an answer the last one becomes old, which whoever goes by it sees.
            let _ = clock.read(&log.context).await;
        }
    }
}

/// Connects for some requests; the connection ends with what is returned.
pub(crate) async fn for_once(config: &Config, name: &str) -> Result<jetstream::Context, Error> {
    connect(config, name, watch::Sender::new(())).await
}

/// `connected` is told of each new connection.
async fn connect(config: &Config, name: &str, connected: watch::Sender<()>) -> Result<jetstream::Context, Error> {
    config.check()?;
    let mut options = ConnectOptions::new()
        .name(name)
        .ping_interval(PING_INTERVAL)
        .connection_timeout(REQUEST_TIMEOUT)
        .request_timeout(Some(REQUEST_TIMEOUT))
        .reconnect_delay_callback(reconnect_delay)
        .event_callback(move |event| {
            match event {
                ConnectionEvent::Connected => {
                    tracing::info!("connected to NATS");
                    connected.send_replace(());
                }
                ConnectionEvent::Disconnected => tracing::warn!("lost the connection to NATS"),
                // Only this process itself drains and closes it: it is about to end.
                ConnectionEvent::Draining | ConnectionEvent::Closed => tracing::debug!(%event, "leaving NATS"),
                event => tracing::warn!(%event, "the connection to NATS is in trouble"),
            }
            std::future::ready(())
        });
    if !config.credentials.is_empty() {
        options = options
            .credentials_file(&config.credentials)
            .await
            .map_err(|error| conf::Problem::new("nats.credentials", error.to_string()))?;
    }
    let servers = address::servers(&config.urls, !config.credentials.is_empty(), options);
    let (servers, options) = servers.map_err(|reason| conf::Problem::new("nats.urls", reason))?;
    let connected = options.connect(servers).await;
    let failed = |error: async_nats::ConnectError| Error::Connect {
        servers: address::shown(&config.urls),
        source: error.into(),
    };
    let mut context = jetstream::new(connected.map_err(failed)?);
    context.set_timeout(REQUEST_TIMEOUT);
    Ok(context)
}

/// Doubles from 20 ms to 2 s, and half of it is chance, so that many nodes do not come back at the same moment.
fn reconnect_delay(attempts: usize) -> Duration {
    let doubled = Duration::from_millis(20) * 2_u32.pow(attempts.min(10) as u32);
    doubled.min(MAX_RECONNECT_DELAY).mul_f64(0.5 + fastrand::f64() / 2.0)
}
