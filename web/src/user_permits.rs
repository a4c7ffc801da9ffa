//! Permits for concurrent work. One user can hold only a part of them, so that the rest stays for others.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

/// Permits for all users together.
#[derive(Debug)]
pub struct UserPermits {
    most: usize,
    most_of_one: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of: HashMap<i64, usize>,
}

/// A permit of one user. Dropping it returns it.
#[derive(Debug)]
pub struct UserPermit {
    permits: Arc<UserPermits>,
    user: i64,
}

impl UserPermits {
    /// `most` in total, `most_of_one` for one user.
    pub fn new(most: usize, most_of_one: usize) -> Arc<UserPermits> {
        Arc::new(UserPermits { most, most_of_one, taken: Mutex::default() })
    }

    /// None: no permit is left, or this user holds as many as one may.
    pub fn take(self: &Arc<Self>, user: i64) -> Option<UserPermit> {
        let mut taken = self.taken();
        let own = taken.of.get(&user).copied().unwrap_or(0);
        if taken.all >= self.most || own >= self.most_of_one {
            return None;
        }
        taken.all += 1;
        taken.of.insert(user, own + 1);
        drop(taken);
        Some(UserPermit { permits: self.clone(), user })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock()
    }
}

impl Drop for UserPermit {
    fn drop(&mut self) {
        let mut taken = self.permits.taken();
        taken.all -= 1;
        if let Some(own) = taken.of.get_mut(&self.user) {
            *own -= 1;
            if *own == 0 {
                taken.of.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_gets_no_more_than_a_part_and_all_together_no_more_than_there_are() {
        let permits = UserPermits::new(3, 2);
        let first = [permits.take(1).unwrap(), permits.take(1).unwrap()];
        assert!(permits.take(1).is_none());
        let second = permits.take(2).unwrap();
        assert!(permits.take(2).is_none() && permits.take(3).is_none());
        drop(first);
        assert!(permits.take(1).is_some());
        drop(second);
        assert!(permits.taken().of.is_empty() && permits.taken().all == 0);
    }
}
