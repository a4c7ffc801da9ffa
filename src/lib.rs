//! The library behind the binary: the command line, the configuration, the life of a role, and the development
//! commands.

mod certificates;
pub mod check;
pub mod cli;
pub mod config;
mod descriptors;
pub mod dev;
pub mod healthcheck;
pub mod log;
pub mod logging;
mod operator;
pub mod play;
pub mod quarantine;
mod reload;
pub mod roles;
mod service_manager;
pub mod sessions;
pub mod setup;
pub mod signals;
mod terminal;
