//! Rate limit of session starts: the order in which newcomers claim a room. One newcomer of a presenter claims at a
//! time, within two shares that are counted over all nodes: one for a burst, one for a day. Of the newcomers that wait
//! only the newest gets the turn. So two pages that replace each other for ever, a page that reconnects in a loop and a
//! leaked token all cost the log and the archive a bounded number of sessions. The session that holds the room
//! continues meanwhile. Other presenters never wait.

use std::collections::HashMap;
use std::time::Duration;

use chat::{NodeId, PresenterIdx};
use nats::Claim;
use parking_lot::Mutex;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::session::close_codes::CloseReason;

/// 20 claims a second at the very most: more than any page that means well makes, and nothing to the log.
const INTERVAL: Duration = Duration::from_millis(50);

/// A token bucket: `burst` claims in a row, then one each `refill`.
#[derive(Debug, Clone, Copy)]
struct Share {
    burst: u32,
    refill: Duration,
}

/// 20 in a row: a presenter who reloads a page again and again, on a bad network, does not wait. Then one in 5 s, which
/// is 24 events a minute. With the 8 s that a claim may take, a page waits about that long for its welcome.
const SHORT: Share = Share { burst: 20, refill: Duration::from_secs(5) };

/// 600 in a row: a network that breaks every 10 s for an hour and a half does not use it up. Then one a minute: each
/// session is a document in the archive, so a room makes at most 2,040 on the first day and 1,440 on each day after it.
const LONG: Share = Share { burst: 600, refill: Duration::from_secs(60) };

const SHARES: [Share; 2] = [SHORT, LONG];

/// A newcomer whose turn comes later than this is told how long it waits. A newer newcomer displaces it after this
/// time, not only when the turn comes, so that displaced sockets do not pile up.
pub(crate) const SHORT_WAIT: Duration = SHORT.refill;

/// Rooms that have their whole share again are forgotten when there are more rooms than this.
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
    /// For each share, when all claims so far will have come back.
    spent_until: [Instant; SHARES.len()],
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
    /// How long a newcomer that comes now waits for its turn.
    pub(crate) fn expected_wait(&self, presenter: PresenterIdx) -> Duration {
        let (mut state, now) = (self.0.lock(), Instant::now());
        state.room(presenter, now).next(now).duration_since(now)
    }

    /// Returns when it is the newcomer's turn, or with [`CloseReason::Replaced`] when a newer one came meanwhile. A
    /// displaced newcomer waits too, up to [`SHORT_WAIT`]: a page that is told at once may be back at once. Cancel
    /// safe: a newcomer that stops waiting has no turn.
    pub(crate) async fn wait(&self, presenter: PresenterIdx) -> Result<Turn<'_>, CloseReason> {
        let (next, mut displaced) = {
            let (mut state, now) = (self.0.lock(), Instant::now());
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
        sleep_until(next.min(Instant::now() + SHORT_WAIT)).await;
        tokio::select! {
            biased;
            // The sender is never used, only dropped, and nothing is lost with either branch.
            _ = &mut displaced => return Err(CloseReason::Replaced),
            () = sleep_until(next) => {}
        }
        let (mut state, now) = (self.0.lock(), Instant::now());
        if displaced.try_recv() != Err(oneshot::error::TryRecvError::Empty) {
            return Err(CloseReason::Replaced);
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
                    let mut state = self.0.lock();
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
        // While the log is away a page tries again and again, which costs nothing, and must not make it wait
        // afterwards.
        if !self.is_used {
            let mut state = self.turns.0.lock();
            state.room(self.presenter, Instant::now()).give_back();
        }
    }
}

impl State {
    fn room(&mut self, presenter: PresenterIdx, now: Instant) -> &mut Room {
        if self.rooms.len() > self.forget_above {
            self.rooms.retain(|_, room| room.spent_until.iter().any(|until| *until > now) || room.is_waited_for());
            // Twice what is left, so that the cost per turn stays constant.
            self.forget_above = FORGET_ABOVE.max(2 * self.rooms.len());
        }
        self.rooms.entry(presenter).or_insert(Room::new(now))
    }
}

