//! The shared window: one task fills it from the log's tail, sessions read it and are woken by events of their room.
//! The lock is held while a page or a batch is copied, never across an `await`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chat::{Body, EventKind, Position, PresenterIdx, SessionId};
use foldhash::fast::RandomState;
use jiff::Timestamp;
use nats::{Entry, Tail, TailStatus, Timelines};
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::oneshot;

use crate::readers::access::Access;
use crate::traces::Traces;
use crate::wake::Wake;
use crate::window::{Ask, Bounds, Incoming, Limit, Page, StartPoint, Usage, Window};

/// 1 s: how often a quiet window is searched for expired events.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// 30 s: how often ended roles and bans are forgotten.
const TIDY_INTERVAL: Duration = Duration::from_secs(30);

/// 8 KB: some 30 messages. The buffer of a socket keeps the size of its largest page, also for thousands of readers that
/// a burst has reached.
const PAGE: Limit = Limit { events: 1_000, bytes: 8 * 1024 };

/// 32 KB: as much as a slow phone takes within the write deadline.
const LARGE_PAGE: Limit = Limit { events: 1_000, bytes: 32 * 1024 };

/// 4: a presenter whom so many pages have not brought up to date gets large ones, in fewer frames.
const PAGES: u32 = 4;

/// The window of this node, filled from the log's tail.
#[derive(Debug)]
pub(crate) struct Feed {
    timelines: Timelines,
    // Readers share the lock. A waiting writer precedes new readers, so that a storm of readers cannot stall the tail.
    window: RwLock<Window>,
    status: TailStatus,
    access: Arc<Access>,
    traces: Arc<Traces>,
    filled: AtomicBool,
    departures: Mutex<HashMap<SessionId, oneshot::Sender<()>, RandomState>>,
    /// The window begins with the first event of each partition that was stored from then on. Earlier sweeps may be
    /// about later posts.
    since: Timestamp,
    /// The partitions of which it has begun.
    begun: Mutex<HashSet<u32, RandomState>>,
}

impl Feed {
    pub(crate) fn new(
        timelines: Timelines,
        bounds: Bounds,
        status: TailStatus,
        access: Arc<Access>,
        traces: Arc<Traces>,
        since: Timestamp,
    ) -> Feed {
        let (window, filled) = (RwLock::new(Window::new(bounds)), AtomicBool::new(false));
        Feed {
            timelines,
            window,
            status,
            access,
            traces,
            filled,
            departures: Mutex::default(),
            since,
            begun: Mutex::default(),
        }
    }

