//! The headers that report a sender's remaining quota (draft-ietf-httpapi-ratelimit-headers).

use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use chat::settings::Rate;

use crate::posting::limits::Quota;

/// Adds `RateLimit-Policy: "room";q=20;w=30` and `RateLimit: "room";r=19;t=2`: in `t` seconds the whole quota is back.
pub(crate) fn with_quota(mut response: Response, quota: Option<Quota>) -> Response {
    let Some(quota) = quota else { return response };
    let Quota { policy, rate: Rate { messages, seconds }, remaining } = quota;
    let value = |text: String| HeaderValue::from_str(&text).expect("a policy's name and numbers are ASCII");
    let reset = quota.reset_seconds();
    response.headers_mut().extend([
        (HeaderName::from_static("ratelimit-policy"), value(format!("\"{policy}\";q={messages};w={seconds}"))),
        (HeaderName::from_static("ratelimit"), value(format!("\"{policy}\";r={remaining};t={reset}"))),
    ]);
    response
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn a_quota_is_said_as_the_draft_has_it() {
        let said = |remaining| {
            let rate = Rate { messages: 20, seconds: 30 };
            let response = with_quota(().into_response(), Some(Quota { policy: "room", rate, remaining }));
            ["ratelimit-policy", "ratelimit"].map(|name| response.headers()[name].to_str().unwrap().to_owned())
        };
        assert_eq!(said(19), ["\"room\";q=20;w=30", "\"room\";r=19;t=2"]);
        assert_eq!(said(0)[1], "\"room\";r=0;t=30");
        assert_eq!(said(20)[1], "\"room\";r=20;t=0");
    }
}
