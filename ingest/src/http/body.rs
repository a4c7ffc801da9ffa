//! Reads JSON bodies, bounded in size and time, and says what is wrong with a malformed one. Each handler defines the
//! shape of its body.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::http::content_digest::ContentDigest;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use futures_util::poll;
use http_body_util::BodyExt;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use tokio::time::timeout;

use crate::refusal::{Malformed, Refusal};

mod lone_surrogates;

/// The shape of a body.
pub(crate) trait Shape: DeserializeOwned {
    /// The page under `docs/` that describes it.
    const PAGE: &'static str;
}

/// The members of all bodies, and what they must be.
const MEMBERS: [(&str, &str); 5] = [
    ("text", "a string"),
    ("textMessage", "a string"),
    ("reason", "a string, null or absent"),
    ("dryRun", "true, false, null or absent"),
    ("settings", "an object with the settings that change, such as {\"slowModeSeconds\": 10}"),
];

/// 64 KB: the longest text has 8 KB, or six times that if every byte is escaped.
const LARGEST_BODY_BYTES: usize = 64 * 1024;

/// 8 MB: a body that is too large is read and discarded up to here, because a peer that is still sending would not see
/// the response. A larger one is cut off.
const LARGEST_DISCARDED_BYTES: usize = 8 * 1024 * 1024;

/// 1 s to discard a body.
const DISCARD_DEADLINE: Duration = Duration::from_secs(1);

/// Reads the body as a JSON object of that shape. Unknown members are ignored.
pub(crate) async fn json<T: Shape>(parts: &Parts, body: Body, deadline: Duration) -> Result<T, Refusal> {
    let unsupported = match () {
        () if !is_json(parts) => Some(Refusal::UnsupportedMediaType),
        () if !is_plain(parts) => Some(Refusal::UnsupportedEncoding),
        () => None,
    };
    if let Some(refusal) = unsupported {
        Box::pin(discard(parts, body)).await;
        return Err(refusal);
    }
    if is_far_too_large(parts) {
        return Err(Refusal::BodyTooLarge);
    }
    let bytes = {
        let mut reading = pin!(read(body));
        match poll!(reading.as_mut()) {
            Poll::Ready(bytes) => bytes,
            // It did not come with the head. Boxed, because that is rare.
            Poll::Pending => Box::pin(timeout(deadline, reading)).await.unwrap_or(Err(Refusal::BodyTimeout)),
        }
    }?;
    // A gateway's signature covers the body by this digest.
    match ContentDigest::of(&parts.headers) {
        Ok(Some(digest)) if !digest.is_of(&bytes) => return Err(Refusal::BodyAltered),
        Err(_) => return Err(Refusal::BodyAltered),
        Ok(_) => {}
    }
    parse(&bytes).map_err(|what| Refusal::BodyMalformed(Malformed { what, page: T::PAGE }))
}

/// Err: what is wrong, in a sentence.
fn parse<T: Shape>(bytes: &[u8]) -> Result<T, String> {
    // Checked here, because the parser does not look into strings that it skips.
    let text = simdutf8::basic::from_utf8(bytes).map_err(|_| "The body is not UTF-8.".to_owned())?;
    let not_json = |error: serde_json::Error| format!("The body is not JSON: {error}.");
    match text.trim_ascii_start().chars().next() {
        None => return Err("The body is empty: it must be a JSON object.".to_owned()),
        Some('{') => {}
        // serde would also read a struct from a list of its members, which is not our format.
        Some(_) => {
            serde_json::from_str::<IgnoredAny>(text).map_err(not_json)?;
            return Err("The body must be a JSON object, {…}.".to_owned());
        }
    }
    let text = lone_surrogates::replace_lone_surrogates(text);
    if let Ok(shape) = serde_json::from_str(&text) {
        return Ok(shape);
    }
    // Read again, to say which member is wrong.
    let mut json = serde_json::Deserializer::from_str(&text);
    let shape = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        match error.into_inner() {
            error if error.is_data() => wrong_member(&path, &error.to_string()),
            error => not_json(error),
        }
    })?;
    json.end().map_err(not_json)?;
    Ok(shape)
}

