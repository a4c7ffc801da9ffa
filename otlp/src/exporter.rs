//! Sends ended spans to the collector, many in one request. A request is not repeated: what the collector does not take
//! is dropped and counted. An outage is logged once, and so is its end.

use std::time::Duration;

use conf::{Address, Problem};
use metrics::{Counter, Registry};
use opentelemetry_proto::tonic::resource::v1::Resource;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::encode;
use crate::span::Span;
use crate::tracer::Tracer;

/// 512 spans in a request, as OpenTelemetry's own processors have it.
const MOST_IN_REQUEST: usize = 512;

/// 1 s: spans are seen that soon.
const GATHER: Duration = Duration::from_secs(1);

/// 2 s for the last export of a role that stops.
const LAST_EXPORT: Duration = Duration::from_secs(2);

/// Where spans go.
#[derive(Debug)]
struct Collector {
    client: Client,
    traces: Address,
    headers: HeaderMap,
    timeout: Duration,
}

/// Asks the collector to take an export without spans.
///
/// # Errors
/// Why it does not take it.
pub async fn probe(config: &Config) -> Result<(), String> {
    match Collector::new(config).map_err(|problem| problem.to_string())? {
        Some(collector) => collector.send(Vec::new()).await,
        None => Ok(()),
    }
}

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

    /// Exports until the stop, and then what is left.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut spans = Vec::new();
        // Spans that a dropped wait has gathered stay in `spans`.
        while stop.run_until_cancelled(self.gather(&mut spans)).await.is_some() {
            self.export(std::mem::take(&mut spans)).await;
        }
        let deadline = Instant::now() + LAST_EXPORT;
        loop {
            while spans.len() < MOST_IN_REQUEST
                && let Ok(span) = self.spans.try_recv()
            {
                spans.push(span);
            }
            if spans.is_empty() {
                return;
            }
            let count = spans.len() as u64;
            if timeout_at(deadline, self.export(std::mem::take(&mut spans))).await.is_err() {
                self.dropped.inc_by(count);
            }
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
        match sent {
            Ok(()) => {
                self.exported.inc_by(count);
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("the collector takes spans again");
                }
            }
            Err(error) => {
                self.dropped.inc_by(count);
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(error, "the collector does not take spans, dropping them: {error}");
                }
            }
        }
    }
}

impl Collector {
    fn new(config: &Config) -> Result<Option<Collector>, Problem> {
        let Some(url) = &config.url else { return Ok(None) };
        let headers = config.headers().map_err(|reason| Problem::new("otlp.headers", reason))?;
        // No proxy from the environment, and no redirects: the configuration names the collector.
        let client = Client::builder().redirect(Policy::none()).no_proxy().build();
        let client =
            client.map_err(|error| Problem::new("otlp.url", format!("cannot make an HTTP client: {error}")))?;
        Ok(Some(Collector { client, traces: url.with("/v1/traces"), headers, timeout: config.timeout.get() }))
    }

    async fn send(&self, body: Vec<u8>) -> Result<(), String> {
        let request = self.client.post(self.traces.url().clone()).headers(self.headers.clone()).timeout(self.timeout);
        let answer = request.header(CONTENT_TYPE, "application/x-protobuf").body(body).send().await;
        // An address may hold a secret.
        match answer.map_err(reqwest::Error::without_url) {
            Ok(answer) if answer.status() == StatusCode::OK => Ok(()),
            Ok(answer) => Err(format!("the answer has status {}", answer.status())),
            Err(error) => Err(format!("no answer: {error}")),
        }
    }
}
