//! The seats of this node: at most one session per room, the one with the newest claim. An older session is told to
//! stop, and the newer one waits until it has. Between them they write every message once.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use chat::PresenterIdx;
use foldhash::fast::RandomState;
use nats::{Claim, Presence};
use parking_lot::Mutex;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast};
use tokio::time::timeout;

use crate::session::close_codes::CloseReason;
use crate::wake::Wake;

/// 5 s: a session that is told to stop does so at its next step. This bounds the wait for one that is stuck.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The sessions of this node.
#[derive(Debug, Default)]
pub(crate) struct Seats(Mutex<SeatMap>);

#[derive(Debug, Default)]
struct SeatMap {
    taken: HashMap<PresenterIdx, Taken, RandomState>,
    /// Whether new sessions are refused.
    closed: bool,
}

#[derive(Debug)]
struct Taken {
    revision: u64,
    /// Whether its client is warned of a drain, and can reconnect elsewhere by itself.
    warned: bool,
    session: Arc<Seated>,
}

/// What a session and those who stop it share.
#[derive(Debug, Default)]
struct Seated {
    /// Why the session must stop. Only the first reason counts.
    told: OnceLock<CloseReason>,
    wake: Arc<Wake>,
    /// Notified once the session writes nothing more and its cursor is known. Only the next session waits for it.
    left: Notify,
}

/// A session's seat. Dropping it frees it.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    presenter: PresenterIdx,
    revision: u64,
    session: Arc<Seated>,
}

impl Seats {
    /// Takes the room's seat for the session, once the earlier session on this node has left.
    pub(crate) async fn take(self: &Arc<Seats>, session: &Claim, warned: bool) -> Result<Seat, CloseReason> {
        let (seat, before) = self.replace(session, warned)?;
        if let Some(before) = before
            && timeout(STOP_TIMEOUT, before.left.notified()).await.is_err()
        {
            tracing::error!(presenter = %session.presenter, "the replaced session did not stop in time");
        }
        Ok(seat)
    }

    fn replace(self: &Arc<Seats>, session: &Claim, warned: bool) -> Result<(Seat, Option<Arc<Seated>>), CloseReason> {
        let mut state = self.0.lock();
        if state.closed {
            return Err(CloseReason::Drain);
        }
        let before = match state.taken.get(&session.presenter) {
            Some(taken) if taken.revision > session.revision => return Err(CloseReason::Replaced),
            Some(taken) => {
                taken.session.stop(CloseReason::Replaced);
                Some(taken.session.clone())
            }
            None => None,
        };
        let (presenter, revision, seated) = (session.presenter, session.revision, Arc::<Seated>::default());
        state.taken.insert(presenter, Taken { revision, warned, session: seated.clone() });
        Ok((Seat { seats: self.clone(), presenter, revision, session: seated }, before))
    }

    /// Follows the claims of all nodes and stops the sessions that they replace. Returns when the claims end, which is
    /// a failure.
    pub(crate) async fn follow(&self, presence: &Presence, mut claims: broadcast::Receiver<Claim>) {
        loop {
            match claims.recv().await {
                Ok(claim) => self.heed(&claim),
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "missed {missed} claims: comparing all sessions");
                    let presenters: Vec<PresenterIdx> = self.0.lock().taken.keys().copied().collect();
                    for claim in presenters.into_iter().filter_map(|presenter| presence.claim(presenter)) {
                        self.heed(&claim);
                    }
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Stops the session that the claim replaces, if this node has it.
    fn heed(&self, claim: &Claim) {
        let state = self.0.lock();
        if let Some(taken) = state.taken.get(&claim.presenter)
            && taken.revision < claim.revision
        {
            taken.session.stop(CloseReason::Replaced);
        }
    }

    /// Every taken seat, with the revision of its claim.
    pub(crate) fn all(&self) -> Vec<(PresenterIdx, u64)> {
        let state = self.0.lock();
        state.taken.iter().map(|(presenter, taken)| (*presenter, taken.revision)).collect()
    }

    /// Stops the session with that claim, if it still has the seat.
    pub(crate) fn stop(&self, presenter: PresenterIdx, revision: u64, reason: CloseReason) {
        let state = self.0.lock();
        if let Some(taken) = state.taken.get(&presenter)
            && taken.revision == revision
        {
            taken.session.stop(reason);
        }
    }

    /// Stops the presenter's session, if there is one.
    pub(crate) fn stop_any(&self, presenter: PresenterIdx, reason: CloseReason) {
        if let Some(taken) = self.0.lock().taken.get(&presenter) {
            taken.session.stop(reason);
        }
    }

    /// Every presenter with a seat, and whether its client is warned of a drain.
    pub(crate) fn warned(&self) -> Vec<(PresenterIdx, bool)> {
        self.0.lock().taken.iter().map(|(presenter, taken)| (*presenter, taken.warned)).collect()
    }

    /// How many sessions there are.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().taken.len()
    }

    /// Refuses new sessions, and wakes those that there are, to notice that the node stops. Returns how many there are.
    pub(crate) fn close(&self) -> usize {
        let mut state = self.0.lock();
        state.closed = true;
        state.taken.values().for_each(|taken| taken.session.wake.interrupt());
        state.taken.len()
    }
}

impl Seated {
    fn stop(&self, reason: CloseReason) {
        if self.told.set(reason).is_ok() {
            self.wake.interrupt();
        }
    }
}

impl Seat {
    /// Why the session must stop, if it must.
    pub(crate) fn told(&self) -> Option<CloseReason> {
        self.session.told.get().copied()
    }