/// Turns the parser's error about a member into a sentence for people.
fn wrong_member(path: &str, error: &str) -> String {
    let quoted = |begin| Some(error.strip_prefix(begin)?.split('`').next().unwrap_or_default());
    if let Some(name) = quoted("duplicate field `") {
        return format!("The member {name:?} appears twice.");
    }
    if let Some(name) = quoted("missing field `") {
        return format!("The member {name:?} is missing: it must be {}.", expected(name));
    }
    let name = path.split(['.', '[']).next().unwrap_or_default();
    format!("The member {name:?} must be {}.", expected(name))
}

fn expected(name: &str) -> &'static str {
    MEMBERS.iter().find(|(member, _)| *member == name).map_or("as documented", |(_, expected)| expected)
}

/// The error for a member that was parsed as any value and has the wrong type.
pub(crate) fn malformed_member<T: Shape>(name: &str) -> Malformed {
    Malformed { what: wrong_member(name, ""), page: T::PAGE }
}

/// The value with 5 in place of 5.0. JSON has one kind of number, and some programs write every number as floating
/// point.
pub(crate) fn whole(value: Value) -> Value {
    /// 2^53: beyond that, not every integer is a floating-point number.
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() <= LARGEST => (float as i64).into(),
            _ => Value::Number(number),
        },
        Value::Array(values) => values.into_iter().map(whole).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, whole(value))).collect(),
        Value::Null | Value::Bool(_) | Value::String(_) => value,
    }
}

/// Reads a body that was refused unread, so that its sender sees the response.
pub(crate) async fn discard(parts: &Parts, body: Body) {
    if !is_far_too_large(parts) {
        drain(body).await;
    }
}

/// Reads and discards a body, for a second at most.
pub(crate) async fn drain(body: Body) {
    // The response is the same, however reading ends.
    let _ = timeout(DISCARD_DEADLINE, read_away(body)).await;
}

async fn read_away(mut body: Body) {
    let mut total = 0;
    while let Some(Ok(frame)) = body.frame().await {
        total += frame.data_ref().map_or(0, |chunk| chunk.len());
        if total > LARGEST_DISCARDED_BYTES {
            return;
        }
    }
}

async fn read(mut body: Body) -> Result<Bytes, Refusal> {
    // Usually one piece is all of it.
    let (mut first, mut joined) = (Bytes::new(), Vec::new());
    let mut total = 0;
    // After as many bytes as were declared nothing is waited for.
    while !body.is_end_stream()
        && let Some(frame) = body.frame().await
    {
        // An error means that the peer disconnected or broke the framing.
        let frame = frame.map_err(|_| Refusal::BodyBroken)?;
        let Ok(chunk) = frame.into_data() else { continue };
        total += chunk.len();
        if total <= LARGEST_BODY_BYTES {
            if total == chunk.len() {
                first = chunk;
                continue;
            }
            if joined.is_empty() {
                joined.extend_from_slice(&first);
            }
            joined.extend_from_slice(&chunk);
        } else if total > LARGEST_DISCARDED_BYTES {
            break;
        }
    }
    match () {
        () if total > LARGEST_BODY_BYTES => Err(Refusal::BodyTooLarge),
        () if joined.is_empty() => Ok(first),
        () => Ok(joined.into()),
    }
}

/// Whether the declared length is too large even to discard.
pub(crate) fn is_far_too_large(parts: &Parts) -> bool {
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length > LARGEST_DISCARDED_BYTES as u64)
}

/// Whether no `Content-Encoding` but `identity` is declared.
fn is_plain(parts: &Parts) -> bool {
    parts.headers.get_all(CONTENT_ENCODING).iter().all(|value| {
        let mut encodings = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        encodings.all(|encoding| encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity"))
    })
}

/// Whether the media type is `application/json` or `application/…+json`, in UTF-8.
fn is_json(parts: &Parts) -> bool {
    let mut values = parts.headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    if value == "application/json" {
        return true;
    }
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
    fn five_is_five_however_it_is_written() {
        let read = |text: &str| whole(serde_json::from_str(text).unwrap()).to_string();
        assert_eq!(read("[5.0, 5, 5e0, -0.0, 1.2e6]"), "[5,5,5,0,1200000]");
        assert_eq!(read(r#"{"a":{"b":640.0}}"#), r#"{"a":{"b":640}}"#);
        for other in ["5.5", "1e300", "18446744073709551615", "\"5.0\"", "null"] {
            assert_eq!(read(other), serde_json::from_str::<Value>(other).unwrap().to_string());
        }
    }

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
