//! Fair sharing of a bounded number of slots. When all are taken, the source that holds most of them loses the slot
//! that has waited longest for its peer. So no source can hold all slots for long, and a source with few keeps them. A
//! bound for a single source is not needed; a network behind one address would reach it. The caller knows which
//! resource a slot stands for, and what waiting means.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

#[cfg(test)]
mod tests;

/// The holder of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// An IPv4 address, or the /64 of an IPv6 address, because one host can use all addresses of it.
    Network(IpAddr),
    /// An authenticated user.
    User(i64),
    /// A peer behind a proxy. Each counts as its own source.
    Unknown,
}

impl Source {
    /// The source of a TCP peer. `proxies`: networks whose connections belong to unrelated clients.
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

/// The slots.
#[derive(Debug)]
pub struct FairSlots {
    most: usize,
    most_bytes: usize,
    began: Instant,
    /// The bytes held for the peers of all slots.
    bytes: AtomicUsize,
    /// When bytes were last freed.
    relieved: AtomicU64,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    taken: HashMap<u64, Arc<SlotHolder>>,
    of_source: HashMap<Source, usize>,
    next: u64,
    /// The next slots to evict, the first at the end, so that not every newcomer causes a search.
    going: Vec<(u64, u64)>,
}

#[derive(Debug)]
struct SlotHolder {
    source: Source,
    /// Whether its peer has proved that it does more than hold a slot.
    is_proven: AtomicBool,
    /// Whether its peer has begun something and stopped.
    is_stalled: AtomicBool,
    /// Milliseconds from when on it may be evicted. [`NEVER`]: not at all.
    waits_from: AtomicU64,
    bytes: AtomicUsize,
    told: CancellationToken,
}

const NEVER: u64 = u64::MAX;

/// One in so many slots is chosen for eviction at one search.
const SEARCH_SHARE: usize = 64;

/// 2 KB: when bytes are short, a slot that holds less is not evicted.
const LIGHT: usize = 2 * 1024;

/// A taken slot. Dropping it returns it.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<FairSlots>,
    holder: Arc<SlotHolder>,
    number: u64,
}

impl FairSlots {
    /// `most` slots, with about `most_bytes` held for their peers together.
    pub fn new(most: usize, most_bytes: usize) -> Arc<FairSlots> {
        Arc::new(FairSlots {
            most,
            most_bytes,
            began: Instant::now(),
            bytes: AtomicUsize::new(0),
            relieved: AtomicU64::new(0),
            state: Mutex::default(),
            freed: Notify::new(),
        })
    }

    /// Takes a slot. If none is free, it evicts another one, which is told. None: no other slot waits for its peer.
    pub fn acquire(self: &Arc<Self>, source: Source) -> Option<Slot> {
        let now = self.now();
        let mut state = self.state();
        while state.taken.len() >= self.most {
            if !state.evict_one(now) {
                return None;
            }
        }
        let holder = Arc::new(SlotHolder {
            source,
            is_proven: AtomicBool::new(false),
            is_stalled: AtomicBool::new(false),
            waits_from: AtomicU64::new(now),
            bytes: AtomicUsize::new(0),
            told: CancellationToken::new(),
        });
        let number = state.next;
        state.next += 1;
        state.taken.insert(number, holder.clone());
        if source != Source::Unknown {
            *state.of_source.entry(source).or_default() += 1;
        }
        drop(state);
        Some(Slot { slots: self.clone(), holder, number })
    }

    /// The same, as soon as there is a free slot or one to evict.
    pub async fn acquire_when_free(self: &Arc<Self>, source: Source) -> Slot {
        /// 100 ms: a slot that works now may wait for its peer soon.
        const AGAIN: Duration = Duration::from_millis(100);
        loop {
            let freed = self.freed.notified();
            if let Some(slot) = self.acquire(source) {
                return slot;
            }
            // Neither branch loses anything: a slot is free, or may be.
            let _ = tokio::time::timeout(AGAIN, freed).await;
        }
    }

    /// Evicts one slot even if others are free, because the resource behind the slots is short.
    pub fn evict_one(&self) -> bool {
        let now = self.now();
        self.state().evict_one(now)
    }

    /// How many are taken.
    pub fn in_use(&self) -> usize {
        self.state().taken.len()
    }

