//! What two roles need and that mentions HTTP: authentication, the error body, health, serving.
#![allow(missing_docs, reason = "stub")]
pub mod auth;
mod health;
mod problem;
mod serve;
pub use health::{Readiness, health};
pub use problem::Problem;
pub use serve::{ServeConfig, serve};
