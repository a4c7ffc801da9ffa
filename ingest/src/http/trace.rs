//! The span of a post: below the caller's `traceparent`, or the first of a new trace. It has neither the text nor the
//! token nor who posts.

use axum::http::HeaderMap;
use axum::response::Response;
use otlp::Span;
use runtime::TraceParent;

use crate::state::Ingest;

/// The endpoint of a post, as its span names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Endpoint {
    name: &'static str,
    route: &'static str,
}

/// The endpoint of `/v1`.
pub(super) const V1: Endpoint =
    Endpoint { name: "POST /v1/rooms/{presenterIdx}/messages", route: "/v1/rooms/{presenterIdx}/messages" };

/// The endpoint of the original.
pub(super) const ORIGINAL: Endpoint = Endpoint { name: "POST /send/message", route: "/send/message" };

/// The span of a post with these headers, if its trace is sampled. Boxed: few posts have one, and a post is moved
/// several times.
pub(super) fn begin(ingest: &Ingest, headers: &HeaderMap, endpoint: Endpoint) -> Option<Box<Span>> {
    let Endpoint { name, route } = endpoint;
    let span = ingest.tracer.serve(|| parent(headers), name)?;
    Some(Box::new(span.with("http.request.method", "POST").with("http.route", route)))
}

/// Answers a post in its span.
pub(super) async fn traced(ingest: &Ingest, span: Box<Span>, answer: impl Future<Output = Response>) -> Response {
    let ongoing = ingest.tracer.ongoing(*span);
    let response = ongoing.context().scope(answer).await;
    let status = response.status();
    ongoing.end(|span| {
        let span = span.with("http.response.status_code", status.as_u16());
        // A caller's mistake is no error of the server.
        if status.is_server_error() { span.failed(status.as_str()) } else { span }
    });
    response
}

/// Answers a post, in its span if its trace is sampled.
pub(super) async fn answer(
    ingest: &Ingest,
    headers: &HeaderMap,
    endpoint: Endpoint,
    answer: impl Future<Output = Response>,
) -> Response {
    match begin(ingest, headers, endpoint) {
        None => answer.await,
        Some(span) => traced(ingest, span, answer).await,
    }
}

/// A header that is there twice, or not as W3C has it, counts as none.
fn parent(headers: &HeaderMap) -> Option<TraceParent> {
    let mut values = headers.get_all("traceparent").iter();
    match (values.next(), values.next()) {
        (Some(value), None) => TraceParent::parse(value.to_str().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_has_one_traceparent_or_none() {
        let example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent_of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("traceparent", value.parse().unwrap());
            }
            parent(&headers).map(|parent| parent.context.to_string())
        };
        assert_eq!(parent_of(&[example]).as_deref(), Some(example));
        for values in [&[][..], &[example, example], &["garbage"]] {
            assert_eq!(parent_of(values), None, "{values:?}");
        }
    }
}
