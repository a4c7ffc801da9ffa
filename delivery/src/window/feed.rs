//! The window, shared: one task fills it from the log, sessions read it and are woken when their room got something.
//! The lock is held for as long as a page or a batch takes to copy, never while anything is awaited.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use chat::{Body, EventKind, Position, PresenterIdx, SessionId};
use nats::{Entry, Tail, TailStatus, Timelines};
use tokio::sync::{Notify, oneshot};

use crate::window::{Ask, Beginning, Bounds, Incoming, Limit, Page, Window};

/// How often a quiet window is looked through for what is too old.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// A page: about as much as a slow phone takes within the write deadline.
const PAGE: Limit = Limit { events: 1_000, bytes: 32 * 1024 };

/// The window of this node, over the log's tail.
#[derive(Debug)]
pub(crate) struct Feed {
    timelines: Timelines,
    // Readers share the lock; a waiting writer goes before new readers, so that a storm of them cannot stall the tail.
    window: RwLock<Window>,
    status: TailStatus,
    filled: AtomicBool,
    departures: Mutex<HashMap<SessionId, oneshot::Sender<()>>>,
}

impl Feed {
    pub(crate) fn new(timelines: Timelines, bounds: Bounds, status: TailStatus) -> Feed {
        let window = RwLock::new(Window::new(bounds));
        Feed { timelines, window, status, filled: AtomicBool::new(false), departures: Mutex::default() }
    }

    /// Follows the log for as long as it can be followed.
    pub(crate) async fn follow(&self, mut tail: Tail) -> nats::Error {
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            // `next` hands a batch out only to the branch that takes it: none is lost with a dropped branch.
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
            }
        }
    }

    /// Whether everything that was in the log at the start is in the window, as far as it fits.
    pub(crate) fn is_filled(&self) -> bool {
        self.filled.load(Ordering::Acquire)
    }

    /// Whether the log was heard of lately.
    pub(crate) fn is_current(&self) -> bool {
        self.status.is_current()
    }

    /// A reader of the room, woken by whatever comes from now on.
    pub(crate) fn reader(self: &Arc<Feed>, presenter: PresenterIdx) -> Reader {
        let partition = self.timelines.partition_of(presenter);
        let changed = Arc::new(Notify::new());
        self.write().attach(presenter, partition, changed.clone());
        Reader { feed: self.clone(), presenter, partition, changed }
    }

    /// Resolves when the log says that the session has ended.
    pub(crate) fn departure(self: &Arc<Feed>, session: SessionId) -> Departure {
        let (sender, departed) = oneshot::channel();
        self.departures.lock().expect("nothing panics while it holds the lock").insert(session, sender);
        Departure { feed: self.clone(), session, departed }
    }

    fn push(&self, tail: &Tail, entries: Vec<Entry>) {
        let departed: Vec<SessionId> = entries.iter().filter_map(departed).collect();
        let incoming: Vec<Incoming> = entries.into_iter().map(|entry| self.incoming(entry)).collect();
        let woken = {
            let mut window = self.write();
            tail.whole_after().for_each(|(partition, position)| window.set_whole_after(partition, position));
            window.push(incoming, Instant::now())
        };
        for reader in woken {
            reader.notify_one();
        }
        if !departed.is_empty() {
            let mut departures = self.departures.lock().expect("nothing panics while it holds the lock");
            for session in departed {
                if let Some(waiting) = departures.remove(&session) {
                    // Whoever waited may have given up.
                    let _ = waiting.send(());
                }
            }
        }
    }

    fn incoming(&self, entry: Entry) -> Incoming {
        let partition = self.timelines.partition(entry.position).expect("a tail hands out what is of its log");
        Incoming::new(partition, entry)
    }

    fn read(&self) -> RwLockReadGuard<'_, Window> {
        self.window.read().expect("nothing panics while it holds the lock")
    }

    fn write(&self) -> RwLockWriteGuard<'_, Window> {
        self.window.write().expect("nothing panics while it holds the lock")
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
pub(crate) struct Reader {
    feed: Arc<Feed>,
    presenter: PresenterIdx,
    partition: u32,
    changed: Arc<Notify>,
}

impl Reader {
    /// Where to begin in this room.
    pub(crate) fn begin(&self, ask: Ask) -> Beginning {
        self.feed.read().begin(self.presenter, self.partition, ask)
    }

    /// Whether the log has come so far here.
    pub(crate) fn has_come(&self, position: Position) -> bool {
        self.feed.read().has_come(self.partition, position)
    }

    /// What follows the cursor, as much as is written at once.
    pub(crate) fn after(&self, cursor: Option<Position>) -> Page {
        self.feed.read().after(self.presenter, self.partition, cursor, PAGE)
    }

    /// How far a reader at the cursor has come, counting what is not of its room.
    pub(crate) fn reached(&self, cursor: Position) -> Position {
        self.feed.read().reached(self.presenter, self.partition, cursor)
    }

    /// Waits until the room got something since the last time, at once if it already has. Cancel safe.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.feed.write().detach(self.presenter, self.partition, &self.changed);
    }
}

/// Waits for the end of one session, wherever it is.
#[derive(Debug)]
pub(crate) struct Departure {
    feed: Arc<Feed>,
    session: SessionId,
    departed: oneshot::Receiver<()>,
}

impl Departure {
    /// Returns when the log said that the session has ended.
    pub(crate) async fn happened(&mut self) {
        // The sender is dropped only when another wait for the same session took its place; then that one waits.
        let _ = (&mut self.departed).await;
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        self.feed.departures.lock().expect("nothing panics while it holds the lock").remove(&self.session);
    }
}
