//! A clock that counts while the machine is suspended. `Instant`, in `std` and tokio, does not: after a suspension of a
//! minute, a virtual machine would believe that it still holds its lease.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

#[cfg(any(target_os = "linux", target_os = "android"))]
const BOOTTIME: ClockId = ClockId::CLOCK_BOOTTIME;
/// On macOS this clock counts suspensions.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const BOOTTIME: ClockId = ClockId::CLOCK_MONOTONIC;

/// A point in time, relative to the start of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    /// The start of the machine.
    pub const BOOT: Moment = Moment(Duration::ZERO);

    /// The current time.
    pub fn now() -> Moment {
        Moment(clock_gettime(BOOTTIME).expect("the system has this clock").into())
    }

    /// The time since this moment.
    pub fn elapsed(self) -> Duration {
        Moment::now().0.saturating_sub(self.0)
    }

    /// The time from the machine's start to this moment.
    pub fn since_boot(self) -> Duration {
        self.0
    }

    /// The time until this moment. Zero if it is past.
    pub fn left(self) -> Duration {
        self.0.saturating_sub(Moment::now().0)
    }

    /// Whether this moment is past.
    pub fn is_past(self) -> bool {
        Moment::now() >= self
    }

    /// The moment this long before.
    pub fn before(self, ago: Duration) -> Moment {
        Moment(self.0.saturating_sub(ago))
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, duration: Duration) -> Moment {
        Moment(self.0 + duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_counts_from_boot_and_advances() {
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime = Duration::from_secs_f64(uptime.split(' ').next().unwrap().parse().unwrap());
        let now = Moment::now();
        assert!(now.0 + Duration::from_millis(20) >= uptime, "{now:?} is before {uptime:?}");
        assert!(now.0 - uptime < Duration::from_secs(10), "{now:?} is long after {uptime:?}");
        assert!(now.before(Duration::from_secs(3)).elapsed() >= Duration::from_secs(3));
        assert!(Moment::now() >= now);
    }
}
