//! Turns at work that keeps MongoDB and this process busy for long: searches of texts, statistics, counts of a
//! broadcast. A user has one turn at a time, whatever the number of requests: their other requests wait.

use std::sync::Arc;

use runtime::ShardedLru;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::query::messages::Selection;

/// 10,000 users, about 1 MB. A user who is forgotten in the middle of a turn could get a second one.
const MOST_USERS: usize = 10_000;

/// The turns of all users.
#[derive(Debug)]
pub(super) struct Turns {
    /// As many as this machine has processors: more would only wait for each other.
    all: Arc<Semaphore>,
    of: ShardedLru<i64, Arc<Semaphore>>,
}

/// A user's turn. Dropping it ends it, and the request that has waited longest gets the next.
#[derive(Debug)]
pub(super) struct Turn {
    _all: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
}

impl Turns {
    /// This many at once.
    pub(super) fn new(all: usize) -> Turns {
        Turns { all: Arc::new(Semaphore::new(all)), of: ShardedLru::new(MOST_USERS) }
    }

    /// Waits for a turn of the user, and then for one of all.
    pub(super) async fn take(&self, user: i64) -> Turn {
        let own = self.of.update(user, |own| own.get_or_insert_with(|| Arc::new(Semaphore::new(1))).clone());
        let _own = own.acquire_owned().await.expect("it is never closed");
        let _all = self.all.clone().acquire_owned().await.expect("it is never closed");
        Turn { _all, _own }
    }

    /// Waits for a turn if the search needs one: texts, attributes and emotes are searched without an index.
    pub(super) async fn for_search(&self, user: i64, selection: &Selection) -> Option<Turn> {
        if selection.is_scan { Some(self.take(user).await) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_user_has_one_turn_at_a_time_and_others_have_theirs_meanwhile() {
        let turns = Turns::new(2);
        let first = turns.take(1).now_or_never().unwrap();
        let mut second = Box::pin(turns.take(1));
        assert!(second.as_mut().now_or_never().is_none());
        let other = turns.take(2).now_or_never().unwrap();
        assert!(turns.take(3).now_or_never().is_none(), "there are two in all");
        drop(other);
        let third = turns.take(3).now_or_never().unwrap();
        drop(first);
        assert!(second.as_mut().now_or_never().is_some());
        drop(third);
    }
}
