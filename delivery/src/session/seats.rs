//! Who sits where on this node: at most one session a room, the one with the newest claim. An older session is told to
//! stop, and a newer one of this node waits until it has, so that between them they write every message once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chat::PresenterIdx;
use nats::{Claim, Presence};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::session::close_codes::End;

/// A session that is told to stop does so at its next step; this is for one that cannot take any.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The sessions of this node.
#[derive(Debug, Default)]
pub(crate) struct Seats(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    taken: HashMap<PresenterIdx, Taken>,
    /// Whether no more may come.
    closed: bool,
}

#[derive(Debug)]
struct Taken {
    revision: u64,
    end: watch::Sender<Option<End>>,
    /// Whether its client hears of a drain before it is closed, and may go elsewhere by itself.
    warned: bool,
    /// Cancelled when the session writes nothing more and its cursor is known.
    left: CancellationToken,
}

/// A session's place. Dropping it gives it up.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    presenter: PresenterIdx,
    revision: u64,
    end: watch::Receiver<Option<End>>,
    _left: DropGuard,
}

impl Seats {
    /// Takes the room's seat for the session, once the one before it on this node has left.
    pub(crate) async fn take(self: &Arc<Seats>, session: &Claim, warned: bool) -> Result<Seat, End> {
        let (seat, before) = self.replace(session, warned)?;
        if let Some(before) = before
            && timeout(STOP_TIMEOUT, before.cancelled()).await.is_err()
        {
            tracing::error!(presenter = %session.presenter, "the replaced session did not stop in time");
        }
        Ok(seat)
    }

