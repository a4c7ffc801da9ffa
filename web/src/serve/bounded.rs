//! Answers one request within its bounds: the deadline, a panic, a valid `Host`, and what all answers together hold.
//! The fast path answers within the same bounds as the router's layers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use hyper::body::Incoming;
use runtime::{RequestId, Timers};
use tokio::time::timeout;
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;

use super::fast_path::{Fast, FastPath};
use super::last_resorts::{host_invalid, panicked, stale, timed_out, unread};
use super::metrics::Metrics;
use super::peer::{Coming, Going, Peer};
use super::request_id::{self, RequestIds};
use super::{App, Stale, head};
use crate::private::Shared;
use crate::{cors, private};

/// 32 KB: a smaller answer is not worth counting.
const LARGE_ANSWER_BYTES: u64 = 32 * 1024;

/// Answers a request, in the scope of its id.
pub(super) async fn answer<F: FastPath>(
    request: hyper::Request<Incoming>,
    address: SocketAddr,
    stale: Option<Stale>,
    app: Bounded<F>,
    deadlines: Timers,
    peer: Arc<Peer>,
) -> Result<hyper::Response<Going>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = Body::new(Coming::new(body, peer.clone()));
    let mut response = match app.fast_path.route(&parts.method, &parts.uri) {
        Some(route) => {
            let request = Fast { route, parts, body, peer: address, stale };
            request.answered(&app.fast_path, app.request_timeout, &deadlines).await
        }
        None => Box::pin(routed(app.router, Request::from_parts(parts, body), address, stale)).await,
    };
    let size = response.body().size_hint().exact().unwrap_or(0);
    let is_shared = response.extensions().get::<Shared>().is_some();
    if size > LARGE_ANSWER_BYTES && !is_shared && !peer.makes(usize::try_from(size).unwrap_or(usize::MAX)) {
        tracing::warn!("an answer was dropped: too many bytes of others wait for their readers");
        response = unread();
    }
    if let Some(id) = RequestId::current() {
        request_id::add(&id, response.headers_mut());
    }
    app.metrics.answered(&response);
    Ok(response.map(|body| Going::new(body, peer)))
}

/// What is served, within its bounds, and counted.
#[derive(Debug, Clone)]
pub(super) struct Bounded<F> {
    /// With all layers.
    pub(super) router: Router,
    fast_path: F,
    request_timeout: Duration,
    pub(super) metrics: Arc<Metrics>,
    pub(super) request_ids: Arc<RequestIds>,
}

pub(super) async fn routed(
    router: Router,
    mut request: Request,
    address: SocketAddr,
    stale: Option<Stale>,
) -> Response {
    request.extensions_mut().insert(ConnectInfo(address));
    if let Some(stale) = stale {
        request.extensions_mut().insert(stale);
    }
    let Ok(response) = router.oneshot(request).await;
    response
}

pub(super) fn with_bounds<F>(app: App<F>, request_timeout: Duration, metrics: Arc<Metrics>) -> Bounded<F> {
    let App { router, fast_path } = app;
    let deadline = move |request: Request, next: Next| async move {
        match timeout(request_timeout, next.run(request)).await {
            Ok(response) => response,
            Err(_) => timed_out(),
        }
    };
    let router = router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(deadline))
        .layer(from_fn(without_stale))
        .layer(cors::open())
        .layer(from_fn(with_host))
        .layer(from_fn(private::mark));
    Bounded { router, fast_path, request_timeout, metrics, request_ids: Arc::new(RequestIds::new()) }
}

async fn with_host(request: Request, next: Next) -> Response {
    match head::check_host(request.version(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(wrong) => host_invalid(wrong),
    }
}

async fn without_stale(request: Request, next: Next) -> Response {
    if request.extensions().get::<Stale>().is_some() { stale() } else { next.run(request).await }
}
