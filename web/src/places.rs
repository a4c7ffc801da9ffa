//! Places of which there are fewer than may be asked for, shared fairly. When all are taken, the source that has most of
//! them makes room: with its place that has waited longest for its peer. So nobody can take up all of them for long, a
//! source that has few keeps them, and no bound for a single source is needed, which a network behind one address would
//! meet. Which resource a place stands for, and what waiting is, the caller knows.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

#[cfg(test)]
mod tests;

/// Who has a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// An IPv4 address, or the /64 of an IPv6 one: whoever has an address of it has all of them.
    Network(IpAddr),
    /// An authenticated user.
    User(i64),
    /// Nobody that is known: a peer behind a proxy. Each counts for itself.
    Unknown,
}

impl Source {
    /// Of a TCP peer. `proxies`: networks from which many come who have nothing to do with each other.
    pub fn of_peer(peer: IpAddr, proxies: &[IpNet]) -> Source {
        let peer = peer.to_canonical();
        if proxies.iter().any(|network| network.contains(&peer)) {
            return Source::Unknown;
        }
        Source::Network(match peer {
            IpAddr::V4(_) => peer,
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        })
    }
}

/// The places.
#[derive(Debug)]
pub struct Places {
    most: usize,
    most_bytes: usize,
    began: Instant,
    /// What the peers of all places have us hold.
    bytes: AtomicUsize,
    /// When bytes were last freed.
    relieved: AtomicU64,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    taken: HashMap<u64, Arc<Slot>>,
    of_source: HashMap<Source, usize>,
    next: u64,
    /// Who is asked to go next, the last first: so that a full house is not searched for each newcomer.
    going: Vec<(u64, u64)>,
}

#[derive(Debug)]
struct Slot {
    source: Source,
    /// Whether its peer has shown that it is not only there to take up a place.
    is_proven: AtomicBool,
    /// Whether its peer has begun something and does not go on with it.
    is_stalled: AtomicBool,
    /// Milliseconds from which on it may be asked to go; [`NEVER`]: not at all.
    waits_from: AtomicU64,
    bytes: AtomicUsize,
    told: CancellationToken,
}

const NEVER: u64 = u64::MAX;

/// One in so many places is chosen to go at one search.
const SEARCH_SHARE: usize = 64;

/// Where bytes are short, who holds less than this is not asked to go: 2 KB.
const LIGHT: usize = 2 * 1024;

/// A place that is taken, until it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    slot: Arc<Slot>,
    number: u64,
}

impl Places {
    /// `most` at once, whose peers together have us hold about `most_bytes`.
    pub fn new(most: usize, most_bytes: usize) -> Arc<Places> {
        Arc::new(Places {
            most,
            most_bytes,
            began: Instant::now(),
            bytes: AtomicUsize::new(0),
            relieved: AtomicU64::new(0),
            state: Mutex::default(),
            freed: Notify::new(),
        })
    }

    /// A place, if need be that of another one, who is told. None: none of the others waits for its peer.
    pub fn enter(self: &Arc<Self>, source: Source) -> Option<Place> {
        let now = self.now();
        let mut state = self.state();
        while state.taken.len() >= self.most {
            if !state.make_room(now) {
                return None;
            }
        }
        let slot = Arc::new(Slot {
            source,
            is_proven: AtomicBool::new(false),
            is_stalled: AtomicBool::new(false),
            waits_from: AtomicU64::new(now),
            bytes: AtomicUsize::new(0),
            told: CancellationToken::new(),
        });
        let number = state.next;
        state.next += 1;
        state.taken.insert(number, slot.clone());
        if source != Source::Unknown {
            *state.of_source.entry(source).or_default() += 1;
        }
        drop(state);
        Some(Place { places: self.clone(), slot, number })
    }

    /// The same, as soon as somebody can make room.
    pub async fn enter_in_time(self: &Arc<Self>, source: Source) -> Place {
        /// 100 ms: those who do not wait for their peer now may do so soon.
        const AGAIN: Duration = Duration::from_millis(100);
        loop {
            let freed = self.freed.notified();
            if let Some(place) = self.enter(source) {
                return place;
            }
            // Nothing is lost with either: there is room, or there may be.
            let _ = tokio::time::timeout(AGAIN, freed).await;
        }
    }

    /// Asks one to go, whether or not there is room: what a place stands for is short.
    pub fn make_room(&self) -> bool {
        let now = self.now();
        self.state().make_room(now)
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.state().taken.len()
    }

