//! The headers that report a sender's remaining quota (draft-ietf-httpapi-ratelimit-headers).

use axum::body::Bytes;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use chat::settings::Rate;

use crate::posting::limits::Quota;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Adds `RateLimit-Policy: "room";q=20;w=30` and `RateLimit: "room";r=19;t=2`: in `t` seconds the whole quota is back.
pub(crate) fn with_quota(mut response: Response, quota: Option<Quota>) -> Response {
    let Some(quota) = quota else { return response };
    let Quota { policy, rate: Rate { messages, seconds }, remaining } = quota;
    let headers = response.headers_mut();
    headers.insert(POLICY, value(policy, [(";q=", messages.into()), (";w=", seconds.into())]));
    headers.insert(LIMIT, value(policy, [(";r=", remaining.into()), (";t=", quota.reset_seconds())]));
    response
}

/// Without the formatter, as every post has two of them.
fn value(policy: &str, parameters: [(&str, u64); 2]) -> HeaderValue {
    /// The longest: a name, two parameters, and twenty digits for each.
    const LONGEST: usize = 64;
    let mut text = Vec::with_capacity(LONGEST);
    for part in ["\"", policy, "\""] {
        text.extend_from_slice(part.as_bytes());
    }
    for (name, number) in parameters {
        text.extend_from_slice(name.as_bytes());
        push_decimal(&mut text, number);
    }
    HeaderValue::from_maybe_shared(Bytes::from(text)).expect("a policy's name and numbers are ASCII")
}

fn push_decimal(text: &mut Vec<u8>, mut number: u64) {
    let begin = text.len();
    loop {
        text.push(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text[begin..].reverse();
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
