//! HTTP that roles share: authentication, the error body, health, the frame of an OpenAPI document, serving with
//! timeouts and a graceful stop, requests to other servers. The crate does not know messages or the log.

mod admin;
pub mod auth;
mod cors;
mod dependencies;
pub mod fair_slots;
mod fetch;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod health;
mod idx;
mod listen;
pub mod openapi;
mod private;
mod problem;
mod serve;
mod source_rates;
mod user_permits;

pub use admin::{Admin, AdminConfig};
pub use fetch::{NoAnswer, answer, with_sources};
pub use health::{Notice, Readiness, health, health_with_notice};
pub use idx::{IDX_BOUNDS, idx};
pub use listen::Listener;
pub use private::Shared;
pub use problem::Problem;
pub use serve::{FastPath, LAST_RESORTS, ServeConfig, header_map, serve, serve_measured, serve_with_fast_path};
pub use source_rates::{SourceRate, SourceRates};
pub use user_permits::{UserPermit, UserPermits};