    /// What is held for the peers of all places, in bytes.
    pub fn held(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Frees bytes, of those who wait for their peer and hold more than a few, down to three quarters of the bound.
    fn relieve(&self) {
        /// 10 ms: where nobody can be asked to go, a search for each piece that comes would only burn the processor.
        const AGAIN_MS: u64 = 10;
        let now = self.now();
        let last = self.relieved.load(Ordering::Relaxed);
        if last != 0 && now < last + AGAIN_MS {
            return;
        }
        self.relieved.store(now.max(1), Ordering::Relaxed);
        let mut state = self.state();
        let going = state.candidates(now, |slot| slot.bytes.load(Ordering::Relaxed) >= LIGHT);
        for (number, _) in going.into_iter().rev() {
            if self.bytes.load(Ordering::Relaxed) <= self.most_bytes / 4 * 3 {
                return;
            }
            if let Some(slot) = state.take_out(number) {
                self.bytes.fetch_sub(slot.bytes.swap(0, Ordering::Relaxed), Ordering::Relaxed);
                slot.told.cancel();
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(NEVER - 1)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the lock")
    }
}

impl State {
    fn make_room(&mut self, now: u64) -> bool {
        loop {
            if self.going.is_empty() {
                let mut candidates = self.candidates(now, |_| true);
                let first = candidates.len().saturating_sub(self.taken.len() / SEARCH_SHARE + 1);
                self.going = candidates.split_off(first);
            }
            let Some((number, waits_from)) = self.going.pop() else { return false };
            // Since it was chosen it may have gone on.
            let still_waits =
                self.taken.get(&number).is_some_and(|slot| slot.waits_from.load(Ordering::Relaxed) == waits_from);
            if still_waits && let Some(slot) = self.take_out(number) {
                slot.told.cancel();
                return true;
            }
        }
    }

    /// Who may be asked to go, who should go first last.
    fn candidates(&self, now: u64, is_meant: impl Fn(&Slot) -> bool) -> Vec<(u64, u64)> {
        let waiting = self.taken.iter().filter_map(|(number, slot)| {
            let waits_from = slot.waits_from.load(Ordering::Relaxed);
            (waits_from <= now && is_meant(slot)).then_some((*number, waits_from, slot))
        });
        let mut waiting: Vec<_> = waiting
            .map(|(number, waits_from, slot)| {
                let of_source = self.of_source.get(&slot.source).copied().unwrap_or(1);
                let is_well = slot.is_proven.load(Ordering::Relaxed) && !slot.is_stalled.load(Ordering::Relaxed);
                ((of_source, !is_well, std::cmp::Reverse((waits_from, number))), number, waits_from)
            })
            .collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, number, waits_from)| (number, waits_from)).collect()
    }

    fn take_out(&mut self, number: u64) -> Option<Arc<Slot>> {
        let slot = self.taken.remove(&number)?;
        if let Some(count) = self.of_source.get_mut(&slot.source) {
            *count -= 1;
            if *count == 0 {
                self.of_source.remove(&slot.source);
            }
        }
        Some(slot)
    }
}

impl Place {
    /// Returns when the place is somebody else's.
    pub async fn lost(&self) {
        self.slot.told.cancelled().await;
    }

    /// Whether it is somebody else's.
    pub fn is_lost(&self) -> bool {
        self.slot.told.is_cancelled()
    }

    /// Its peer is waited for, from now on: it may be asked to go.
    pub fn waits(&self) {
        self.slot.is_stalled.store(false, Ordering::Relaxed);
        self.slot.waits_from.store(self.places.now(), Ordering::Relaxed);
    }

    /// Its peer has begun something; once it has waited for so long it may be asked to go, before those who merely wait.
    pub fn stalls_after(&self, patience: Duration) {
        self.slot.is_stalled.store(true, Ordering::Relaxed);
        let patience = u64::try_from(patience.as_millis()).unwrap_or(NEVER);
        self.slot.waits_from.store(self.places.now().saturating_add(patience).min(NEVER - 1), Ordering::Relaxed);
    }

    /// Its peer is not waited for.
    pub fn works(&self) {
        self.slot.waits_from.store(NEVER, Ordering::Relaxed);
    }

    /// Others of the same source are asked to go before it.
    pub fn has_proved_itself(&self) {
        self.slot.is_proven.store(true, Ordering::Relaxed);
    }

    /// Gives the place back before it is dropped.
    pub fn leave(&self) {
        self.holds_nothing();
        if self.places.state().take_out(self.number).is_some() {
            self.places.freed.notify_one();
        }
    }

    /// So many more bytes are held for its peer. False: all together hold too many, and nobody can be asked to go.
    pub fn holds(&self, more: usize) -> bool {
        self.slot.bytes.fetch_add(more, Ordering::Relaxed);
        let all = self.places.bytes.fetch_add(more, Ordering::Relaxed) + more;
        if all <= self.places.most_bytes {
            return true;
        }
        self.places.relieve();
        self.places.bytes.load(Ordering::Relaxed) <= self.places.most_bytes
    }

    /// Nothing is held for its peer any more.
    pub fn holds_nothing(&self) {
        let held = self.slot.bytes.swap(0, Ordering::Relaxed);
        if held > 0 {
            self.places.bytes.fetch_sub(held, Ordering::Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}
