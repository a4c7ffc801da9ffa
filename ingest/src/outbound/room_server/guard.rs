//! Detects outages of the room server. Users choose the rooms that ingest asks about, and the room server may fail for
//! some of them alone: too large a number, a room with a broken record. Consecutive failures are therefore only a
//! suspicion. The node then asks about witnesses, rooms that it chooses itself. Only their answers decide whether there
//! is an outage, and when it is over.

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

/// 16 rooms: no single user owns that many rooms whose answers they can stop.
const MOST_ANSWERED: usize = 16;

/// Two witnesses, in case the room server fails for one of them alone.
const WITNESSES: usize = 2;

impl Guard {
    /// After `tolerated` consecutive failures the node asks about witnesses.
    pub(super) fn new(tolerated: u32) -> Guard {
        Guard {
            tolerated,
            failures: AtomicU32::new(0),
            is_open: AtomicBool::new(false),
            suspicion: Notify::new(),
            answered: Mutex::default(),
        }
    }

    /// Whether requests for users are sent.
    pub(super) fn may_ask(&self) -> bool {
        !self.is_open.load(Ordering::Relaxed)
    }

    /// The room server has answered that the room is live, or not.
    pub(super) fn answered(&self, room: PresenterIdx) {
        self.failures.store(0, Ordering::Relaxed);
        let mut answered = self.rooms();
        if !answered.contains(&room) {
            answered.truncate(MOST_ANSWERED - 1);
            answered.push_front(room);
        }
    }

    pub(super) fn failed(&self) {
        // The counter wraps after years, and then counts from zero.
        if self.failures.fetch_add(1, Ordering::Relaxed).wrapping_add(1) >= self.tolerated {
            self.failures.store(0, Ordering::Relaxed);
            self.suspicion.notify_one();
        }
    }

    /// Waits for a suspicion. One that arises while nobody waits is kept.
    pub(super) async fn suspicion(&self) {
        self.suspicion.notified().await;
    }

    /// The rooms to ask about: rooms with an answer, different ones each time, and room 1 if there are too few.
    pub(super) fn witnesses(&self) -> [PresenterIdx; WITNESSES] {
        let first = PresenterIdx::try_from(1).expect("1 is a valid presenterIdx");
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
