//! Which requests the demo answers. Any page in the user's browser can reach a loopback port, and a foreign name can
//! resolve to 127.0.0.1 (DNS rebinding). So the `Host` must be this listener's own, and a request that a browser says
//! comes from another origin is refused. A POST must say that it comes from this page.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
/// What is allowed, and what every answer says.
#[derive(Debug)]
pub(super) struct Guard {
    hosts: [String; 2],
    policy: HeaderValue,
}

/// The addresses that the page may call, besides its own: `host:port`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reachable<'a> {
    pub(super) ingest: &'a str,
    pub(super) delivery: &'a str,
    pub(super) archiver: &'a str,
}

impl Guard {
    /// `port` is the demo's own.
    pub(super) fn new(port: u16, reachable: Reachable<'_>) -> anyhow::Result<Guard> {
        let Reachable { ingest, delivery, archiver } = reachable;
        let policy = format!(
            "default-src 'none'; script-src 'self' http://{delivery}; style-src 'self'; img-src 'self'; \
             connect-src 'self' http://{ingest} ws://{delivery} http://{archiver}; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
        );
        Ok(Guard { hosts: ["127.0.0.1", "localhost"].map(|host| format!("{host}:{port}")), policy: policy.try_into()? })
    }

    fn admits(&self, method: &Method, path: &str, headers: &HeaderMap) -> bool {
        let one = |name: HeaderName| {
            let mut values = headers.get_all(name).iter();
            let value = values.next().map(|value| value.to_str().unwrap_or_default());
            (value, values.next().is_none())
        };
        let (Some(host), true) = one(HOST) else { return false };
        if !self.hosts.iter().any(|own| own == host) {
            return false;
        }
        // A link may lead here from anywhere.
        if method == Method::GET && path == "/" {
            return true;
        }
        let site = match one(HeaderName::from_static("sec-fetch-site")) {
            (None, _) => None,
            // The user entered the address. No page does that.
            (Some("none"), true) if method == Method::GET => Some(true),
            (Some(site), is_only) => Some(site == "same-origin" && is_only),
        };
        let origin = match one(ORIGIN) {
            (None, _) => None,
            (Some(origin), is_only) => Some(origin.strip_prefix("http://") == Some(host) && is_only),
        };
        let is_foreign = site == Some(false) || origin == Some(false);
        let says_where_from = site.is_some() || origin.is_some();
        !is_foreign && (method == Method::GET || says_where_from)
    }
}

pub(super) async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut response = match guard.admits(request.method(), request.uri().path(), request.headers()) {
        true => next.run(request).await,
        false => (StatusCode::FORBIDDEN, "The demo answers only its own page, at its own address.\n").into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, guard.policy.clone());
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(method: Method, headers: &[(&'static str, &'static str)]) -> bool {
        let reachable = Reachable { ingest: "a:1", delivery: "b:2", archiver: "c:3" };
        let guard = Guard::new(8070, reachable).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        guard.admits(&method, "/api/state", &map)
    }

    const HERE: (&str, &str) = ("host", "127.0.0.1:8070");

    #[test]
    fn its_own_page_is_admitted_and_so_is_an_entered_address() {
        assert!(admits(Method::GET, &[HERE]));
        assert!(admits(Method::GET, &[HERE, ("sec-fetch-site", "none")]));
        assert!(admits(Method::GET, &[("host", "localhost:8070"), ("sec-fetch-site", "same-origin")]));
        assert!(admits(Method::POST, &[HERE, ("sec-fetch-site", "same-origin")]));
        assert!(admits(Method::POST, &[HERE, ("origin", "http://127.0.0.1:8070")]));
    }

    #[test]
    fn another_host_is_refused() {
        for host in ["evil.example:8070", "127.0.0.1", "127.0.0.1:8071", "", "127.0.0.1:8070.evil.example"] {
            assert!(!admits(Method::GET, &[("host", host)]), "{host}");
        }
        assert!(!admits(Method::GET, &[]));
        assert!(!admits(Method::GET, &[HERE, HERE]));
    }

    #[test]
    fn a_foreign_page_is_refused() {
        for foreign in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "http://evil.example"),
            ("origin", "null"),
            // Another port of this machine, and the other name of this one.
            ("origin", "http://127.0.0.1:3000"),
            ("origin", "http://localhost:8070"),
            ("origin", "https://127.0.0.1:8070"),
        ] {
            for method in [Method::GET, Method::POST] {
                assert!(!admits(method.clone(), &[HERE, foreign]), "{method} {foreign:?}");
            }
            assert!(!admits(Method::POST, &[HERE, ("sec-fetch-site", "same-origin"), foreign]), "{foreign:?}");
        }
    }

    #[test]
    fn a_post_that_does_not_say_where_it_comes_from_is_refused() {
        assert!(!admits(Method::POST, &[HERE]));
        assert!(!admits(Method::POST, &[HERE, ("sec-fetch-site", "none")]));
    }
}
