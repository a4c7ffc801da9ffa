//! Watches whether this node can trust its knowledge of other nodes. It cannot while its lease has lapsed, nor right
//! after the process was suspended: any of its rooms may have been claimed elsewhere, and the claim may not have
//! arrived yet. Each such spell begins a new term. A session of an older term asks the log before it writes again.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nats::Lease;
use runtime::Moment;
use tokio::sync::watch;
use tokio::time::sleep;

const INTERVAL: Duration = Duration::from_millis(250);

/// 3 s without a beat: the process or its whole machine was suspended. That is far more than a busy machine delays a
/// timer, and far less than a lease.
const SUSPENDED_AFTER: Duration = Duration::from_secs(3);

/// The watch over this node's lease.
#[derive(Debug)]
pub(crate) struct LeaseWatch {
    started: Moment,
    /// Milliseconds from the start to the last beat.
    last_ms: AtomicU64,
    term: AtomicU64,
    /// Whether the node held the lease at the last beat.
    in_touch: watch::Sender<bool>,
}

impl LeaseWatch {
    pub(crate) fn new() -> LeaseWatch {
        let in_touch = watch::Sender::new(true);
        LeaseWatch { started: Moment::now(), last_ms: AtomicU64::new(0), term: AtomicU64::new(1), in_touch }
    }

    /// The current term. None while the node is out of touch.
    pub(crate) fn term(&self, lease: &Lease) -> Option<u64> {
        // The term is read first. A beat in between makes it the older term, and its session asks once too often.
        let term = self.term.load(Ordering::SeqCst);
        (lease.is_held() && !self.was_suspended()).then_some(term)
    }

    /// Whether the node holds the lease, updated at every beat.
    pub(crate) fn in_touch(&self) -> watch::Receiver<bool> {
        self.in_touch.subscribe()
    }

    /// Beats for ever.
    pub(crate) async fn run(&self, lease: &Lease) -> Infallible {
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
