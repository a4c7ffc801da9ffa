//! The headers that report a sender's remaining quota (draft-ietf-httpapi-ratelimit-headers).

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

/// Without the formatter or a second allocation, as every post has two of them.
fn value(policy: &str, parameters: [(&str, u64); 2]) -> HeaderValue {
    /// The longest: a name, two parameters, and twenty digits for each.
    const LONGEST: usize = 64;
    let mut text = [0; LONGEST];
    let mut places = text.iter_mut();
    let mut push = |part: &str| part.bytes().zip(&mut places).for_each(|(byte, place)| *place = byte);
    for part in ["\"", policy, "\""] {
        push(part);
    }
    for (name, number) in parameters {
        push(name);
        push(itoa::Buffer::new().format(number));
    }
    let left = places.len();
    HeaderValue::from_bytes(&text[..LONGEST - left]).expect("a policy's name and numbers are ASCII")
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
