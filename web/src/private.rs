//! Headers of every answer, so that no handler can forget them: caches keep nothing private, browsers guess no content
//! type, and a 401 says how to authenticate.

use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderName, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use crate::auth;

/// In the extensions of an answer: the body is part of the program, equal for everyone, and costs no memory.
#[derive(Debug, Clone, Copy)]
pub struct Shared;

/// Without a token: RFC 6750, section 3.1, wants no error code then.
const CHALLENGE: &str = r#"Bearer realm="chatting-server""#;

/// With a token that was refused.
const INVALID: &str = r#"Bearer realm="chatting-server", error="invalid_token""#;

/// The layer around a router.
pub(crate) async fn mark(request: Request, next: Next) -> Response {
    // The handler takes the request. A value is cheap to clone, and only a 401 needs to look for a token in it.
    let [own, authorization] = [HeaderName::from_static("token"), AUTHORIZATION].map(|name| {
        let mut values = request.headers().get_all(name).iter().cloned();
        [values.next(), values.next()]
    });
    let has_token = || {
        let token = auth::token_in(own.iter().flatten(), authorization.iter().flatten());
        !matches!(token, Err(auth::TokenError::Missing))
    };
    marked(next.run(request).await, has_token)
}

/// Marks an answer as private unless it has a cache policy of its own.
pub(crate) fn marked(mut response: Response, has_token: impl FnOnce() -> bool) -> Response {
    let status = response.status();
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        let challenge = if has_token() { INVALID } else { CHALLENGE };
        headers.entry(WWW_AUTHENTICATE).or_insert(HeaderValue::from_static(challenge));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt;

    async fn answer(path: &str, token: Option<&str>) -> Response {
        let app = Router::new()
            .route("/private", get(async || "7"))
            .route("/public", get(async || ([(CACHE_CONTROL, "public, max-age=300")], "{}")))
            .route("/refused", get(async || StatusCode::UNAUTHORIZED))
            .layer(from_fn(mark));
        let request = token.into_iter().fold(Request::get(path), |request, token| request.header(AUTHORIZATION, token));
        app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn answers_are_not_cacheable_unless_they_say_so() {
        for (path, kept) in [("/private", "no-store"), ("/nowhere", "no-store"), ("/public", "public, max-age=300")] {
            let answer = answer(path, None).await;
            assert_eq!(answer.headers()[CACHE_CONTROL], kept, "{path}");
            assert_eq!(answer.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
            assert!(!answer.headers().contains_key(WWW_AUTHENTICATE), "{path}");
        }
    }

    #[tokio::test]
    async fn a_401_says_how_to_authenticate_and_whether_there_was_a_token() {
        assert_eq!(answer("/refused", None).await.headers()[WWW_AUTHENTICATE], CHALLENGE);
        assert_eq!(answer("/refused", Some("Basic eDp5")).await.headers()[WWW_AUTHENTICATE], CHALLENGE);
        assert_eq!(answer("/refused", Some("Bearer x")).await.headers()[WWW_AUTHENTICATE], INVALID);
    }
}
