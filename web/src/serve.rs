//! stub
use tokio_util::sync::CancellationToken;
/// Timeouts and bounds of a listener, member `http` of a role's section.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServeConfig {
    /// Milliseconds for a request's header to arrive.
    pub header_timeout_ms: u64,
    /// Milliseconds for a whole answer (upgraded sockets excepted).
    pub request_timeout_ms: u64,
    /// Connections at once; more wait in the accept queue.
    pub max_connections: usize,
    /// Milliseconds for work in hand after stop.
    pub grace_ms: u64,
}
/// Serves until `stop`, then finishes requests in hand within the grace period. Connect info is `SocketAddr`.
pub async fn serve(
    _listener: tokio::net::TcpListener,
    _app: axum::Router,
    _config: &ServeConfig,
    _stop: CancellationToken,
) {
    todo!()
}
