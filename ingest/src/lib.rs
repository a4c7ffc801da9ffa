//! Ingest: checks a sender and appends the message to the log.
#![allow(missing_docs, reason = "stub")]

#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default = "listen")]
    pub listen: std::net::SocketAddr,
    #[serde(skip, default = "http")]
    pub http: web::ServeConfig,
}

fn listen() -> std::net::SocketAddr {
    ([127, 0, 0, 1], 8080).into()
}

fn http() -> web::ServeConfig {
    web::ServeConfig { header_timeout_ms: 5_000, request_timeout_ms: 30_000, max_connections: 1_000, grace_ms: 10_000 }
}

#[derive(Debug, thiserror::Error)]
#[error("stub")]
pub struct Error;

pub async fn run(
    _config: Config,
    _auth: std::sync::Arc<web::auth::Verifier>,
    _listener: tokio::net::TcpListener,
    _log: nats::Log,
    _stop: tokio_util::sync::CancellationToken,
) -> Result<(), Error> {
    todo!()
}
