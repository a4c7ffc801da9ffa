//! A circuit breaker for requests whose content users control. A single room or user can make its own requests fail as
//! often as it likes, so failures are counted by user and room. After failures of enough users in enough rooms without
//! a success in between, the breaker opens for a pause, then lets one probe through. It does not know the requests.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use chat::{PresenterIdx, UserIdx};
use parking_lot::Mutex;

#[derive(Debug)]
pub(crate) struct CircuitBreaker {
    tolerated: usize,
    scope: Scope,
    pause: Duration,
    state: Mutex<State>,
}

/// The requests that a breaker covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those of one room: failures count by user.
    Room,
    /// Those of all rooms: a failure counts if no failure of its user or its room counts yet. One user in many rooms,
    /// or many users in one room, therefore count as one failure.
    All,
}

/// The failures since the last success.
#[derive(Debug, Default)]
struct State {
    counted_users: HashSet<UserIdx>,
    counted_rooms: HashSet<PresenterIdx>,
    /// Users with a failure, counted or not.
    suspects: HashSet<UserIdx>,
    /// Failures to connect, of any user: no message causes those.
    unreachable: usize,
    /// Some: the breaker is open until then.
    paused_until: Option<Instant>,
}

/// The room and the sender of the message in the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About {
    pub(crate) room: PresenterIdx,
    pub(crate) user: UserIdx,
}

/// A request without a usable answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There was no connection to send it on.
    Unreachable,
    /// The request itself may be the reason.
    NoAnswer,
}

/// How a report changed the breaker, for the caller to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    Opened,
    Closed,
}

/// 1,000 users are remembered, in about 30 KB. An outage shows long before.
const MOST_REMEMBERED: usize = 1_000;

impl CircuitBreaker {
    /// A breaker that opens after `tolerated` counted failures, or as many failures to connect.
    pub(crate) fn new(tolerated: u32, scope: Scope, pause: Duration) -> CircuitBreaker {
        let tolerated = usize::try_from(tolerated).unwrap_or(usize::MAX).clamp(1, MOST_REMEMBERED);
        CircuitBreaker { tolerated, scope, pause, state: Mutex::default() }
    }

    /// Whether to send a request. After a pause the first caller may send a probe, and the pause starts again for the
    /// others. A probe that is dropped before it reports therefore blocks nobody. A user whose request failed must wait
    /// for a second pause, so that others probe first: that user may be the reason for the failures.
    pub(crate) fn may_ask(&self, about: About, now: Instant) -> bool {
        let mut state = self.state();
        let Some(until) = state.paused_until else { return true };
        let wait = if state.suspects.contains(&about.user) { self.pause } else { Duration::ZERO };
        if now < until + wait {
            return false;
        }
        state.paused_until = Some(now + self.pause);
        true
    }

    /// Whether the last thing that was heard is that there is no answer.
    pub(crate) fn is_open(&self) -> bool {
        self.state().paused_until.is_some()
    }

    pub(crate) fn succeeded(&self) -> Change {
        let was = std::mem::take(&mut *self.state());
        if was.paused_until.is_some() { Change::Closed } else { Change::None }
    }

    pub(crate) fn failed(&self, about: About, failure: Failure, now: Instant) -> Change {
        let mut state = self.state();
        if failure == Failure::Unreachable {
            state.unreachable = state.unreachable.saturating_add(1);
        }
        if state.suspects.len() < MOST_REMEMBERED {
            state.suspects.insert(about.user);
        }
        let is_new_room = self.scope == Scope::Room || !state.counted_rooms.contains(&about.room);
        if is_new_room && state.counted_users.len() < self.tolerated && state.counted_users.insert(about.user) {
            state.counted_rooms.insert(about.room);
        }
        if state.counted_users.len() < self.tolerated && state.unreachable < self.tolerated {
            return Change::None;
        }
        let was_paused = state.paused_until.replace(now + self.pause).is_some();
        if was_paused { Change::None } else { Change::Opened }
    }

    fn state(&self) -> parking_lot::MutexGuard<'_, State> {
        self.state.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(room: i64, user: i64) -> About {
        About { room: room.try_into().unwrap(), user: user.try_into().unwrap() }
    }

