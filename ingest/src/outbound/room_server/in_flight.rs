//! Requests that concurrent callers share. The first caller for a room makes the request, and the others wait for its
//! outcome. If that caller leaves, one of the others makes the request. Nothing is remembered after the last has left.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use chat::PresenterIdx;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

/// The rooms that are being asked about. The number of callers bounds it.
#[derive(Debug)]
pub(super) struct InFlight<T> {
    rooms: Mutex<HashMap<PresenterIdx, Arc<OnceCell<T>>>>,
}

/// One caller's share of a request.
struct Share<'a, T> {
    in_flight: &'a InFlight<T>,
    room: PresenterIdx,
    outcome: Arc<OnceCell<T>>,
}

impl<T: Copy> InFlight<T> {
    /// The outcome of the room's request in flight, or of `request` if there is none.
    pub(super) async fn share(&self, room: PresenterIdx, request: impl Future<Output = T>) -> T {
        let outcome = self.rooms.lock().entry(room).or_default().clone();
        let share = Share { in_flight: self, room, outcome };
        *share.outcome.get_or_init(|| request).await
    }
}

impl<T> Default for InFlight<T> {
    fn default() -> InFlight<T> {
        InFlight { rooms: Mutex::default() }
    }
}

impl<T> Drop for Share<'_, T> {
    /// Removes the room once it has an outcome, which is not for later callers, or when the last caller leaves.
    fn drop(&mut self) {
        let mut rooms = self.in_flight.rooms.lock();
        let is_this = rooms.get(&self.room).is_some_and(|other| Arc::ptr_eq(other, &self.outcome));
        // Shares are made under the lock: two are this one and the map's.
        let is_over = self.outcome.initialized() || Arc::strong_count(&self.outcome) == 2;
        if is_this && is_over {
            rooms.remove(&self.room);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, poll_fn, ready};
    use std::pin::pin;
    use std::task::Poll;

    use futures_util::FutureExt;
    use futures_util::future::join_all;

    use super::*;

    fn room(idx: i64) -> PresenterIdx {
        idx.try_into().unwrap()
    }

    /// A request that is answered when it is polled for the second time.
    async fn slow<T: Copy>(answer: T) -> T {
        let mut is_second = false;
        poll_fn(|context| {
            if std::mem::replace(&mut is_second, true) {
                return Poll::Ready(answer);
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    #[tokio::test]
    async fn callers_at_the_same_time_share_one_request_and_later_ones_do_not() {
        let (in_flight, asked) = (InFlight::default(), Cell::new(0));
        let request = || {
            asked.set(asked.get() + 1);
            slow(asked.get())
        };
        let ask = |room| in_flight.share(room, async { request().await });
        assert_eq!(join_all((0..10).map(|_| ask(room(1)))).await, [1; 10]);
        assert_eq!(join_all([ask(room(1)), ask(room(2)), ask(room(1))]).await, [2, 3, 2]);
        assert!(in_flight.rooms.lock().is_empty());
    }

    #[tokio::test]
    async fn when_the_asking_caller_leaves_another_one_asks_and_nothing_stays_when_all_have_left() {
        let in_flight = InFlight::default();
        let mut asks = Box::pin(in_flight.share(room(1), pending()));
        assert!(asks.as_mut().now_or_never().is_none());
        let mut waits = pin!(in_flight.share(room(1), ready(7)));
        assert!(waits.as_mut().now_or_never().is_none());
        drop(asks);
        assert_eq!((waits.await, in_flight.rooms.lock().len()), (7, 0));

        let mut alone = Box::pin(in_flight.share(room(2), pending()));
        assert!(alone.as_mut().now_or_never().is_none());
        assert_eq!(in_flight.rooms.lock().len(), 1);
        drop(alone);
        assert!(in_flight.rooms.lock().is_empty());
    }
}
