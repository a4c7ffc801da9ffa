//! Notices that the process stood still: it was paused, or its machine was suspended. Meanwhile the kernel still
//! accepts connections and requests. Their senders have given up when the process continues, and may have retried
//! elsewhere: to execute the request now would be late, and perhaps the second time.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use runtime::Moment;

/// Often enough to tell a pause of [`STOOD_STILL`] from a busy moment.
const BEAT: Duration = Duration::from_millis(500);

/// 5 s, the usual deadline of an append: a shorter pause is a slow answer.
const STOOD_STILL: Duration = Duration::from_secs(5);

/// The heart of the process, which has one, however many listeners it has.
static HEART: LazyLock<Heart> = LazyLock::new(Heart::new);

#[derive(Debug)]
struct Heart {
    /// Milliseconds since the machine started.
    last_beat: AtomicU64,
    times: AtomicU64,
}

/// Beats until it is dropped. Without it a quiet process would look as if it had stood still.
pub(super) async fn beat() {
    loop {
        times();
        tokio::time::sleep(BEAT).await;
    }
}

/// How often the process has stood still so far. The first call after a pause notices it.
pub(super) fn times() -> u64 {
    HEART.times_at(now())
}

impl Heart {
    fn new() -> Heart {
        Heart { last_beat: AtomicU64::new(now()), times: AtomicU64::new(0) }
    }

    fn times_at(&self, now: u64) -> u64 {
        let last = self.last_beat.fetch_max(now, Ordering::AcqRel);
        if Duration::from_millis(now.saturating_sub(last)) < STOOD_STILL {
            return self.times.load(Ordering::Acquire);
        }
        let seconds = now.saturating_sub(last) / 1_000;
        tracing::warn!(seconds, "the process stood still for {seconds} s: requests from before are refused");
        self.times.fetch_add(1, Ordering::AcqRel) + 1
    }
}

fn now() -> u64 {
    u64::try_from(Moment::now().since_boot().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_noticed_once_and_a_busy_moment_is_none() {
        let heart = Heart::new();
        let began = now();
        assert_eq!(heart.times_at(began), 0);
        assert_eq!(heart.times_at(began + 4_900), 0);
        assert_eq!(heart.times_at(began + 9_800), 0);
        assert_eq!(heart.times_at(began + 14_900), 1);
        assert_eq!(heart.times_at(began + 14_900), 1);
        // Somebody who asked before, and is late.
        assert_eq!(heart.times_at(began + 9_800), 1);
        assert_eq!(heart.times_at(began + 30_000), 2);
    }
}
