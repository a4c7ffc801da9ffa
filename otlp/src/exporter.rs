//! Sends ended spans to the collector, many in one request. Spans that the collector does not take in time are dropped
//! and counted. An outage is logged once, and so is its end.

use std::pin::pin;
use std::time::Duration;

use conf::Problem;
use metrics::{Counter, Registry};
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::collector::{Collector, Headers};
use crate::config::Config;
use crate::encode;
use crate::span::Span;
use crate::tracer::Tracer;

/// 512 spans in a request, as OpenTelemetry's own processors have it.
const MOST_IN_REQUEST: usize = 512;

/// 1 s: spans are seen that soon.
const GATHER: Duration = Duration::from_secs(1);

/// 2 s for the last exports of a role that stops.
const LAST_EXPORTS: Duration = Duration::from_secs(2);

/// Exports the spans of a tracer.
#[derive(Debug)]
pub struct Exporter {
    collector: Collector,
    resource: Resource,
    spans: mpsc::Receiver<Span>,
    exported: Counter,
    dropped: Counter,
    is_failing: bool,
}

impl Exporter {
    /// The tracer of a role, and the exporter of its spans, which has to run. None: the configuration has no collector.
    ///
    /// # Errors
    /// The setting that cannot work.
    pub fn new(config: &Config, role: &str, registry: &Registry) -> Result<(Tracer, Option<Exporter>), Problem> {
        let spans = registry.counters(
            "chatting_otlp_spans_total",
            "Spans of sampled traces: exported, or dropped because the collector did not take them or the queue was \
             full.",
            "result",
            ["exported", "dropped"],
        );
        let Some(collector) = Collector::new(config)? else { return Ok((Tracer::off(), None)) };
        let (ended, queue) = mpsc::channel(config.queue.max(1));
        let (exported, dropped) = (spans.of("exported"), spans.of("dropped"));
        let tracer = Tracer::recording(config.sample_ratio, ended, dropped.clone());
        let service_name = match config.service_name.as_str() {
            "" => format!("chatting-server-{role}"),
            name => name.to_owned(),
        };
        let instance = format!("{:016x}", fastrand::u64(..));
        let exporter = Exporter {
            collector,
            resource: encode::resource(&service_name, &instance, env!("CARGO_PKG_VERSION")),
            spans: queue,
            exported,
            dropped,
            is_failing: false,
        };
        Ok((tracer, Some(exporter)))
    }

    /// The headers of its exports.
    pub fn headers(&self) -> Headers {
        self.collector.headers()
    }

    /// Exports until the stop, and then what is left, for two seconds at most.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut end = pin!(async {
            stop.cancelled().await;
            sleep(LAST_EXPORTS).await;
        });
        let mut spans = Vec::new();
        loop {
            // Spans that a dropped wait has gathered stay in `spans`.
            let is_stopping = stop.run_until_cancelled(self.gather(&mut spans)).await.is_none();
            if is_stopping {
                self.take_waiting(&mut spans);
                if spans.is_empty() {
                    return;
                }
            }
            let count = spans.len();
            // The end drops an export that may still have been taken: it counts as dropped.
            tokio::select! {
                () = self.export(std::mem::take(&mut spans)) => {}
                () = &mut end => {
                    self.dropped.inc_by((count + self.spans.len()) as u64);
                    return;
                }
            }
        }
    }

    /// Fills a request with spans that wait already.
    fn take_waiting(&mut self, spans: &mut Vec<Span>) {
        while spans.len() < MOST_IN_REQUEST
            && let Ok(span) = self.spans.try_recv()
        {
            spans.push(span);
        }
    }

    /// Waits for a span, and then a little longer for more.
    async fn gather(&mut self, spans: &mut Vec<Span>) {
        if self.spans.recv_many(spans, MOST_IN_REQUEST).await == 0 {
            // Every tracer is gone.
            std::future::pending::<()>().await;
        }
        let until = Instant::now() + GATHER;
        while spans.len() < MOST_IN_REQUEST {
            let room = MOST_IN_REQUEST - spans.len();
            match timeout_at(until, self.spans.recv_many(spans, room)).await {
                Ok(more) if more > 0 => {}
                _ => return,
            }
        }
    }

    async fn export(&mut self, spans: Vec<Span>) {
        let count = spans.len() as u64;
        let sent = self.collector.send(encode::export(&self.resource, spans)).await;
        let (rejected, failure) = match sent {
            Ok(0) => (0, None),
            Ok(rejected) => (rejected.min(count), Some(format!("it rejects {rejected} of {count}"))),
            Err(reason) => (count, Some(reason)),
        };
        self.exported.inc_by(count - rejected);
        self.dropped.inc_by(rejected);
        let was_failing = std::mem::replace(&mut self.is_failing, failure.is_some());
        match failure {
            Some(error) if !was_failing => {
                tracing::warn!(error, "the collector does not take spans, dropping them: {error}");
            }
            None if was_failing => tracing::info!("the collector takes spans again"),
            Some(_) | None => {}
        }
    }
}
