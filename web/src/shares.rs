//! Permits for work, of which one user may have only a part: whoever asks for too much at once is refused, and leaves the
//! rest to others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// The permits.
#[derive(Debug)]
pub struct Shares {
    most: usize,
    most_of_one: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of: HashMap<i64, usize>,
}

/// A permit, until it is dropped.
#[derive(Debug)]
pub struct Share {
    shares: Arc<Shares>,
    user: i64,
}

impl Shares {
    /// `most` at once, and of one user `most_of_one`.
    pub fn new(most: usize, most_of_one: usize) -> Arc<Shares> {
        Arc::new(Shares { most, most_of_one, taken: Mutex::default() })
    }

    /// None: there is none left, or this user has enough.
    pub fn take(self: &Arc<Self>, user: i64) -> Option<Share> {
        let mut taken = self.taken();
        let own = taken.of.get(&user).copied().unwrap_or(0);
        if taken.all >= self.most || own >= self.most_of_one {
            return None;
        }
        taken.all += 1;
        taken.of.insert(user, own + 1);
        drop(taken);
        Some(Share { shares: self.clone(), user })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().expect("nothing panics while it holds the lock")
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.shares.taken();
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
        let shares = Shares::new(3, 2);
        let first = [shares.take(1).unwrap(), shares.take(1).unwrap()];
        assert!(shares.take(1).is_none());
        let second = shares.take(2).unwrap();
        assert!(shares.take(2).is_none() && shares.take(3).is_none());
        drop(first);
        assert!(shares.take(1).is_some());
        drop(second);
        assert!(shares.taken().of.is_empty() && shares.taken().all == 0);
    }
}
