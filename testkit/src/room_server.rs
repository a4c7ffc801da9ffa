//! A stand-in for the platform's room server. Every room is live until it is switched off.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{post, put};
use axum::{Json, Router};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};

/// Rooms that are switched off.
type NotLive = Arc<Mutex<HashSet<i64>>>;

/// Ingest's request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Question {
    presenter_idx: String,
}

/// `POST /room/live/check` of the contract, and `PUT /rooms/{presenterIdx}/live` with the body `true` or `false`.
pub fn room_server() -> Router {
    Router::new()
        .route("/room/live/check", post(check))
        .route("/rooms/{presenter}/live", put(switch))
        .with_state(NotLive::default())
}

async fn check(State(rooms): State<NotLive>, Json(question): Json<Question>) -> Result<Json<Value>, StatusCode> {
    let presenter = question.presenter_idx.parse().map_err(|_| StatusCode::BAD_REQUEST)?;
    let alive = !rooms.lock().contains(&presenter);
    Ok(Json(json!({ "timestamp": "", "message": "", "data": { "alive": alive } })))
}

async fn switch(State(rooms): State<NotLive>, Path(presenter): Path<i64>, body: String) -> StatusCode {
    let mut rooms = rooms.lock();
    match body.trim() {
        "true" => drop(rooms.remove(&presenter)),
        "false" => drop(rooms.insert(presenter)),
        _ => return StatusCode::BAD_REQUEST,
    }
    StatusCode::NO_CONTENT
}
