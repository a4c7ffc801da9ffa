//! Spans for an OpenTelemetry collector: which traces are recorded, and their export by OTLP over HTTP. What cannot be
//! exported is dropped and counted: nobody waits for a collector. The crate does not know what a span is about, HTTP
//! handlers or the log.
//!
//! OTLP's messages come from `opentelemetry-proto`. The rest of OpenTelemetry's SDK is not used, because the SDK counts
//! the spans that it drops in no metric, exports on a thread that no role stops or awaits, and reads `OTEL_` variables
//! beside our configuration. A role needs a span, a sampler and a queue of it, which are the files beside this one.

mod collector;
mod config;
mod encode;
mod exporter;
mod span;
mod tracer;

pub use collector::{Headers, probe};
pub use config::Config;
pub use exporter::Exporter;
pub use span::{Kind, Span, Value};
pub use tracer::{Ongoing, Tracer};
