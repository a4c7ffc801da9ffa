//! Prometheus metrics. A part declares its metrics once in a [`Registry`] and keeps the handles, so that counting is a
//! few atomic operations and looks nothing up. State that a part has anyway is read when Prometheus scrapes.
//!
//! Labels are bounded: their values are in the program text, or the names of streams. The crate does not know HTTP.
//!
//! ```
//! let registry = metrics::Registry::new();
//! let sent = registry.counter("chatting_example_frames_total", "Frames that were sent.");
//! sent.inc();
//! assert!(registry.text().contains("chatting_example_frames_total 1"));
//! ```

mod process;
mod read;
mod registry;

pub use process::declare as declare_process;
pub use prometheus::{Histogram, IntCounter as Counter, local::LocalHistogram};
pub use registry::{CONTENT_TYPE, Counters, Histograms, Registry};

/// Seconds, for what takes from less than a millisecond to the deadlines of requests.
pub const LATENCY: &[f64] = &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Seconds, for what takes milliseconds and, after an outage, up to the age of the log.
pub const LAG: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 7_200.0, 86_400.0];

/// Numbers of events.
pub const EVENTS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0];

/// Bytes of a batch.
pub const BYTES: &[f64] = &[512.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0, 262_144.0];
