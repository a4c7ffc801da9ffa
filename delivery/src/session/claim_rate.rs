//! Whose turn it is to claim a room: one newcomer of a presenter at a time, so many at once and then one every few
//! seconds, counted over all nodes; of those who wait the newest alone. Two pages that throw each other out for ever, a
//! page that reconnects in a loop, a token that went round: none costs the log, or the archive of sessions, more than that. The
//! session that holds the room goes on meanwhile. Of other presenters nobody waits.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use chat::{NodeId, PresenterIdx};
use nats::Claim;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::session::close_codes::End;

/// 20 claims a second at the very most: more than any page that means well makes, and nothing to the log.
const INTERVAL: Duration = Duration::from_millis(50);

/// So many claims in a row: a presenter who loads a page again and again, on a bad network, is not held up.
const BURST: u32 = 20;

/// Then one in this time: 24 events a minute, for however long it goes on. With the 8 s in which the log may have to be asked for a
/// claim, it is about what a page waits for its welcome.
const REFILL: Duration = Duration::from_secs(5);

/// The rooms that may have as many claims as ever are forgotten when there are so many.
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
    /// The last claim of this node.
    claimed: Option<Instant>,
    /// When all claims so far will have come back, one every [`REFILL`].
    spent_until: Instant,
    /// Dropped when a newer newcomer takes the place of the one who waits.
    waits: Option<oneshot::Sender<()>>,
}

/// A turn to claim the room. Dropped, it is as if it had not been, unless the room was claimed.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    presenter: PresenterIdx,
    is_used: bool,
}

impl Turns {
    /// Returns when it is the newcomer's turn, or with [`End::Replaced`] when a newer one came meanwhile: only then, too,
    /// because a page that is told so at once may be back at once. Cancel safe: who does not wait any more has no turn.
    pub(crate) async fn wait(&self, presenter: PresenterIdx) -> Result<Turn<'_>, End> {
        let (next, mut displaced) = {
            let (mut state, now) = (self.0.lock().expect("nothing panics while it holds the lock"), Instant::now());
            let room = state.room(presenter, now);
            let next = room.next(now);
            if next <= now && !room.is_waited_for() {
                room.claim(now);
                return Ok(Turn { turns: self, presenter, is_used: false });
            }
            let (waits, displaced) = oneshot::channel();
            room.waits = Some(waits);
            (next, displaced)
        };
        let wait = next.duration_since(Instant::now());
        if wait > INTERVAL {
            let wait_ms = wait.as_millis();
            tracing::debug!(%presenter, wait_ms, "presenter {presenter} was claimed often, and waits for its turn");
        }
        sleep_until(next).await;
        let (mut state, now) = (self.0.lock().expect("nothing panics while it holds the lock"), Instant::now());
        if displaced.try_recv() != Err(oneshot::error::TryRecvError::Empty) {
            return Err(End::Replaced);
        }
        let room = state.room(presenter, now);
        room.waits = None;
        room.claim(now);
        Ok(Turn { turns: self, presenter, is_used: false })
    }

    /// Counts the claims of the other nodes. Returns when there are no more claims to follow, which is a failure.
    pub(crate) async fn follow(&self, own: &NodeId, mut claims: broadcast::Receiver<Claim>) {
        loop {
            match claims.recv().await {
                Ok(claim) if claim.node != *own => {
                    let mut state = self.0.lock().expect("nothing panics while it holds the lock");
                    let now = Instant::now();
                    state.room(claim.presenter, now).spend(now);
                }
                // Some that were missed are not counted: each node bounds its own in any case.
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }
}

impl Turn<'_> {
    /// The log has the claim, or may have it.
    pub(crate) fn used(mut self) {
        self.is_used = true;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // While the log is away a page tries again and again, which costs nothing, and must not make it wait afterwards.
        if !self.is_used {
            let mut state = self.turns.0.lock().expect("nothing panics while it holds the lock");
            state.room(self.presenter, Instant::now()).give_back();
        }
    }
}

impl State {
    fn room(&mut self, presenter: PresenterIdx, now: Instant) -> &mut Room {
        if self.rooms.len() > self.forget_above {
            self.rooms.retain(|_, room| room.spent_until > now || room.is_waited_for());
            // Twice what is left, so that the cost per turn stays constant.
            self.forget_above = FORGET_ABOVE.max(2 * self.rooms.len());
        }
        self.rooms.entry(presenter).or_insert(Room { claimed: None, spent_until: now, waits: None })
    }
}

impl Room {
    fn is_waited_for(&self) -> bool {
        self.waits.as_ref().is_some_and(|waits| !waits.is_closed())
    }

    /// When the room may be claimed next.
    fn next(&self, now: Instant) -> Instant {
        let spaced = self.claimed.map_or(now, |claimed| claimed + INTERVAL);
        // Of what would take longer to come back than `BURST - 1` claims do, one would be too many.
        let come_back = self.spent_until.checked_sub(REFILL * (BURST - 1)).unwrap_or(now);
        spaced.max(come_back).max(now)
    }

    /// This node claims it.
    fn claim(&mut self, now: Instant) {
        self.claimed = Some(now);
        self.spend(now);
    }

