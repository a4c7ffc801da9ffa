//! A bounded map for hot paths. It is divided into shards, each with a lock of its own, which is held for
//! one look-up. It has no background work: a full shard forgets its least recently used entry when a new one comes.
//! It knows no time: values that expire say so themselves.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;
use hashlink::LinkedHashMap;
use hashlink::linked_hash_map::RawEntryMut;
use parking_lot::Mutex;

/// 64: far more than the threads of any machine that runs a role, so that two of them rarely want the same lock.
const SHARDS: usize = 64;

/// A map that forgets the least recently used entries.
#[derive(Debug)]
pub struct ShardedLru<K, V> {
    shards: Box<[Mutex<Shard<K, V>>]>,
    most_in_shard: usize,
    /// Its seeds are random and nobody sees a hash, so nobody can choose keys that collide.
    hasher: RandomState,
}

/// From the least to the most recently used.
type Shard<K, V> = LinkedHashMap<K, V, RandomState>;

impl<K: Hash + Eq, V: Clone> ShardedLru<K, V> {
    /// A map of at most `most` entries, rounded down to a multiple of 64, and of 64 at least. Keys are spread over the
    /// shards by their hash, so a shard can be full a little earlier than the others.
    pub fn new(most: usize) -> ShardedLru<K, V> {
        let hasher = RandomState::default();
        let shards = (0..SHARDS).map(|_| Mutex::new(LinkedHashMap::with_hasher(hasher.clone()))).collect();
        ShardedLru { shards, most_in_shard: (most / SHARDS).max(1), hasher }
    }

    /// Changes the value under the key, atomically: none before is an absent key, and none after removes it.
    pub fn update<T>(&self, key: K, change: impl FnOnce(&mut Option<V>) -> T) -> T {
        let hash = self.hasher.hash_one(&key);
        let mut shard = self.shard(hash).lock();
        match shard.raw_entry_mut().from_key_hashed_nocheck(hash, &key) {
            RawEntryMut::Occupied(mut entry) => {
                let mut value = Some(entry.get().clone());
                let outcome = change(&mut value);
                match value {
                    Some(value) => {
                        *entry.get_mut() = value;
                        entry.to_back();
                    }
                    None => drop(entry.remove()),
                }
                outcome
            }
            RawEntryMut::Vacant(entry) => {
                let mut value = None;
                let outcome = change(&mut value);
                if let Some(value) = value {
                    entry.insert_hashed_nocheck(hash, key, value);
                    if shard.len() > self.most_in_shard {
                        shard.pop_front();
                    }
                }
                outcome
            }
        }
    }

    /// The value under the key, which counts as a use.
    pub fn get(&self, key: K) -> Option<V> {
        self.update(key, |value| value.clone())
    }

    /// Puts the value under the key.
    pub fn insert(&self, key: K, value: V) {
        self.update(key, |known| *known = Some(value));
    }

    /// Removes the entry, and returns its value.
    pub fn remove(&self, key: K) -> Option<V> {
        self.update(key, Option::take)
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of entries. It looks at every shard: not for hot paths.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard<K, V>> {
        // Not the bits by which the shard's own table finds a key: its lowest and its seven highest.
        &self.shards[(hash >> 40) as usize % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_map_forgets_what_was_unused_longest_and_keeps_to_its_bound() {
        let map = ShardedLru::new(10_000);
        for n in 0..100_000 {
            map.insert(n, n);
            // The first stays, because it is used all the time.
            assert_eq!(map.get(0), Some(0));
        }
        let most = 10_000_usize.next_multiple_of(SHARDS);
        assert!((most * 9 / 10..=most).contains(&map.len()), "{}", map.len());
        // A shard holds a sixty-fourth of the bound: what came in the last half of it is there, whatever its shard.
        assert!((95_000..100_000).all(|n| map.get(n) == Some(n)));
        assert!((1..50_000).all(|n| map.get(n).is_none()));
    }

    #[test]
    fn a_value_is_changed_where_it_stands_and_none_removes_it() {
        let map = ShardedLru::new(1);
        let add = |value: &mut Option<u32>| {
            let sum = value.unwrap_or(0) + 1;
            *value = Some(sum);
            sum
        };
        assert_eq!([map.update("key", add), map.update("key", add)], [1, 2]);
        assert_eq!((map.get("key"), map.get("other"), map.len()), (Some(2), None, 1));
        assert_eq!((map.remove("key"), map.remove("key"), map.len()), (Some(2), None, 0));
    }

    #[test]
    fn changes_of_many_threads_to_one_value_are_all_in_it() {
        let map = ShardedLru::new(100);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| map.update(7, |value| *value = Some(value.unwrap_or(0) + 1))));
            }
        });
        assert_eq!(map.get(7), Some(40_000));
    }
}
