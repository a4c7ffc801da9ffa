//! What a connection to the log exposes to Prometheus.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use metrics::{BYTES, Counter, EVENTS, Histogram, LATENCY, Registry};

use crate::capacity::Shortage;
use crate::context::Context;
use crate::error::AppendError;
use crate::partition;
use crate::write::append::Appender;

/// The outcomes of a batch, as the label `outcome`.
const OUTCOMES: [&str; 5] = ["stored", "unknown", "unavailable", "full", "too_large"];

/// The handles of what is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    append_seconds: Histogram,
    batch_events: Histogram,
    batch_bytes: Histogram,
    stored: Counter,
    unknown: Counter,
    unavailable: Counter,
    full: Counter,
    too_large: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        let registry = Registry::new();
        let outcomes = registry.counters(
            "chatting_log_append_batches_total",
            "Batches that this process sent to the log, by outcome.",
            "outcome",
            OUTCOMES,
        );
        Metrics {
            append_seconds: registry.histogram(
                "chatting_log_append_seconds",
                "Time from sending a batch until the log acknowledged it, which includes its fsync, or until its outcome \
                 was known.",
                LATENCY,
            ),
            batch_events: registry.histogram("chatting_log_batch_events", "Events in an appended batch.", EVENTS),
            batch_bytes: registry.histogram("chatting_log_batch_bytes", "Size of an appended batch.", BYTES),
            stored: outcomes.of("stored"),
            unknown: outcomes.of("unknown"),
            unavailable: outcomes.of("unavailable"),
            full: outcomes.of("full"),
            too_large: outcomes.of("too_large"),
            registry,
        }
    }

    /// Counts a batch that was sent to the log.
    pub(crate) fn appended(&self, events: usize, bytes: usize, took: Duration, outcome: Option<AppendError>) {
        self.append_seconds.observe(took.as_secs_f64());
        self.batch_events.observe(events as f64);
        self.batch_bytes.observe(bytes as f64);
        match outcome {
            None => self.stored.inc(),
            Some(AppendError::Unknown) => self.unknown.inc(),
            // A batch in hand is never refused as busy.
            Some(AppendError::Unavailable | AppendError::Busy) => self.unavailable.inc(),
            Some(AppendError::Full) => self.full.inc(),
            Some(AppendError::TooLarge) => self.too_large.inc(),
        }
    }
}

/// Exposes what is counted, and the state of the log as this process knows it.
pub(crate) fn declare(registry: &Registry, context: &Arc<Context>, appenders: &Arc<[Appender]>) {
    registry.include(&context.metrics.registry);
    let weak = || Arc::downgrade(context);
    let log = weak();
    registry.gauge("chatting_log_connected", "Whether this process is connected to NATS.", move || {
        log.upgrade().map_or(0.0, |context| f64::from(context.is_connected()))
    });
    let log = weak();
    registry.read_counter(
        "chatting_log_connects_total",
        "Connections to NATS since the start, the first included.",
        move || {
            let count =
                |context: Arc<Context>| context.jetstream.client().statistics().connects.load(Ordering::Relaxed);
            log.upgrade().map_or(0.0, |context| count(context) as f64)
        },
    );
    let appenders = Arc::clone(appenders);
    registry.gauge("chatting_log_append_queue_events", "Events that wait to be appended.", move || {
        appenders.iter().map(Appender::waiting).sum::<usize>() as f64
    });
    let log = weak();
    registry.gauges(
        "chatting_log_refuses",
        "Whether a partition is so full that the log refuses these events: 1 or 0.",
        "events",
        move || {
            let shortage = log.upgrade().and_then(|context| context.capacity.shortage());
            let (all, messages) = (shortage == Some(Shortage::OfAll), shortage.is_some());
            vec![("all".to_owned(), all.into()), ("messages".to_owned(), messages.into())]
        },
    );
    declare_streams(registry, weak);
}

/// One value for each stream, from the last answer of NATS. Nothing before the first.
fn declare_streams(registry: &Registry, weak: impl Fn() -> Weak<Context>) {
    let streams = |read: fn(&Context, u32) -> Option<f64>| {
        let log = weak();
        move || {
            let Some(context) = log.upgrade() else { return Vec::new() };
            let value = |partition| Some((partition::stream(partition), read(&context, partition)?));
            (0..context.config.partitions).filter_map(value).collect()
        }
    };
    registry.gauges(
        "chatting_log_stream_bytes",
        "Size of a stream of the log.",
        "stream",
        streams(|context, partition| Some(context.capacity.fill(partition)?.bytes as f64)),
    );
    registry.gauges(
        "chatting_log_stream_max_bytes",
        "Size limit of a stream of the log, nats.max_size.",
        "stream",
        streams(|context, partition| Some(context.capacity.fill(partition)?.max_bytes? as f64)),
    );
    registry.gauges(
        "chatting_log_stream_oldest_timestamp_seconds",
        "When the oldest batch of a stream was stored, since 1970. Absent while the stream is empty.",
        "stream",
        streams(|context, partition| Some(context.capacity.fill(partition)?.oldest?.as_millisecond() as f64 / 1_000.0)),
    );
}
