//! A bounded map for hot paths. It is divided into shards, each with a lock of its own, which is held for
//! one look-up. It has no background work: a full shard forgets its least recently used entries when a new one comes.
//! It knows no time: values that expire say so themselves.

use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;

use foldhash::fast::RandomState;
use hashlink::LinkedHashMap;
use hashlink::linked_hash_map::RawEntryMut;
use parking_lot::Mutex;

/// 64: far more than the threads of any machine that runs a role, so that two of them rarely want the same lock.
const SHARDS: usize = 64;

/// A map that forgets the least recently used entries. `W` says what an entry counts for: one, unless it says
/// otherwise.
#[derive(Debug)]
pub struct ShardedLru<K, V, W = One> {
    shards: Box<[Mutex<Shard<K, V>>]>,
    /// The bound of each shard's weight.
    most_in_shard: usize,
    /// Its seeds are random and nobody sees a hash, so nobody can choose keys that collide.
    hasher: RandomState,
    weigh: PhantomData<fn() -> W>,
}

/// What an entry counts for in the bound of its map.
pub trait Weigh<K, V> {
    /// The weight of an entry. It stays the same while the entry is in the map.
    fn weight(key: &K, value: &V) -> usize;
}

/// Every entry counts for one: the bound is a number of entries.
#[derive(Debug)]
pub struct One;

impl<K, V> Weigh<K, V> for One {
    fn weight(_: &K, _: &V) -> usize {
        1
    }
}

#[derive(Debug)]
struct Shard<K, V> {
    /// From the least to the most recently used.
    entries: LinkedHashMap<K, V, RandomState>,
    weight: usize,
}

impl<K: Hash + Eq, V, W: Weigh<K, V>> ShardedLru<K, V, W> {
    /// A map of at most this weight, rounded down to a multiple of 64, and of 64 at least. Keys are spread over the
    /// shards by their hash, so a shard can be full a little earlier than the others.
    pub fn weighted(most: usize) -> ShardedLru<K, V, W> {
        let hasher = RandomState::default();
        let shard = || Shard { entries: LinkedHashMap::with_hasher(hasher.clone()), weight: 0 };
        let shards = (0..SHARDS).map(|_| Mutex::new(shard())).collect();
        ShardedLru { shards, most_in_shard: (most / SHARDS).max(1), hasher, weigh: PhantomData }
    }

    /// What `read` makes of the value under the key, which counts as a use.
    pub fn with<T>(&self, key: &K, read: impl FnOnce(&V) -> T) -> Option<T> {
        let hash = self.hasher.hash_one(key);
        let mut shard = self.shard(hash).lock();
        match shard.entries.raw_entry_mut().from_key_hashed_nocheck(hash, key) {
            RawEntryMut::Occupied(mut entry) => {
                entry.to_back();
                Some(read(entry.get()))
            }
            RawEntryMut::Vacant(_) => None,
        }
    }

    /// Puts the value under the key, or removes the one before if the new one is heavier than a shard may be.
    pub fn insert(&self, key: K, value: V) {
        let (hash, weight) = (self.hasher.hash_one(&key), W::weight(&key, &value));
        let mut shard = self.shard(hash).lock();
        if let RawEntryMut::Occupied(entry) = shard.entries.raw_entry_mut().from_key_hashed_nocheck(hash, &key) {
            let (key, value) = entry.remove_entry();
            shard.weight -= W::weight(&key, &value);
        }
        if weight > self.most_in_shard {
            return;
        }
        shard.weight += weight;
        while shard.weight > self.most_in_shard {
            let Some((key, value)) = shard.entries.pop_front() else { break };
            shard.weight -= W::weight(&key, &value);
        }
        shard.entries.insert(key, value);
    }

    /// The number of entries. It looks at every shard: not for hot paths.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().entries.len()).sum()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard<K, V>> {
        // Not the bits by which the shard's own table finds a key: its lowest and its seven highest.
        &self.shards[(hash >> 40) as usize % SHARDS]
    }
}

impl<K: Hash + Eq, V: Clone> ShardedLru<K, V> {
    /// A map of at most `most` entries, rounded down to a multiple of 64, and of 64 at least.
    pub fn new(most: usize) -> ShardedLru<K, V> {
        ShardedLru::weighted(most)
    }

    /// Changes the value under the key, atomically: none before is an absent key, and none after removes it.
    pub fn update<T>(&self, key: K, change: impl FnOnce(&mut Option<V>) -> T) -> T {
        let hash = self.hasher.hash_one(&key);
        let mut shard = self.shard(hash).lock();
        match shard.entries.raw_entry_mut().from_key_hashed_nocheck(hash, &key) {
            RawEntryMut::Occupied(mut entry) => {
                let mut value = Some(entry.get().clone());
                let outcome = change(&mut value);
                match value {
                    Some(value) => {
                        *entry.get_mut() = value;
                        entry.to_back();
                    }
                    None => {
                        entry.remove();
                        shard.weight -= 1;
                    }
                }
                outcome
            }
            RawEntryMut::Vacant(entry) => {
                let mut value = None;
                let outcome = change(&mut value);
                if let Some(value) = value {
                    entry.insert_hashed_nocheck(hash, key, value);
                    if shard.weight < self.most_in_shard {
                        shard.weight += 1;
                    } else {
                        shard.entries.pop_front();
                    }
                }
                outcome
            }
        }
    }

    /// The value under the key, which counts as a use.
    pub fn get(&self, key: K) -> Option<V> {
        self.with(&key, V::clone)
    }

    /// Removes the entry, and returns its value.
    pub fn remove(&self, key: K) -> Option<V> {
        self.update(key, Option::take)
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

    /// A text weighs its bytes.
    #[derive(Debug)]
    struct Bytes;

    impl Weigh<u32, String> for Bytes {
        fn weight(_: &u32, text: &String) -> usize {
            text.len()
        }
    }

    #[test]
    fn a_weighted_map_keeps_to_its_weight_and_keeps_nothing_heavier_than_a_shard() {
        let map: ShardedLru<u32, String, Bytes> = ShardedLru::weighted(64 * 100);
        let weight = || map.shards.iter().map(|shard| shard.lock().weight).collect::<Vec<_>>();
        for n in 0..10_000 {
            map.insert(n, "x".repeat(n as usize % 40));
            map.insert(n, "x".repeat(n as usize % 30));
            assert_eq!(map.with(&n, String::len), Some(n as usize % 30));
        }
        let counted = map.shards.iter().map(|shard| shard.lock().entries.values().map(String::len).sum::<usize>());
        assert_eq!(weight(), counted.collect::<Vec<_>>());
        assert!(weight().iter().all(|weight| (33..=100).contains(weight)), "{:?}", weight());
        map.insert(9_999, "x".repeat(101));
        assert_eq!(map.with(&9_999, String::len), None, "the value before it is gone as well");
        map.insert(9_999, "x".repeat(100));
        assert_eq!(map.with(&9_999, String::len), Some(100));
    }
}
