//! Serves a router over HTTP/1 so that no peer can hold a resource for ever, or keep it from others. The header, the
//! answer and its reader have deadlines. Connections, and the bytes held for their peers, are bounded and shared as
//! [`FairSlots`] are. New connections and refused requests have a rate for each source. A panic is a 500. After a stop,
//! requests in hand finish within a grace period. Pages of every origin may read every answer. `axum::serve` does none
//! of that: it installs no timer. An upgraded socket no longer counts here: its handler bounds and ends it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::metrics::Registry;
use axum::Router;
use conf::{Size, Span};
use futures_util::{FutureExt as _, TryFutureExt as _};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use runtime::Timers;
use serde::Deserialize;
use socket2::SockRef;
use tls::ServerTls;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::unconstrained;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use self::bounded::{Bounded, answer, with_bounds};
use self::metrics::Metrics;
use crate::fair_slots::{FairSlots, Slot, Source};
use crate::listen::{Listener, is_about_one_connection};
use crate::source_rates::SourceRate;
pub use fast_path::FastPath;
use fast_path::NoFastPath;
pub use header_maps::header_map;
use header_timer::HeaderTimer;
pub use last_resorts::LAST_RESORTS;
use limits::SourceLimits;
use on_wake::OnWake;
use peer::{Paced, Peer};
use socket::Socket;

mod bounded;
mod fast_path;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod head;
mod header_maps;
mod header_timer;
mod last_resorts;
mod limits;
mod metrics;
mod on_wake;
mod peer;
mod request_id;
mod socket;
mod standstill;
#[cfg(test)]
mod tests;

/// Timeouts and bounds of a listener, member `http` of a role's section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServeConfig {
    /// The time for a request's header to arrive, counted from the answer before it. A connection may idle that long.
    pub header_timeout: Span,
    /// The time until an answer begins. Upgraded sockets are exempt.
    pub request_timeout: Span,
    /// The time in which the reader of an answer has to take 16 KB of it, or the rest.
    pub write_timeout: Span,
    /// Concurrent connections, without upgraded ones. More push out those that wait for their peer: an idle one, an
    /// unfinished header or body, an unread answer. Of the address that has most, the one that waits longest goes.
    pub max_connections: usize,
    /// The size of unfinished headers and bodies and of unread large answers, of all connections together. More push
    /// out in the same way.
    pub max_held_size: Size,
    /// New connections of one address, or IPv6 /64. More are reset.
    pub connection_rate: SourceRate,
    /// Answers 4xx to one address, or IPv6 /64. Each further one closes its connection.
    pub refusal_rate: SourceRate,
    /// Networks of proxies: each of their connections counts as its own source.
    #[serde(default)]
    pub proxies: Vec<IpNet>,
    /// The time for work in hand after the stop.
    pub grace: Span,
}

/// 100 ms: accepting fails while no file descriptor is free, and an immediate retry would only burn CPU.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// 32 KB: a token of 8 KB twice, and the headers that gateways add. More gets 431.
const LARGEST_HEADER_BYTES: usize = 32 * 1024;

/// 32 KB each way, and a connection: a header has to fit. hyper's own bound is 400 KB.
const LARGEST_BUFFER_BYTES: usize = LARGEST_HEADER_BYTES;

/// 32 KB of unsent bytes in the kernel: the server learns soon what the peer took, and the rest costs little.
const UNSENT_BYTES: u32 = 32 * 1024;

/// Serves until `stop`, then finishes requests in hand within the grace period. Connect info is `SocketAddr`.
pub async fn serve(listener: impl Into<Listener>, app: Router, config: &ServeConfig, stop: CancellationToken) {
    serve_measured(listener, app, config, stop, &Registry::new()).await;
}

/// The same, with its metrics in that registry. It can be done once for a registry.
pub async fn serve_measured(
    listener: impl Into<Listener>,
    app: Router,
    config: &ServeConfig,
    stop: CancellationToken,
    registry: &Registry,
) {
    serve_with_fast_path(listener, app, NoFastPath, config, stop, registry).await;
}

/// The same, with a fast path beside the router.
pub async fn serve_with_fast_path<F: FastPath>(
    listener: impl Into<Listener>,
    app: Router,
    fast_path: F,
    config: &ServeConfig,
    stop: CancellationToken,
    registry: &Registry,
) {
    let slots = FairSlots::new(config.max_connections.max(1), config.max_held_size.in_memory());
    let metrics = Metrics::declare(registry, &slots);
    serve_in(listener.into(), App { router: app, fast_path }, config, stop, slots, metrics).await;
}

/// What is served.
#[derive(Debug, Clone)]
struct App<F> {
    router: Router,
    fast_path: F,
}

