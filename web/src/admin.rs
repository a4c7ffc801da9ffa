//! What operators see of a role: its spans, and its listener for health checks and metrics, on a port that clients
//! cannot use up and that stays private. The listener serves from before the log is reached to the end of the role.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use conf::{Size, Span};
use metrics::Registry;
use otlp::Tracer;
use parking_lot::Mutex;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::dependencies::{Dependencies, Seen};
use crate::health;
use crate::health::{Notice, Readiness};
use crate::listen::Listener;
use crate::serve::{ServeConfig, serve};
use crate::source_rates::SourceRate;

/// Member `admin` of a role's section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// The address. Empty: no listener. The binary binds it.
    #[serde(deserialize_with = "optional_address")]
    pub listen: Option<SocketAddr>,
    /// Its certificate.
    pub tls: tls::ServerConfig,
}

fn optional_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    let address =
        text.parse().map_err(|_| D::Error::custom("must be an address and a port, 127.0.0.1:9080, or empty"))?;
    Ok(Some(address))
}

/// The state of a role for its operators.
pub struct Admin {
    /// What this process is called. Empty: nothing.
    node: String,
    state: Mutex<(Readiness, Notice)>,
    dependencies: Arc<Dependencies>,
    metrics: Registry,
    tracer: Tracer,
    stop: CancellationToken,
}

impl Admin {
    /// For a role of that node that is not ready yet, with the reason.
    pub fn new(node: &str, reason: &'static str, tracer: Tracer, stop: CancellationToken) -> Arc<Admin> {
        let state: (Readiness, Notice) = (Arc::new(move || Err(reason.to_owned())), Arc::new(|| None));
        let (dependencies, metrics) = (Arc::new(Dependencies::default()), Registry::new());
        let admin =
            Arc::new(Admin { node: node.to_owned(), state: Mutex::new(state), dependencies, metrics, tracer, stop });
        admin.declare_metrics();
        admin
    }

    /// The metrics of the role, for parts to declare theirs. `GET /metrics` shows them all.
    pub fn metrics(&self) -> &Registry {
        &self.metrics
    }

    /// Records the role's spans.
    pub fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// From now on the listener tells whether something that the role needs works, since when, and why not. `check` is
    /// asked every second and must not wait. A role can be ready without some of what it needs.
    pub fn depends_on(&self, name: &'static str, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        self.dependencies.add(name, Box::new(check));
    }

    /// From now on the role reports its readiness itself.
    pub fn follows(&self, ready: Readiness, notice: Notice) {
        *self.state.lock() = (ready, notice);
    }

    /// All paths for operators.
    fn router(self: &Arc<Self>) -> Router {
        let (readiness, metrics) = (self.clone(), self.metrics.clone());
        Router::new()
            .route("/livez", get(health::alive))
            .route("/readyz", get(move || std::future::ready(readiness.readyz())))
            .route("/metrics", get(move || std::future::ready(exposed(&metrics))))
    }

    /// Why the role is not ready, or what an operator should know although it is.
    pub fn readiness(&self) -> Result<Option<String>, String> {
        let (ready, notice) = self.state();
        if self.stop.is_cancelled() { Err("stopping".to_owned()) } else { ready().map(|()| notice()) }
    }

    fn readyz(&self) -> impl IntoResponse + use<> {
        let dependencies = self.dependencies.look();
        let (status, mut body) = match self.readiness() {
            Ok(None) if dependencies.iter().all(|dependency| dependency.reason.is_none()) => {
                (StatusCode::OK, json!({ "status": "ready" }))
            }
            // Traffic is served: degraded is not dead.
            Ok(notice) => {
                let reasons: Vec<String> =
                    notice.into_iter().chain(dependencies.iter().filter_map(Seen::name_and_reason)).collect();
                (StatusCode::OK, json!({ "status": "degraded", "reason": reasons.join("; ") }))
            }
            Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "not_ready", "reason": reason })),
        };
        body["node"] = self.node.as_str().into();
        body["dependencies"] = Value::from_iter(dependencies);
        (status, [(CACHE_CONTROL, "no-store")], Json(body))
    }

    fn declare_metrics(self: &Arc<Self>) {
        let admin = Arc::downgrade(self);
        self.metrics.gauge("chatting_ready", "Whether GET /readyz answers 200: 1 or 0.", move || {
            f64::from(admin.upgrade().is_some_and(|admin| admin.readiness().is_ok()))
        });
        let dependencies = self.dependencies.clone();
        self.metrics.gauges(
            "chatting_dependency_up",
            "Whether something that the role needs works: 1 or 0. GET /readyz says since when, and why not.",
            "dependency",
            move || {
                dependencies
                    .look()
                    .into_iter()
                    .map(|seen| (seen.name.to_owned(), seen.reason.is_none().into()))
                    .collect()
            },
        );
    }

    /// Serves until the end of the role, also while it stops.
    pub async fn serve(self: Arc<Self>, listener: Listener, ended: CancellationToken) {
        // A few programs send one request each, and none takes long.
        let config = ServeConfig {
            header_timeout: Span::from_secs(10),
            request_timeout: Span::from_secs(5),
            write_timeout: Span::from_secs(5),
            max_connections: 64,
            max_held_size: Size::from_mib(1),
            connection_rate: SourceRate::UNLIMITED,
            refusal_rate: SourceRate::UNLIMITED,
            proxies: Vec::new(),
            grace: Span::from_millis(500),
        };
        // The server ends, the watch never does; nothing is lost with it.
        tokio::select! {
            () = serve(listener, self.router(), &config, ended) => {}
            never = self.dependencies.watch() => match never {},
        }
    }

    fn state(&self) -> (Readiness, Notice) {
        self.state.lock().clone()
    }
}

