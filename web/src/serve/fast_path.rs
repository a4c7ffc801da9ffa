//! The fast path: requests that are so frequent that the router and its layers would cost more than the work itself.
//! They are answered by one plain function, within the same bounds and with the same headers as all others.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::header::CONTENT_LENGTH;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Uri};
use axum::response::Response;
use futures_util::FutureExt as _;
use runtime::Timers;
use tokio::time::Instant;

use super::last_resorts::{self, host_invalid, panicked, timed_out};
use super::{Stale, header_maps};
use crate::auth::{self, TokenError};
use crate::serve::head;
use crate::{cors, private};

#[cfg(test)]
mod tests;

/// Answers some requests in place of the router.
pub trait FastPath: Clone + Send + Sync + 'static {
    /// What method and path say of a request that it answers.
    type Route: Send;

    /// None: the router answers.
    fn route(&self, method: &Method, uri: &Uri) -> Option<Self::Route>;

    /// The answer, as the router's handler gives it. `peer` is the address of the TCP peer. A connection's task has
    /// room for this future, which is moved several times before it is polled: it should be small.
    fn answer(
        &self,
        route: Self::Route,
        parts: &Parts,
        body: Body,
        peer: SocketAddr,
    ) -> impl Future<Output = Response> + Send;
}

/// The router answers everything.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoFastPath;

impl FastPath for NoFastPath {
    type Route = Infallible;

    fn route(&self, _method: &Method, _uri: &Uri) -> Option<Infallible> {
        None
    }

    async fn answer(&self, route: Infallible, _parts: &Parts, _body: Body, _peer: SocketAddr) -> Response {
        match route {}
    }
}

/// A request of the fast path.
pub(super) struct Fast<R> {
    pub(super) route: R,
    pub(super) parts: Parts,
    pub(super) body: Body,
    pub(super) peer: SocketAddr,
    pub(super) stale: Option<Stale>,
}

impl<R> Fast<R> {
    /// The answer, with everything that the router's layers would add to it. `deadlines` serves one connection.
    pub(super) async fn answered(self, by: &impl FastPath<Route = R>, time: Duration, deadlines: &Timers) -> Response {
        let Fast { route, parts, body, peer, stale } = self;
        let response = match head::check_host(parts.version, &parts.headers) {
            Err(wrong) => host_invalid(wrong),
            Ok(()) => {
                let mut response = match stale {
                    Some(Stale) => last_resorts::stale(),
                    None => {
                        let answer = AssertUnwindSafe(by.answer(route, &parts, body, peer)).catch_unwind();
                        // The deadline drops the answer, as it should. The answer loses nothing with the deadline.
                        tokio::select! {
                            biased;
                            answer = answer => answer.unwrap_or_else(panicked),
                            () = deadlines.until(Instant::now() + time) => timed_out(),
                        }
                    }
                };
                cors::add(response.headers_mut());
                response
            }
        };
        let has_token = || !matches!(auth::token(&parts.headers), Err(TokenError::Missing));
        let mut response = private::marked(response, has_token);
        if let Some(size) = response.body().size_hint().exact() {
            response.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| decimal(size));
        }
        header_maps::keep(parts.headers);
        response
    }
}

/// As `HeaderValue::from`, which allocates twice.
fn decimal(number: u64) -> HeaderValue {
    HeaderValue::from_str(itoa::Buffer::new().format(number)).expect("digits are visible ASCII")
}
