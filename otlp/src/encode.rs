//! The protobuf of an export.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as ProtoSpan, Status};
use prost::Message as _;

use crate::span::{Kind, Span, Value};

/// Bit 0: sampled.
const SAMPLED: u32 = 1;

/// The resource of all spans of a process.
pub(crate) fn resource(service_name: &str, instance: &str, version: &str) -> Resource {
    let attributes = [
        ("service.name", service_name),
        ("service.namespace", "chatting"),
        ("service.version", version),
        ("service.instance.id", instance),
    ];
    Resource { attributes: attributes.map(|(name, value)| attribute(name, value.into())).into(), ..Resource::default() }
}

/// The body of an export.
pub(crate) fn export(resource: &Resource, spans: Vec<Span>) -> Vec<u8> {
    let scope = InstrumentationScope { name: "chatting-server".to_owned(), ..InstrumentationScope::default() };
    let spans = spans.into_iter().map(proto).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, schema_url: String::new() }];
    let spans = ResourceSpans { resource: Some(resource.clone()), scope_spans, schema_url: String::new() };
    ExportTraceServiceRequest { resource_spans: vec![spans] }.encode_to_vec()
}

fn proto(span: Span) -> ProtoSpan {
    let Span { context, parent, kind, name, start, end, attributes, links, has_failed } = span;
    let kind = match kind {
        Kind::Internal => SpanKind::Internal,
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
        Kind::Producer => SpanKind::Producer,
        Kind::Consumer => SpanKind::Consumer,
    };
    let links = links.into_iter().map(|link| Link {
        trace_id: link.trace.into(),
        span_id: link.span.into(),
        flags: SAMPLED,
        ..Link::default()
    });
    let error = Status { message: String::new(), code: StatusCode::Error.into() };
    ProtoSpan {
        trace_id: context.trace.into(),
        span_id: context.span.into(),
        parent_span_id: parent.map(Into::into).unwrap_or_default(),
        flags: SAMPLED,
        name: name.to_owned(),
        kind: kind.into(),
        start_time_unix_nano: nanoseconds(start),
        end_time_unix_nano: nanoseconds(end.max(start)),
        attributes: attributes.into_iter().map(|(name, value)| attribute(name, value)).collect(),
        links: links.collect(),
        status: has_failed.then_some(error),
        ..ProtoSpan::default()
    }
}

fn attribute(name: &str, value: Value) -> KeyValue {
    let value = match value {
        Value::Text(text) => any_value::Value::StringValue(text),
        Value::Number(number) => any_value::Value::IntValue(number),
    };
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
