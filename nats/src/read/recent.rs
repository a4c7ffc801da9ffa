//! The most recent event ids, to drop an event that is stored twice.

use std::collections::{HashSet, VecDeque};

use chat::EventId;
use foldhash::fast::RandomState;

/// About 10 MB. At 1,000 events a second this covers more than four minutes; a client retries within seconds.
const CAPACITY: usize = 262_144;

/// A set of event ids that forgets the oldest.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    // The hasher has a random key, which a client that chooses idempotency keys cannot know.
    ids: HashSet<u128, RandomState>,
    order: VecDeque<u128>,
}

impl Recent {
    /// Adds the id, and returns whether it is new.
    pub(crate) fn insert(&mut self, id: EventId) -> bool {
        let id = id.as_u128();
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once_until_it_is_forgotten() {
        let mut recent = Recent::default();
        let first = EventId::new();
        assert!(recent.insert(first));
        assert!(!recent.insert(first));
        for _ in 0..CAPACITY {
            assert!(recent.insert(EventId::new()));
        }
        assert!(recent.insert(first));
        assert_eq!(recent.ids.len(), CAPACITY);
        assert_eq!(recent.order.len(), CAPACITY);
    }
}
