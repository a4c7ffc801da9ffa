//! What two roles need and that mentions HTTP: authentication, the error body, health, the frame of an OpenAPI document,
//! serving with timeouts and a graceful stop, asking other servers. Nothing else is admitted; rooms, messages and the log are unknown here.

mod admin;
pub mod auth;
mod cors;
mod digest;
mod fetch;
pub mod gateway;
mod health;
mod idx;
pub mod openapi;
pub mod places;
mod private;
mod problem;
mod serve;
mod shares;

pub use admin::{Admin, AdminConfig};
pub use digest::{ContentDigest, InvalidDigest};
pub use fetch::{NoAnswer, answer};
pub use health::{Notice, Readiness, health, health_with_notice};
pub use idx::{IDX_BOUNDS, LARGEST_IDX, idx};
pub use private::Shared;
pub use problem::Problem;
pub use serve::{LAST_RESORTS, ServeConfig, serve};
pub use shares::{Share, Shares};