impl Room {
    fn new(now: Instant) -> Room {
        Room { claimed: None, spent_until: [now; SHARES.len()], waits: None }
    }

    fn is_waited_for(&self) -> bool {
        self.waits.as_ref().is_some_and(|waits| !waits.is_closed())
    }

    /// When the room may be claimed next.
    fn next(&self, now: Instant) -> Instant {
        let spaced = self.claimed.map_or(now, |claimed| claimed + INTERVAL);
        // A share that takes longer to come back than `burst - 1` claims do has no claim left.
        let come_back = SHARES.iter().zip(self.spent_until).map(|(share, spent_until)| {
            now + spent_until.saturating_duration_since(now).saturating_sub(share.refill * (share.burst - 1))
        });
        come_back.fold(spaced.max(now), Instant::max)
    }

    /// This node claims it.
    fn claim(&mut self, now: Instant) {
        self.claimed = Some(now);
        self.spend(now);
    }

    /// It was claimed, here or elsewhere. However often elsewhere, nobody waits here for longer than the longest
    /// refill.
    fn spend(&mut self, now: Instant) {
        for (share, spent_until) in SHARES.iter().zip(&mut self.spent_until) {
            *spent_until = ((*spent_until).max(now) + share.refill).min(now + share.refill * share.burst);
        }
    }

