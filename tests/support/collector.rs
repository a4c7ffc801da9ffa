//! A stand-in for an OpenTelemetry collector: it takes OTLP over HTTP and keeps the spans.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use parking_lot::Mutex;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Settings, eventually};

/// Spans come a second after their end.
const PATIENCE: Duration = Duration::from_secs(20);

/// The header that it requires.
const AUTHORIZATION: &str = "Bearer secret-of-the-collector";

/// A received span, with ids as hexadecimal digits.
#[derive(Debug, Clone)]
pub struct Received {
    /// `service.name` of its resource.
    pub service: String,
    pub name: String,
    pub kind: SpanKind,
    pub trace: String,
    pub id: String,
    /// Empty: it is the first of its trace.
    pub parent: String,
    /// The ids of the linked spans.
    pub links: Vec<String>,
    pub attributes: Vec<(String, String)>,
    pub has_failed: bool,
    /// From 1970, in nanoseconds.
    pub start: u64,
    pub end: u64,
}

impl Received {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(attribute, _)| attribute == name).map(|(_, value)| value.as_str())
    }
}

/// How a collector answers an export.
#[derive(Debug, Clone, Copy, Default)]
pub enum Takes {
    #[default]
    All,
    /// All but one span of each export.
    AllButOne,
    /// 503.
    Nothing,
    /// It does not answer.
    Silence,
}

/// `POST /v1/traces`
#[derive(Debug)]
pub struct Collector {
    url: String,
    state: Arc<Exports>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Exports {
    takes: Mutex<Takes>,
    asked: AtomicUsize,
    spans: Mutex<Vec<Received>>,
}

impl Collector {
    pub async fn start() -> Collector {
        let state = Arc::<Exports>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&state));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Collector { url, state, task }
    }

    /// From now on it answers so.
    pub fn takes(&self, takes: Takes) {
        *self.state.takes.lock() = takes;
    }

    /// How many exports have come, taken or not.
    pub fn asked(&self) -> usize {
        self.state.asked.load(Ordering::Relaxed)
    }

    /// Roles send their spans here. Without a caller's trace none begins.
    pub fn settings(&self, settings: Settings) -> Settings {
        settings
            .set("otlp.url", &self.url)
            .set("otlp.headers", &format!("authorization={}", AUTHORIZATION.replace(' ', "%20")))
            .set("otlp.sample_ratio", "0.0")
    }

    pub fn spans(&self) -> Vec<Received> {
        self.state.spans.lock().clone()
    }

    /// Waits for a span of the trace with this name.
    pub async fn span(&self, trace: &str, name: &str) -> Received {
        eventually(&format!("the span {name:?} of {trace}"), PATIENCE, async || {
            self.state.spans.lock().iter().find(|span| span.trace == trace && span.name == name).cloned()
        })
        .await
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(state): State<Arc<Exports>>, headers: HeaderMap, body: Bytes) -> Response {
    state.asked.fetch_add(1, Ordering::Relaxed);
    let takes = *state.takes.lock();
    let rejected = match takes {
        Takes::All => 0,
        Takes::AllButOne => 1,
        Takes::Nothing => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Takes::Silence => std::future::pending().await,
    };
    if headers.get(header::AUTHORIZATION).is_none_or(|value| value != AUTHORIZATION) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if headers.get(header::CONTENT_TYPE).is_none_or(|value| value != "application/x-protobuf") {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    if !headers.contains_key(header::CONTENT_LENGTH) {
        return StatusCode::LENGTH_REQUIRED.into_response();
    }
    let Ok(export) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let spans = received(export);
    let taken = spans.len().saturating_sub(rejected);
    state.spans.lock().extend(spans.into_iter().take(taken));
    let error_message = String::new();
    let partial = ExportTracePartialSuccess { rejected_spans: rejected as i64, error_message };
    let answer = ExportTraceServiceResponse { partial_success: (rejected > 0).then_some(partial) };
    ([(header::CONTENT_TYPE, "application/x-protobuf")], answer.encode_to_vec()).into_response()
}

fn received(export: ExportTraceServiceRequest) -> Vec<Received> {
    let mut received = Vec::new();
    let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for of_resource in export.resource_spans {
        let service = attributes(of_resource.resource.unwrap().attributes);
        let service = service.into_iter().find(|(name, _)| name == "service.name").unwrap().1;
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            received.push(Received {
                service: service.clone(),
                kind: span.kind(),
                has_failed: span.status.as_ref().is_some_and(|status| status.code() == SpanStatus::Error),
                name: span.name,
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
                attributes: attributes(span.attributes),
                start: span.start_time_unix_nano,
                end: span.end_time_unix_nano,
            });
        }
    }
    received
}

fn attributes(attributes: Vec<KeyValue>) -> Vec<(String, String)> {
    let text = |attribute: KeyValue| {
        let value = match attribute.value.unwrap().value.unwrap() {
            any_value::Value::StringValue(text) => text,
            any_value::Value::IntValue(number) => number.to_string(),
            other => panic!("an attribute is text or a number: {other:?}"),
        };
        (attribute.key, value)
    };
    attributes.into_iter().map(text).collect()
}
