//! Whether the room server is out. Which rooms are asked about is up to users, and a room server may well fail for some
//! of them alone: too large a number, a room with a broken record. Failures in a row are therefore but a suspicion. Then the
//! node asks about rooms of its own choosing, and only that says whether there is an outage, and when it is over.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use chat::PresenterIdx;
use parking_lot::Mutex;
use tokio::sync::Notify;

#[derive(Debug)]
pub(super) struct Guard {
    tolerated: u32,
    failures: AtomicU32,
    is_open: AtomicBool,
    suspicion: Notify,
    answered: Mutex<VecDeque<PresenterIdx>>,
}

/// 16 rooms: nobody has so many of which the answers stop when they want it.
const MOST_ANSWERED: usize = 16;

/// Two of them are asked about, lest the room server fails for one alone.
const WITNESSES: usize = 2;

impl Guard {
    /// So many failures in a row make the node ask.
    pub(super) fn new(tolerated: u32) -> Guard {
        Guard {
            tolerated,
            failures: AtomicU32::new(0),
            is_open: AtomicBool::new(false),
            suspicion: Notify::new(),
            answered: Mutex::default(),
        }
    }

    /// Whether users' questions are asked.
    pub(super) fn may_ask(&self) -> bool {
        !self.is_open.load(Ordering::Relaxed)
    }

    /// A room was said to be live, or not.
    pub(super) fn answered(&self, room: PresenterIdx) {
        self.failures.store(0, Ordering::Relaxed);
        let mut answered = self.rooms();
        if !answered.contains(&room) {
            answered.truncate(MOST_ANSWERED - 1);
            answered.push_front(room);
        }
    }

    pub(super) fn failed(&self) {
        // It wraps after years, and then counts from the start.
        if self.failures.fetch_add(1, Ordering::Relaxed).wrapping_add(1) >= self.tolerated {
            self.failures.store(0, Ordering::Relaxed);
            self.suspicion.notify_one();
        }
    }

    /// Until there were so many failures in a row. A suspicion that nobody waits for is kept.
    pub(super) async fn suspicion(&self) {
        self.suspicion.notified().await;
    }

    /// Which rooms to ask about: of those that were answered, others each time, and room 1 where there are too few.
    pub(super) fn witnesses(&self) -> [PresenterIdx; WITNESSES] {
        let first = PresenterIdx::try_from(1).expect("1 is a number of a room");
        let mut answered = self.rooms();
        let known = answered.len().min(WITNESSES);
        let witnesses = std::array::from_fn(|n| answered.get(n).copied().unwrap_or(first));
        answered.rotate_left(known);
        witnesses
    }

    pub(super) fn open(&self) {
        self.is_open.store(true, Ordering::Relaxed);
    }

    pub(super) fn close(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.is_open.store(false, Ordering::Relaxed);
    }

    fn rooms(&self) -> parking_lot::MutexGuard<'_, VecDeque<PresenterIdx>> {
        self.answered.lock()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn room(idx: i64) -> PresenterIdx {
        idx.try_into().unwrap()
    }

    #[test]
    fn failures_in_a_row_are_a_suspicion_and_close_nothing() {
        let guard = Guard::new(3);
        let is_suspected = || guard.suspicion().now_or_never().is_some();
        guard.failed();
        guard.failed();
        guard.answered(room(7));
        guard.failed();
        guard.failed();
        assert!(!is_suspected());
        guard.failed();
        assert!(is_suspected() && !is_suspected());
        assert!(guard.may_ask());
        guard.open();
        assert!(!guard.may_ask());
        guard.close();
        assert!(guard.may_ask());
    }

    #[test]
    fn the_rooms_to_ask_about_change_and_are_the_latest_that_were_answered() {
        let guard = Guard::new(1);
        assert_eq!(guard.witnesses(), [room(1), room(1)]);
        guard.answered(room(50));
        assert_eq!(guard.witnesses(), [room(50), room(1)]);
        for idx in 100..200 {
            guard.answered(room(idx));
        }
        let mut seen: Vec<i64> = (0..8).flat_map(|_| guard.witnesses()).map(PresenterIdx::get).collect();
        seen.sort();
        assert_eq!(seen, (184..200).collect::<Vec<_>>());
    }
}
