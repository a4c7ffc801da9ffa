//! Reads the JSON body of a post: bounded in size and time. What a body means is not known here.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::refusal::Refusal;

/// 64 KB: the longest text has 8 KB, and six times that where every byte is escaped.
const LARGEST_BODY_BYTES: usize = 64 * 1024;

/// 8 MB: up to here what is too large is read and thrown away, because a peer that is still sending would not see the
/// answer. Beyond, it is cut off.
const LARGEST_DISCARDED_BYTES: usize = 8 * 1024 * 1024;

/// 1 s for a body that nobody wants.
const DISCARD_DEADLINE: Duration = Duration::from_secs(1);

/// The body as a JSON object of that shape. Members that it does not have are ignored.
pub(crate) async fn json<T: DeserializeOwned>(parts: &Parts, body: Body, deadline: Duration) -> Result<T, Refusal> {
    if !is_json(parts) {
        discard(parts, body).await;
        return Err(Refusal::UnsupportedMediaType);
    }
    if is_far_too_large(parts) {
        return Err(Refusal::BodyTooLarge);
    }
    let bytes = timeout(deadline, read(body)).await.map_err(|_| Refusal::BodyTimeout)??;
    // The parser does not look into strings that it skips.
    let text = std::str::from_utf8(&bytes).map_err(|_| Refusal::BodyMalformed)?;
    // A struct may also be read from a list of its members; that is not our format.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Refusal::BodyMalformed);
    }
    serde_json::from_str(text).map_err(|_| Refusal::BodyMalformed)
}

/// Takes in a body that was refused unread, so that its sender sees the answer.
pub(crate) async fn discard(parts: &Parts, body: Body) {
    if !is_far_too_large(parts) {
        // Whatever becomes of it, the answer is the same.
        let _ = timeout(DISCARD_DEADLINE, read(body)).await;
    }
}

async fn read(mut body: Body) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let mut total = 0;
    while let Some(frame) = body.frame().await {
        // An error means that the peer went away or broke the framing.
        let frame = frame.map_err(|_| Refusal::BodyMalformed)?;
        let Ok(chunk) = frame.into_data() else { continue };
        total += chunk.len();
        if total <= LARGEST_BODY_BYTES {
            bytes.extend_from_slice(&chunk);
        } else if total > LARGEST_DISCARDED_BYTES {
            break;
        }
    }
    if total > LARGEST_BODY_BYTES { Err(Refusal::BodyTooLarge) } else { Ok(bytes) }
}

fn is_far_too_large(parts: &Parts) -> bool {
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length > LARGEST_DISCARDED_BYTES as u64)
}

/// `application/json` or `application/…+json`, in UTF-8.
fn is_json(parts: &Parts) -> bool {
    let mut values = parts.headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let Ok(value) = value.to_str() else { return false };
    let mut members = value.split(';').map(|member| member.trim().to_ascii_lowercase());
    let media_type = members.next().unwrap_or_default();
    let is_utf8 = members
        .filter_map(|member| member.strip_prefix("charset=").map(|charset| charset.trim_matches('"').to_owned()))
        .all(|charset| charset == "utf-8" || charset == "utf8");
    let is_json = media_type
        .strip_prefix("application/")
        .is_some_and(|subtype| subtype == "json" || subtype.len() > 5 && subtype.ends_with("+json"));
    is_json && is_utf8
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    #[test]
    fn json_is_json_in_utf_8() {
        let is_json =
            |value: &str| is_json(&Request::builder().header(CONTENT_TYPE, value).body(()).unwrap().into_parts().0);
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
            "application/vnd.chat+json",
        ] {
            assert!(is_json(good), "{good}");
        }
        for bad in ["", "json", "text/json", "text/plain", "application/jsonx", "application/+json"] {
            assert!(!is_json(bad), "{bad}");
        }
        assert!(!is_json("application/json; charset=euc-kr"));
        assert!(!super::is_json(&Request::new(()).into_parts().0));
    }
}
