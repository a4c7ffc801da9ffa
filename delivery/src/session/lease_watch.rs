//! Whether this node can trust what it knows of other nodes. It cannot while its lease has lapsed, nor right after the
//! process was suspended: meanwhile any of its rooms may have been claimed elsewhere, and the claim may not have
//! arrived yet. Every such spell ends one term and begins the next; a session of an older term asks the log before it
//! writes on. What waits for the node to be in touch again waits here.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nats::Lease;
use runtime::Moment;
use tokio::sync::watch;
use tokio::time::sleep;

const INTERVAL: Duration = Duration::from_millis(250);

/// A pulse older than this means that the process did not run, or its whole machine did not. It is far more than a busy machine delays a timer, and
/// far less than a lease.
const SUSPENDED_AFTER: Duration = Duration::from_secs(3);

/// The pulse of this node.
#[derive(Debug)]
pub(crate) struct Pulse {
    started: Moment,
    /// Milliseconds from the start to the last beat.
    last_ms: AtomicU64,
    term: AtomicU64,
    /// Whether the lease was held at the last beat.
    in_touch: watch::Sender<bool>,
}

impl Pulse {
    pub(crate) fn new() -> Pulse {
        let in_touch = watch::Sender::new(true);
        Pulse { started: Moment::now(), last_ms: AtomicU64::new(0), term: AtomicU64::new(1), in_touch }
    }

    /// The present term; none while the node is out of touch.
    pub(crate) fn term(&self, lease: &Lease) -> Option<u64> {
        // The term is read first: if a beat comes in between, it is the older term, and its session asks once too
        // often.
        let term = self.term.load(Ordering::SeqCst);
        (lease.is_held() && !self.was_suspended()).then_some(term)
    }

    /// Whether the lease is held, at every beat, for those who wait for a change.
    pub(crate) fn in_touch(&self) -> watch::Receiver<bool> {
        self.in_touch.subscribe()
    }

    /// Beats for ever.
    pub(crate) async fn beat(&self, lease: &Lease) -> Infallible {
        loop {
            let in_touch = lease.is_held();
            if self.was_suspended() || !in_touch {
                self.term.fetch_add(1, Ordering::SeqCst);
            }
            self.in_touch.send_if_modified(|before| std::mem::replace(before, in_touch) != in_touch);
            let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.last_ms.store(now_ms, Ordering::SeqCst);
            sleep(INTERVAL).await;
        }
    }

    fn was_suspended(&self) -> bool {
        let last = Duration::from_millis(self.last_ms.load(Ordering::SeqCst));
        self.started.elapsed().saturating_sub(last) > SUSPENDED_AFTER
    }
}
