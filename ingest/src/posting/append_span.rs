//! The span of an append. The event's batch carries its place in the trace to delivery and to the archiver.

use std::sync::Arc;

use chat::{Event, Position};
use jiff::Timestamp;
use nats::AppendError;
use otlp::{Kind, Span};
use runtime::TraceContext;

use crate::state::Ingest;

impl Ingest {
    /// Appends the event of a post whose trace is sampled.
    pub(super) async fn append_traced(
        &self,
        parent: TraceContext,
        event: Arc<Event>,
        end: Option<Timestamp>,
    ) -> Result<Position, AppendError> {
        let stream = event.presenter.map(|presenter| self.log.stream_of(presenter)).unwrap_or_default();
        let span = Span::below(parent, Kind::Producer, "append chat")
            .with("messaging.system", "nats")
            .with("messaging.operation.type", "send")
            .with("messaging.operation.name", "append")
            .with("messaging.destination.name", stream)
            .with("messaging.message.id", event.id.to_string());
        let ongoing = self.tracer.ongoing(span);
        let appended = ongoing.context().scope(self.log.append_own(event, end)).await;
        ongoing.end(|span| match appended {
            // It names the batch, whose events share one write of the log.
            Ok(position) => span.with("chatting.position", position.to_string()),
            Err(error) => span.failed(word(error)),
        });
        appended
    }
}

fn word(error: AppendError) -> &'static str {
    match error {
        AppendError::Unknown => "unknown",
        AppendError::Full => "full",
        AppendError::Busy => "busy",
        AppendError::Unavailable => "unavailable",
        AppendError::TooLarge => "too_large",
    }
}
