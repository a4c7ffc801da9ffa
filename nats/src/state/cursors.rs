//! The saved cursors: the last event that reached each presenter. Thousands of cursors move every second, and a bucket
//! would fsync each of them, on the same disk as the log. Instead, a node saves all cursors that moved in one message
//! of the stream `CURSORS`, and every node reads that stream into a local map.

use std::collections::HashMap;
use std::sync::Arc;

use chat::{Position, PresenterIdx};
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::context::Context;
use crate::error::Error;
use crate::jetstream::request;
use crate::read::item::{Item, ReadFrom, Status};
use crate::read::reader;
use crate::streams::{CURSORS, CURSORS_SUBJECT};

/// The number of cursors in one message of about 200 KB.
const CURSORS_A_MESSAGE: usize = 4_000;

/// The saved cursors of all nodes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cursors {
    context: Arc<Context>,
    positions: Arc<Mutex<HashMap<PresenterIdx, Position, RandomState>>>,
    status: Status,
}

impl Cursors {
    pub(crate) async fn start(context: &Arc<Context>) -> Result<Cursors, Error> {
        // A full channel slows the reader down. Nothing is lost.
        let (sink, saved) = mpsc::channel(16);
        let stop = context.tasks.stop().clone();
        let status = reader::read(context, CURSORS, ReadFrom::Oldest, stop, sink, |item| item);
        let cursors = Cursors { context: context.clone(), positions: Arc::default(), status };
        context.tasks.spawn_until_stop("saved cursors", cursors.clone().follow(saved));
        cursors.status.caught_up().await;
        Ok(cursors)
    }

    /// The position of the last event that reached the presenter.
    pub fn get(&self, presenter: PresenterIdx) -> Option<Position> {
        self.positions.lock().get(&presenter).copied()
    }

    /// All saved cursors.
    pub fn all(&self) -> Vec<(PresenterIdx, Position)> {
        let positions = self.positions.lock();
        positions.iter().map(|(presenter, position)| (*presenter, *position)).collect()
    }

    /// Saves many cursors at once, with one fsync for 4,000, and returns once they are durable. Each element is a room,
    /// and the position of the last event that reached its presenter. The change is visible through [`Cursors::get`] at
    /// once on this node, and within milliseconds on others. A cursor only moves forward: saving an older position, or
    /// one of another log, changes nothing.
    pub async fn save(&self, cursors: &[(PresenterIdx, Position)]) -> Result<(), Error> {
        for cursors in cursors.chunks(CURSORS_A_MESSAGE) {
            self.apply(cursors.iter().copied());
            let payload =
                serde_json::to_vec(cursors).expect("pairs of a number and a string have no failing serializer");
            let publish = async { self.context.jetstream.publish(CURSORS_SUBJECT, payload.into()).await?.await };
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
                        let sequence = record.sequence;
                        tracing::warn!(sequence, %error, "a message of the stream CURSORS does not hold cursors");
                    }
                },
                Ok(Item::CaughtUp(_)) => self.status.set_caught_up(),
                Ok(Item::Resumed) => {}
                Err(error) => self.context.fail(error),
            }
        }
    }

    fn apply(&self, cursors: impl IntoIterator<Item = (PresenterIdx, Position)>) {
        let mut positions = self.positions.lock();
        for (presenter, position) in cursors {
            let saved = positions.entry(presenter).or_insert(position);
            *saved = self.context.timelines.further(position, *saved);
        }
    }
}
