//! TLS of a role: certificates and keys in PEM files, read with errors that name the setting and the file, and read
//! again when they are renewed. Listeners accept connections with them. The clients of NATS and MongoDB bring TLS of
//! their own; of their handshakes this crate says what is wrong. The cryptography is that of aws-lc-rs.

mod authorities;
mod client;
mod fault;
mod pair;
mod server;

pub use authorities::read_authorities;
pub use client::ClientCertificate;
pub use fault::Fault;
pub use pair::Pair;
pub use server::{HandshakeError, ServerConfig, ServerTls};
pub use tokio_rustls::server::TlsStream;
