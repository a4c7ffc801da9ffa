//! The formats of a line: those of `tracing`. The last fields are the id of the request that caused the line, and that
//! of its trace if it is sampled.

use std::fmt;

use runtime::{RequestId, TraceContext};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{DefaultFields, Format, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The fields of a line of text.
#[derive(Debug)]
pub(super) struct TextFields(pub(super) DefaultFields);

impl<'w> FormatFields<'w> for TextFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        self.0.format_fields(writer.by_ref(), fields)?;
        if let Some(id) = RequestId::current() {
            write!(writer, " request_id={id}")?;
        }
        match TraceContext::current() {
            Some(span) => write!(writer, " trace_id={}", span.trace_id()),
            None => Ok(()),
        }
    }
}

/// A line of JSON.
#[derive(Debug)]
pub(super) struct JsonLine(pub(super) Format<Json>);

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let (request, span) = (RequestId::current(), TraceContext::current());
        if request.is_none() && span.is_none() {
            return self.0.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        // The format has no place for another member, so it is put before the end of the object.
        writer.write_str(line.trim_end().strip_suffix('}').ok_or(fmt::Error)?)?;
        if let Some(id) = request {
            write!(writer, ",\"request_id\":{}", serde_json::Value::from(id.to_string()))?;
        }
        if let Some(span) = span {
            write!(writer, ",\"trace_id\":\"{}\"", span.trace_id())?;
        }
        writeln!(writer, "}}")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tempfile::NamedTempFile;
    use tracing::subscriber::with_default;

    use super::*;

    const SPAN: TraceContext = TraceContext { trace: [0xab; 16], span: [0xcd; 8] };
    const TRACE: &str = "abababababababababababababababab";

    /// What is written of one line inside a request, one inside its span, one inside a span alone and one outside.
    fn written(subscriber: impl Subscriber + Send + Sync + 'static, file: &NamedTempFile) -> [String; 4] {
        with_default(subscriber, || {
            let request = RequestId::given(br#"a"\b"#).unwrap();
            request.in_scope(|| tracing::warn!(code = "c", "refused"));
            request.in_scope(|| SPAN.in_scope(|| tracing::warn!("traced")));
            SPAN.in_scope(|| tracing::warn!("span alone"));
            tracing::warn!("outside");
        });
        let written = std::fs::read_to_string(file.path()).unwrap();
        written.lines().map(str::to_owned).collect::<Vec<_>>().try_into().unwrap()
    }

    #[test]
    fn a_line_of_json_has_the_request_and_the_trace_that_caused_it() {
        let file = NamedTempFile::new().unwrap();
        let lines = tracing_subscriber::fmt().with_writer(Arc::new(file.reopen().unwrap()));
        let lines = written(lines.json().flatten_event(true).map_event_format(JsonLine).finish(), &file);
        let lines = lines.map(|line| serde_json::from_str::<serde_json::Value>(&line).unwrap());
        let (request, trace) = (Some(r#"a"\b"#), Some(TRACE));
        let expected = [
            ("refused", request, None),
            ("traced", request, trace),
            ("span alone", None, trace),
            ("outside", None, None),
        ];
        for (line, (message, request, trace)) in lines.iter().zip(expected) {
            let text = |member: &str| line.get(member).map(|value| value.as_str().unwrap());
            assert_eq!((text("message"), text("request_id"), text("trace_id")), (Some(message), request, trace));
        }
    }

    #[test]
    fn a_line_of_text_has_the_request_and_the_trace_that_caused_it() {
        let file = NamedTempFile::new().unwrap();
        let lines = tracing_subscriber::fmt().with_writer(Arc::new(file.reopen().unwrap())).with_ansi(false);
        let lines = written(lines.map_fmt_fields(TextFields).finish(), &file);
        let traced = format!(r#" traced request_id=a"\b trace_id={TRACE}"#);
        let alone = format!(" span alone trace_id={TRACE}");
        for (line, end) in lines.iter().zip([r#" refused code="c" request_id=a"\b"#, &traced, &alone, " outside"]) {
            assert!(line.ends_with(end), "{line}");
        }
    }
}