    /// Wakes the session when it is told to stop, when its node stops, and on every signal by its other holders.
    pub(crate) fn wake(&self) -> &Arc<Wake> {
        &self.session.wake
    }

    /// Waits until the session is told to stop. Signals stay for later.
    pub(crate) fn poll_stopped(&self, context: &Context<'_>) -> Poll<CloseReason> {
        self.wake().register(context);
        self.told().map_or(Poll::Pending, Poll::Ready)
    }

    /// Waits until the session is told to stop. Cancel safe.
    pub(crate) async fn stopped(&self) -> CloseReason {
        poll_fn(|context| self.poll_stopped(context)).await
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.seats.0.lock();
        if state.taken.get(&self.presenter).is_some_and(|taken| taken.revision == self.revision) {
            state.taken.remove(&self.presenter);
        }
        self.session.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(presenter: i64, revision: u64) -> Claim {
        Claim {
            presenter: presenter.try_into().unwrap(),
            id: chat::SessionId::new(),
            node: "node".to_owned().into(),
            since: chat::now(),
            revision,
        }
    }

    async fn take(seats: &Arc<Seats>, presenter: i64, revision: u64) -> Seat {
        seats.take(&claim(presenter, revision), false).await.unwrap()
    }

    #[tokio::test]
    async fn the_newest_claim_has_the_seat_once_the_one_before_it_has_left() {
        let seats = Arc::<Seats>::default();
        let first = take(&seats, 1, 5).await;
        assert_eq!(seats.take(&claim(1, 4), false).await.err(), Some(CloseReason::Replaced), "an older claim");
        assert_eq!(first.told(), None);

        #[allow(clippy::disallowed_methods, reason = "a test awaits its tasks")]
        let second = tokio::spawn({
            let seats = seats.clone();
            async move { take(&seats, 1, 6).await }
        });
        assert_eq!(first.stopped().await, CloseReason::Replaced);
        assert!(!second.is_finished(), "the first may still write");
        drop(first);
        let second = timeout(STOP_TIMEOUT, second).await.expect("it waits no longer").unwrap();
        assert_eq!((seats.all(), seats.len()), (vec![(1.try_into().unwrap(), 6)], 1));
        drop(second);
        assert_eq!(seats.len(), 0);
    }

    #[tokio::test]
    async fn a_session_that_leaves_late_leaves_the_newer_ones_seat_alone() {
        let seats = Arc::<Seats>::default();
        let first = take(&seats, 1, 5).await;
        let (_second, _) = seats.replace(&claim(1, 6), false).unwrap();
        drop(first);
        assert_eq!(seats.all(), [(1.try_into().unwrap(), 6)]);
    }

    #[tokio::test]
    async fn only_a_newer_claim_of_its_own_room_stops_a_session_and_the_first_reason_counts() {
        let seats = Arc::<Seats>::default();
        let seat = take(&seats, 1, 5).await;
        for (presenter, revision) in [(1, 4), (1, 5), (2, 9)] {
            seats.heed(&claim(presenter, revision));
        }
        seats.stop(1.try_into().unwrap(), 4, CloseReason::Drain);
        seats.stop(2.try_into().unwrap(), 5, CloseReason::Drain);
        assert_eq!(seat.told(), None);
        seats.heed(&claim(1, 6));
        seats.stop(1.try_into().unwrap(), 5, CloseReason::Drain);
        assert_eq!(seat.told(), Some(CloseReason::Replaced));

        let other = take(&seats, 2, 5).await;
        seats.stop(2.try_into().unwrap(), 5, CloseReason::Lapsed);
        assert_eq!(other.stopped().await, CloseReason::Lapsed);
    }
}
