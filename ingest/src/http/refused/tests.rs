//! Every refusal on both surfaces, pinned: a changed snapshot is a changed contract.

use std::fmt::Write as _;

use super::*;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use jiff::tz::TimeZone;
use serde_json::Value;

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
    for refusal in Refusal::all() {
        let v1 = show(refusal.clone().into_response()).await;
        let original = original(&TimeZone::UTC, "/send/message", &refusal);
        assert_eq!(original.headers()["message-code"], refusal.row().code);
        let original = show(original).await;
        writeln!(table, "{refusal:?}\n  v1:       {v1}\n  original: {original}").unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn every_code_is_documented() {
    let documentation = include_str!("../../../../docs/reference/ingest-api.md");
    for refusal in Refusal::all() {
        let wire = refusal.row();
        let row = format!("| {} | `{}` |", wire.status, wire.code);
        assert!(documentation.contains(&row), "docs/reference/ingest-api.md lacks the row {row}");
        assert!(
            documentation.contains(wire.original_message),
            "docs/reference/ingest-api.md lacks {}",
            wire.original_message
        );
    }
}

#[test]
fn the_timestamp_is_local() {
    let response = original(&TimeZone::get("Asia/Seoul").unwrap(), "/", &Refusal::NotFound);
    let body = body_of(response);
    let seoul = jiff::Timestamp::now().to_zoned_datetime(TimeZone::get("Asia/Seoul").unwrap());
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
