//! Our own surface, `/v1`: 202 with the message's id and position, errors as RFC 9457.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawPathParams, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, RequestExt, Router};
use nats::{EventId, PresenterIdx};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Ingest;
use crate::accept::{Accepted, Post};
use crate::body;
use crate::refusal::Refusal;
use crate::text::{InvalidText, Text};

pub(crate) fn routes() -> Router<Arc<Ingest>> {
    Router::new().route("/v1/rooms/{presenterIdx}/messages", post(post_message))
}

/// `POST /v1/rooms/{presenterIdx}/messages`
#[derive(Deserialize)]
struct NewMessage {
    #[serde(default)]
    text: Value,
}

/// 202
#[derive(Serialize)]
struct AcceptedBody {
    id: EventId,
    position: nats::Position,
    presenter: &'static str,
}

async fn post_message(State(ingest): State<Arc<Ingest>>, mut request: Request) -> Response {
    let presenter = match request.extract_parts::<RawPathParams>().await {
        Ok(params) => params.iter().next().and_then(|(_, idx)| idx.parse().ok()),
        Err(_) => None,
    };
    let (parts, body) = request.into_parts();
    match send(&ingest, presenter, parts, body).await {
        Ok(Accepted { id, position, is_presenter_connected, .. }) => {
            let presenter = if is_presenter_connected { "connected" } else { "reconnecting" };
            (StatusCode::ACCEPTED, Json(AcceptedBody { id, position, presenter })).into_response()
        }
        Err(refusal) => {
            refusal.log();
            refusal.problem().into_response()
        }
    }
}

async fn send(ingest: &Ingest, presenter: Option<PresenterIdx>, parts: Parts, body: Body) -> Result<Accepted, Refusal> {
    let _permit = ingest.in_flight.try_acquire().map_err(|_| Refusal::Overloaded)?;
    let head = ingest.head(&parts).await.and_then(|head| Ok((head, presenter.ok_or(Refusal::PresenterIdxInvalid)?)));
    let (head, presenter) = match head {
        Ok(head) => head,
        Err(refusal) => {
            body::discard(&parts, body).await;
            return Err(refusal);
        }
    };
    let message: NewMessage = body::json(&parts, body, ingest.body_deadline).await?;
    let text = match &message.text {
        Value::Null => return Err(Refusal::Text(InvalidText::Empty)),
        Value::String(text) => Text::parse(text)?,
        _ => return Err(Refusal::BodyMalformed),
    };
    ingest.accept(Post { sender: head.sender, presenter, text, key: head.key }).await
}
