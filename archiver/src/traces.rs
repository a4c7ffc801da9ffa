//! The spans of a write into MongoDB: one for each event whose trace is sampled, from its arrival to the majority
//! commit, and one for the write that they share, which links to all of them.

use std::time::SystemTime;

use chat::EventId;
use nats::Entry;
use otlp::{Kind, Span, Tracer};

/// 128 links of a write, as OpenTelemetry's own limit has it; the spans of further events stay without.
const MOST_LINKS: usize = 128;

/// The spans of the sampled events of a write.
#[derive(Debug, Default)]
pub(crate) struct Traces(Vec<Span>);

impl Traces {
    /// An event of the write has come.
    pub(crate) fn note(&mut self, tracer: &Tracer, entry: &Entry) {
        if let (Some(parent), true) = (entry.trace, tracer.is_on()) {
            self.0.push(begin(parent, entry.id));
        }
    }

    /// The write of that many events began then, and has been committed.
    pub(crate) fn committed(self, tracer: &Tracer, began: SystemTime, events: usize) {
        let mut spans = self.0.into_iter();
        let Some(first) = spans.next() else { return };
        let write = Span::below(first.context(), Kind::Client, "write chat").since(began);
        let mut write = write.with("db.system.name", "mongodb").with("db.operation.batch.size", events);
        let now = SystemTime::now();
        tracer.end_at(first, now);
        for (count, mut span) in spans.enumerate() {
            if count < MOST_LINKS {
                write = write.linked(span.context());
                span = span.linked(write.context());
            }
            tracer.end_at(span, now);
        }
        tracer.end_at(write, now);
    }
}

fn begin(parent: runtime::TraceContext, id: EventId) -> Span {
    Span::below(parent, Kind::Consumer, "archive chat")
        .with("messaging.system", "nats")
        .with("messaging.operation.type", "process")
        .with("messaging.operation.name", "archive")
        .with("messaging.message.id", id.to_string())
}
