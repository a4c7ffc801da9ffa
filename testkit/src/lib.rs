//! Real servers for development, tests, `bench` and `reliability`: nats-server, mongod and the roles' binary, as child
//! processes. The crate finds each program on the PATH or fetches it once, then starts, watches, kills and restarts it.
//! A [`Server`] never outlives its owner. A [`Proxy`] breaks the network between a server and its clients. The crate
//! does not know what the servers are used for. Of the product, only `chatting-server dev` links it.

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

/// An HTTP client of servers on this machine. It ignores the environment's proxies, and does not load the system's
/// certificates, which takes longer than most tests' requests.
pub fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().tls_certs_only([])
}