    /// Tails the log into the window. Returns why it cannot continue.
    pub(crate) async fn follow(&self, mut tail: Tail) -> nats::Error {
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut tidy = tokio::time::interval(TIDY_INTERVAL);
        tidy.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            // `next` hands out a batch only to the branch that handles it: none is lost with a dropped branch.
            tokio::select! {
                entries = tail.next() => match entries {
                    Ok(entries) => self.push(&tail, entries),
                    Err(error) => return error,
                },
                () = self.status.caught_up(), if !self.is_filled() => {
                    self.push(&tail, Vec::new());
                    self.filled.store(true, Ordering::Release);
                    let events = self.read().len();
                    tracing::info!(events, "the window is filled with {events} events");
                }
                _ = sweep.tick() => self.write().evict(Instant::now()),
                _ = tidy.tick(), if self.is_filled() => self.access.tidy(),
            }
        }
    }

    /// Whether the window has replayed the log as of the start.
    pub(crate) fn is_filled(&self) -> bool {
        self.filled.load(Ordering::Acquire)
    }

    /// Whether anything has come from the log lately.
    pub(crate) fn is_current(&self) -> bool {
        self.status.is_current()
    }

    /// A reader of the room. From now on every event of the room signals `wake`.
    pub(crate) fn reader(self: &Arc<Feed>, presenter: PresenterIdx, wake: Arc<Wake>) -> RoomReader {
        let partition = self.timelines.partition_of(presenter);
        self.write().attach(presenter, partition, wake.clone());
        RoomReader { feed: self.clone(), presenter, partition, wake }
    }

    /// Resolves when the session's end arrives from the log.
    pub(crate) fn departure(self: &Arc<Feed>, session: SessionId) -> Departure {
        let (sender, departed) = oneshot::channel();
        self.departures.lock().insert(session, sender);
        Departure { feed: self.clone(), session, departed }
    }

    /// What the window holds.
    pub(crate) fn usage(&self) -> Usage {
        self.read().usage(Instant::now())
    }

    fn push(&self, tail: &Tail, entries: Vec<Entry>) {
        let (earlier, entries) = self.split(entries);
        // Of the copies of an event of every room, the one that ingest counts.
        let counts = |entry: &&Entry| entry.presenter.is_some() || self.timelines.partition(entry.position) == Some(0);
        entries.iter().filter(counts).for_each(|entry| self.access.apply(entry));
        self.traces.note(&entries);
        let departed: Vec<SessionId> = entries.iter().filter_map(departed).collect();
        let incoming: Vec<Incoming> = entries.into_iter().map(|entry| self.incoming(entry)).collect();
        let woken = {
            let mut window = self.write();
            tail.whole_after().for_each(|(partition, position)| window.set_whole_after(partition, position));
            for entry in earlier {
                let partition = self.partition(&entry);
                window.begins_after(partition, entry.position, entry.stored);
                if matches!(entry.kind, EventKind::RoomSwept | EventKind::SweepUndone) {
                    window.precede(self.incoming(entry));
                }
            }
            window.push(incoming, Instant::now())
        };
        for reader in woken {
            reader.signal();
        }
        if !departed.is_empty() {
            let mut departures = self.departures.lock();
            for session in departed {
                if let Some(waiting) = departures.remove(&session) {
                    // The waiter may have given up.
                    let _ = waiting.send(());
                }
            }
        }
    }

    /// Splits off the events from before the window begins. A clock of the log that is set back ends no window: what
    /// comes after the beginning belongs to it, whenever it was stored.
    fn split(&self, entries: Vec<Entry>) -> (Vec<Entry>, Vec<Entry>) {
        if self.is_filled() {
            return (Vec::new(), entries);
        }
        let mut begun = self.begun.lock();
        entries.into_iter().partition(|entry| {
            let partition = self.partition(entry);
            if entry.stored >= self.since {
                begun.insert(partition);
            }
            !begun.contains(&partition)
        })
    }

    fn incoming(&self, entry: Entry) -> Incoming {
        Incoming::new(self.partition(&entry), entry)
    }

    fn partition(&self, entry: &Entry) -> u32 {
        self.timelines.partition(entry.position).expect("a tail hands out positions of its own log")
    }

    fn read(&self) -> RwLockReadGuard<'_, Window> {
        self.window.read()
    }

    fn write(&self) -> RwLockWriteGuard<'_, Window> {
        self.window.write()
    }
}

fn departed(entry: &Entry) -> Option<SessionId> {
    if entry.kind != EventKind::PresenterDisconnected {
        return None;
    }
    match entry.event().ok()?.body {
        Body::PresenterDisconnected(disconnected) => Some(disconnected.session),
        _ => None,
    }
}

/// One reader of one room.
#[derive(Debug)]
pub(crate) struct RoomReader {
    feed: Arc<Feed>,
    presenter: PresenterIdx,
    partition: u32,
    wake: Arc<Wake>,
}

impl RoomReader {
    /// Where to begin in this room.
    pub(crate) fn begin(&self, ask: Ask) -> StartPoint {
        self.feed.read().begin(self.presenter, self.partition, ask)
    }

    /// Whether this node has read the log up to the position.
    pub(crate) fn has_come(&self, position: Position) -> bool {
        self.feed.read().has_come(self.partition, position)
    }

    /// The end of what has arrived. None while nothing of the log has.
    pub(crate) fn end(&self) -> Option<Position> {
        self.feed.read().end(self.partition)
    }

    /// The events after the cursor, at most one page.
    pub(crate) fn after(&self, cursor: Option<Position>) -> Page {
        self.feed.read().after(self.presenter, self.partition, cursor, PAGE)
    }

    /// The events after the cursor, at most one page, after so many partial ones.
    pub(crate) fn after_pages(&self, cursor: Position, partial: u32) -> Page {
        let limit = if partial < PAGES { PAGE } else { LARGE_PAGE };
        self.feed.read().after(self.presenter, self.partition, Some(cursor), limit)
    }

    /// How far a reader at the cursor has come, counting events of other rooms.
    pub(crate) fn reached(&self, cursor: Position) -> Position {
        self.feed.read().reached(self.presenter, self.partition, cursor)
    }
}

impl Drop for RoomReader {
    fn drop(&mut self) {
        self.feed.write().detach(self.presenter, self.partition, &self.wake);
    }
}

/// Waits for the end of one session, on any node.
#[derive(Debug)]
pub(crate) struct Departure {
    feed: Arc<Feed>,
    session: SessionId,
    departed: oneshot::Receiver<()>,
}

impl Departure {
    /// Returns when the session's end has arrived from the log.
    pub(crate) async fn happened(&mut self) {
        // Only a later wait for the same session drops the sender. Then that one waits.
        let _ = (&mut self.departed).await;
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        self.feed.departures.lock().remove(&self.session);
    }
}
