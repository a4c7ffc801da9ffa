//! Spans for an OpenTelemetry collector: which traces are recorded, and their export by OTLP over HTTP. What cannot be
//! exported is dropped and counted: nobody waits for a collector. The crate does not know what a span is about, HTTP
//! handlers or the log.

mod config;
mod encode;
mod exporter;
mod span;
mod tracer;

pub use config::Config;
pub use exporter::{Exporter, probe};
pub use span::{Kind, Span, Value};
pub use tracer::Tracer;
