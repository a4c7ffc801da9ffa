//! The servers that development and the tests start for themselves: nats-server, mongod and this binary's own roles, as
//! child processes. Found on the PATH or fetched once, started, watched, killed, started again. It promises that a
//! [`Server`] never outlives its owner, and deliberately does not know what the servers are used for.

mod fetch;
mod mongod;
mod nats_server;
pub mod port;
mod program;
mod proxy;
mod room_server;
mod server;

pub use fetch::starting;
pub use mongod::mongod;
pub use nats_server::{Member, nats_cluster, nats_server};
pub use program::{Program, Running, Stopped};
pub use proxy::{Direction, Proxy};
pub use room_server::room_server;
pub use server::{Ready, Server};