    /// The bytes held for the peers of all slots.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Evicts slots that wait for their peer and hold more than a few bytes, down to three quarters of the bound.
    fn relieve(&self) {
        /// 10 ms: without a slot to evict, a search for each arriving piece would only burn CPU.
        const AGAIN_MS: u64 = 10;
        let now = self.now();
        let last = self.relieved.load(Ordering::Relaxed);
        if last != 0 && now < last + AGAIN_MS {
            return;
        }
        self.relieved.store(now.max(1), Ordering::Relaxed);
        let mut state = self.state();
        let going = state.candidates(now, |holder| holder.bytes.load(Ordering::Relaxed) >= LIGHT);
        for (number, _) in going.into_iter().rev() {
            if self.bytes.load(Ordering::Relaxed) <= self.most_bytes / 4 * 3 {
                return;
            }
            if let Some(holder) = state.take_out(number) {
                self.bytes.fetch_sub(holder.bytes.swap(0, Ordering::Acquire), Ordering::Relaxed);
                holder.told.cancel();
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(NEVER - 1)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn evict_one(&mut self, now: u64) -> bool {
        loop {
            if self.going.is_empty() {
                let mut candidates = self.candidates(now, |_| true);
                let first = candidates.len().saturating_sub(self.taken.len() / SEARCH_SHARE + 1);
                self.going = candidates.split_off(first);
            }
            let Some((number, waits_from)) = self.going.pop() else { return false };
            // It may have continued since it was chosen.
            let still_waits =
                self.taken.get(&number).is_some_and(|holder| holder.waits_from.load(Ordering::Relaxed) == waits_from);
            if still_waits && let Some(holder) = self.take_out(number) {
                holder.told.cancel();
                return true;
            }
        }
    }

    /// The slots that may be evicted, the first at the end.
    fn candidates(&self, now: u64, is_meant: impl Fn(&SlotHolder) -> bool) -> Vec<(u64, u64)> {
        let waiting = self.taken.iter().filter_map(|(number, holder)| {
            let waits_from = holder.waits_from.load(Ordering::Relaxed);
            (waits_from <= now && is_meant(holder)).then_some((*number, waits_from, holder))
        });
        let mut waiting: Vec<_> = waiting
            .map(|(number, waits_from, holder)| {
                let of_source = self.of_source.get(&holder.source).copied().unwrap_or(1);
                let is_well = holder.is_proven.load(Ordering::Relaxed) && !holder.is_stalled.load(Ordering::Relaxed);
                ((of_source, !is_well, std::cmp::Reverse((waits_from, number))), number, waits_from)
            })
            .collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, number, waits_from)| (number, waits_from)).collect()
    }

    fn take_out(&mut self, number: u64) -> Option<Arc<SlotHolder>> {
        let holder = self.taken.remove(&number)?;
        if let Some(count) = self.of_source.get_mut(&holder.source) {
            *count -= 1;
            if *count == 0 {
                self.of_source.remove(&holder.source);
            }
        }
        Some(holder)
    }
}

impl Slot {
    /// Returns when the slot is evicted.
    pub async fn evicted(&self) {
        self.holder.told.cancelled().await;
    }

    /// Whether the slot is evicted.
    pub fn is_evicted(&self) -> bool {
        self.holder.told.is_cancelled()
    }

    /// It waits for its peer from now on, and may be evicted.
    pub fn set_waiting(&self) {
        self.holder.is_stalled.store(false, Ordering::Relaxed);
        self.holder.waits_from.store(self.slots.now(), Ordering::Relaxed);
    }

    /// Its peer has begun something. After that much waiting it may be evicted, before slots that merely wait.
    pub fn set_stalled_after(&self, patience: Duration) {
        self.holder.is_stalled.store(true, Ordering::Relaxed);
        let patience = u64::try_from(patience.as_millis()).unwrap_or(NEVER);
        self.holder.waits_from.store(self.slots.now().saturating_add(patience).min(NEVER - 1), Ordering::Relaxed);
    }

    /// It does not wait for its peer.
    pub fn set_working(&self) {
        self.holder.waits_from.store(NEVER, Ordering::Relaxed);
    }

    /// Others of the same source are evicted before it.
    pub fn set_proven(&self) {
        self.holder.is_proven.store(true, Ordering::Relaxed);
    }

    /// Returns the slot before it is dropped.
    pub fn release(&self) {
        self.clear_bytes();
        if self.slots.state().take_out(self.number).is_some() {
            self.slots.freed.notify_one();
        }
    }

    /// Counts more bytes held for its peer. False: all together hold too many, and no slot can be evicted.
    pub fn add_bytes(&self, more: usize) -> bool {
        // First to the sum: another thread may take the slot's bytes from it at any moment.
        let all = self.slots.bytes.fetch_add(more, Ordering::Relaxed) + more;
        self.holder.bytes.fetch_add(more, Ordering::Release);
        if all <= self.slots.most_bytes {
            return true;
        }
        self.slots.relieve();
        self.slots.bytes.load(Ordering::Relaxed) <= self.slots.most_bytes
    }

    /// Nothing is held for its peer any more.
    pub fn clear_bytes(&self) {
        let held = self.holder.bytes.swap(0, Ordering::Acquire);
        if held > 0 {
            self.slots.bytes.fetch_sub(held, Ordering::Relaxed);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.release();
    }
}