    /// A claim came to nothing.
    fn give_back(&mut self) {
        for (share, spent_until) in SHARES.iter().zip(&mut self.spent_until) {
            *spent_until = spent_until.checked_sub(share.refill).unwrap_or(*spent_until);
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
        assert_eq!((one.map(Turn::used), other.map(Turn::used)), (Err(CloseReason::Replaced), Ok(())));
        assert!(start.elapsed() >= INTERVAL, "who is displaced is not told at once");
        let gone = tokio::time::timeout(Duration::ZERO, turns.wait(room(1))).await;
        assert!(gone.is_err());
        turns.wait(room(1)).await.unwrap().used();
        assert_eq!(turns.0.lock().rooms.values().filter(|room| room.is_waited_for()).count(), 0);
    }

    /// Claims the room as often as it may be until then; counts the claims.
    fn claim_until(room: &mut Room, now: &mut Instant, end: Instant, elsewhere: u32) -> u32 {
        let mut claims = 0;
        while *now < end {
            room.claim(*now);
            claims += 1;
            (0..elsewhere).for_each(|_| room.spend(*now));
            let next = room.next(*now);
            assert!(next >= *now + INTERVAL);
            assert!(next <= *now + LONG.refill, "nobody waits for longer than a minute");
            *now = next;
        }
        claims
    }

    #[test]
    fn twenty_claims_in_a_row_then_one_in_five_seconds() {
        let start = Instant::now();
        for elsewhere in [0, 1] {
            // Too short for the long share to be spent.
            let (mut room, mut now) = (Room::new(start), start);
            let claims = claim_until(&mut room, &mut now, start + Duration::from_secs(1_200), elsewhere);
            assert!((240..=20 + 240).contains(&claims), "{claims} in 20 minutes beside {elsewhere} elsewhere");
            // After two minutes the short share is whole again.
            now += SHORT.refill * SHORT.burst;
            for _ in 0..SHORT.burst - 1 {
                room.claim(now);
                now += INTERVAL;
                assert_eq!(room.next(now), now);
            }
            room.claim(now);
            assert!(room.next(now) > now + INTERVAL);
        }
    }

    #[test]
    fn a_room_that_is_claimed_all_day_gets_one_claim_a_minute_once_its_long_share_is_spent() {
        let (start, hour) = (Instant::now(), Duration::from_secs(3_600));
        for elsewhere in [0, 1, 1_000] {
            let (mut room, mut now) = (Room::new(start), start);
            let first = claim_until(&mut room, &mut now, start + 24 * hour, elsewhere);
            let second = claim_until(&mut room, &mut now, start + 48 * hour, elsewhere);
            assert!(first <= 600 + 1_440, "{first} on the first day beside {elsewhere} elsewhere");
            assert!((1_439..=1_441).contains(&second), "{second} on the second day beside {elsewhere} elsewhere");
            assert_eq!(room.next(now), now);
        }
    }

    #[test]
    fn a_network_that_breaks_every_ten_seconds_for_an_hour_and_a_half_holds_nobody_up() {
        let start = Instant::now();
        let mut room = Room::new(start);
        for number in 0..540 {
            let now = start + Duration::from_secs(10) * number;
            assert_eq!(room.next(now), now);
            room.claim(now);
        }
    }

    #[tokio::test]
    async fn a_newcomer_learns_how_long_it_waits() {
        let turns = Turns::default();
        assert_eq!(turns.expected_wait(room(1)), Duration::ZERO);
        let now = Instant::now();
        (0..LONG.burst).for_each(|_| turns.0.lock().room(room(1), now).spend(now));
        let wait = turns.expected_wait(room(1));
        assert!((Duration::from_secs(59)..=LONG.refill).contains(&wait), "{wait:?}");
        assert_eq!(turns.expected_wait(room(2)), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_displaced_newcomer_is_told_after_five_seconds_although_the_turn_comes_later() {
        let (turns, start) = (Turns::default(), Instant::now());
        let turn = SHORT_WAIT + Duration::from_millis(500);
        turns.0.lock().room(room(1), start).spent_until[1] = start + LONG.refill * (LONG.burst - 1) + turn;
        let displaced = async {
            let turn = turns.wait(room(1)).await.map(Turn::used);
            (turn, start.elapsed())
        };
        let newest = async {
            let turn = turns.wait(room(1)).await.map(Turn::used);
            (turn, start.elapsed())
        };
        let ((displaced, told), (newest, came)) = tokio::join!(displaced, newest);
        assert_eq!((displaced, newest), (Err(CloseReason::Replaced), Ok(())));
        assert!(told >= SHORT_WAIT && told < came, "{told:?}");
        assert!(came >= turn, "{came:?}");
    }

    #[tokio::test]
    async fn who_could_not_claim_the_room_does_not_wait_longer_for_it() {
        let turns = Turns::default();
        for _ in 0..SHORT.burst + 2 {
            drop(turns.wait(room(1)).await.unwrap());
        }
        let spent_until = turns.0.lock().rooms[&room(1)].spent_until;
        assert!(spent_until.iter().all(|until| *until <= Instant::now()));
    }

    #[tokio::test]
    async fn other_presenters_do_not_wait_and_are_forgotten() {
        let turns = Turns::default();
        let start = Instant::now();
        for presenter in 1..=10_000 {
            turns.wait(room(presenter)).await.unwrap().used();
        }
        assert!(start.elapsed() < Duration::from_secs(5));
        let mut state = turns.0.lock();
        state.forget_above = 0;
        state.room(room(1), Instant::now() + LONG.refill);
        assert_eq!(state.rooms.len(), 1);
    }

    /// How long it takes until all claims of the room have come back, in each share.
    fn spent(turns: &Turns, now: Instant) -> [Duration; 2] {
        turns.0.lock().rooms[&room(1)].spent_until.map(|until| until.saturating_duration_since(now))
    }

    fn check_spent(spent: [Duration; 2], claims: u32) {
        for (share, spent) in SHARES.iter().zip(spent) {
            assert!((share.refill * claims..share.refill * (claims + 1)).contains(&spent), "{spent:?} of {share:?}");
        }
    }

    #[tokio::test]
    async fn a_claim_that_the_log_may_have_counts_and_one_that_came_to_nothing_does_not() {
        let (turns, now) = (Turns::default(), Instant::now());
        turns.wait(room(1)).await.unwrap().used();
        let of_one = spent(&turns, now);
        check_spent(of_one, 1);
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
        check_spent(spent(&turns, now), 2);
    }
}
