//! Whose turn it is to claim a room on this node: one newcomer of a presenter at a time, at most so many a second, and
//! of those who wait the newest alone. A page that reconnects in a loop, or a token that went round, costs the log no
//! more than that. Of other presenters nobody waits.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use nats::PresenterIdx;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::close::End;

/// 20 claims a second: more than any page that means well makes, and nothing to the log.
const INTERVAL: Duration = Duration::from_millis(50);

/// The rooms whose last turn was long ago are forgotten when there are so many.
const FORGET_ABOVE: usize = 1_024;

/// The turns of all presenters.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    rooms: HashMap<PresenterIdx, Room>,
    forget_above: usize,
}

#[derive(Debug)]
struct Room {
    /// When the next turn may be.
    next: Instant,
    /// Dropped when a newer newcomer takes the place of the one who waits.
    waits: Option<oneshot::Sender<()>>,
}

impl Turns {
    /// Returns when it is the newcomer's turn, or with [`End::Replaced`] when a newer one has come meanwhile.
    pub(crate) async fn wait(&self, presenter: PresenterIdx) -> Result<(), End> {
        let (next, mut displaced) = {
            let (mut state, now) = (self.0.lock().expect("nothing panics while it holds the lock"), Instant::now());
            state.forget(now);
            let room = state.rooms.entry(presenter).or_insert(Room { next: now, waits: None });
            if room.next <= now && room.waits.is_none() {
                room.next = now + INTERVAL;
                return Ok(());
            }
            let (waits, displaced) = oneshot::channel();
            room.waits = Some(waits);
            (room.next, displaced)
        };
        // Neither branch holds anything that could be lost.
        tokio::select! {
            biased;
            _ = &mut displaced => return Err(End::Replaced),
            () = sleep_until(next) => {}
        }
        let mut state = self.0.lock().expect("nothing panics while it holds the lock");
        match state.rooms.get_mut(&presenter) {
            Some(room) if displaced.try_recv() == Err(oneshot::error::TryRecvError::Empty) => {
                (room.next, room.waits) = (Instant::now() + INTERVAL, None);
                Ok(())
            }
            _ => Err(End::Replaced),
        }
    }
}

impl State {
    fn forget(&mut self, now: Instant) {
        if self.rooms.len() > self.forget_above {
            self.rooms.retain(|_, room| room.next > now || room.waits.is_some());
            // Twice what is left, so that the cost per turn stays constant.
            self.forget_above = FORGET_ABOVE.max(2 * self.rooms.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(presenter: i64) -> PresenterIdx {
        PresenterIdx::try_from(presenter).unwrap()
    }

    #[tokio::test]
    async fn of_many_who_come_at_once_the_first_and_the_newest_get_their_turn() {
        let (turns, start) = (Turns::default(), Instant::now());
        let waiting = (0..100).map(|_| turns.wait(room(1)));
        let turn: Vec<bool> = futures_util::future::join_all(waiting).await.iter().map(Result::is_ok).collect();
        assert!(start.elapsed() >= INTERVAL);
        let expected: Vec<bool> = (0..100).map(|newcomer| newcomer == 0 || newcomer == 99).collect();
        assert_eq!(turn, expected);
        // Whoever comes now waits as long again.
        assert_eq!(turns.wait(room(1)).await, Ok(()));
        assert!(start.elapsed() >= 2 * INTERVAL);
    }

    #[tokio::test]
    async fn other_presenters_do_not_wait_and_are_forgotten() {
        let turns = Turns::default();
        let start = Instant::now();
        for presenter in 1..=10_000 {
            assert_eq!(turns.wait(room(presenter)).await, Ok(()));
        }
        assert!(start.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(INTERVAL).await;
        for presenter in 10_001..=40_000 {
            assert_eq!(turns.wait(room(presenter)).await, Ok(()));
        }
        assert_eq!(turns.wait(room(1)).await, Ok(()));
    }

    #[tokio::test]
    async fn presenters_who_came_and_went_cost_no_memory() {
        let (turns, mut most) = (Turns::default(), 0);
        for presenter in 1..=20 * FORGET_ABOVE as i64 {
            turns.wait(room(presenter)).await.unwrap();
            if presenter % FORGET_ABOVE as i64 == 0 {
                tokio::time::sleep(INTERVAL).await;
            }
            most = most.max(turns.0.lock().unwrap().rooms.len());
        }
        assert!(most <= 4 * FORGET_ABOVE, "{most} rooms at once");
    }
}
