//! The protobuf of an export and of its answer.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
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

/// How many spans of an export the answer rejects. 0 if it is not one.
pub(crate) fn rejected(answer: &[u8]) -> u64 {
    let rejected = ExportTraceServiceResponse::decode(answer).ok().and_then(|answer| answer.partial_success);
    rejected.and_then(|rejected| rejected.rejected_spans.try_into().ok()).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;

    #[test]
    fn an_answer_rejects_spans_only_if_it_says_so() {
        let answer = |rejected_spans| {
            let partial = ExportTracePartialSuccess { rejected_spans, error_message: "too many".to_owned() };
            ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        };
        assert_eq!((rejected(&answer(7)), rejected(&answer(0)), rejected(&answer(-7))), (7, 0, 0));
        assert_eq!((rejected(b""), rejected(b"{}"), rejected(b"<html>")), (0, 0, 0));
    }

    #[test]
    fn a_span_without_a_parent_has_an_empty_one_and_one_that_ended_before_it_began_takes_no_time() {
        let begun = Span::new([1; 16], None, Kind::Server, "served");
        let (start, context) = (begun.start, begun.context);
        let span = proto(Span { end: UNIX_EPOCH, ..begun });
        assert_eq!((span.trace_id, span.span_id), (vec![1; 16], context.span.to_vec()));
        assert_eq!((span.parent_span_id, span.status), (Vec::new(), None));
        assert_eq!([span.start_time_unix_nano, span.end_time_unix_nano], [nanoseconds(start); 2]);
        let failed = proto(Span::below(context, Kind::Client, "written").failed("503"));
        assert_eq!((failed.parent_span_id, failed.status.unwrap().code()), (context.span.to_vec(), StatusCode::Error));
    }
}
