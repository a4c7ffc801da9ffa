//! How far each presenter has come. Thousands of cursors move every second, and a bucket would take an fsync for each,
//! from the same disk as the log; here a node saves all that moved in one message of the stream `CURSORS`, and every
//! node reads it into a local map.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use crate::error::Error;
use crate::jetstream::request;
use crate::log::Inner;
use crate::read::reader;
use crate::read::reader::{From, Item, Status};
use crate::setup::{CURSORS, CURSORS_SUBJECT};
use chat::Position;
use chat::PresenterIdx;

/// Cursors in one message: some 200 KB.
const CURSORS_A_MESSAGE: usize = 4_000;

/// How far each presenter has come, as last saved by any node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cursors {
    log: Arc<Inner>,
    positions: Arc<Mutex<HashMap<PresenterIdx, Position>>>,
    status: Status,
}

impl Cursors {
    pub(crate) async fn start(log: &Arc<Inner>) -> Result<Cursors, Error> {
        // A full channel slows the reader down, nothing is lost.
        let (sink, saved) = mpsc::channel(16);
        let stop = log.stop.clone();
        let status = reader::read(log, CURSORS, From::Oldest, stop.clone(), sink, |item| item);
        let cursors = Cursors { log: log.clone(), positions: Arc::default(), status };
        log.tasks.spawn(stop.run_until_cancelled_owned(cursors.clone().follow(saved)));
        cursors.status.caught_up().await;
        Ok(cursors)
    }

    /// The last event that reached the presenter.
    pub fn get(&self, presenter: PresenterIdx) -> Option<Position> {
        self.positions.lock().expect("nothing panics while it holds the lock").get(&presenter).copied()
    }

    /// All that are known.
    pub fn all(&self) -> Vec<(PresenterIdx, Position)> {
        let positions = self.positions.lock().expect("nothing panics while it holds the lock");
        positions.iter().map(|(presenter, position)| (*presenter, *position)).collect()
    }

    /// Saves many at once (one fsync for 4,000), and returns once they are durable. Each element: the room, the position
    /// of the last event that reached the presenter. Visible at once through [`Cursors::get`] of this node, within
    /// milliseconds on others. A cursor only moves forward: a late save of an older position changes nothing, nor does one
    /// of another log.
    pub async fn save(&self, cursors: &[(PresenterIdx, Position)]) -> Result<(), Error> {
        for cursors in cursors.chunks(CURSORS_A_MESSAGE) {
            self.apply(cursors.iter().copied());
            let payload =
                serde_json::to_vec(cursors).expect("pairs of a number and a string have no failing serializer");
            let publish = async { self.log.context.publish(CURSORS_SUBJECT, payload.into()).await?.await };
            request("saving cursors", publish).await?;
        }
        Ok(())
    }

    async fn follow(self, mut saved: mpsc::Receiver<Result<Item, Error>>) {
        while let Some(item) = saved.recv().await {
            match item {
                Ok(Item::Record(record)) => match serde_json::from_slice::<Vec<_>>(&record.payload) {
                    Ok(cursors) => self.apply(cursors),
                    Err(error) => {
                        tracing::warn!(sequence = record.sequence, %error, "a message of CURSORS is not cursors");
                    }
                },
                Ok(Item::CaughtUp(_)) => self.status.set_caught_up(),
                Ok(Item::Resumed) => {}
                Err(error) => self.log.fail(error),
            }
        }
    }

    fn apply(&self, cursors: impl IntoIterator<Item = (PresenterIdx, Position)>) {
        let mut positions = self.positions.lock().expect("nothing panics while it holds the lock");
        for (presenter, position) in cursors {
            let saved = positions.entry(presenter).or_insert(position);
            *saved = self.log.timelines.further(position, *saved);
        }
    }
}
