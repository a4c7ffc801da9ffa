//! Wakes the task of one session: for an event of its room, and to make it stop. Waiting creates nothing, and waking
//! a session that has not yet looked costs next to nothing.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

/// What one task waits for, and any number of others signal.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    signalled: AtomicBool,
    waker: AtomicWaker,
}

impl Wake {
    /// Wakes the task, unless it was woken and has not yet taken the signal.
    pub(crate) fn signal(&self) {
        if !self.signalled.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Wakes the task in any case. It may wait for something else, and leave signals for later.
    pub(crate) fn interrupt(&self) {
        self.signalled.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Takes the signal, if there is one.
    pub(crate) fn take(&self) -> bool {
        self.signalled.swap(false, Ordering::AcqRel)
    }

    /// Waits for a signal, and takes it. Cancel safe.
    pub(crate) async fn signalled(&self) {
        poll_fn(|context| {
            self.register(context);
            if self.take() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// From now on the task of this context is woken. Signals must be looked for after this.
    pub(crate) fn register(&self, context: &Context<'_>) {
        self.waker.register(context.waker());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::{Wake as StdWake, Waker};

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl StdWake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn signals_wake_once_until_they_are_taken_and_an_interrupt_always() {
        let (wake, counter) = (Wake::default(), Arc::<Counter>::default());
        let waker = Waker::from(counter.clone());
        let context = Context::from_waker(&waker);
        let woken = || counter.0.load(Ordering::SeqCst);

        let waits = || {
            wake.register(&context);
            !wake.take()
        };
        assert!(waits());
        wake.signal();
        wake.signal();
        assert_eq!(woken(), 1);
        assert!(!waits() && waits());

        // A signal before the wait is not lost.
        wake.signal();
        assert!(!waits());

        // The task waits for something else, and leaves the signal.
        wake.register(&context);
        wake.signal();
        let before = woken();
        wake.register(&context);
        wake.signal();
        assert_eq!(woken(), before);
        wake.interrupt();
        assert_eq!(woken(), before + 1);
        assert!(wake.take() && !wake.take());
    }
}
