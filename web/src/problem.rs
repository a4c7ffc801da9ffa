//! The error body of `/v1`: RFC 9457, `application/problem+json`, with a stable `code` that programs branch on and a
//! plain sentence that people read. Which codes exist is each role's business.

use std::time::Duration;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// An error answer.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    members: Map<String, Value>,
    retry_after: Option<Duration>,
}

impl Problem {
    /// `detail` is a plain sentence for people. It never holds details for the log.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Problem {
        Problem { status, code, detail: detail.into(), members: Map::new(), retry_after: None }
    }

    /// Adds a member beside the standard ones, such as `outcome`.
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Problem {
        self.members.insert(member.to_owned(), value.into());
        self
    }

    /// Adds the header `Retry-After`, in whole seconds, at least 1.
    pub fn retry_after(mut self, delay: Duration) -> Problem {
        self.retry_after = Some(delay);
        self
    }
}

/// The code of a problem, in the extensions of its response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Code(pub(crate) &'static str);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // `about:blank`: the title is that of the status. `code` names the problem.
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
        });
        if let Value::Object(body) = &mut body {
            body.extend(self.members);
        }
        let mut response = (self.status, body.to_string()).into_response();
        response.extensions_mut().insert(Code(self.code));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(delay) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(delay.as_secs().max(1)));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_problem_is_rfc_9457_with_a_code() {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "log_unavailable", "the log cannot be reached")
            .with("outcome", "not_stored")
            .retry_after(Duration::from_millis(300));
        let response = problem.into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        insta::assert_json_snapshot!(serde_json::from_slice::<Value>(&body).unwrap(), @r#"
        {
          "code": "log_unavailable",
          "detail": "the log cannot be reached",
          "outcome": "not_stored",
          "status": 503,
          "title": "Service Unavailable",
          "type": "about:blank"
        }
        "#);
    }
}
