//! The formats of a line: those of `tracing`, with the id of the request that caused the line, and that of its
//! trace if it is sampled, as the last fields.

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
        let Some(id) = RequestId::current() else { return self.0.format_event(context, writer, event) };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        // The format has no place for another member, so it is put before the end of the object.
        let members = line.trim_end().strip_suffix('}').ok_or(fmt::Error)?;
        write!(writer, "{members},\"request_id\":{}", serde_json::Value::from(id.to_string()))?;
        if let Some(span) = TraceContext::current() {
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

    /// What is written of one line inside a request and one outside.
    fn written(subscriber: impl Subscriber + Send + Sync + 'static, file: &NamedTempFile) -> Vec<String> {
        with_default(subscriber, || {
            RequestId::given(br#"a"\b"#).unwrap().in_scope(|| tracing::warn!(code = "c", "refused"));
            tracing::warn!("outside");
        });
        std::fs::read_to_string(file.path()).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_line_of_json_has_the_request_that_caused_it() {
        let file = NamedTempFile::new().unwrap();
        let lines = tracing_subscriber::fmt().with_writer(Arc::new(file.reopen().unwrap()));
        let lines = written(lines.json().flatten_event(true).map_event_format(JsonLine).finish(), &file);
        let [inside, outside] = &lines[..] else { panic!("{lines:?}") };
        let inside: serde_json::Value = serde_json::from_str(inside).unwrap();
        assert_eq!((&inside["request_id"], &inside["message"]), (&r#"a"\b"#.into(), &"refused".into()));
        let outside: serde_json::Value = serde_json::from_str(outside).unwrap();
        assert_eq!((outside.get("request_id"), &outside["message"]), (None, &"outside".into()));
    }

    #[test]
    fn a_line_of_text_has_the_request_that_caused_it() {
        let file = NamedTempFile::new().unwrap();
        let lines = tracing_subscriber::fmt().with_writer(Arc::new(file.reopen().unwrap())).with_ansi(false);
        let lines = written(lines.map_fmt_fields(TextFields).finish(), &file);
        let [inside, outside] = &lines[..] else { panic!("{lines:?}") };
        assert!(inside.ends_with(r#" refused code="c" request_id=a"\b"#), "{inside}");
        assert!(outside.ends_with(" outside"), "{outside}");
    }
}
