//! Which traces are recorded, how a span ends, and the queue of ended spans.

use std::sync::Arc;
use std::time::SystemTime;

use metrics::Counter;
use runtime::{TraceContext, TraceParent};
use tokio::sync::mpsc;

use crate::span::{Kind, Span};

/// Records spans. Cheap to clone. Without a collector it records nothing.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Option<Arc<Recording>>);

#[derive(Debug)]
struct Recording {
    sample_ratio: f64,
    ended: mpsc::Sender<Span>,
    dropped: Counter,
}

/// The span of work in progress. If the work is dropped, by a deadline or a panic, the span ends then, as failed.
#[derive(Debug)]
pub struct Ongoing<'t> {
    tracer: &'t Tracer,
    context: TraceContext,
    /// None: it has ended.
    span: Option<Span>,
}

impl Tracer {
    /// Records nothing.
    pub fn off() -> Tracer {
        Tracer::default()
    }

    pub(crate) fn recording(sample_ratio: f64, ended: mpsc::Sender<Span>, dropped: Counter) -> Tracer {
        Tracer(Some(Arc::new(Recording { sample_ratio, ended, dropped })))
    }

    /// Whether there is a collector.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The span of a request. The caller decides whether its trace is recorded; without a caller's trace, the sample
    /// ratio does. None: it is not recorded.
    pub fn serve(&self, parent: impl FnOnce() -> Option<TraceParent>, name: &'static str) -> Option<Span> {
        let recording = self.0.as_ref()?;
        match parent() {
            Some(TraceParent { context, is_sampled }) => is_sampled.then(|| Span::below(context, Kind::Server, name)),
            None if fastrand::f64() < recording.sample_ratio => {
                Some(Span::new(fastrand::u128(1..).to_be_bytes(), None, Kind::Server, name))
            }
            None => None,
        }
    }

    /// The span of work that may be dropped.
    pub fn ongoing(&self, span: Span) -> Ongoing<'_> {
        Ongoing { tracer: self, context: span.context(), span: Some(span) }
    }

    /// The span ends now. It is dropped, and counted, if too many wait for their export.
    pub fn end(&self, span: Span) {
        self.end_at(span, SystemTime::now());
    }

    /// The span ended then.
    pub fn end_at(&self, mut span: Span, end: SystemTime) {
        let Some(recording) = &self.0 else { return };
        span.end = end;
        if recording.ended.try_send(span).is_err() {
            recording.dropped.inc();
        }
    }
}

impl Ongoing<'_> {
    /// The span's place in the trace, for what it causes.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// The work is done: the span ends now, with what `result` adds.
    pub fn end(mut self, result: impl FnOnce(Span) -> Span) {
        if let Some(span) = self.span.take() {
            self.tracer.end(result(span));
        }
    }
}

impl Drop for Ongoing<'_> {
    fn drop(&mut self) {
        if let Some(span) = self.span.take() {
            self.tracer.end(span.failed("cancelled"));
        }
    }
}

#[cfg(test)]
mod tests {
    use metrics::Registry;

    use super::*;
    use crate::span::Value;

    fn tracer(sample_ratio: f64) -> (Tracer, mpsc::Receiver<Span>, Counter) {
        let (ended, spans) = mpsc::channel(1);
        let dropped = Registry::new().counter("dropped_total", "Dropped.");
        (Tracer::recording(sample_ratio, ended, dropped.clone()), spans, dropped)
    }

    fn parent(flags: &str) -> Option<TraceParent> {
        TraceParent::parse(&format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}"))
    }

    #[test]
    fn the_caller_decides_and_else_the_ratio() {
        let (never, always) = (tracer(0.0).0, tracer(1.0).0);
        for tracer in [&never, &always] {
            let span = tracer.serve(|| parent("01"), "served").unwrap();
            let caller = parent("01").unwrap().context;
            assert_eq!((span.context.trace, span.parent), (caller.trace, Some(caller.span)));
            assert_ne!(span.context.span, caller.span);
            assert!(tracer.serve(|| parent("00"), "served").is_none());
        }
        assert!(never.serve(|| None, "served").is_none());
        let root = always.serve(|| None, "served").unwrap();
        assert_eq!(root.parent, None);
        assert!(Tracer::off().serve(|| parent("01"), "served").is_none());
    }

    #[test]
    fn a_span_ends_once_and_as_failed_if_its_work_is_dropped() {
        let (tracer, mut spans, _) = tracer(1.0);
        let mut ended = |end: fn(Ongoing)| {
            let span = tracer.serve(|| None, "served").unwrap();
            let context = span.context();
            end(tracer.ongoing(span));
            let ended = spans.try_recv().unwrap();
            assert!(ended.context == context && ended.start <= ended.end && spans.try_recv().is_err());
            (ended.has_failed, ended.attributes)
        };
        let number = |number: i64| ("number", Value::Number(number));
        assert_eq!(ended(|ongoing| ongoing.end(|span| span.with("number", 7_usize))), (false, vec![number(7)]));
        let cancelled = ("error.type", Value::Text("cancelled".to_owned()));
        assert_eq!(ended(|ongoing| drop(ongoing)), (true, vec![cancelled]));
    }

    #[test]
    fn what_does_not_fit_into_the_queue_is_dropped_and_counted() {
        let (tracer, mut spans, dropped) = tracer(1.0);
        for _ in 0..3 {
            tracer.end(tracer.serve(|| None, "served").unwrap());
        }
        assert_eq!(dropped.get(), 2);
        assert!(spans.try_recv().is_ok() && spans.try_recv().is_err());
    }
}
