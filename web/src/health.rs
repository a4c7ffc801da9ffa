//! stub
use tokio_util::sync::CancellationToken;
/// `Ok` or why not, in a few words.
pub type Readiness = std::sync::Arc<dyn Fn() -> Result<(), String> + Send + Sync>;
/// `GET /livez` 200 while the process serves; `GET /readyz` 200, or 503 with the reason, 503 "stopping" once `stop` is cancelled.
pub fn health(_ready: Readiness, _stop: CancellationToken) -> axum::Router {
    todo!()
}