    fn replace(self: &Arc<Seats>, session: &Claim, warned: bool) -> Result<(Seat, Option<CancellationToken>), End> {
        let mut state = self.0.lock().expect("nothing panics while it holds the lock");
        if state.closed {
            return Err(End::Drain);
        }
        let before = match state.taken.get(&session.presenter) {
            Some(taken) if taken.revision > session.revision => return Err(End::Replaced),
            Some(taken) => {
                taken.stop(End::Replaced);
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

    /// Follows the claims of all nodes and stops the sessions that they replace. Returns when there are no more claims
    /// to follow, which is a failure.
    pub(crate) async fn follow(&self, presence: &Presence, mut claims: broadcast::Receiver<Claim>) {
        loop {
            match claims.recv().await {
                Ok(claim) => self.heed(&claim),
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "claims came faster than they were followed, comparing all sessions");
                    let presenters: Vec<PresenterIdx> = {
                        let state = self.0.lock().expect("nothing panics while it holds the lock");
                        state.taken.keys().copied().collect()
                    };
                    for claim in presenters.into_iter().filter_map(|presenter| presence.claim(presenter)) {
                        self.heed(&claim);
                    }
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Stops the session that the claim replaces, if it is here.
    fn heed(&self, claim: &Claim) {
        let state = self.0.lock().expect("nothing panics while it holds the lock");
        if let Some(taken) = state.taken.get(&claim.presenter)
            && taken.revision < claim.revision
        {
            taken.stop(End::Replaced);
        }
    }

    /// Every seat that is taken, and the revision of the claim that it is taken by.
    pub(crate) fn all(&self) -> Vec<(PresenterIdx, u64)> {
        let state = self.0.lock().expect("nothing panics while it holds the lock");
        state.taken.iter().map(|(presenter, taken)| (*presenter, taken.revision)).collect()
    }

    /// Stops the session that took the seat by that claim, if it is still there.
    pub(crate) fn stop(&self, presenter: PresenterIdx, revision: u64, end: End) {
        let state = self.0.lock().expect("nothing panics while it holds the lock");
        if let Some(taken) = state.taken.get(&presenter)
            && taken.revision == revision
        {
            taken.stop(end);
        }
    }

    /// How many sessions there are.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().expect("nothing panics while it holds the lock").taken.len()
    }

    /// Stops all sessions one after the other, within `spread`. Cancel safe.
    pub(crate) async fn send_away(&self, end: End, spread: Duration) {
        let presenters = {
            let state = self.0.lock().expect("nothing panics while it holds the lock");
            state.taken.keys().copied().collect()
        };
        self.stop_each(presenters, end, Instant::now(), spread).await;
    }

    /// Lets no more sessions in. Returns how many there are.
    pub(crate) fn close(&self) -> usize {
        let mut state = self.0.lock().expect("nothing panics while it holds the lock");
        state.closed = true;
        state.taken.len()
    }

    /// Stops all sessions one after the other: within `spread` those whose clients hear of it only now; then, after a
    /// quarter of it for handshakes that began at its end, and within another, those that were warned and have stayed.
    /// Cancel safe.
    pub(crate) async fn drain(&self, spread: Duration) {
        let (warned, surprised): (Vec<_>, Vec<_>) = {
            let state = self.0.lock().expect("nothing panics while it holds the lock");
            state.taken.iter().map(|(presenter, taken)| (*presenter, taken.warned)).partition(|(_, warned)| *warned)
        };
        let start = Instant::now();
        for (group, start, span) in [(surprised, start, spread), (warned, start + spread + spread / 4, spread / 4)] {
            let presenters = group.into_iter().map(|(presenter, _)| presenter).collect();
            self.stop_each(presenters, End::Drain, start, span).await;
        }
    }

    /// Stops these sessions one after the other, evenly over the span from `start` on.
    async fn stop_each(&self, presenters: Vec<PresenterIdx>, end: End, start: Instant, span: Duration) {
        let (count, mut at) = (u32::try_from(presenters.len()).unwrap_or(u32::MAX), start);
        for presenter in presenters {
            sleep_until(at).await;
            let state = self.0.lock().expect("nothing panics while it holds the lock");
            if let Some(taken) = state.taken.get(&presenter) {
                taken.stop(end);
            }
            at += span / count;
        }
    }
}

impl Taken {
    /// The first reason counts.
    fn stop(&self, end: End) {
        self.end.send_if_modified(|told| {
            let first = told.is_none();
            if first {
                *told = Some(end);
            }
            first
        });
    }
}

impl Seat {
    /// Whether the session was told to stop, and why.
    pub(crate) fn told(&self) -> Option<End> {
        *self.end.borrow()
    }

    /// Waits until the session is told to stop. Cancel safe.
    pub(crate) async fn stopped(&self) -> End {
        let mut end = self.end.clone();
        let told = end.wait_for(Option::is_some).await.map(|told| *told);
        // The sender goes only with a newer session's seat, which stopped this one first.
        told.ok().flatten().unwrap_or(End::Replaced)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.seats.0.lock().expect("nothing panics while it holds the lock");
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
        assert_eq!(seats.take(&claim(1, 4), false).await.err(), Some(End::Replaced), "an older claim");
        assert_eq!(first.told(), None);

        let second = tokio::spawn({
            let seats = seats.clone();
            async move { take(&seats, 1, 6).await }
        });
        assert_eq!(first.stopped().await, End::Replaced);
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
        seats.stop(1.try_into().unwrap(), 4, End::Drain);
        seats.stop(2.try_into().unwrap(), 5, End::Drain);
        assert_eq!(seat.told(), None);
        seats.heed(&claim(1, 6));
        seats.stop(1.try_into().unwrap(), 5, End::Drain);
        assert_eq!(seat.told(), Some(End::Replaced));

        let other = take(&seats, 2, 5).await;
        seats.stop(2.try_into().unwrap(), 5, End::Lapsed);
        assert_eq!(other.stopped().await, End::Lapsed);
    }

    #[tokio::test]
    async fn a_drain_lets_nobody_in_and_sends_those_away_last_who_can_go_by_themselves() {
        let spread = Duration::from_millis(400);
        let seats = Arc::<Seats>::default();
        let mut taken = Vec::new();
        for presenter in 1..=6 {
            taken.push(seats.take(&claim(presenter, 5), presenter % 2 == 0).await.unwrap());
        }
        assert_eq!(seats.close(), 6);
        assert_eq!(seats.take(&claim(7, 5), false).await.err(), Some(End::Drain));
        let start = Instant::now();
        let told = taken.iter().map(|seat| async {
            assert_eq!(seat.stopped().await, End::Drain);
            (start.elapsed(), seat.presenter.get())
        });
        let (mut told, ()) = tokio::join!(futures_util::future::join_all(told), seats.drain(spread));
        told.sort_unstable();
        let warned: Vec<bool> = told.iter().map(|(_, presenter)| presenter % 2 == 0).collect();
        assert_eq!(warned, [false, false, false, true, true, true]);
        let (first, third, fourth) = (told[0].0, told[2].0, told[3].0);
        assert!(third - first >= spread / 3, "one after the other: {told:?}");
        assert!(fourth >= spread + spread / 4, "handshakes that began meanwhile have their time: {told:?}");
    }
}
