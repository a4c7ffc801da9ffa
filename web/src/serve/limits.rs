//! What one source may cost a listener before it has shown a token: new connections, and answers that refuse a request.
//! Both are counted per source, so that a flood of one ends at its own limit. Requests over an open connection that are
//! not refused have no limit here: roles limit them by user.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;
use ipnet::IpNet;
use parking_lot::Mutex;
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::fair_slots::Source;
use crate::serve::ServeConfig;
use crate::source_rates::{SourceRate, SourceRates};

/// A minute: a flood would otherwise fill the log.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// The limits of a listener.
#[derive(Debug)]
pub(super) struct SourceLimits {
    proxies: Vec<IpNet>,
    rate: SourceRate,
    connections: SourceRates,
    refusals: SourceRates,
    warned: Mutex<Option<Instant>>,
}

impl SourceLimits {
    pub(super) fn new(config: &ServeConfig) -> SourceLimits {
        SourceLimits {
            proxies: config.proxies.clone(),
            rate: config.connection_rate,
            connections: SourceRates::new(config.connection_rate),
            refusals: SourceRates::new(config.refusal_rate),
            warned: Mutex::default(),
        }
    }

    pub(super) fn source(&self, peer: IpAddr) -> Source {
        Source::of_peer(peer, &self.proxies)
    }

    /// Whether the source may have another connection now.
    pub(super) fn admits(&self, source: Source, peer: IpAddr) -> bool {
        let admits = self.connections.spend(source);
        if !admits && self.is_time_to_warn() {
            let SourceRate { count, seconds } = self.rate;
            tracing::warn!(
                %peer,
                "{peer} opens more than {count} connections in {seconds} s, and loses the rest: if it is a proxy or a \
                 gateway, list its network in http.proxies; otherwise see http.connection_rate"
            );
        }
        admits
    }

    /// Counts an answer. Beyond the rate of refusals its connection ends with it, so that the next request costs the
    /// source a new connection.
    pub(super) fn count<B>(&self, source: Source, response: &mut Response<B>) {
        if response.status().is_client_error() && !self.refusals.spend(source) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }

    fn is_time_to_warn(&self) -> bool {
        let mut warned = self.warned.lock();
        let is_time = warned.is_none_or(|at| at.elapsed() >= WARN_EVERY);
        if is_time {
            *warned = Some(Instant::now());
        }
        is_time
    }
}

/// Resets a connection. To serve it later would keep what its peer sends meanwhile in memory, and to close it in order
/// would keep our side of it in the kernel for a minute.
pub(super) fn reset(stream: TcpStream) {
    if let Err(error) = SockRef::from(&stream).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%error, "cannot reset a connection, and closes it: {error}");
    }
}
