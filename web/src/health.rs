//! Health checks for an orchestrator: is the process alive, and should it get traffic?

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header::CACHE_CONTROL};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio_util::sync::CancellationToken;

/// `Ok`, or why the role is not ready, in a few words.
pub type Readiness = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// A problem of a role that serves traffic all the same, in a few words.
pub type Notice = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// `GET /livez` 200 while the process serves; `GET /readyz` 200, or 503 with the reason, 503 "stopping" once `stop` is
/// cancelled. The bodies are plain text.
pub fn health(ready: Readiness, stop: CancellationToken) -> Router {
    health_with_notice(ready, Arc::new(|| None), stop)
}

/// The same. With a notice `GET /readyz` still answers 200, "ready" and the notice: traffic is served, and an operator
/// should look.
pub fn health_with_notice(ready: Readiness, notice: Notice, stop: CancellationToken) -> Router {
    let readiness = move || {
        let state = if stop.is_cancelled() { Err("stopping".to_owned()) } else { ready() };
        std::future::ready(match state {
            Ok(()) => answer(StatusCode::OK, notice().map_or("ready".to_owned(), |notice| format!("ready; {notice}"))),
            Err(reason) => answer(StatusCode::SERVICE_UNAVAILABLE, reason),
        })
    };
    Router::new().route("/livez", get(alive)).route("/readyz", get(readiness))
}

/// `GET /livez`.
pub(crate) async fn alive() -> Response {
    answer(StatusCode::OK, "alive".to_owned())
}

fn answer(status: StatusCode, body: String) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    async fn get_status(router: &Router, path: &str) -> StatusCode {
        router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap().status()
    }

    #[tokio::test]
    async fn a_stopping_process_is_alive_but_not_ready() {
        let stop = CancellationToken::new();
        let router = health(Arc::new(|| Ok(())), stop.clone());
        assert_eq!(get_status(&router, "/readyz").await, 200);
        stop.cancel();
        assert_eq!(get_status(&router, "/livez").await, 200);
        assert_eq!(get_status(&router, "/readyz").await, 503);
    }

    #[tokio::test]
    async fn a_process_that_lacks_something_says_what() {
        let router = health(Arc::new(|| Err("no log".to_owned())), CancellationToken::new());
        assert_eq!(get_status(&router, "/livez").await, 200);
        assert_eq!(get_status(&router, "/readyz").await, 503);
    }

    #[tokio::test]
    async fn a_notice_stands_beside_being_ready() {
        let notice: Notice = Arc::new(|| Some("it misses a part".to_owned()));
        let router = health_with_notice(Arc::new(|| Ok(())), notice, CancellationToken::new());
        let answer = router.oneshot(Request::get("/readyz").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
        let body = axum::body::to_bytes(answer.into_body(), 1_000).await.unwrap();
        assert_eq!(body, "ready; it misses a part");
    }
}
