//! Delivery pushes each room's messages to its presenter's socket, every accepted message once and in order. A node
//! keeps the latest events of all rooms in one window, so that it can take over any room at once. A session is a cursor
//! into the window. Nodes learn of each other from the log alone.

mod config;
mod dialects;
mod error;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod http;
mod members;
mod metrics;
mod node;
mod readers;
mod run;
mod session;
mod traces;
mod visibility;
mod wake;
mod window;

pub use config::{Config, Zone};
pub use error::Error;
pub use run::run;
