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

/// The time of the last beat and the number of standstills, which change together: whoever sees a beat from after a
/// pause sees that the pause was counted.
#[derive(Debug)]
struct Heart(AtomicU64);

/// The last beat: milliseconds since the machine started, above the number of standstills.
#[derive(Debug, Clone, Copy)]
struct Beat {
    at: u64,
    times: u16,
}

/// Beats until it is dropped. Without it a quiet process would look as if it had stood still.
pub(super) async fn beat() {
    loop {
        times();
        tokio::time::sleep(BEAT).await;
    }
}

/// How often the process has stood still so far, to be compared for equality. The first call after a pause notices it.
pub(super) fn times() -> u16 {
    HEART.times_at(now())
}

impl Heart {
    fn new() -> Heart {
        Heart(AtomicU64::new(Beat { at: now(), times: 0 }.packed()))
    }

    fn times_at(&self, now: u64) -> u16 {
        let mut seen = self.0.load(Ordering::Acquire);
        loop {
            let last = Beat::unpacked(seen);
            let beat = last.followed_at(now);
            match self.0.compare_exchange_weak(seen, beat.packed(), Ordering::AcqRel, Ordering::Acquire) {
                Err(newer) => seen = newer,
                Ok(_) => {
                    if beat.times != last.times {
                        let seconds = (now - last.at) / 1_000;
                        tracing::warn!(
                            seconds,
                            "the process stood still for {seconds} s: requests from before are refused"
                        );
                    }
                    return beat.times;
                }
            }
        }
    }
}

impl Beat {
    fn packed(self) -> u64 {
        self.at << u16::BITS | u64::from(self.times)
    }

    fn unpacked(packed: u64) -> Beat {
        let [low, high, ..] = packed.to_le_bytes();
        Beat { at: packed >> u16::BITS, times: u16::from_le_bytes([low, high]) }
    }

    /// Somebody who asked before this beat, and is late, changes nothing.
    fn followed_at(self, now: u64) -> Beat {
        let stood_still = Duration::from_millis(now.saturating_sub(self.at)) >= STOOD_STILL;
        Beat { at: self.at.max(now), times: self.times.wrapping_add(stood_still.into()) }
    }
}

fn now() -> u64 {
    u64::try_from(Moment::now().since_boot().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU16;

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
    #[test]
    fn whoever_sees_the_first_beat_after_a_pause_knows_of_the_pause() {
        const PAUSES: u16 = 10_000;
        let heart = Heart::new();
        let (began, pauses) = (now(), AtomicU16::new(0));
        let times_after = |pauses: u16| heart.times_at(began + 10_000 * u64::from(pauses));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for pause in 1..=PAUSES {
                    pauses.store(pause, Ordering::Release);
                    times_after(pause);
                }
            });
            loop {
                let known = pauses.load(Ordering::Acquire);
                let counted = times_after(known);
                assert!(counted >= known, "{counted} of {known} pauses are known");
                if known == PAUSES {
                    break;
                }
            }
        });
    }
}