fn exposed(metrics: &Registry) -> impl IntoResponse + use<> {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE), (CACHE_CONTROL, "no-store")], metrics.text())
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("stop", &self.stop).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Section {
        admin: AdminConfig,
    }

    #[test]
    fn an_address_may_be_empty_and_a_wrong_one_is_refused() {
        let tls = json!({"cert_file": "", "key_file": "", "handshake_timeout": "10s"});
        let read = |listen: &str| serde_json::from_value::<Section>(json!({"admin": {"listen": listen, "tls": tls}}));
        assert_eq!(read("").unwrap().admin.listen, None);
        assert_eq!(read("127.0.0.1:9080").unwrap().admin.listen.unwrap().port(), 9080);
        assert!(read("9080").unwrap_err().to_string().contains("an address and a port"));
    }

    async fn get_body(admin: &Arc<Admin>, path: &str) -> (StatusCode, String) {
        let request = axum::http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        let answer = admin.router().oneshot(request).await.unwrap();
        let (status, body) = (answer.status(), axum::body::to_bytes(answer.into_body(), 100_000).await.unwrap());
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn an_optional_dependency_makes_the_role_degraded_but_not_unready() {
        let stop = CancellationToken::new();
        let admin = Admin::new("node", "waiting for the log", Tracer::off(), stop.clone());
        let status = async || {
            let (status, body) = get_body(&admin, "/readyz").await;
            let body: Value = serde_json::from_str(&body).unwrap();
            (status.as_u16(), body["status"].as_str().unwrap().to_owned(), body)
        };
        assert!(
            matches!(status().await, (503, word, body) if word == "not_ready" && body["reason"] == "waiting for the log")
        );
        admin.follows(Arc::new(|| Ok(())), Arc::new(|| None));
        assert!(matches!(status().await, (200, word, _) if word == "ready"));
        admin.depends_on("review_hook", || Err("it does not answer".to_owned()));
        let (code, word, body) = status().await;
        assert_eq!((code, word.as_str(), &body["node"]), (200, "degraded", &json!("node")));
        let hook = &body["dependencies"][0];
        assert_eq!((&hook["name"], &hook["state"]), (&json!("review_hook"), &json!("down")));
        assert_eq!(
            (&hook["reason"], &body["reason"]),
            (&json!("it does not answer"), &json!("review_hook: it does not answer"))
        );
        assert!(hook["since"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
        stop.cancel();
        assert!(matches!(status().await, (503, _, body) if body["reason"] == "stopping"));
    }

    #[tokio::test]
    async fn metrics_tell_what_readyz_tells() {
        let admin = Admin::new("node", "waiting for the log", Tracer::off(), CancellationToken::new());
        admin.depends_on("log", || Ok(()));
        let (status, text) = get_body(&admin, "/metrics").await;
        assert_eq!(status, 200);
        assert!(text.contains("\nchatting_ready 0\n"), "{text}");
        assert!(text.contains("\nchatting_dependency_up{dependency=\"log\"} 1\n"), "{text}");
    }

    #[test]
    fn readiness_is_that_of_the_role_once_there_is_one() {
        let admin = Admin::new("node", "waiting for the log", Tracer::off(), CancellationToken::new());
        assert_eq!((admin.state().0)(), Err("waiting for the log".to_owned()));
        admin.follows(Arc::new(|| Ok(())), Arc::new(|| Some("look".to_owned())));
        assert_eq!(((admin.state().0)(), (admin.state().1)()), (Ok(()), Some("look".to_owned())));
    }
}
