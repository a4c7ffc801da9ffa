//! What the archiver exposes to Prometheus, beside what each role does.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use metrics::{EVENTS, Histogram, LAG, LATENCY, Registry};
use web::Admin;

use crate::status::{Counts, Status, StreamProgress};

/// The handles of what is observed at each write. Everything else is read from [`Status`] at a scrape.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    commit_lag: Histogram,
    write_seconds: Histogram,
    write_events: Histogram,
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        let registry = Registry::new();
        Metrics {
            commit_lag: registry.histogram(
                "chatting_archiver_commit_lag_seconds",
                "Time from an event's append, by the log's clock, until it was durable in MongoDB, by this machine's. One \
                 observation for each event.",
                LAG,
            ),
            write_seconds: registry.histogram(
                "chatting_archiver_write_seconds",
                "Time of a write until MongoDB's majority had it, retries and outages included.",
                LATENCY,
            ),
            write_events: registry.histogram("chatting_archiver_write_events", "Events in a write.", EVENTS),
            registry,
        }
    }

    /// Observes a durable write. `stored`: when its batches were stored, each with its number of events.
    pub(crate) fn wrote(&self, events: usize, took: Duration, stored: &[(Timestamp, usize)]) {
        self.write_seconds.observe(took.as_secs_f64());
        self.write_events.observe(events as f64);
        let (now, commit_lag) = (Timestamp::now(), self.commit_lag.local());
        for (at, events) in stored {
            // Zero if the log's clock is ahead.
            let lag = now.duration_since(*at).as_secs_f64().max(0.0);
            (0..*events).for_each(|_| commit_lag.observe(lag));
        }
        commit_lag.flush();
    }
}

/// Exposes the archiver's metrics and what it depends on.
pub(crate) fn declare(admin: &Admin, status: &Arc<Status>) {
    let (registry, shared) = (admin.metrics(), || status.clone());
    registry.include(&status.metrics.registry);
    let status = shared();
    admin.depends_on("mongodb", move || status.trouble().map_or(Ok(()), Err));
    let status = shared();
    registry.read_counters(
        "chatting_archiver_events_total",
        "Events that were written, by result. duplicate: archived before; contradiction: the part of the duplicates whose \
         content differs.",
        "result",
        move || results(&status.counts()).map(|(result, count)| (result.to_owned(), count as f64)).to_vec(),
    );
    let status = shared();
    registry.gauge(
        "chatting_archiver_behind_seconds",
        "How long events have been waiting for the archive. 0: none waits.",
        move || status.behind().as_secs_f64(),
    );
    let status = shared();
    registry.gauge(
        "chatting_archiver_quarantine_lines",
        "Lines in quarantine. Absent until MongoDB answers.",
        move || status.in_quarantine().map(|lines| lines as f64),
    );
    let status = shared();
    registry.gauge(
        "chatting_archiver_missing_batches",
        "Batches that left the log before they were archived, of all time. Absent until MongoDB answers.",
        move || status.known_missing().map(|missing| missing.batches as f64),
    );
    let streams = |value: fn(&StreamProgress) -> u64| {
        let status = shared();
        move || {
            let streams = status.waiting().map(|waiting| waiting.streams).unwrap_or_default();
            streams.iter().map(|stream| (stream.backlog.stream.clone(), value(stream) as f64)).collect()
        }
    };
    registry.gauges(
        "chatting_archiver_backlog_batches",
        "Batches of a stream that are not archived yet, for all archivers together. A batch has up to 1,000 events.",
        "stream",
        streams(|stream| stream.backlog.waiting + stream.backlog.held),
    );
    registry.gauges(
        "chatting_archiver_redelivered_batches",
        "The part of the backlog that was delivered more than once.",
        "stream",
        streams(|stream| stream.backlog.held_again),
    );
}

fn results(counts: &Counts) -> [(&'static str, u64); 6] {
    let Counts { archived, duplicates, contradictions, decisions, sessions, quarantined, .. } = *counts;
    [
        ("message", archived),
        ("decision", decisions),
        ("session_end", sessions),
        ("duplicate", duplicates),
        ("contradiction", contradictions),
        ("quarantined", quarantined),
    ]
}
