//! Remembers verified tokens, because a sender uses one token for many requests. A hit answers as a verification would:
//! the whole token is compared, its time has to have come and not passed, and the keys have to be those that verified
//! it. Everything else is verified anew, so a refusal is never remembered.

use std::sync::Arc;
use std::time::SystemTime;

use runtime::{ShardedLru, Weigh};

use super::{Identity, Pass, TokenError, Verifier};

#[cfg(test)]
mod tests;

/// A [`Verifier`] that remembers what `T` the owners of its tokens are.
#[derive(Debug)]
pub struct TokenCache<T> {
    verifier: Arc<Verifier>,
    owner_of: fn(&Identity) -> T,
    entries: ShardedLru<Tail, Entry<T>, Bytes>,
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

/// 32 MB: some 45,000 tokens of the auth server. Of more senders, those who post least are verified anew each time.
const LARGEST_BYTES: usize = 32 * 1024 * 1024;

/// Bytes of an entry beside its strings, generously.
const ENTRY_BYTES: usize = 256;

/// An entry weighs its bytes.
#[derive(Debug)]
struct Bytes;

impl<T> Weigh<Tail, Entry<T>> for Bytes {
    /// The token, and the owner, who is made of the token's claims.
    fn weight(_: &Tail, entry: &Entry<T>) -> usize {
        ENTRY_BYTES + 3 * entry.token.len()
    }
}

impl<T> TokenCache<T> {
    /// `owner_of` is called once for each verified token. What it returns is counted as twice the token's size at most.
    pub fn new(verifier: Arc<Verifier>, owner_of: fn(&Identity) -> T) -> TokenCache<T> {
        TokenCache::with_size(verifier, owner_of, LARGEST_BYTES)
    }

    fn with_size(verifier: Arc<Verifier>, owner_of: fn(&Identity) -> T, bytes: usize) -> TokenCache<T> {
        TokenCache { verifier, owner_of, entries: ShardedLru::weighted(bytes) }
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
        self.entries.with(&tail(token)?, |entry| entry.owner_at(token, generation, now))?
    }

    fn insert(&self, entry: Entry<T>) {
        if let Some(tail) = tail(&entry.token) {
            self.entries.insert(tail, entry);
        }
    }
}

impl<T> Entry<T> {
    /// None: only a verification can tell.
    fn owner_at(&self, token: &str, generation: u64, now: SystemTime) -> Option<Arc<T>> {
        let is_good = *self.token == *token && self.generation == generation && (self.from..self.until).contains(&now);
        is_good.then(|| Arc::clone(&self.owner))
    }
}

/// None: it is too short for a signature.
fn tail(token: &str) -> Option<Tail> {
    token.as_bytes().last_chunk().copied()
}
