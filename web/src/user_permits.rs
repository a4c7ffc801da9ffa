//! Permits for concurrent work. One user, or another kind of holder, gets only a part of them, so that the rest stays
//! for others.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

/// Permits for all holders together. A holder is a user, by number, unless said otherwise.
#[derive(Debug)]
pub struct UserPermits<H: Holder = i64> {
    most: usize,
    most_of_one: usize,
    taken: Mutex<Taken<H>>,
}

/// What names a holder.
pub trait Holder: Copy + Eq + Hash {}

impl<H: Copy + Eq + Hash> Holder for H {}

#[derive(Debug)]
struct Taken<H> {
    all: usize,
    of: HashMap<H, usize>,
}

/// A permit of one holder. Dropping it returns it.
#[derive(Debug)]
pub struct UserPermit<H: Holder = i64> {
    permits: Arc<UserPermits<H>>,
    holder: H,
}

impl<H: Holder> UserPermits<H> {
    /// `most` in total, `most_of_one` for one holder.
    pub fn new(most: usize, most_of_one: usize) -> Arc<UserPermits<H>> {
        let taken = Mutex::new(Taken { all: 0, of: HashMap::new() });
        Arc::new(UserPermits { most, most_of_one, taken })
    }

    /// None: no permit is left, or this holder has as many as one may.
    pub fn take(self: &Arc<Self>, holder: H) -> Option<UserPermit<H>> {
        self.take_of(holder, self.most_of_one)
    }

    /// As [`UserPermits::take`], with another bound for this holder.
    pub fn take_of(self: &Arc<Self>, holder: H, most_of_one: usize) -> Option<UserPermit<H>> {
        let mut taken = self.taken();
        let own = taken.of.get(&holder).copied().unwrap_or(0);
        if taken.all >= self.most || own >= most_of_one {
            return None;
        }
        taken.all += 1;
        taken.of.insert(holder, own + 1);
        drop(taken);
        Some(UserPermit { permits: self.clone(), holder })
    }

    /// The permits that are held.
    pub fn in_use(&self) -> usize {
        self.taken().all
    }

    fn taken(&self) -> MutexGuard<'_, Taken<H>> {
        self.taken.lock()
    }
}

impl<H: Holder> Drop for UserPermit<H> {
    fn drop(&mut self) {
        let mut taken = self.permits.taken();
        taken.all -= 1;
        if let Some(own) = taken.of.get_mut(&self.holder) {
            *own -= 1;
            if *own == 0 {
                taken.of.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_gets_no_more_than_a_part_and_all_together_no_more_than_there_are() {
        let permits: Arc<UserPermits> = UserPermits::new(3, 2);
        let first = [permits.take(1).unwrap(), permits.take(1).unwrap()];
        assert!(permits.take(1).is_none());
        let second = permits.take(2).unwrap();
        assert!(permits.take(2).is_none() && permits.take(3).is_none());
        drop(first);
        assert!(permits.take(1).is_some());
        drop(second);
        assert!(permits.taken().of.is_empty() && permits.in_use() == 0);
    }
}
