//! The saved cursors of this node's sessions. One task saves all cursors that moved, at most once an interval, and at
//! once for a session that ends. Sessions that end together share one save.

use std::collections::HashMap;
use std::time::Duration;

use chat::{Position, PresenterIdx};
use foldhash::fast::RandomState;
use nats::Cursor;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// 2 s: an ending session waits no longer for its save, because the log is unreachable. The next session repeats some
/// messages, and misses none.
const SAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// The saved cursors, with those that moved since.
#[derive(Debug)]
pub(crate) struct SavedCursors {
    saved: nats::Cursors,
    moved: Mutex<Moved>,
    /// A session waits for a save.
    urgent: Notify,
    /// The number of the last save that ended.
    ended: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Moved {
    cursors: HashMap<PresenterIdx, Cursor, RandomState>,
    /// The number of the save that will include them.
    save: u64,
}

impl SavedCursors {
    pub(crate) fn new(saved: nats::Cursors) -> SavedCursors {
        let moved = Mutex::new(Moved { cursors: HashMap::default(), save: 1 });
        SavedCursors { saved, moved, urgent: Notify::new(), ended: watch::Sender::new(0) }
    }

    /// The position of the presenter's cursor, as far as this node knows.
    pub(crate) fn get(&self, presenter: PresenterIdx) -> Option<Position> {
        self.find(presenter).map(|cursor| cursor.position)
    }

    /// The presenter's cursor, as far as this node knows.
    pub(crate) fn find(&self, presenter: PresenterIdx) -> Option<Cursor> {
        let moved = self.moved.lock().cursors.get(&presenter).copied();
        let saved = self.saved.find(presenter).map(|saved| saved.cursor);
        moved.into_iter().chain(saved).max_by_key(rank)
    }

    /// Waits until this node knows every cursor that another node saved before the call.
    pub(crate) async fn catch_up(&self) -> Result<(), nats::Error> {
        self.saved.catch_up().await
    }

    /// The cursors that moved and are not saved yet.
    pub(crate) fn unsaved(&self) -> usize {
        self.moved.lock().cursors.len()
    }

    /// Advances a cursor, to be saved soon. It never moves back.
    pub(crate) fn advance(&self, presenter: PresenterIdx, cursor: Cursor) {
        let mut moved = self.moved.lock();
        let known = moved.cursors.entry(presenter).or_insert(cursor);
        if rank(&cursor) > rank(known) {
            *known = cursor;
        }
    }

    /// Returns once every cursor that moved so far is saved, or the timeout has passed.
    pub(crate) async fn save_now(&self) {
        // A save in progress may have begun before the last move.
        let save = self.moved.lock().save;
        self.urgent.notify_one();
        let mut ended = self.ended.subscribe();
        if timeout(SAVE_TIMEOUT, ended.wait_for(|ended| *ended >= save)).await.is_err() {
            tracing::warn!("a cursor was not saved in time: the next session may repeat messages");
        }
    }

    /// Saves until `stop`, and then once more.
    pub(crate) async fn keep_saving(&self, every: Duration, stop: &CancellationToken) {
        let mut tick = interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            // Nothing is lost with a dropped branch: all three only say when to save.
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.urgent.notified() => {}
                _ = tick.tick() => {}
            }
            self.save().await;
        }
    }

    async fn save(&self) {
        let (save, cursors) = {
            let mut moved = self.moved.lock();
            moved.save += 1;
            // They stay here until they are saved, so that `find` always finds them.
            let cursors: Vec<_> = moved.cursors.iter().map(|(presenter, cursor)| (*presenter, *cursor)).collect();
            (moved.save - 1, cursors)
        };
        if !cursors.is_empty() {
            match self.saved.save(&cursors).await {
                Ok(()) => {
                    let mut moved = self.moved.lock();
                    for (presenter, cursor) in &cursors {
                        if moved.cursors.get(presenter) == Some(cursor) {
                            moved.cursors.remove(presenter);
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, cursors = cursors.len(), "cursors were not saved, retrying"),
            }
        }
        self.ended.send_replace(save);
    }
}

/// Of two cursors at one position the one with an acknowledged part says more.
fn rank(cursor: &Cursor) -> (Position, bool) {
    (cursor.position, cursor.acknowledged_after.is_some())
}