    /// It was claimed, here or elsewhere. However often elsewhere: here nobody waits for longer than [`REFILL`].
    fn spend(&mut self, now: Instant) {
        self.spent_until = (self.spent_until.max(now) + REFILL).min(now + REFILL * BURST);
    }

    /// A claim came to nothing.
    fn give_back(&mut self) {
        self.spent_until = self.spent_until.checked_sub(REFILL).unwrap_or(self.spent_until);
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
        let waiting = (0..100).map(|_| async { turns.wait(room(1)).await.map(Turn::used) });
        let turn: Vec<bool> = futures_util::future::join_all(waiting).await.iter().map(Result::is_ok).collect();
        assert!(start.elapsed() >= INTERVAL);
        let expected: Vec<bool> = (0..100).map(|newcomer| newcomer == 0 || newcomer == 99).collect();
        assert_eq!(turn, expected);
    }

    #[tokio::test]
    async fn who_is_displaced_or_goes_away_has_no_turn_and_leaves_it_to_the_next() {
        let (turns, start) = (Turns::default(), Instant::now());
        turns.wait(room(1)).await.unwrap().used();
        let (one, other) = tokio::join!(turns.wait(room(1)), turns.wait(room(1)));
        assert_eq!((one.map(Turn::used), other.map(Turn::used)), (Err(End::Replaced), Ok(())));
        assert!(start.elapsed() >= INTERVAL, "who is displaced is not told at once");
        let gone = tokio::time::timeout(Duration::ZERO, turns.wait(room(1))).await;
        assert!(gone.is_err());
        turns.wait(room(1)).await.unwrap().used();
        assert_eq!(turns.0.lock().unwrap().rooms.values().filter(|room| room.is_waited_for()).count(), 0);
    }

    #[test]
    fn however_long_it_goes_on_so_many_claims_at_once_and_then_one_in_a_while() {
        let start = Instant::now();
        for (elsewhere, most) in [(0, 20 + 720), (1, 720 + 20), (1_000, 720 + 2)] {
            let mut room = Room { claimed: None, spent_until: start, waits: None };
            let (mut now, mut claims, mut longest) = (start, 0, Duration::ZERO);
            while now < start + Duration::from_secs(3_600) {
                room.claim(now);
                claims += 1;
                (0..elsewhere).for_each(|_| room.spend(now));
                let next = room.next(now);
                assert!(next >= now + INTERVAL);
                longest = longest.max(next - now);
                now = next;
            }
            assert!((720..=most).contains(&claims), "{claims} claims in an hour beside {elsewhere} elsewhere");
            assert_eq!(longest, REFILL);
            // After two minutes it is as if nothing had been.
            now += REFILL * BURST;
            for _ in 0..BURST {
                assert_eq!(room.next(now), now);
                room.claim(now);
                now += INTERVAL;
            }
            assert!(room.next(now) > now);
        }
    }

    #[tokio::test]
    async fn who_could_not_claim_the_room_does_not_wait_longer_for_it() {
        let turns = Turns::default();
        for _ in 0..BURST + 2 {
            drop(turns.wait(room(1)).await.unwrap());
        }
        let spent_until = turns.0.lock().unwrap().rooms[&room(1)].spent_until;
        assert!(spent_until <= Instant::now());
    }

    #[tokio::test]
    async fn other_presenters_do_not_wait_and_are_forgotten() {
        let turns = Turns::default();
        let start = Instant::now();
        for presenter in 1..=10_000 {
            turns.wait(room(presenter)).await.unwrap().used();
        }
        assert!(start.elapsed() < Duration::from_secs(5));
        let mut state = turns.0.lock().unwrap();
        state.forget_above = 0;
        state.room(room(1), Instant::now() + REFILL);
        assert_eq!(state.rooms.len(), 1);
    }
    /// How long it takes until all claims of the room have come back.
    fn spent(turns: &Turns, now: Instant) -> Duration {
        turns.0.lock().unwrap().rooms[&room(1)].spent_until.saturating_duration_since(now)
    }

    #[tokio::test]
    async fn a_claim_that_the_log_may_have_counts_and_one_that_came_to_nothing_does_not() {
        let (turns, now) = (Turns::default(), Instant::now());
        turns.wait(room(1)).await.unwrap().used();
        let of_one = spent(&turns, now);
        assert!((REFILL..2 * REFILL).contains(&of_one), "{of_one:?}");
        drop(turns.wait(room(1)).await.unwrap());
        assert_eq!(spent(&turns, now), of_one);
    }

    #[tokio::test]
    async fn claims_of_other_nodes_count_and_the_own_ones_not_twice() {
        let (turns, now) = (Turns::default(), Instant::now());
        let (claims, heard) = broadcast::channel(8);
        let nodes = ["own", "other", "own", "third"].map(|node| NodeId::from(node.to_owned()));
        for (revision, node) in (1..).zip(&nodes) {
            let (presenter, id, since) = (room(1), chat::SessionId::new(), chat::now());
            claims.send(Claim { presenter, id, node: node.clone(), since, revision }).unwrap();
        }
        drop(claims);
        turns.follow(&nodes[0], heard).await;
        let of_two = spent(&turns, now);
        assert!((2 * REFILL..3 * REFILL).contains(&of_two), "{of_two:?}");
    }
}