    fn no_answer(breaker: &CircuitBreaker, room: i64, user: i64, now: Instant) -> Change {
        breaker.failed(about(room, user), Failure::NoAnswer, now)
    }

    #[test]
    fn failures_of_several_users_in_several_rooms_stop_the_questions_until_one_probe_succeeds() {
        let breaker = CircuitBreaker::new(3, Scope::All, Duration::from_secs(2));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let anybody = about(9, 9);

        assert_eq!([no_answer(&breaker, 1, 1, at(0)), no_answer(&breaker, 2, 2, at(0))], [Change::None; 2]);
        assert_eq!(breaker.succeeded(), Change::None);
        assert_eq!([no_answer(&breaker, 1, 1, at(0)), no_answer(&breaker, 2, 2, at(0))], [Change::None; 2]);
        assert!(breaker.may_ask(anybody, at(0)), "two are tolerated");
        assert_eq!(no_answer(&breaker, 3, 3, at(0)), Change::Opened);
        assert!(!breaker.may_ask(anybody, at(1)));

        assert!(breaker.may_ask(anybody, at(2)), "the first after the pause is the probe");
        assert!(!breaker.may_ask(anybody, at(2)), "and there is one only");
        assert_eq!(no_answer(&breaker, 9, 9, at(3)), Change::None);
        assert!(!breaker.may_ask(about(9, 10), at(4)), "a failed probe begins the pause anew");

        assert!(breaker.may_ask(about(9, 10), at(5)));
        assert_eq!(breaker.succeeded(), Change::Closed);
        assert!(breaker.may_ask(anybody, at(5)) && breaker.may_ask(anybody, at(5)));
    }

    #[test]
    fn one_user_and_one_room_open_nothing_however_often_they_fail() {
        let breaker = CircuitBreaker::new(3, Scope::All, Duration::from_secs(2));
        let now = Instant::now();
        for n in 1..=10_000 {
            assert_eq!(no_answer(&breaker, 100 + n, 7, now), Change::None, "one user in {n} rooms");
        }
        for n in 1..=10_000 {
            assert_eq!(no_answer(&breaker, 42, 100 + n, now), Change::None, "{n} users in one room");
        }
        assert!(breaker.may_ask(about(42, 7), now));
        assert_eq!(no_answer(&breaker, 43, 8, now), Change::Opened, "now it is neither alone");
    }

    #[test]
    fn of_one_room_failures_count_by_user() {
        let breaker = CircuitBreaker::new(3, Scope::Room, Duration::from_secs(2));
        let now = Instant::now();
        for _ in 0..100 {
            assert_eq!(no_answer(&breaker, 42, 7, now), Change::None);
        }
        let changes = [8, 9].map(|user| no_answer(&breaker, 42, user, now));
        assert_eq!(changes, [Change::None, Change::Opened]);
    }

    #[test]
    fn one_user_alone_finds_a_server_that_refuses_connections_to_be_out() {
        let breaker = CircuitBreaker::new(3, Scope::All, Duration::from_secs(2));
        let failed = || breaker.failed(about(42, 7), Failure::Unreachable, Instant::now());
        assert_eq!([failed(), failed(), failed()], [Change::None, Change::None, Change::Opened]);
    }

    #[test]
    fn a_caller_whose_request_failed_leaves_the_probe_to_others_for_a_while() {
        let breaker = CircuitBreaker::new(1, Scope::All, Duration::from_secs(2));
        let start = Instant::now();
        no_answer(&breaker, 42, 7, start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!breaker.may_ask(about(42, 7), at(3)));
        assert!(breaker.may_ask(about(42, 8), at(3)));
        // Nobody else has probed.
        assert!(!breaker.may_ask(about(42, 7), at(6)));
        assert!(breaker.may_ask(about(42, 7), at(7)));
    }

    #[test]
    fn a_probe_that_is_never_reported_blocks_nobody_for_longer_than_a_pause() {
        let breaker = CircuitBreaker::new(1, Scope::All, Duration::from_secs(2));
        let start = Instant::now();
        no_answer(&breaker, 42, 7, start);
        assert!(breaker.may_ask(about(1, 1), start + Duration::from_secs(2)));
        assert!(breaker.may_ask(about(1, 1), start + Duration::from_secs(4)));
    }
}
