//! The tests that need servers, in one binary. Every test starts its own servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(clippy::disallowed_methods, reason = "a test awaits its tasks, or ends with them")]

mod archive;
mod bad_input;
#[cfg(feature = "browser")]
mod browser;
mod check;
mod clients;
mod config;
mod delivery;
mod deploy;
mod dev;
mod examples;
mod ingest;
mod log;
mod metrics;
mod moderation;
mod openapi;
mod operator;
mod permissions;
mod pipeline;
mod reload;
mod request_ids;
mod restore;
mod roles;
mod support;
mod tidy;
mod tls;
mod traces;
#[cfg(feature = "shared-data")]
mod words;
