//! Our own surface, `/v1`: 202 with the message's id and position, errors as RFC 9457.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use nats::EventId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Ingest;
use crate::accept::{Accepted, Post};
use crate::limits::Quota;
use crate::refusal::Refusal;
use crate::text::{InvalidText, Text};

mod call;
mod moderation;

use call::Call;

pub(crate) fn routes() -> Router<Arc<Ingest>> {
    let messages = post(post_message).delete(moderation::clear);
    Router::new().route("/v1/rooms/{presenterIdx}/messages", messages).merge(moderation::routes())
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

async fn post_message(State(ingest): State<Arc<Ingest>>, request: Request) -> Response {
    answer(async {
        let Call { sender, key, place, body, .. } = Call::with_body::<NewMessage>(&ingest, request).await?;
        let text = match &body.text {
            Value::Null => return Err(Refusal::Text(InvalidText::Empty)),
            Value::String(text) => Text::parse(text)?,
            _ => return Err(Refusal::BodyMalformed),
        };
        let Accepted { id, position, is_presenter_connected, quota, .. } =
            ingest.accept(Post { sender, presenter: place.presenter()?, text, key }).await?;
        let presenter = if is_presenter_connected { "connected" } else { "reconnecting" };
        let accepted = (StatusCode::ACCEPTED, Json(AcceptedBody { id, position, presenter }));
        Ok(with_quota(accepted.into_response(), quota))
    })
    .await
}

/// Says how much more may be written.
pub(crate) fn with_quota(mut response: Response, quota: Option<Quota>) -> Response {
    response.headers_mut().extend(quota.iter().flat_map(Quota::headers));
    response
}

/// The answer, or the problem that it became.
async fn answer(work: impl Future<Output = Result<Response, Refusal>>) -> Response {
    work.await.unwrap_or_else(|refusal| {
        refusal.log();
        with_quota(refusal.problem().into_response(), refusal.quota())
    })
}
