//! The cursors of this node's sessions on their way into the log: one task saves all that moved, at most once an
//! interval, and at once for a session that ends. Many that end together share one save.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use chat::{Position, PresenterIdx};
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// A session that ends does not wait longer than this for its cursor: the log is away, and the next session repeats
/// some messages rather than missing any.
const SAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// The cursors that moved and are not saved yet.
#[derive(Debug)]
pub(crate) struct Cursors {
    saved: nats::Cursors,
    moved: Mutex<Moved>,
    /// Somebody waits for a save.
    urgent: Notify,
    /// The number of the last save that has ended.
    ended: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Moved {
    positions: HashMap<PresenterIdx, Position>,
    /// The number of the save that will take them.
    save: u64,
}

impl Cursors {
    pub(crate) fn new(saved: nats::Cursors) -> Cursors {
        let moved = Mutex::new(Moved { positions: HashMap::new(), save: 1 });
        Cursors { saved, moved, urgent: Notify::new(), ended: watch::Sender::new(0) }
    }

    /// The last event that reached the presenter, as far as is known here.
    pub(crate) fn get(&self, presenter: PresenterIdx) -> Option<Position> {
        let moved =
            self.moved.lock().expect("nothing panics while it holds the lock").positions.get(&presenter).copied();
        moved.max(self.saved.get(presenter))
    }

    /// Takes note of a cursor, to be saved soon. It only moves forward.
    pub(crate) fn moved(&self, presenter: PresenterIdx, position: Position) {
        let mut moved = self.moved.lock().expect("nothing panics while it holds the lock");
        let cursor = moved.positions.entry(presenter).or_insert(position);
        *cursor = position.max(*cursor);
    }

    /// Returns once all that has moved so far is saved, or could not be in time.
    pub(crate) async fn save_now(&self) {
        // The save that runs now may have begun before the last move.
        let save = self.moved.lock().expect("nothing panics while it holds the lock").save;
        self.urgent.notify_one();
        let mut ended = self.ended.subscribe();
        if timeout(SAVE_TIMEOUT, ended.wait_for(|ended| *ended >= save)).await.is_err() {
            tracing::warn!("a cursor was not saved in time");
        }
    }

    /// Saves until `stop`, and then once more.
    pub(crate) async fn keep_saving(&self, every: Duration, stop: &CancellationToken) {
        let mut tick = interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            // Nothing is lost with a dropped branch: all three only say when.
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.urgent.notified() => {}
                _ = tick.tick() => {}
            }
            self.save().await;
        }
    }

    async fn save(&self) {
        let (save, positions) = {
            let mut moved = self.moved.lock().expect("nothing panics while it holds the lock");
            moved.save += 1;
            // They stay here until they are saved: at every moment one of the two knows them.
            let positions: Vec<_> =
                moved.positions.iter().map(|(presenter, position)| (*presenter, *position)).collect();
            (moved.save - 1, positions)
        };
        if !positions.is_empty() {
            match self.saved.save(&positions).await {
                Ok(()) => {
                    let mut moved = self.moved.lock().expect("nothing panics while it holds the lock");
                    for (presenter, position) in &positions {
                        if moved.positions.get(presenter) == Some(position) {
                            moved.positions.remove(presenter);
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, cursors = positions.len(), "cursors were not saved, trying again"),
            }
        }
        self.ended.send_replace(save);
    }
}
