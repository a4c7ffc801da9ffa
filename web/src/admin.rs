//! A role's listener for operators: health checks on a port that clients cannot use up and that stays private. It serves
//! from before the log is reached to the end of the role.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use conf::{Size, Span};
use parking_lot::Mutex;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::health::{Notice, Readiness, health_with_notice};
use crate::serve::{ServeConfig, serve};
use crate::source_rates::SourceRate;

/// Member `admin` of a role's section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// The address. Empty: no listener. The binary binds it.
    #[serde(deserialize_with = "optional_address")]
    pub listen: Option<SocketAddr>,
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
    state: Mutex<(Readiness, Notice)>,
    stop: CancellationToken,
}

impl Admin {
    /// For a role that is not ready yet, with the reason.
    pub fn new(reason: &'static str, stop: CancellationToken) -> Arc<Admin> {
        let state: (Readiness, Notice) = (Arc::new(move || Err(reason.to_owned())), Arc::new(|| None));
        Arc::new(Admin { state: Mutex::new(state), stop })
    }

    /// From now on the role reports its readiness itself.
    pub fn follows(&self, ready: Readiness, notice: Notice) {
        *self.state.lock() = (ready, notice);
    }

    /// All paths for operators.
    fn router(self: &Arc<Self>) -> Router {
        let (asked, noticed) = (self.clone(), self.clone());
        let ready: Readiness = Arc::new(move || (asked.state().0)());
        health_with_notice(ready, Arc::new(move || (noticed.state().1)()), self.stop.clone())
    }

    /// Serves until the end of the role, also while it stops.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, ended: CancellationToken) {
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
        serve(listener, self.router(), &config, ended).await;
    }

    fn state(&self) -> (Readiness, Notice) {
        self.state.lock().clone()
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("stop", &self.stop).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Section {
        admin: AdminConfig,
    }

    #[test]
    fn an_address_may_be_empty_and_a_wrong_one_is_refused() {
        let read = |listen: &str| serde_json::from_value::<Section>(serde_json::json!({"admin": {"listen": listen}}));
        assert_eq!(read("").unwrap().admin.listen, None);
        assert_eq!(read("127.0.0.1:9080").unwrap().admin.listen.unwrap().port(), 9080);
        assert!(read("9080").unwrap_err().to_string().contains("an address and a port"));
    }

    #[test]
    fn readiness_is_that_of_the_role_once_there_is_one() {
        let admin = Admin::new("waiting for the log", CancellationToken::new());
        assert_eq!((admin.state().0)(), Err("waiting for the log".to_owned()));
        admin.follows(Arc::new(|| Ok(())), Arc::new(|| Some("look".to_owned())));
        assert_eq!(((admin.state().0)(), (admin.state().1)()), (Ok(()), Some("look".to_owned())));
    }
}
