//! The readers of a partition's rooms, to wake them when there is something to read.

use std::collections::HashMap;
use std::sync::Arc;

use chat::PresenterIdx;
use foldhash::fast::RandomState;

use crate::wake::Wake;

/// The readers of each room. A room without a reader has no entry.
#[derive(Debug, Default)]
pub(super) struct Wakes(HashMap<PresenterIdx, OfRoom, RandomState>);

#[derive(Debug, Default)]
struct OfRoom {
    wakes: Vec<Arc<Wake>>,
    /// The push that woke them last.
    woken_by: u64,
}

impl OfRoom {
    fn wake(&mut self, push: u64, woken: &mut Vec<Arc<Wake>>) {
        if std::mem::replace(&mut self.woken_by, push) != push {
            woken.extend_from_slice(&self.wakes);
        }
    }
}

impl Wakes {
    /// Adds the room's readers to `woken`, once in a push. Pushes are numbered from 1.
    pub(super) fn wake(&mut self, presenter: PresenterIdx, push: u64, woken: &mut Vec<Arc<Wake>>) {
        if let Some(readers) = self.0.get_mut(&presenter) {
            readers.wake(push, woken);
        }
    }

    /// Adds the readers of all rooms to `woken`, once in a push.
    pub(super) fn wake_all(&mut self, push: u64, woken: &mut Vec<Arc<Wake>>) {
        self.0.values_mut().for_each(|readers| readers.wake(push, woken));
    }

    pub(super) fn attach(&mut self, presenter: PresenterIdx, reader: Arc<Wake>) {
        self.0.entry(presenter).or_default().wakes.push(reader);
    }

    pub(super) fn detach(&mut self, presenter: PresenterIdx, reader: &Arc<Wake>) {
        if let Some(readers) = self.0.get_mut(&presenter) {
            readers.wakes.retain(|other| !Arc::ptr_eq(other, reader));
            if readers.wakes.is_empty() {
                self.0.remove(&presenter);
            }
        }
    }

    pub(super) fn has_any(&self, presenter: PresenterIdx) -> bool {
        self.0.contains_key(&presenter)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
