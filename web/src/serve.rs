//! Serves a router over HTTP/1 so that no peer can hold a resource for ever: the header has a deadline, the answer has
//! one, connections are bounded, a panic is a 500, and a stop lets the requests in hand finish within a grace period.
//! Pages of every origin may read every answer, whoever makes it: the router, or the last resorts here.
//! `axum::serve` does none of that: it installs no timer. Sockets that were upgraded are their handler's to bound and
//! to end; here they no longer count.

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;

use crate::cors;
use crate::problem::Problem;

#[cfg(test)]
mod tests;

/// Timeouts and bounds of a listener, member `http` of a role's section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServeConfig {
    /// Milliseconds for a request's header to arrive, counted from the answer before it: so long may a connection
    /// also idle.
    pub header_timeout_ms: u64,
    /// Milliseconds until an answer begins (upgraded sockets excepted).
    pub request_timeout_ms: u64,
    /// Connections at once, upgraded ones excepted; more wait in the accept queue.
    pub max_connections: usize,
    /// Milliseconds for work in hand after stop.
    pub grace_ms: u64,
}

/// What [`serve`] answers by itself, on whatever path: status, code and sentence of the problem.
pub const LAST_RESORTS: [(StatusCode, &str, &str); 2] = [PANICKED, TIMED_OUT];

const PANICKED: (StatusCode, &str, &str) =
    (StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong on our side.");

const TIMED_OUT: (StatusCode, &str, &str) =
    (StatusCode::SERVICE_UNAVAILABLE, "timeout", "The answer took too long; it may have had an effect.");

/// 100 ms: accepting fails while file descriptors are used up, and trying again at once would only burn the processor.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// 32 KB: a token of 8 KB twice, and everything else that gateways add. More is answered 431.
const LARGEST_HEADER_BYTES: usize = 32 * 1024;

/// 64 KB each way, and a connection: hyper's own bound is 400 KB.
const LARGEST_BUFFER_BYTES: usize = 64 * 1024;

/// Serves until `stop`, then finishes requests in hand within the grace period. Connect info is `SocketAddr`.
pub async fn serve(listener: TcpListener, app: Router, config: &ServeConfig, stop: CancellationToken) {
    let app = with_bounds(app, Duration::from_millis(config.request_timeout_ms));
    let header_timeout = Duration::from_millis(config.header_timeout_ms);
    let permits = Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS)));
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();

    loop {
        // Dropped by a stop, neither branch loses anything: a permit goes back, a connection is not yet accepted.
        let permit = tokio::select! {
            () = stop.cancelled() => break,
            permit = permits.clone().acquire_owned() => permit.expect("the semaphore is never closed"),
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = connection(stream, peer, app.clone(), header_timeout, stop.clone());
                let cut = cut.clone();
                connections.spawn(async move {
                    let _permit = permit;
                    cut.run_until_cancelled(connection).await;
                });
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections: {error}");
                sleep(ACCEPT_BACKOFF).await;
            }
        }
    }

    drop(listener);
    connections.close();
    if timeout(Duration::from_millis(config.grace_ms), connections.wait()).await.is_err() {
        let left = connections.len();
        tracing::warn!(connections = left, "cutting {left} connections that did not finish within the grace period");
        cut.cancel();
        connections.wait().await;
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    app: Router,
    header_timeout: Duration,
    stop: CancellationToken,
) {
    // Answers are small and wait for nothing: Nagle's algorithm would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, %peer, "cannot set TCP_NODELAY for {peer}: {error}");
    }
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        app.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        // A peer that has said all it has to say may still listen, and work that was begun is not dropped half-way
        // because its peer went away.
        .half_close(true)
        .max_header_size(LARGEST_HEADER_BYTES)
        .max_buf_size(LARGEST_BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    // The first branch is polled by reference and goes on after a stop: nothing is lost.
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "connection of {peer} ended: {error}");
    }
}

fn with_bounds(app: Router, request_timeout: Duration) -> Router {
    let deadline = move |request: Request, next: Next| async move {
        match timeout(request_timeout, next.run(request)).await {
            Ok(response) => response,
            Err(_) => timed_out(),
        }
    };
    app.layer(CatchPanicLayer::custom(panicked)).layer(from_fn(deadline)).layer(cors::open())
}

/// Handlers have deadlines of their own, and know what came of it; this is the last resort.
fn timed_out() -> Response {
    tracing::error!("a request was given up at the last deadline");
    let (status, code, detail) = TIMED_OUT;
    let problem = Problem::new(status, code, detail).with("outcome", "unknown");
    problem.retry_after(Duration::from_secs(1)).into_response()
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic.downcast_ref::<&str>().copied();
    let message = message.or(panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    tracing::error!(panic = message, "a request handler panicked: {message}");
    let (status, code, detail) = PANICKED;
    Problem::new(status, code, detail).with("outcome", "unknown").into_response()
}

/// The peer went away before it was accepted; the listener itself is well.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
