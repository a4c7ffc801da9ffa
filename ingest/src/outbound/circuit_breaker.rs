//! A circuit breaker for questions about what users send. One room, or one user, can make a question fail as often as
//! it likes, so failures count by who had them: after those of enough users in enough rooms, without an answer in between,
//! nobody asks for a while, then one may try. It does not know what is asked.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use chat::{PresenterIdx, UserIdx};
use parking_lot::Mutex;

#[derive(Debug)]
pub(crate) struct Breaker {
    tolerated: usize,
    scope: Scope,
    pause: Duration,
    state: Mutex<State>,
}

/// What the questions are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One room: failures count by user.
    Room,
    /// All rooms: a failure counts if neither its user nor its room has one that counts. So none of one user's in many
    /// rooms, or of many users' in one, adds to the first.
    All,
}

/// What failed since the last answer.
#[derive(Debug, Default)]
struct State {
    counted_users: HashSet<UserIdx>,
    counted_rooms: HashSet<PresenterIdx>,
    /// Whoever had a failure, counted or not.
    suspects: HashSet<UserIdx>,
    /// Failures to connect, whoever asked: no message causes those.
    unreachable: usize,
    /// Some: nobody asks before then.
    paused_until: Option<Instant>,
}

/// Whose message the question is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About {
    pub(crate) room: PresenterIdx,
    pub(crate) user: UserIdx,
}

/// A question without a usable answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There was no connection to ask it on.
    Unreachable,
    /// The question may be the reason.
    NoAnswer,
}

/// What a report changed, for whoever logs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    Opened,
    Closed,
}

/// 1,000 users are remembered, some 30 KB: an outage shows long before.
const MOST_REMEMBERED: usize = 1_000;

impl Breaker {
    /// It opens after so many failures that count, or as many failures to connect.
    pub(crate) fn new(tolerated: u32, scope: Scope, pause: Duration) -> Breaker {
        let tolerated = usize::try_from(tolerated).unwrap_or(usize::MAX).clamp(1, MOST_REMEMBERED);
        Breaker { tolerated, scope, pause, state: Mutex::default() }
    }

    /// Whether to ask. After a pause the first caller may, and the pause begins anew for the others: a probe that
    /// is dropped before it reports therefore blocks nobody. A user whose question failed probes only if nobody else has
    /// within another pause: that user may be the reason.
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

    fn no_answer(breaker: &Breaker, room: i64, user: i64, now: Instant) -> Change {
        breaker.failed(about(room, user), Failure::NoAnswer, now)
    }

    #[test]
    fn failures_of_several_users_in_several_rooms_stop_the_questions_until_one_probe_succeeds() {
        let breaker = Breaker::new(3, Scope::All, Duration::from_secs(2));
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
        let breaker = Breaker::new(3, Scope::All, Duration::from_secs(2));
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
        let breaker = Breaker::new(3, Scope::Room, Duration::from_secs(2));
        let now = Instant::now();
        for _ in 0..100 {
            assert_eq!(no_answer(&breaker, 42, 7, now), Change::None);
        }
        let changes = [8, 9].map(|user| no_answer(&breaker, 42, user, now));
        assert_eq!(changes, [Change::None, Change::Opened]);
    }

    #[test]
    fn what_cannot_be_connected_to_is_out_whoever_asks() {
        let breaker = Breaker::new(3, Scope::All, Duration::from_secs(2));
        let failed = || breaker.failed(about(42, 7), Failure::Unreachable, Instant::now());
        assert_eq!([failed(), failed(), failed()], [Change::None, Change::None, Change::Opened]);
    }

    #[test]
    fn whose_question_failed_leaves_the_probe_to_others_for_a_while() {
        let breaker = Breaker::new(1, Scope::All, Duration::from_secs(2));
        let start = Instant::now();
        no_answer(&breaker, 42, 7, start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!breaker.may_ask(about(42, 7), at(3)));
        assert!(breaker.may_ask(about(42, 8), at(3)));
        // Where nobody else is there.
        assert!(!breaker.may_ask(about(42, 7), at(6)));
        assert!(breaker.may_ask(about(42, 7), at(7)));
    }

    #[test]
    fn a_probe_that_is_never_reported_blocks_nobody_for_longer_than_a_pause() {
        let breaker = Breaker::new(1, Scope::All, Duration::from_secs(2));
        let start = Instant::now();
        no_answer(&breaker, 42, 7, start);
        assert!(breaker.may_ask(about(1, 1), start + Duration::from_secs(2)));
        assert!(breaker.may_ask(about(1, 1), start + Duration::from_secs(4)));
    }
}
