//! What delivery exposes to Prometheus, beside what each role does.

use std::sync::Arc;

use chat::Position;
use jiff::Timestamp;
use metrics::{Counter, Counters, EVENTS, Histogram, LAG, Registry};
use web::Admin;

use crate::node::Node;
use crate::readers::stream::ReaderEnd;
use crate::session::close_codes::CloseReason;
use crate::window::{Ask, Kept};

/// The handles of what is counted in sessions.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    write_lag: Histogram,
    acknowledgement_lag: Histogram,
    page_events: Histogram,
    events: Counter,
    starts: Counters,
    closes: Counters,
    reader_starts: Counters,
    reader_ends: Counters,
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        let registry = Registry::new();
        Metrics {
            write_lag: registry.histogram(
                "chatting_delivery_write_lag_seconds",
                "Time from an event's append, by the log's clock, until it was written to the presenter's socket, by this \
                 machine's. Without events from before the session.",
                LAG,
            ),
            acknowledgement_lag: registry.histogram(
                "chatting_delivery_acknowledgement_lag_seconds",
                "Time from an event's append until the presenter's page acknowledged it, for the last event of a write. The \
                 original's dialect has no acknowledgements.",
                LAG,
            ),
            page_events: registry.histogram(
                "chatting_delivery_page_events",
                "Events that waited for a session when it wrote: how far its cursor was behind.",
                EVENTS,
            ),
            events: registry.counter(
                "chatting_delivery_events_total",
                "Events that sessions have passed, also those of which the dialect shows nothing.",
            ),
            starts: registry.counters(
                "chatting_delivery_session_starts_total",
                "Sessions that began, by how: fresh, without a position; recovered, everything after the position \
                 follows; gap, some of it is not known any more.",
                "resume",
                ["fresh", "recovered", "gap"],
            ),
            closes: registry.counters(
                "chatting_delivery_closes_total",
                "Sockets that closed, by the reason, each of which has one close code.",
                "reason",
                CloseReason::ALL.map(CloseReason::word),
            ),
            reader_starts: registry.counters(
                "chatting_delivery_reader_starts_total",
                "Readers' streams that began, by whether everything after the position follows, or some of it is not \
                 known any more.",
                "resume",
                ["recovered", "gap"],
            ),
            reader_ends: registry.counters(
                "chatting_delivery_reader_ends_total",
                "Readers' streams that ended, by the reason.",
                "reason",
                ReaderEnd::ALL.map(ReaderEnd::word),
            ),
            registry,
        }
    }

    /// Counts a session that has its room.
    pub(crate) fn began(&self, ask: Ask, recovered: bool) {
        let resume = match (ask, recovered) {
            (Ask::Anything, _) => "fresh",
            (_, true) => "recovered",
            (_, false) => "gap",
        };
        self.starts.of(resume).inc();
    }

    /// Counts the events of a page up to that position. Those stored before `since` are not observed: their presenter
    /// was away. Returns the last event, if it is newer, and when it was stored.
    pub(crate) fn written(&self, page: &[Kept], reached: Position, since: Timestamp) -> Option<(Position, Timestamp)> {
        let written = &page[..page.partition_point(|event| event.position <= reached)];
        self.page_events.observe(page.len() as f64);
        self.events.inc_by(written.len() as u64);
        let now = Timestamp::now();
        for event in written.iter().filter(|event| event.stored >= since) {
            self.write_lag.observe(seconds(now, event.stored));
        }
        written.last().filter(|event| event.stored >= since).map(|event| (event.position, event.stored))
    }

    /// Observes an acknowledgement of an event that was stored then.
    pub(crate) fn acknowledged(&self, stored: Timestamp) {
        self.acknowledgement_lag.observe(seconds(Timestamp::now(), stored));
    }

    /// Counts a reader's stream that begins.
    pub(crate) fn reader_began(&self, recovered: bool) {
        self.reader_starts.of(if recovered { "recovered" } else { "gap" }).inc();
    }

    /// Counts a reader's stream that ends.
    pub(crate) fn reader_ended(&self, end: ReaderEnd) {
        self.reader_ends.of(end.word()).inc();
    }

    /// Counts a socket that closes.
    pub(crate) fn closed(&self, reason: CloseReason) {
        self.closes.of(reason.word()).inc();
    }
}

/// Zero if the log's clock is ahead.
fn seconds(now: Timestamp, stored: Timestamp) -> f64 {
    now.duration_since(stored).as_secs_f64().max(0.0)
}

/// Exposes the metrics of the node.
pub(crate) fn declare(admin: &Admin, node: &Arc<Node>) {
    let registry = admin.metrics();
    registry.include(&node.metrics.registry);
    let gauge = |name, help, read: fn(&Node) -> f64| {
        let node = node.clone();
        registry.gauge(name, help, move || read(&node));
    };
    gauge("chatting_delivery_sessions", "Presenters' sessions.", |node| {
        (node.config.max_sessions - node.sessions.available_permits()) as f64
    });
    gauge("chatting_delivery_max_sessions", "The bound on sessions, delivery.max_sessions.", |node| {
        node.config.max_sessions as f64
    });
    gauge("chatting_delivery_readers", "Readers' streams.", |node| node.readers.count() as f64);
    gauge("chatting_delivery_max_readers", "The bound on readers' streams, delivery.max_readers.", |node| {
        node.config.max_readers as f64
    });
    gauge("chatting_delivery_unstarted_sockets", "Sockets without a session.", |node| node.unstarted.in_use() as f64);
    gauge("chatting_delivery_unsaved_cursors", "Cursors that moved and are not saved in NATS yet.", |node| {
        node.cursors.unsaved() as f64
    });
    gauge("chatting_delivery_lease_held", "Whether the node's lease is held: 1 or 0.", |node| {
        f64::from(node.lease.is_held())
    });
    gauge("chatting_delivery_window_events", "Events in the window.", |node| node.feed.usage().events as f64);
    gauge("chatting_delivery_window_bytes", "Size of the window.", |node| node.feed.usage().bytes as f64);
    gauge("chatting_delivery_window_max_bytes", "Size limit of the window, delivery.window_size.", |node| {
        node.feed.usage().most_bytes as f64
    });
    gauge(
        "chatting_delivery_window_age_seconds",
        "How long ago the window's oldest event arrived. 0: it is empty.",
        |node| node.feed.usage().age.as_secs_f64(),
    );
}