async fn serve_in<F: FastPath>(
    Listener { socket: listener, tls }: Listener,
    app: App<F>,
    config: &ServeConfig,
    stop: CancellationToken,
    slots: Arc<FairSlots>,
    metrics: Arc<Metrics>,
) {
    let app = with_bounds(app, config.request_timeout.get(), metrics.clone());
    let timeouts = Timeouts { header: config.header_timeout.get(), write: config.write_timeout.get() };
    let limits = Arc::new(SourceLimits::new(config));
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    let mut stood_still = standstill::times();
    #[allow(clippy::disallowed_methods, reason = "it ends with this function, also when that is dropped")]
    let _beating = AbortOnDropHandle::new(tokio::spawn(standstill::beat()));

    loop {
        // A stop drops at most a connection that is not served yet.
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(_) if stood_still != standstill::times() => {
                // Whoever connected meanwhile has waited for as long, and its request with it.
                stood_still = standstill::times();
                drop_waiting(&listener);
            }
            Ok((stream, peer)) => {
                let source = limits.source(peer.ip());
                if !limits.admits(source, peer.ip()) {
                    metrics.refused.inc();
                    limits::reset(stream);
                    continue;
                }
                let slot = tokio::select! {
                    () = stop.cancelled() => break,
                    slot = slots.acquire_when_free(source) => slot,
                };
                metrics.accepted.inc();
                let origin = Origin { address: peer, source, limits: limits.clone() };
                let accepted = Accepted { stream, tls: tls.clone(), slot, stood_still };
                let connection = connection(accepted, origin, app.clone(), timeouts, stop.clone());
                let cut = cut.clone();
                connections.spawn(async move {
                    // The cut drops the connection, as it should.
                    tokio::select! {
                        biased;
                        () = OnWake::new(cut.cancelled()) => {}
                        () = connection => {}
                    }
                });
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections: {error}");
                // File descriptors may have run out: this frees one.
                slots.evict_one();
                sleep(ACCEPT_BACKOFF).await;
            }
        }
    }

    drop(listener);
    connections.close();
    if timeout(config.grace.get(), connections.wait()).await.is_err() {
        let left = connections.len();
        tracing::warn!(connections = left, "cutting {left} connections that did not finish within the grace period");
        cut.cancel();
        connections.wait().await;
    }
}

/// Drops every connection that waits to be accepted. Unconstrained: tokio otherwise makes a task pause after 128
/// accepts, and the connections behind them would count as new ones.
fn drop_waiting(listener: &TcpListener) {
    while let Some(Ok(_)) = unconstrained(listener.accept()).now_or_never() {}
}

/// For what only the peer can do.
#[derive(Debug, Clone, Copy)]
struct Timeouts {
    header: Duration,
    write: Duration,
}

/// Where a connection comes from, and what that source may do.
#[derive(Debug)]
struct Origin {
    address: SocketAddr,
    source: Source,
    limits: Arc<SourceLimits>,
}

/// In the extensions of a request that came on a connection from before the last standstill.
#[derive(Debug, Clone, Copy)]
struct Stale;

/// A new connection.
struct Accepted {
    stream: TcpStream,
    /// None: it is plain.
    tls: Option<Arc<ServerTls>>,
    slot: Slot,
    /// How often the process had stood still before.
    stood_still: u16,
}

async fn connection<F: FastPath>(
    Accepted { stream, tls, slot, stood_still }: Accepted,
    Origin { address, source, limits }: Origin,
    app: Bounded<F>,
    timeouts: Timeouts,
    stop: CancellationToken,
) {
    // Answers are small: Nagle's algorithm would only delay them.
    let options = stream.set_nodelay(true).and_then(|()| SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES));
    if let Err(error) = options {
        tracing::debug!(%error, peer = %address, "cannot set the options of the socket of {address}: {error}");
    }
    let (peer, deadlines, metrics) = (Peer::new(slot), Timers::default(), app.metrics.clone());
    let stream = Paced::new(stream, peer.clone(), timeouts.write);
    let socket = match &tls {
        None => Socket::Plain(stream),
        // Boxed, so that a plain connection has no room for it.
        Some(tls) => match Box::pin(socket::encrypted(tls, stream, address, &peer, &metrics, &stop)).await {
            Some(socket) => socket,
            None => return,
        },
    };
    let service = service_fn({
        let peer = peer.clone();
        move |request: hyper::Request<Incoming>| {
            peer.asks();
            let stale = (standstill::times() != stood_still).then_some(Stale);
            let limits = limits.clone();
            let id = app.request_ids.of(request.headers());
            // Not an async block, which would keep the future twice.
            let answer = answer(request, address, stale, app.clone(), deadlines.clone(), peer.clone());
            id.scope(answer.map_ok(move |mut response| {
                limits.count(source, &mut response);
                response
            }))
        }
    });
    let connection = http1::Builder::new()
        .timer(HeaderTimer::default())
        .header_read_timeout(timeouts.header)
        // A peer that has said all it has to say may still listen, and work that was begun is not dropped half-way
        // because its peer went away.
        .half_close(true)
        .max_header_size(LARGEST_HEADER_BYTES)
        .max_buf_size(LARGEST_BUFFER_BYTES)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    tokio::pin!(connection);
    // A connection that has to go does not work on a request. The others are polled by reference and go on after a
    // stop: nothing is lost.
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = OnWake::new(peer.has_to_go()) => {
            metrics.pushed_out.inc();
            tracing::debug!(peer = %address, "closed a connection of {address} because another one needed its slot");
            return;
        }
        () = OnWake::new(stop.cancelled()) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    peer.leaves();
    if let Err(error) = ended {
        tracing::debug!(%error, peer = %address, "connection of {address} ended: {error}");
    }
}
