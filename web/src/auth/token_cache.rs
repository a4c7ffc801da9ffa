//! Remembers verified tokens, because a sender uses one token for many requests. A hit answers as a verification would:
//! the whole token is compared, its time has to have come and not passed, and the keys have to be those that verified
//! it. Everything else is verified anew, so a refusal is never remembered.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::time::SystemTime;

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::{Identity, Pass, TokenError, Verifier};

#[cfg(test)]
mod tests;

/// A [`Verifier`] that remembers what `T` the owners of its tokens are.
#[derive(Debug)]
pub struct TokenCache<T> {
    verifier: Arc<Verifier>,
    owner_of: fn(&Identity) -> T,
    shards: [Mutex<Shard<T>>; SHARDS],
    /// The cost of half a shard.
    largest: usize,
}

/// Two halves approximate "least recently used": what is used moves to the young half, and when that is full it becomes
/// the old one, and what was old and unused is dropped.
#[derive(Debug)]
struct Shard<T> {
    young: HashMap<Tail, Entry<T>, RandomState>,
    young_cost: usize,
    old: HashMap<Tail, Entry<T>, RandomState>,
}

/// A verified token.
#[derive(Debug)]
struct Entry<T> {
    token: Box<str>,
    owner: Arc<T>,
    /// The verification. Whatever a token says of its beginning held from here on.
    from: SystemTime,
    until: SystemTime,
    /// [`Verifier::generation`] of the verification.
    generation: u64,
}

/// The last characters of a token, which belong to its signature: no two good tokens share them but by accident.
type Tail = [u8; TAIL_BYTES];

const TAIL_BYTES: usize = 32;

/// Concurrent requests rarely want the same one.
const SHARDS: usize = 16;

/// 32 MB: some 45,000 tokens of the auth server. Of more senders, those who post least are verified anew each time.
const LARGEST_BYTES: usize = 32 * 1024 * 1024;

/// Bytes of an entry beside its strings, generously.
const ENTRY_BYTES: usize = 256;

impl<T> TokenCache<T> {
    /// `owner_of` is called once for each verified token. What it returns is counted as twice the token's size at most.
    pub fn new(verifier: Arc<Verifier>, owner_of: fn(&Identity) -> T) -> TokenCache<T> {
        TokenCache::with_size(verifier, owner_of, LARGEST_BYTES)
    }

    fn with_size(verifier: Arc<Verifier>, owner_of: fn(&Identity) -> T, bytes: usize) -> TokenCache<T> {
        let shards = std::array::from_fn(|_| Mutex::new(Shard::default()));
        TokenCache { verifier, owner_of, shards, largest: bytes / SHARDS / 2 }
    }

    /// The owner of a token. Err: as [`Verifier::pass`] refuses it.
    pub async fn owner(&self, token: &str) -> Result<Arc<T>, TokenError> {
        // Read before the verification: keys that change meanwhile make the entry useless, not wrong.
        let generation = self.verifier.generation();
        match self.get(token, generation, SystemTime::now()) {
            Some(owner) => Ok(owner),
            // Boxed, because it is rare and large.
            None => Box::pin(self.verified(token, generation)).await,
        }
    }

    async fn verified(&self, token: &str, generation: u64) -> Result<Arc<T>, TokenError> {
        let Pass { identity, until } = self.verifier.pass(token).await?;
        let owner = Arc::new((self.owner_of)(&identity));
        let from = SystemTime::now();
        self.insert(Entry { token: token.into(), owner: Arc::clone(&owner), from, until, generation });
        Ok(owner)
    }

    fn get(&self, token: &str, generation: u64, now: SystemTime) -> Option<Arc<T>> {
        let tail = tail(token)?;
        let mut shard = self.shard(&tail).lock();
        if let Some(entry) = shard.young.get(&tail) {
            return entry.owner_at(token, generation, now);
        }
        let owner = shard.old.get(&tail)?.owner_at(token, generation, now)?;
        let entry = shard.old.remove(&tail)?;
        shard.insert(tail, entry, self.largest);
        Some(owner)
    }

    fn insert(&self, entry: Entry<T>) {
        if let Some(tail) = tail(&entry.token) {
            self.shard(&tail).lock().insert(tail, entry, self.largest);
        }
    }

    fn shard(&self, tail: &Tail) -> &Mutex<Shard<T>> {
        &self.shards[usize::from(tail[0]) % SHARDS]
    }
}

impl<T> Shard<T> {
    fn insert(&mut self, tail: Tail, entry: Entry<T>, largest: usize) {
        let cost = entry.cost();
        if cost > largest {
            return;
        }
        if self.young_cost + cost > largest {
            self.old = mem::take(&mut self.young);
            self.young_cost = 0;
        }
        self.young_cost += cost;
        if let Some(replaced) = self.young.insert(tail, entry) {
            self.young_cost -= replaced.cost();
        }
    }
}

impl<T> Default for Shard<T> {
    fn default() -> Shard<T> {
        Shard { young: HashMap::default(), young_cost: 0, old: HashMap::default() }
    }
}

impl<T> Entry<T> {
    /// None: only a verification can tell.
    fn owner_at(&self, token: &str, generation: u64, now: SystemTime) -> Option<Arc<T>> {
        let is_good = *self.token == *token && self.generation == generation && (self.from..self.until).contains(&now);
        is_good.then(|| Arc::clone(&self.owner))
    }

    /// In bytes: the token, and the owner, who is made of the token's claims.
    fn cost(&self) -> usize {
        ENTRY_BYTES + 3 * self.token.len()
    }
}

/// None: it is too short for a signature.
fn tail(token: &str) -> Option<Tail> {
    token.as_bytes().last_chunk().copied()
}
