//! A future for a `select!` whose other branch wakes the task often. A stop signal takes a lock that all connections
//! share at every poll, so it is polled only when it was woken.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Polls its future only when that was woken, whatever woke the task.
#[derive(Debug)]
pub(super) struct OnWake<F> {
    future: Pin<Box<F>>,
    woken: Arc<Woken>,
    waker: Waker,
}

#[derive(Debug)]
struct Woken {
    /// At the beginning, and since the future was woken.
    is_due: AtomicBool,
    task: AtomicWaker,
}

impl<F> OnWake<F> {
    pub(super) fn new(future: F) -> OnWake<F> {
        let woken = Arc::new(Woken { is_due: AtomicBool::new(true), task: AtomicWaker::new() });
        OnWake { future: Box::pin(future), waker: woken.clone().into(), woken }
    }
}

impl<F: Future> Future for OnWake<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // Before the flag is read: a wake after that wakes the task.
        self.woken.task.register(context.waker());
        if !self.woken.is_due.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        // Before the poll: a wake during it is not lost.
        self.woken.is_due.store(false, Ordering::Release);
        let OnWake { future, waker, .. } = &mut *self;
        future.as_mut().poll(&mut Context::from_waker(waker))
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.is_due.store(true, Ordering::Release);
        self.task.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn the_future_is_polled_when_it_is_woken_and_not_when_others_are() {
        let (polls, notify) = (AtomicUsize::new(0), Notify::new());
        let mut notified = std::pin::pin!(notify.notified());
        let counted = std::future::poll_fn(|context| {
            polls.fetch_add(1, Ordering::Relaxed);
            notified.as_mut().poll(context)
        });
        let mut on_wake = OnWake::new(counted);
        for _ in 0..5 {
            assert!(futures_util::poll!(&mut on_wake).is_pending());
        }
        assert_eq!(polls.load(Ordering::Relaxed), 1);
        notify.notify_one();
        on_wake.await;
        assert_eq!(polls.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_wake_from_another_thread_wakes_the_task() {
        for _ in 0..1_000 {
            let notify = Arc::new(Notify::new());
            let other = std::thread::spawn({
                let notify = notify.clone();
                move || notify.notify_one()
            });
            OnWake::new(notify.notified()).await;
            other.join().unwrap();
        }
    }
}
