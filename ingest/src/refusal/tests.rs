//! Every refusal on both surfaces, pinned: a changed snapshot is a changed contract.

use std::fmt::Write as _;

use super::*;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use jiff::tz::TimeZone;
use serde_json::Value;

fn all() -> Vec<Refusal> {
    use Refusal::*;
    let all = vec![
        Token(TokenError::Missing),
        Token(TokenError::Ambiguous),
        Token(TokenError::Malformed),
        Token(TokenError::Signature),
        Token(TokenError::Expired),
        Token(TokenError::Claims),
        Token(TokenError::KeysUnavailable),
        Forwarded(ForwardError::Missing("x-forward-useridx")),
        Forwarded(ForwardError::Malformed("x-forward-useridx")),
        PresenterIdxMissing,
        PresenterIdxInvalid,
        UserTypeInvalid,
        UserIdxInvalid,
        MessageIdInvalid,
        QueryInvalid,
        IdempotencyKeyInvalid,
        IdempotencyKeyReused,
        UnsupportedMediaType,
        BodyMalformed,
        BodyTooLarge,
        BodyTimeout,
        Text(InvalidText::Empty),
        Text(InvalidText::TooLong),
        Text(InvalidText::Forbidden),
        TextTooLongHere(200),
        ReasonInvalid,
        SecondsInvalid,
        Setting(InvalidSetting::Value("uniqueChat", "true or false")),
        SettingMissing,
        Forbidden,
        PresenterBanned,
        NotBanned,
        Banned { until: None },
        Banned { until: Some(Timestamp::UNIX_EPOCH) },
        PresenterOnly,
        Limited(crate::limits::Limited::SlowMode { retry_after: Duration::from_secs(5) }),
        Limited(crate::limits::Limited::Rate { retry_after: Duration::from_secs(2), quota: quota() }),
        Limited(crate::limits::Limited::Duplicate),
        Rejected,
        Denied { reason: None },
        Denied { reason: Some("politics".to_owned()) },
        ReviewUnavailable,
        RoomNotLive,
        RoomServerUnavailable,
        Overloaded,
        Append(AppendError::Full),
        Append(AppendError::Unavailable),
        Append(AppendError::Unknown),
        Append(AppendError::TooLarge),
        NotFound,
        MethodNotAllowed,
    ];
    // A new variant does not compile here until it is in the list above.
    for refusal in &all {
        match refusal {
            Token(_) | Forwarded(_) | PresenterIdxMissing | PresenterIdxInvalid | UserTypeInvalid => {}
            UserIdxInvalid | MessageIdInvalid | QueryInvalid | IdempotencyKeyReused => {}
            TextTooLongHere(_) | ReasonInvalid | SecondsInvalid | Setting(_) | SettingMissing => {}
            Forbidden | PresenterBanned | NotBanned | Banned { .. } | PresenterOnly | Rejected => {}
            Limited(_) | Denied { .. } | ReviewUnavailable => {}
            IdempotencyKeyInvalid | UnsupportedMediaType | BodyMalformed | BodyTooLarge | BodyTimeout => {}
            Text(_) | RoomNotLive | RoomServerUnavailable | Overloaded | Append(_) | NotFound | MethodNotAllowed => {}
        }
    }
    all
}

fn quota() -> Quota {
    Quota { policy: "room", rate: crate::settings::Rate { messages: 20, seconds: 30 }, remaining: 0 }
}

async fn show(response: Response) -> String {
    let status = response.status().as_u16();
    let headers: Vec<String> = ["content-type", "retry-after", "ratelimit", "ratelimit-policy", "message-outcome"]
        .into_iter()
        .filter_map(|name| Some(format!("{name}: {}", response.headers().get(name)?.to_str().unwrap())))
        .collect();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let mut body: Value = serde_json::from_slice(&body).unwrap();
    if let Some(timestamp) = body.get_mut("timestamp") {
        assert_eq!(timestamp.as_str().unwrap().len(), "2026-01-02 03:04:05".len());
        *timestamp = "…".into();
    }
    format!("{status} {} {body}", headers.join(", "))
}

#[tokio::test]
async fn every_refusal_has_one_answer_on_each_surface() {
    let mut table = String::new();
    for refusal in all() {
        let v1 = show(refusal.problem().into_response()).await;
        let original = show(crate::original::refused(&TimeZone::UTC, "/send/message", &refusal)).await;
        writeln!(table, "{refusal:?}\n  v1:       {v1}\n  original: {original}").unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn every_code_is_documented() {
    let documentation = include_str!("../../../docs/api.md");
    for refusal in all() {
        let wire = refusal.wire();
        let row = format!("| {} | `{}` |", wire.status.as_u16(), wire.code);
        assert!(documentation.contains(&row), "docs/api.md lacks the row {row}");
        assert!(documentation.contains(wire.original_message), "docs/api.md lacks {}", wire.original_message);
    }
}

#[test]
fn the_timestamp_is_local() {
    let response = crate::original::refused(&TimeZone::get("Asia/Seoul").unwrap(), "/", &Refusal::NotFound);
    let body = body_of(response);
    let seoul = jiff::Timestamp::now().to_zoned(TimeZone::get("Asia/Seoul").unwrap());
    let minute_before = seoul.checked_sub(jiff::Span::new().minutes(1)).unwrap();
    let timestamp = body["timestamp"].as_str().unwrap();
    let minutes = [seoul, minute_before].map(|time| time.strftime("%Y-%m-%d %H:%M").to_string());
    assert!(minutes.iter().any(|minute| timestamp.starts_with(minute)), "{timestamp}");
}

fn body_of(response: Response) -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let body = runtime.block_on(response.into_body().collect()).unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}
