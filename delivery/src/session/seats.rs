//! The seats of this node: at most one session per room, the one with the newest claim. An older session is told to
//! stop, and the newer one waits until it has. Between them they write every message once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chat::PresenterIdx;
use nats::{Claim, Presence};
use parking_lot::Mutex;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::session::close_codes::CloseReason;

/// 5 s: a session that is told to stop does so at its next step. This bounds the wait for one that is stuck.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The sessions of this node.
#[derive(Debug, Default)]
pub(crate) struct Seats(Mutex<SeatMap>);

#[derive(Debug, Default)]
struct SeatMap {
    taken: HashMap<PresenterIdx, Taken>,
    /// Whether new sessions are refused.
    closed: bool,
}

#[derive(Debug)]
struct Taken {
    revision: u64,
    end: watch::Sender<Option<CloseReason>>,
    /// Whether its client is warned of a drain, and can reconnect elsewhere by itself.
    warned: bool,
    /// Cancelled once the session writes nothing more and its cursor is known.
    left: CancellationToken,
}

/// A session's seat. Dropping it frees it.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    presenter: PresenterIdx,
    revision: u64,
    end: watch::Receiver<Option<CloseReason>>,
    _left: DropGuard,
}

impl Seats {
    /// Takes the room's seat for the session, once the earlier session on this node has left.
    pub(crate) async fn take(self: &Arc<Seats>, session: &Claim, warned: bool) -> Result<Seat, CloseReason> {
        let (seat, before) = self.replace(session, warned)?;
        if let Some(before) = before
            && timeout(STOP_TIMEOUT, before.cancelled()).await.is_err()
        {
            tracing::error!(presenter = %session.presenter, "the replaced session did not stop in time");
        }
        Ok(seat)
    }

    fn replace(
        self: &Arc<Seats>,
        session: &Claim,
        warned: bool,
    ) -> Result<(Seat, Option<CancellationToken>), CloseReason> {
        let mut state = self.0.lock();
        if state.closed {
            return Err(CloseReason::Drain);
        }
        let before = match state.taken.get(&session.presenter) {
            Some(taken) if taken.revision > session.revision => return Err(CloseReason::Replaced),
            Some(taken) => {
                taken.stop(CloseReason::Replaced);
                Some(taken.left.clone())
            }
            None => None,
        };
        let (sender, end) = watch::channel(None);
        let left = CancellationToken::new();
        let taken = Taken { revision: session.revision, end: sender, warned, left: left.clone() };
        state.taken.insert(session.presenter, taken);
        let (presenter, revision) = (session.presenter, session.revision);
        Ok((Seat { seats: self.clone(), presenter, revision, end, _left: left.drop_guard() }, before))
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
            taken.stop(CloseReason::Replaced);
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
            taken.stop(reason);
        }
    }

    /// Stops the presenter's session, if there is one.
    pub(crate) fn stop_any(&self, presenter: PresenterIdx, reason: CloseReason) {
        if let Some(taken) = self.0.lock().taken.get(&presenter) {
            taken.stop(reason);
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

    /// Refuses new sessions. Returns how many there are.
    pub(crate) fn close(&self) -> usize {
        let mut state = self.0.lock();
        state.closed = true;
        state.taken.len()
    }
}

impl Taken {
    /// Only the first reason counts.
    fn stop(&self, reason: CloseReason) {
        self.end.send_if_modified(|told| {
            let first = told.is_none();
            if first {
                *told = Some(reason);
            }
            first
        });
    }
}

impl Seat {
    /// Why the session must stop, if it must.
    pub(crate) fn told(&self) -> Option<CloseReason> {
        *self.end.borrow()
    }

    /// Waits until the session is told to stop. Cancel safe.
    pub(crate) async fn stopped(&self) -> CloseReason {
        let mut end = self.end.clone();
        let told = end.wait_for(Option::is_some).await.map(|told| *told);
        // Only a newer session's seat drops the sender, and it stopped this session first.
        told.ok().flatten().unwrap_or(CloseReason::Replaced)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.seats.0.lock();
        if state.taken.get(&self.presenter).is_some_and(|taken| taken.revision == self.revision) {
            state.taken.remove(&self.presenter);
        }
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
