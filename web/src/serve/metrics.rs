//! What a listener exposes to Prometheus.

use std::sync::Arc;

use axum::response::Response;
use metrics::{Counter, Counters, Registry};

use crate::fair_slots::FairSlots;
use crate::problem::Code;

/// Answers without a problem's code count by the class of their status.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The handles of what is counted.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) accepted: Counter,
    pub(super) pushed_out: Counter,
    pub(super) refused: Counter,
    pub(super) failed_handshakes: Counter,
    responses: Counters,
    classes: [Counter; 5],
}

impl Metrics {
    pub(super) fn declare(registry: &Registry, slots: &Arc<FairSlots>) -> Arc<Metrics> {
        let held = slots.clone();
        registry.gauge(
            "chatting_http_held_bytes",
            "Unfinished headers and bodies, and unread large answers.",
            move || held.bytes() as f64,
        );
        let taken = slots.clone();
        registry.gauge("chatting_http_connections", "Open connections, without upgraded ones.", move || {
            taken.in_use() as f64
        });
        let responses = registry.counters(
            "chatting_http_responses_total",
            "Answers by the code of the problem, or by the class of the status if the answer is no problem of /v1.",
            "code",
            CLASSES,
        );
        Arc::new(Metrics {
            accepted: registry.counter("chatting_http_accepted_connections_total", "Connections that were accepted."),
            pushed_out: registry.counter(
                "chatting_http_pushed_out_connections_total",
                "Connections that were closed while they waited for their peer, because others needed their slot.",
            ),
            refused: registry.counter(
                "chatting_http_refused_connections_total",
                "Connections that were reset at once, because their source opens too many: see http.connection_rate.",
            ),
            failed_handshakes: registry.counter(
                "chatting_http_failed_handshakes_total",
                "TLS handshakes that failed, or were not done within tls.handshake_timeout.",
            ),
            classes: CLASSES.map(|class| responses.of(class)),
            responses,
        })
    }

    /// Counts an answer.
    pub(super) fn answered(&self, response: &Response) {
        match response.extensions().get() {
            Some(Code(code)) => self.responses.of(code).inc(),
            None => self.classes[usize::from(response.status().as_u16() / 100).clamp(1, 5) - 1].inc(),
        }
    }
}
