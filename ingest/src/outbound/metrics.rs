//! What is counted of requests to another server.

use std::time::Duration;

use metrics::{Counter, Histogram, LATENCY, Registry};
use web::NoAnswer;

/// The handles of one server's.
#[derive(Debug)]
pub(crate) struct OutboundMetrics {
    pub(crate) registry: Registry,
    seconds: Histogram,
    answered: Counter,
    refused: Counter,
    failed: Counter,
}

impl OutboundMetrics {
    /// `seconds` and `requests` are the names and help texts of the two metrics.
    pub(crate) fn new(
        seconds: (&'static str, &'static str),
        requests: (&'static str, &'static str),
    ) -> OutboundMetrics {
        let registry = Registry::new();
        let results = registry.counters(requests.0, requests.1, "result", ["answered", "refused", "failed"]);
        OutboundMetrics {
            seconds: registry.histogram(seconds.0, seconds.1, LATENCY),
            answered: results.of("answered"),
            refused: results.of("refused"),
            failed: results.of("failed"),
            registry,
        }
    }

    /// Counts a request that took so long. `failure`: there is no usable answer, and why if the server gave none.
    pub(crate) fn asked(&self, took: Duration, failure: Option<Option<&NoAnswer>>) {
        self.seconds.observe(took.as_secs_f64());
        match failure {
            None => self.answered.inc(),
            Some(Some(error)) if error.is_refusal() => self.refused.inc(),
            Some(_) => self.failed.inc(),
        }
    }
}
