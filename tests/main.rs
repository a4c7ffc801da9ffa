//! The tests that need servers, in one binary: every one starts its own.

mod archive;
mod bad_input;
mod delivery;
mod dev;
mod ingest;
mod log;
mod pipeline;
mod support;
mod tidy;
