//! Timers that are used again. A new timer takes a lock that all threads share, at its beginning and at its end. One
//! that is set to a later time does not. It costs a wake-up of whoever had it last if nobody has set it again by its
//! time.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};

/// 1,024 timers of about 150 bytes are kept. Beyond that, they end when they are dropped.
const MOST: usize = 1_024;

/// Timers for one purpose, whose times are about as far away each time. Clones share them.
#[derive(Clone, Default)]
pub struct Timers(Arc<Mutex<Vec<Pin<Box<Sleep>>>>>);

/// A timer in use. It is ready when its time has come, and used again when it is dropped.
pub struct Timer {
    /// None: dropped.
    sleep: Option<Pin<Box<Sleep>>>,
    timers: Timers,
}

impl Timers {
    /// A timer for that time.
    pub fn until(&self, end: Instant) -> Timer {
        let kept = self.0.lock().pop();
        let sleep = match kept {
            Some(mut sleep) => {
                sleep.as_mut().reset(end);
                sleep
            }
            None => Box::pin(sleep_until(end)),
        };
        Timer { sleep: Some(sleep), timers: self.clone() }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().map_or(Poll::Ready(()), |sleep| sleep.as_mut().poll(context))
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let mut kept = self.timers.0.lock();
        if kept.len() < MOST {
            kept.extend(self.sleep.take());
        }
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timers").field(&self.0.lock().len()).finish()
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_timer_that_is_used_again_ends_at_its_own_time() {
        let (timers, second) = (Timers::default(), Duration::from_secs(1));
        let after = |time: Duration| timers.until(Instant::now() + time);
        drop(after(Duration::from_millis(1)));
        // What was set before ends nothing.
        assert!(timeout(Duration::from_millis(50), after(second * 60)).await.is_err());
        timeout(second * 10, after(Duration::from_millis(1))).await.expect("it ends");
        timeout(second * 10, after(Duration::from_millis(1))).await.expect("it ends again");
    }

    #[tokio::test]
    async fn as_many_timers_are_kept_as_were_used_at_once() {
        let (timers, end) = (Timers::default(), Instant::now() + Duration::from_secs(60));
        for most in [1, 3, 2] {
            drop((0..most).map(|_| timers.until(end)).collect::<Vec<_>>());
        }
        assert_eq!(timers.0.lock().len(), 3);
        drop((0..MOST + 1).map(|_| timers.until(end)).collect::<Vec<_>>());
        assert_eq!(timers.0.lock().len(), MOST);
    }
}
